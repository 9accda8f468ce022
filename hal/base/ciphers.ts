// Cipher primitives over node:crypto: AES and TDES on whole blocks, MACs (SP 800-38B, ISO/IEC 9797-1), raw RSA, hashes.
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  type KeyObject,
  privateEncrypt,
  publicEncrypt,
} from 'node:crypto'
import { concat, erase } from './bytes.js'
import { PosternError } from './errors.js'

/** Block cipher, named by family; the key's length picks AES-128/192/256, or TDES with 1, 2 or 3 keys (8, 16, 24 bytes). */
export type BlockCipher = 'aes' | 'tdes'

export const BLOCK_BYTES: Readonly<Record<BlockCipher, number>> = { aes: 16, tdes: 8 }

const AES_NAMES: Readonly<Record<number, string>> = { 16: 'aes-128', 24: 'aes-192', 32: 'aes-256' }

/** TDES keying options 1 to 3 (SP 800-67): shorter keys are spread over the three DES keys; the copy is the caller's to erase. */
function spreadTdesKey(key: Uint8Array): Uint8Array {
  if (key.length === 24) return key.slice()
  if (key.length === 16) return concat(key, key.subarray(0, 8))
  if (key.length === 8) return concat(key, key, key)
  throw new PosternError('CIPHER_INVALID', 'a TDES key is 8, 16 or 24 bytes', { length: key.length })
}

function run(
  direction: 'encrypt' | 'decrypt',
  cipher: BlockCipher,
  mode: 'ecb' | 'cbc',
  key: Uint8Array,
  iv: Uint8Array | undefined,
  data: Uint8Array,
): Uint8Array {
  const block = BLOCK_BYTES[cipher]
  if (data.length === 0 || data.length % block !== 0) {
    throw new PosternError('CIPHER_INVALID', 'data is not whole blocks', { length: data.length, block })
  }
  if (iv !== undefined && iv.length !== block) {
    throw new PosternError('CIPHER_INVALID', 'the initial vector is not one block', {
      length: iv.length,
      block,
    })
  }
  const family = cipher === 'aes' ? AES_NAMES[key.length] : 'des-ede3'
  if (family === undefined) {
    throw new PosternError('CIPHER_INVALID', 'an AES key is 16, 24 or 32 bytes', { length: key.length })
  }
  const whole = cipher === 'aes' ? key : spreadTdesKey(key)
  // OpenSSL names TDES in ECB mode without the mode.
  const name = cipher === 'tdes' && mode === 'ecb' ? 'des-ede3' : `${family}-${mode}`
  const make = direction === 'encrypt' ? createCipheriv : createDecipheriv
  const engine = make(name, whole, iv ?? null).setAutoPadding(false)
  const raw = engine.update(data)
  engine.final()
  const out = new Uint8Array(raw)
  erase(raw)
  if (whole !== key) erase(whole)
  return out
}

/** Encrypts whole blocks in ECB mode (SP 800-38A, 6.1). @throws PosternError `CIPHER_INVALID` */
export function encryptEcb(cipher: BlockCipher, key: Uint8Array, data: Uint8Array): Uint8Array {
  return run('encrypt', cipher, 'ecb', key, undefined, data)
}

/** Decrypts whole blocks in ECB mode (SP 800-38A, 6.1). @throws PosternError `CIPHER_INVALID` */
export function decryptEcb(cipher: BlockCipher, key: Uint8Array, data: Uint8Array): Uint8Array {
  return run('decrypt', cipher, 'ecb', key, undefined, data)
}

/** Encrypts whole blocks in CBC mode (SP 800-38A, 6.2); the IV is one block. @throws PosternError `CIPHER_INVALID` */
export function encryptCbc(
  cipher: BlockCipher,
  key: Uint8Array,
  iv: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  return run('encrypt', cipher, 'cbc', key, iv, data)
}

/** Decrypts whole blocks in CBC mode (SP 800-38A, 6.2); the IV is one block. @throws PosternError `CIPHER_INVALID` */
export function decryptCbc(
  cipher: BlockCipher,
  key: Uint8Array,
  iv: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  return run('decrypt', cipher, 'cbc', key, iv, data)
}

function checkBlock(block: number): void {
  if (!Number.isInteger(block) || block < 1 || block > 255)
    throw new PosternError('CIPHER_INVALID', 'block length must be 1 to 255', { block })
}

