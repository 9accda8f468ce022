// The cryptogram of an authorisation request, taken out of field 55 and made again by the issuer (EMV Book 2, 8.1).
import { concat, equalBytes, toHex } from '../../../hal/base/bytes.js'
import { findTlv, parseTlv, type Tlv } from '../../../hal/base/tlv.js'
import { CRYPTOGRAM_DOL } from './application-data.js'
import type { ApplicationProfile } from './card-profile.js'
import { type CryptogramVersion, makeCryptogram, readIssuerApplicationData } from './cryptogram-data.js'
import type { IssuerKeys } from './issuer-keys.js'
import { cardMasterKeyB } from './key-derivation.js'

/** What DE55 must hold to be checked. */
export interface ReceivedCryptogram {
  readonly version: CryptogramVersion
  readonly atc: number
  readonly arqc: Uint8Array
  readonly holds: boolean
  readonly amountMinor: bigint
  readonly currencyNumeric: string
  readonly cvm: number | undefined
}

/** Takes DE55 apart and makes its cryptogram again; undefined where something that it needs is missing. */
export function readCryptogram(
  de55: Uint8Array,
  application: ApplicationProfile,
  keys: IssuerKeys,
): ReceivedCryptogram | undefined {
  let objects: readonly Tlv[]
  try {
    objects = parseTlv(de55)
  } catch {
    return undefined
  }
  const value = (tag: number) => findTlv(objects, tag)?.value
  const [aip, atcBytes, iad, arqc] = [value(0x82), value(0x9f36), value(0x9f10), value(0x9f26)]
  const inputs = CRYPTOGRAM_DOL.map(({ tag, length }) => {
    const given = value(tag)
    return given?.length !== length ? undefined : tag === 0x95 ? withoutLateBits(given) : given
  })
  const own = iad && readIssuerApplicationData(iad)
  if (aip === undefined || atcBytes?.length !== 2 || iad === undefined || arqc?.length !== 8) return undefined
  if (own === undefined || inputs.includes(undefined)) return undefined
  const atc = atcBytes[0]! * 256 + atcBytes[1]!
  const { version } = own
  const made = makeCryptogram({
    version,
    cardKey: cryptogramKey(application, keys),
    terminalData: concat(...(inputs as Uint8Array[])),
    aip,
    atc,
    issuerApplicationData: iad,
  })
  return {
    version,
    atc,
    arqc: arqc.slice(),
    holds: version === application.cryptogramVersion && equalBytes(made, arqc),
    amountMinor: digitsOf(inputs[0]!),
    currencyNumeric: toHex(inputs[4]!).slice(-3),
    cvm: value(0x9f34)?.[0],
  }
}

/** TVR bits that may have been set after the card made its cryptogram count as unset (Book 4, 6.3.2.2.2 and 6.3.2.2.4). */
function withoutLateBits(tvr: Uint8Array): Uint8Array {
  const out = tvr.slice()
  out[3]! &= ~0x01
  out[4]! &= ~0x02
  return out
}

const digitsOf = (bytes: Uint8Array): bigint => {
  const text = toHex(bytes)
  return /^\d+$/.test(text) ? BigInt(text) : -1n
}

export const cryptogramKey = (application: ApplicationProfile, keys: IssuerKeys): Uint8Array =>
  cardMasterKeyB(keys.master.cryptogram, application.pan, application.panSequence)
