// ECC certificates on a card and of a CA (EMV Book 2 v4.4, 11.2.1 with table 29, 12.3 and 12.4 with tables 35 and 36), the issuer's side.
import { concat, fromHex } from '../../../hal/base/bytes.js'
import { sha256 } from '../../../hal/base/ciphers.js'
import { type EcCurve, type EcKeyPair, ecSign } from './ec-key.js'
import { CA_EXPIRY, SCHEME_RID } from './scheme.js'

/** Table 48: EC-SDSA with the curve's hash. */
const SIGNATURE_SUITE: Readonly<Record<EcCurve, number>> = { 'P-256': 0x10, 'P-521': 0x11 }
/** Table 49: Diffie-Hellman, AES, CMAC. */
const ENCIPHERMENT_SUITE: Readonly<Record<EcCurve, number>> = { 'P-256': 0x00, 'P-521': 0x01 }
const ENCODING = 0x00
const SHA256 = 0x02

const signed = (signer: EcKeyPair, content: Uint8Array): Uint8Array =>
  concat(content, ecSign(signer, content))

/** A CA key as it is handed to terminals, signed with itself (table 29). */
export function caCertificate(key: EcKeyPair, index: string): Uint8Array {
  const head = Uint8Array.of(0x20, ENCODING)
  const suite = Uint8Array.of(SIGNATURE_SUITE[key.curve])
  return signed(key, concat(head, fromHex(SCHEME_RID), fromHex(index), suite, key.x))
}

/** Issuer public key certificate, tag 90 (table 35). `serial` is 3 bytes, `iin` 3 to 10 digits. */
export function eccIssuerCertificate(
  authority: EcKeyPair,
  index: string,
  issuer: EcKeyPair,
  iin: string,
  serial: Uint8Array,
): Uint8Array {
  return signed(
    authority,
    concat(
      Uint8Array.of(0x12, ENCODING),
      fromHex(iin.padEnd(10, 'F')),
      Uint8Array.of(SIGNATURE_SUITE[issuer.curve]),
      fromHex(CA_EXPIRY),
      serial,
      fromHex(SCHEME_RID),
      fromHex(index),
      issuer.x,
    ),
  )
}

/** ICC public key certificate, tag 9F46 for signatures or 9F2D for encipherment (table 36). `serial` is 6 bytes. */
export function eccCardCertificate(
  issuer: EcKeyPair,
  card: EcKeyPair,
  use: 'signature' | 'encipherment',
  serial: Uint8Array,
  certifiedData: Uint8Array,
): Uint8Array {
  const suite = (use === 'signature' ? SIGNATURE_SUITE : ENCIPHERMENT_SUITE)[card.curve]
  return signed(
    issuer,
    concat(
      Uint8Array.of(0x14, ENCODING, suite),
      fromHex(`${CA_EXPIRY}2359`),
      serial,
      Uint8Array.of(ENCODING, SHA256),
      sha256(certifiedData),
      card.x,
    ),
  )
}
