// Bytes: hex, BCD, joining, comparing, erasing. Everything above speaks Uint8Array.
import { timingSafeEqual } from 'node:crypto'
import { PosternError } from './errors.js'

/** Upper-case hex. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex').toUpperCase()
}

/** Reads hex of even length, either case, no separators. @throws PosternError `BYTES_INVALID` */
export function fromHex(hex: string): Uint8Array {
  if (hex.length % 2 !== 0 || !/^[0-9A-Fa-f]*$/.test(hex)) {
    throw new PosternError('BYTES_INVALID', 'not an even number of hex digits', { length: hex.length })
  }
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

/** One array of all parts in order. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Equal in length and content; constant time for equal lengths. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Bytewise exclusive or of two arrays of one length. @throws PosternError `BYTES_INVALID` */
export function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== b.length)
    throw new PosternError('BYTES_INVALID', 'xor of unequal lengths', { a: a.length, b: b.length })
  return a.map((byte, i) => byte ^ b[i]!)
}

/** Overwrites with zeros; for PINs, keys and track data as soon as they are done with. */
export function erase(...buffers: readonly (Uint8Array | undefined)[]): void {
  for (const buffer of buffers) buffer?.fill(0)
}

/** Packs decimal digits two a byte, right-justified with a leading zero (format n). @throws PosternError `BYTES_INVALID` */
export function toBcd(digits: string, length = Math.ceil(digits.length / 2)): Uint8Array {
  if (!/^[0-9]*$/.test(digits) || digits.length > length * 2) {
    throw new PosternError('BYTES_INVALID', 'not decimal digits that fit', { length })
  }
  return fromHex(digits.padStart(length * 2, '0'))
}

/** ASCII text to bytes and back; bytes above 7F become `?`. */
export const ascii = {
  encode: (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1')),
  decode: (bytes: Uint8Array): string =>
    Buffer.from(bytes)
      .toString('latin1')
      .replace(/[\u0080-\u00ff]/g, '?'),
} as const