/** ISO/IEC 9797-1 padding method 1: zeros up to whole blocks, at least one block. @throws PosternError `CIPHER_INVALID` */
export function padMethod1(data: Uint8Array, block: number): Uint8Array {
  checkBlock(block)
  const out = new Uint8Array(Math.max(1, Math.ceil(data.length / block)) * block)
  out.set(data)
  return out
}

/** ISO/IEC 9797-1 padding method 2: `80` and zeros, always added. @throws PosternError `CIPHER_INVALID` */
export function padMethod2(data: Uint8Array, block: number): Uint8Array {
  checkBlock(block)
  const out = new Uint8Array((Math.floor(data.length / block) + 1) * block)
  out.set(data)
  out[data.length] = 0x80
  return out
}

/** ISO/IEC 9797-1 padding method 3: method 1 behind a block that holds the length in bits. @throws PosternError `CIPHER_INVALID` */
export function padMethod3(data: Uint8Array, block: number): Uint8Array {
  checkBlock(block)
  const head = new Uint8Array(block)
  let bits = data.length * 8
  for (let at = block - 1; at >= 0 && bits > 0; at--) {
    head[at] = bits % 256
    bits = Math.floor(bits / 256)
  }
  return concat(head, padMethod1(data, block))
}

/** Takes method 2 padding off. @throws PosternError `CIPHER_INVALID` where it isn't there. */
export function unpadMethod2(data: Uint8Array): Uint8Array {
  let at = data.length - 1
  while (at >= 0 && data[at] === 0) at--
  if (at < 0 || data[at] !== 0x80) throw new PosternError('CIPHER_INVALID', 'no method 2 padding')
  return data.slice(0, at)
}

/** The padding that a MAC is made with: ISO/IEC 9797-1 method 1, 2 or 3, or none for data that are whole blocks. */
export type Padding = 1 | 2 | 3 | 'none'

function pad(data: Uint8Array, padding: Padding, block: number): Uint8Array {
  switch (padding) {
    case 1:
      return padMethod1(data, block)
    case 2:
      return padMethod2(data, block)
    case 3:
      return padMethod3(data, block)
    case 'none':
      return data
  }
}

/** CBC-MAC, ISO/IEC 9797-1 algorithm 1: one whole block, the caller truncates. @throws PosternError `CIPHER_INVALID` */
export function cbcMac(
  cipher: BlockCipher,
  key: Uint8Array,
  data: Uint8Array,
  padding: Padding = 2,
): Uint8Array {
  const block = BLOCK_BYTES[cipher]
  return encryptCbc(cipher, key, new Uint8Array(block), pad(data, padding, block)).slice(-block)
}

/**
 * MAC of ISO/IEC 9797-1 algorithm 3: CBC under `key1`, the last block decrypted under `key2` and encrypted under `key1`.
 * One whole block of 8 bytes, the caller truncates. @throws PosternError `CIPHER_INVALID`
 */
export function macAlgorithm3(
  key1: Uint8Array,
  key2: Uint8Array,
  data: Uint8Array,
  padding: Padding = 2,
): Uint8Array {
  return encryptEcb('tdes', key1, decryptEcb('tdes', key2, cbcMac('tdes', key1, data, padding)))
}

/**
 * Retail MAC (ANSI X9.19): algorithm 3 with the two single-length DES keys of a 16-byte key. 8 bytes, the caller truncates.
 * @throws PosternError `CIPHER_INVALID`
 */
export function retailMac(key: Uint8Array, data: Uint8Array, padding: Padding = 2): Uint8Array {
  if (key.length !== 16)
    throw new PosternError('CIPHER_INVALID', 'a retail MAC key is 16 bytes', { length: key.length })
  return macAlgorithm3(key.subarray(0, 8), key.subarray(8), data, padding)
}

/** Doubling in GF(2^n) for CMAC's subkeys (SP 800-38B, 6.1). */
function double(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(block.length)
  for (let i = 0; i < block.length; i++) out[i] = ((block[i]! << 1) | ((block[i + 1] ?? 0) >> 7)) & 0xff
  if ((block[0]! & 0x80) !== 0) out[block.length - 1]! ^= block.length === 16 ? 0x87 : 0x1b
  return out
}

