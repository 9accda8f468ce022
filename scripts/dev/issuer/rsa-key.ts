// RSA key pairs of CA, issuer and card, as numbers and as node:crypto's object; EMV Book 2, annex B2.1.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'

/** A key pair; `modulus` is as long as the key, `exponent` has no leading zeros (`03` or `010001`). */
export interface RsaKey {
  readonly privateKey: KeyObject
  readonly modulus: Uint8Array
  readonly exponent: Uint8Array
}

function fromPrivate(privateKey: KeyObject): RsaKey {
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
  const number = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'))
  return { privateKey, modulus: number(jwk.n), exponent: number(jwk.e) }
}

/** A new pair of `bits` (a multiple of 8) with public exponent 3 or 65537. */
export function generateRsaKey(bits: number, exponent: 3 | 65537): RsaKey {
  return fromPrivate(generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: exponent }).privateKey)
}

/** PKCS #8 in PEM, for the key files. */
export function rsaToPem(key: RsaKey): string {
  return key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** Reads what `rsaToPem` wrote. */
export function rsaFromPem(pem: string): RsaKey {
  return fromPrivate(createPrivateKey(pem))
}
