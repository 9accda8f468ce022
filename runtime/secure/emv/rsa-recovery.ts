// Recovery of signed data: RSA with message recovery and SHA-1 (EMV Book 2 v4.4, annexes A2.1, B2.1 and B3.1).
import { equalBytes } from '../../../hal/base/bytes.js'
import { rsaPublic, sha1 } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import { toInteger, toOctets } from './integers.js'

/** A public key that can recover: modulus and exponent. */
export interface RsaKey {
  readonly modulus: Uint8Array
  readonly exponent: Uint8Array
}

/** Everything between header and hash; `hash` is still to be compared. */
export interface Recovered {
  /** From the format byte to the last byte before the hash: what the hash covers first. */
  readonly body: Uint8Array
  readonly hash: Uint8Array
}

const HEADER = 0x6a
const TRAILER = 0xbc
const HASH_BYTES = 20
/** SHA-1 (Book 2, annex B3.1). The only indicator that terminals know. */
export const HASH_SHA1 = 0x01
/** RSA (Book 2, annex B2.1). */
export const ALGORITHM_RSA = 0x01

/** Exponents that keys may have (Book 2, B2.1): 3 and 2^16+1. */
export function isExponent(exponent: Uint8Array | undefined): exponent is Uint8Array {
  if (!exponent) return false
  const value = exponent.reduce((sum, byte) => sum * 256 + byte, 0)
  return exponent.length >= 1 && exponent.length <= 3 && (value === 3 || value === 0x10001)
}

/**
 * Recovers a signature of the key's length and checks trailer, header and format byte (Book 2, 5.3, steps 1 to 4).
 * Undefined where any of them fails, or where RSA refuses key or data.
 */
export function recover(key: RsaKey, signature: Uint8Array, format: number): Recovered | undefined {
  if (signature.length !== key.modulus.length || signature.length < 3 + HASH_BYTES) return undefined
  let clear: Uint8Array
  try {
    clear = recoverBlock(key, signature)
  } catch {
    // `CIPHER_INVALID`: a key that RSA cannot use, or a signature above it.
    return undefined
  }
  const end = clear.length - 1
  if (clear[end] !== TRAILER || clear[0] !== HEADER || clear[1] !== format) return undefined
  return { body: clear.subarray(1, end - HASH_BYTES), hash: clear.subarray(end - HASH_BYTES, end) }
}

/**
 * The public operation. With exponent 3 two products cost a third of making OpenSSL's key object, and signatures are
 * public, so that their time tells nothing. @throws PosternError `CIPHER_INVALID`
 */
function recoverBlock({ modulus, exponent }: RsaKey, signature: Uint8Array): Uint8Array {
  const cubes = exponent.length === 1 && exponent[0] === 3
  if (!cubes) return rsaPublic(modulus, exponent, signature)
  const n = toInteger(modulus)
  const x = toInteger(signature)
  if (x >= n)
    throw new PosternError('CIPHER_INVALID', 'the signature is above the modulus', {
      modulus: modulus.length,
    })
  return toOctets((((x * x) % n) * x) % n, modulus.length)
}

/** True if the recovered hash is SHA-1 of the body and what follows it. */
export function hashMatches(recovered: Recovered, ...rest: readonly Uint8Array[]): boolean {
  return equalBytes(recovered.hash, sha1(recovered.body, ...rest))
}
