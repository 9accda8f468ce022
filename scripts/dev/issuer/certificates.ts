// Certificates and signed static data on a card (EMV Book 2 v4.4, 5.1, 6.1, 7.1; annex B2.1), the issuer's side.
import { concat, fromHex } from '../../../hal/base/bytes.js'
import { rsaPrivate, sha1 } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { RsaKey } from './rsa-key.js'
import { CERTIFICATE_EXPIRY_MMYY } from './scheme.js'

/** A signed public key and the digits of its modulus that had no room in the signature (tags 90/92, 9F46/9F48, 9F2D/9F2F). */
export interface Certificate {
  readonly bytes: Uint8Array
  readonly remainder: Uint8Array
}

const HEADER = 0x6a
const TRAILER = 0xbc
const PADDING = 0xbb
const SHA1_RSA = Uint8Array.of(0x01, 0x01)

/**
 * Signature with message recovery: header, `content`, SHA-1 over content and `unsigned`, trailer (B2.1).
 * @throws PosternError `ISSUER_INVALID` where content does not fill the key.
 */
export function signRecoverable(key: RsaKey, content: Uint8Array, unsigned: Uint8Array): Uint8Array {
  const block = concat(Uint8Array.of(HEADER), content, sha1(content, unsigned), Uint8Array.of(TRAILER))
  if (block.length !== key.modulus.length)
    throw new PosternError('ISSUER_INVALID', 'content does not fill the signing key', {
      length: block.length,
    })
  return rsaPrivate(key.privateKey, block)
}

/** `content` filled with BB up to what a signature under `key` holds besides header, hash and trailer. */
export function padForSignature(key: RsaKey, content: Uint8Array): Uint8Array {
  const out = new Uint8Array(key.modulus.length - 22).fill(PADDING)
  out.set(content)
  return out
}

function certify(signer: RsaKey, prefix: Uint8Array, subject: RsaKey, staticData: Uint8Array): Certificate {
  const lengths = Uint8Array.of(subject.modulus.length, subject.exponent.length)
  const head = concat(prefix, SHA1_RSA, lengths)
  const room = signer.modulus.length - 22 - head.length
  const remainder = subject.modulus.slice(room)
  const content = padForSignature(signer, concat(head, subject.modulus.subarray(0, room)))
  return {
    bytes: signRecoverable(signer, content, concat(remainder, subject.exponent, staticData)),
    remainder,
  }
}

const paddedPan = (pan: string, bytes: number): Uint8Array => fromHex(pan.padEnd(bytes * 2, 'F'))
const EXPIRY = fromHex(CERTIFICATE_EXPIRY_MMYY)

/** Issuer public key certificate, tag 90 (5.1, table 2). `serial` is 3 bytes, `iin` 3 to 8 digits. */
export function issuerCertificate(
  authority: RsaKey,
  issuer: RsaKey,
  iin: string,
  serial: Uint8Array,
): Certificate {
  const prefix = concat(Uint8Array.of(0x02), paddedPan(iin, 4), EXPIRY, serial)
  return certify(authority, prefix, issuer, new Uint8Array(0))
}

/** ICC public key certificate, tag 9F46 (6.1, table 11), or without static data the PIN key's, tag 9F2D (7.1). */
export function cardCertificate(
  issuer: RsaKey,
  card: RsaKey,
  pan: string,
  serial: Uint8Array,
  staticData: Uint8Array,
): Certificate {
  return certify(issuer, concat(Uint8Array.of(0x04), paddedPan(pan, 10), EXPIRY, serial), card, staticData)
}

/** Signed static application data, tag 93 (5.1, table 3); `code` is the data authentication code, 2 bytes. */
export function signedStaticData(issuer: RsaKey, code: Uint8Array, staticData: Uint8Array): Uint8Array {
  const content = padForSignature(issuer, concat(Uint8Array.of(0x03, 0x01), code))
  return signRecoverable(issuer, content, staticData)
}