/** CMAC (SP 800-38B, 6.2): one whole block, the caller truncates. Any length of data. @throws PosternError `CIPHER_INVALID` */
export function cmac(cipher: BlockCipher, key: Uint8Array, data: Uint8Array): Uint8Array {
  const block = BLOCK_BYTES[cipher]
  const zero = new Uint8Array(block)
  const first = encryptEcb(cipher, key, zero)
  const k1 = double(first)
  erase(first)
  const whole = data.length > 0 && data.length % block === 0
  const subkey = whole ? k1 : double(k1)
  const input = whole ? data.slice() : padMethod2(data, block)
  for (let i = 0; i < block; i++) input[input.length - block + i]! ^= subkey[i]!
  const out = encryptCbc(cipher, key, zero, input).slice(-block)
  erase(k1, subkey, input)
  return out
}

/**
 * Key check value, 1 to 8 bytes (3 as printed): TDES encrypts a zero block (ANSI X9.24-1), AES takes the CMAC of one
 * (X9.24-1:2017, annex A). @throws PosternError `CIPHER_INVALID`
 */
export function keyCheckValue(cipher: BlockCipher, key: Uint8Array, length = 3): Uint8Array {
  const zero = new Uint8Array(BLOCK_BYTES[cipher])
  return (cipher === 'aes' ? cmac(cipher, key, zero) : encryptEcb(cipher, key, zero)).slice(0, length)
}

/** Sets each byte's lowest bit to odd parity, as DES keys have it (FIPS 46-3). */
export function oddParity(key: Uint8Array): Uint8Array {
  return key.map((byte) => {
    let ones = 0
    for (let bits = byte >> 1; bits > 0; bits >>= 1) ones += bits & 1
    return (byte & 0xfe) | (ones % 2 === 0 ? 1 : 0)
  })
}

/** A DER value (X.690, 8.1) of at most 65,535 bytes. */
function der(tag: number, content: Uint8Array): Uint8Array {
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return concat(Uint8Array.of(tag, ...head), content)
}

/** A positive DER INTEGER (X.690, 8.3): no leading zeros, but one before a set highest bit. */
function derInteger(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0)
  const digits = first < 0 ? Uint8Array.of(0) : bytes.subarray(first)
  return der(0x02, digits[0]! >= 0x80 ? concat(Uint8Array.of(0), digits) : digits)
}

/** RSAPublicKey (RFC 8017, A.1.1): OpenSSL reads it in a microsecond, a JWK takes as long as the operation itself. */
const rsaPublicKey = (modulus: Uint8Array, exponent: Uint8Array) =>
  Buffer.from(der(0x30, concat(derInteger(modulus), derInteger(exponent))))

/**
 * RSA public operation without padding (EMV Book 2, B2.1 "Recover"): `data` has the modulus' length and is below it.
 * @throws PosternError `CIPHER_INVALID`
 */
export function rsaPublic(modulus: Uint8Array, exponent: Uint8Array, data: Uint8Array): Uint8Array {
  if (modulus.length < 32 || modulus.length > 1024 || data.length !== modulus.length) {
    throw new PosternError(
      'CIPHER_INVALID',
      'RSA data must have the length of the modulus, 32 to 1024 bytes',
      {
        data: data.length,
        modulus: modulus.length,
      },
    )
  }
  try {
    const key = rsaPublicKey(modulus, exponent)
    // In a variable, as Node takes what `createPublicKey` takes and its types do not say so.
    const options = { key, format: 'der', type: 'pkcs1', padding: constants.RSA_NO_PADDING } as const
    const out = publicEncrypt(options, data)
    // OpenSSL answers in the length of the number, not of the array that carried it.
    const whole = new Uint8Array(modulus.length)
    whole.set(out, modulus.length - out.length)
    return whole
  } catch (error) {
    throw new PosternError(
      'CIPHER_INVALID',
      'RSA refused the key or the data',
      { modulus: modulus.length },
      error,
    )
  }
}

/**
 * RSA private operation without padding (EMV Book 2, B2.1 "Sign"): `data` has the modulus' length and is below it.
 * @throws PosternError `CIPHER_INVALID`
 */
export function rsaPrivate(key: KeyObject, data: Uint8Array): Uint8Array {
  try {
    return new Uint8Array(privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, data))
  } catch (error) {
    throw new PosternError('CIPHER_INVALID', 'RSA refused the key or the data', { data: data.length }, error)
  }
}

/** SHA-1, 20 bytes: EMV's certificates (Book 2, B3.1) and nothing else. */
export function sha1(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha1')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** SHA-256, 32 bytes (FIPS 180-4). */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** SHA-512, 64 bytes (FIPS 180-4). */
export function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** HMAC-SHA-256, 32 bytes (FIPS 198-1). */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('sha256', key)
  for (const part of parts) hmac.update(part)
  return new Uint8Array(hmac.digest())
}
