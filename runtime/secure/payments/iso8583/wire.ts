// Below a field: the bytes that are written and read, faults with their path, and length indicators (ISO 8583:1987, 4.2.2).
import { PosternError } from '../../../../hal/base/errors.js'

/** A length indicator: `digits` decimal digits (for `binary`: bytes) in their own encoding. */
export interface Prefix {
  readonly digits: number
  readonly encoding: 'ascii' | 'ebcdic' | 'bcd' | 'binary'
  /** What is counted: units of the content (characters, digits, bytes; default), bytes, or nibbles on the wire. */
  readonly counts?: 'units' | 'bytes' | 'nibbles'
}

/** A fault in a message, by the path of the field; never holds content. */
export function fieldError(
  path: string,
  problem: string,
  details: Record<string, number> = {},
): PosternError {
  return new PosternError('ISO8583_INVALID', `field ${path}: ${problem}`, { path, ...details })
}

/** Grows as it is written; bounded by `most`. */
export class Writer {
  bytes: Uint8Array
  length = 0
  readonly #most: number

  /** With `room` bytes to begin with: as many as will be written, where that is known. */
  constructor(most: number, room = 512) {
    this.#most = most
    this.bytes = new Uint8Array(Math.min(most, room))
  }

  /** Room for `count` bytes; returns where they start. @throws PosternError `ISO8583_INVALID` */
  reserve(count: number, path: string): number {
    const start = this.length
    const end = start + count
    if (end > this.#most) throw fieldError(path, 'the message is too long', { most: this.#most })
    if (end > this.bytes.length) {
      const larger = new Uint8Array(Math.min(this.#most, Math.max(end, this.bytes.length * 2)))
      larger.set(this.bytes)
      this.bytes.fill(0)
      this.bytes = larger
    }
    this.length = end
    return start
  }

  /** What was written, as an array of its own; a working copy is erased. The writer is done with. */
  finish(): Uint8Array {
    if (this.length === this.bytes.length) return this.bytes
    const out = this.bytes.slice(0, this.length)
    this.bytes.fill(0)
    return out
  }
}

/** A place in a message that is being read. */
export interface Cursor {
  readonly bytes: Uint8Array
  at: number
}

/** Moves on by `count` bytes; returns where they start. @throws PosternError `ISO8583_INVALID` */
export function take(cursor: Cursor, count: number, path: string): number {
  const start = cursor.at
  if (start + count > cursor.bytes.length) {
    throw fieldError(path, 'the message ends inside it', { offset: start, needs: count })
  }
  cursor.at = start + count
  return start
}

/** Writes a length indicator. @throws PosternError `ISO8583_INVALID` where it is too small for `value` */
export function writePrefix(writer: Writer, prefix: Prefix, value: number, path: string): void {
  if (prefix.encoding === 'binary') {
    if (value >= 256 ** prefix.digits) throw fieldError(path, 'too long for its length indicator')
    const start = writer.reserve(prefix.digits, path)
    for (let i = prefix.digits - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 256))
      writer.bytes[start + i] = rest % 256
    return
  }
  if (value >= 10 ** prefix.digits) throw fieldError(path, 'too long for its length indicator')
  if (prefix.encoding === 'bcd') {
    const count = Math.ceil(prefix.digits / 2)
    const start = writer.reserve(count, path)
    for (let i = count - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 100))
      writer.bytes[start + i] = (Math.floor((rest % 100) / 10) << 4) | (rest % 10)
    return
  }
  const base = prefix.encoding === 'ascii' ? 0x30 : 0xf0
  const start = writer.reserve(prefix.digits, path)
  for (let i = prefix.digits - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 10))
    writer.bytes[start + i] = base + (rest % 10)
}

/** Reads a length indicator. @throws PosternError `ISO8583_INVALID` */
export function readPrefix(cursor: Cursor, prefix: Prefix, path: string): number {
  let value = 0
  if (prefix.encoding === 'binary') {
    const start = take(cursor, prefix.digits, path)
    for (let i = 0; i < prefix.digits; i++) value = value * 256 + cursor.bytes[start + i]!
    return value
  }
  if (prefix.encoding === 'bcd') {
    const count = Math.ceil(prefix.digits / 2)
    const start = take(cursor, count, path)
    for (let i = 0; i < count; i++) {
      const byte = cursor.bytes[start + i]!
      if (byte >> 4 > 9 || (byte & 15) > 9) throw fieldError(path, 'its length indicator is not decimal')
      value = value * 100 + (byte >> 4) * 10 + (byte & 15)
    }
    return value
  }
  const base = prefix.encoding === 'ascii' ? 0x30 : 0xf0
  const start = take(cursor, prefix.digits, path)
  for (let i = 0; i < prefix.digits; i++) {
    const digit = cursor.bytes[start + i]! - base
    if (digit < 0 || digit > 9) throw fieldError(path, 'its length indicator is not decimal')
    value = value * 10 + digit
  }
  return value
}
