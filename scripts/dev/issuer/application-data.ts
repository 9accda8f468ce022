// Data objects of an application from its profile: DOLs, interchange profile, CVM tlvList, track 2, the signed record (EMV Book 3, annexes A and C).
import { ascii, concat, fromHex, toBcd } from '../../../hal/base/bytes.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import { type ApplicationProfile, type CardProfile, CVM_CONDITIONS, CVM_METHODS } from './card-profile.js'
import { cardVerificationValue } from './cvv.js'
import type { DolEntry } from './dol.js'
import type { IssuerKeys } from './issuer-keys.js'
import { pinVerificationValue } from './pin.js'

/** Of every transaction: amounts, country, TVR, currency, date, type, unpredictable number; in this order in the cryptogram. */
export const CRYPTOGRAM_DOL: readonly DolEntry[] = [
  { tag: 0x9f02, length: 6 },
  { tag: 0x9f03, length: 6 },
  { tag: 0x9f1a, length: 2 },
  { tag: 0x95, length: 5 },
  { tag: 0x5f2a, length: 2 },
  { tag: 0x9a, length: 3 },
  { tag: 0x9c, length: 1 },
  { tag: 0x9f37, length: 4 },
]
export const CDOL1: readonly DolEntry[] = [
  ...CRYPTOGRAM_DOL,
  { tag: 0x9f35, length: 1 },
  { tag: 0x9f34, length: 3 },
]
export const DDOL: readonly DolEntry[] = [{ tag: 0x9f37, length: 4 }]

/** Response code, issuer authentication data where they come with GENERATE AC, then as CDOL1. */
export function cdol2(application: ApplicationProfile): readonly DolEntry[] {
  const authentication =
    application.issuerAuthentication === 'inGenerateAc'
      ? [{ tag: 0x91, length: application.cryptogramVersion === 10 ? 10 : 8 }]
      : []
  return [{ tag: 0x8a, length: 2 }, ...authentication, ...CDOL1]
}

/** AIP byte 1 (Book 3, annex C1, table 41). */
const AIP = {
  xda: 0x80,
  sda: 0x40,
  dda: 0x20,
  cardholderVerification: 0x10,
  riskManagement: 0x08,
  issuerAuthentication: 0x04,
  cda: 0x01,
} as const

export function interchangeProfile(application: ApplicationProfile): Uint8Array {
  const methods = { none: 0, sda: AIP.sda, dda: AIP.dda, cda: AIP.cda | AIP.dda, xda: AIP.xda }[
    application.authentication
  ]
  const external = application.issuerAuthentication === 'external' ? AIP.issuerAuthentication : 0
  return Uint8Array.of(methods | AIP.cardholderVerification | AIP.riskManagement | external, 0)
}

function cvmList({ cvm }: ApplicationProfile): Uint8Array {
  const amount = (minor: number) => {
    const out = new Uint8Array(4)
    new DataView(out.buffer).setUint32(0, minor)
    return out
  }
  const rules = cvm.rules.map((rule) =>
    Uint8Array.of(CVM_METHODS[rule.method] | (rule.orNext ? 0x40 : 0), CVM_CONDITIONS[rule.when]),
  )
  return concat(amount(cvm.xMinor), amount(cvm.yMinor), ...rules)
}

const PIN_KEY_INDEX = '1'

/**
 * Track 2 as tag 57 has it: PAN, expiry, service code, PVV, CVV. The chip's CVV is over service code 999, so that what is
 * read of a chip makes no stripe.
 */
export function track2(
  application: ApplicationProfile,
  pin: string,
  keys: IssuerKeys,
  of: 'chip' | 'stripe' = 'chip',
): Uint8Array {
  const expiry = application.expiry.slice(0, 4)
  // A PVV exists for four digits only; other PINs are the issuer's offset file's matter.
  const pvv =
    pin.length === 4
      ? PIN_KEY_INDEX + pinVerificationValue(keys.master.pinVerification, PIN_KEY_INDEX, application.pan, pin)
      : '00000'
  const cvv = cardVerificationValue(
    keys.master.cardVerification,
    application.pan,
    expiry,
    of === 'chip' ? '999' : application.serviceCode,
  )
  const digits = `${application.pan}D${expiry}${application.serviceCode}${pvv}${cvv}`
  return fromHex(digits.length % 2 === 0 ? digits : `${digits}F`)
}

const oddPan = (pan: string): Uint8Array => fromHex(pan.length % 2 === 0 ? pan : `${pan}F`)
export const numeric = (code: string): Uint8Array => toBcd(code, 2)
export const tlvList = (...objects: readonly (readonly [number, Uint8Array])[]): Uint8Array =>
  concat(...objects.map(([tag, value]) => encodeTlv(tag, value)))

const DEFAULT_ACTIONS = { denial: '0000000000', online: 'F870FC9800', default: 'F850AC8800' }

/** Records that the issuer's signature covers (Book 3, 10.3): contents without the template. */
export function signedRecord(card: CardProfile, application: ApplicationProfile): Uint8Array {
  const actions = application.actionCodes ?? DEFAULT_ACTIONS
  return tlvList(
    [0x5a, oddPan(application.pan)],
    [0x5f34, fromHex(application.panSequence)],
    [0x5f24, fromHex(application.expiry)],
    [0x5f25, fromHex(application.effective)],
    [0x5f28, numeric(card.country)],
    [0x9f07, fromHex(application.usage ?? 'FF00')],
    [0x8e, cvmList(application)],
    [0x9f0d, fromHex(actions.default)],
    [0x9f0e, fromHex(actions.denial)],
    [0x9f0f, fromHex(actions.online)],
    [0x9f42, numeric(card.currency)],
    [0x9f44, Uint8Array.of(2)],
    [0x9f4a, Uint8Array.of(0x82)],
  )
}

/** NOTE: names are written in code table 1 (ISO 8859-1), the only one that the deck's cards use. */
export const preferredName = ({
  preferredName: name,
}: ApplicationProfile): readonly (readonly [number, Uint8Array])[] =>
  name === undefined ? [] : [[0x9f12, new Uint8Array(Buffer.from(name, 'latin1'))]]

export function selectionData(card: CardProfile, application: ApplicationProfile): Uint8Array {
  const { codeTable } = application
  return tlvList(
    [0x50, ascii.encode(application.label)],
    [0x87, Uint8Array.of(application.priority | (application.confirm ? 0x80 : 0))],
    ...(application.pdol === undefined ? [] : [[0x9f38, fromHex(application.pdol)] as const]),
    [0x5f2d, ascii.encode(card.languages.join(''))],
    ...(codeTable === undefined ? [] : [[0x9f11, Uint8Array.of(codeTable)] as const]),
    ...preferredName(application),
    // Log entry: ten records in file 11.
    [0xbf0c, encodeTlv(0x9f4d, Uint8Array.of(11, 10))],
  )
}
