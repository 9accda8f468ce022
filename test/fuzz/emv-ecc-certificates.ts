// Fuzz target: ECC certificates and XDA signatures, right in their layout and changed anywhere: each is refused by name.
import { concat, fromHex } from '../../hal/base/bytes.js'
import { sha256 } from '../../hal/base/ciphers.js'
import {
  readCaCertificate,
  verifyEccIccCertificate,
  verifyEccIssuerCertificate,
} from '../../runtime/secure/emv/ecc-certificates.js'
import { verifyXdaSignature } from '../../runtime/secure/emv/extended-data-authentication.js'
import { type Choices, choicesOf } from './support/choices.js'

const RID = fromHex('A000000003')
const PAN = fromHex('4761739001010119')
/** P-256, SHA-256: field and half a signature have 32 bytes. */
const SUITE = 0x10
/** The x-coordinate of the curve's base point: a point that is there. */
const X = fromHex('6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296')
const certified = fromHex('82021801')

/** Mostly refused before the costly mathematics: a signature of zeros. Now and then one of any bytes. */
const signature = (choices: Choices) =>
  choices.below(256) === 255 ? concat(choices.bytes(63), Uint8Array.of(1)) : new Uint8Array(64)

/** Bytes changed, cut off or put on. */
function changed(bytes: Uint8Array, choices: Choices): Uint8Array {
  const out = bytes.slice()
  for (let n = choices.below(4); n > 0; n--) out[choices.below(out.length)] = choices.below(256)
  const how = choices.below(8)
  if (how === 6) return out.subarray(0, choices.below(out.length + 1))
  return how === 7 ? concat(out, choices.bytes(choices.below(80))) : out
}

export const target = {
  name: 'ECC certificates and XDA signatures',
  run(bytes: Uint8Array): string {
    const choices = choicesOf(bytes)
    const words: string[] = []
    const tell = (result: unknown) => {
      // Nobody here knows a private key.
      if (typeof result !== 'string') throw new Error('a signature that nobody made was taken')
      words.push(result)
    }
    const ca = concat(fromHex('2000'), RID, Uint8Array.of(0x07, SUITE), X, signature(choices))
    tell(readCaCertificate(changed(ca, choices)))
    const issuer = concat(
      fromHex('12004761739FFF'),
      Uint8Array.of(SUITE),
      fromHex('20301231'),
      fromHex('000001'),
      RID,
      Uint8Array.of(0x07),
      X,
      signature(choices),
    )
    const caKey = { rid: RID, index: 0x07, suite: SUITE, x: X, expires: fromHex('20301231') }
    const today = choices.pick([fromHex('261122'), fromHex('991332'), new Uint8Array(), undefined])
    tell(
      verifyEccIssuerCertificate(changed(issuer, choices), {
        caKey: caKey as never,
        pan: choices.pick([PAN, PAN, PAN, undefined, new Uint8Array()]),
        today,
        isRevoked: () => choices.below(4) === 0,
      }),
    )
    const icc = concat(
      fromHex('1400'),
      Uint8Array.of(SUITE),
      fromHex('203012312359'),
      fromHex('000000000001'),
      fromHex('0002'),
      sha256(certified),
      X,
      signature(choices),
    )
    tell(
      verifyEccIccCertificate(changed(icc, choices), {
        issuerKey: { suite: SUITE, x: X },
        use: choices.pick(['signature', 'encipherment']),
        today,
        time: choices.pick([fromHex('120000'), undefined, new Uint8Array(2)]),
        certifiedData: certified,
      }),
    )
    const signed = concat(Uint8Array.of(0x15), signature(choices))
    const holds = verifyXdaSignature({ suite: SUITE, x: X }, changed(signed, choices), [bytes], bytes)
    tell(holds ? true : 'XDA signature')
    return words.join('|')
  },
}
