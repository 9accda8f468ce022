// One ISO 8583 field: a table row of type × encoding × prefix × padding, and the engine that packs and unpacks it.
import { type ContentType, checkCodes, checkContent, putContent } from './content.js'
import { FROM_EBCDIC, TO_EBCDIC } from './ebcdic.js'
import { type Cursor, fieldError, type Prefix, readPrefix, take, type Writer, writePrefix } from './wire.js'

/** How the content lies on the wire. `hex` is bytes as ASCII hex digits; `bcd` of an `x+n` has its sign as a whole byte. */
export type Encoding = 'ascii' | 'ebcdic' | 'bcd' | 'binary' | 'hex' | 'hex-ebcdic'

export interface Field {
  readonly name: string
  readonly type: ContentType
  readonly encoding: Encoding
  readonly prefix: 'fixed' | Prefix
  /** In units of the content: exact where fixed, the most otherwise. */
  readonly length: number
  /** Fills a fixed field that is given too short; `none` refuses it. */
  readonly padding: 'leftZero' | 'rightSpace' | 'none'
  /** Where the idle nibble of an odd number of BCD digits goes, and what it is (left zero by default); `none` refuses it. */
  readonly idle?: { readonly side: 'left' | 'right'; readonly nibble: number } | 'none'
  /** How `describe` shows it: PIN blocks, track and card data `hidden`, a PAN `masked`. */
  readonly shown?: 'clear' | 'masked' | 'hidden'
}

export type Value = string | Uint8Array

const HEX = '0123456789ABCDEF'
/** The two digits of each byte. */
const PAIRS: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => `${HEX[byte >> 4]}${HEX[byte & 15]}`,
)

function nibbleOf(code: number, path: string): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  if (code >= 0x41 && code <= 0x46) return code - 0x37
  if (code >= 0x61 && code <= 0x66) return code - 0x57
  // Track 2 in BCD writes its separator as D (ISO 8583:1987, type z).
  if (code === 0x3d) return 0xd
  throw fieldError(path, 'a digit that does not fit in four bits')
}

/** Bytes that `units` of content take on the wire, without prefix. */
function wireLength(field: Field, units: number): number {
  switch (field.encoding) {
    case 'bcd':
      return field.type === 'x+n' ? 1 + Math.ceil((units - 1) / 2) : Math.ceil(units / 2)
    case 'hex':
    case 'hex-ebcdic':
      return units * 2
    default:
      return units
  }
}

const LEFT_ZERO = { side: 'left', nibble: 0 } as const

function idleOf(field: Field, digits: number, path: string): Exclude<Field['idle'], 'none' | undefined> {
  const idle = field.idle ?? LEFT_ZERO
  if (idle !== 'none') return idle
  if (digits % 2 === 1) throw fieldError(path, 'has an odd number of digits')
  return LEFT_ZERO
}

function packDigits(writer: Writer, field: Field, text: string, path: string): void {
  const signed = field.type === 'x+n' ? 1 : 0
  let at = writer.reserve(wireLength(field, text.length), path)
  const { bytes } = writer
  const idle = idleOf(field, text.length - signed, path)
  const isOdd = (text.length - signed) % 2 === 1
  let from = 0
  if (signed) bytes[at++] = text.charCodeAt(from++)
  if (isOdd && idle.side === 'left')
    bytes[at++] = (idle.nibble << 4) | nibbleOf(text.charCodeAt(from++), path)
  for (; from + 1 < text.length; from += 2)
    bytes[at++] = (nibbleOf(text.charCodeAt(from), path) << 4) | nibbleOf(text.charCodeAt(from + 1), path)
  if (from < text.length) bytes[at] = (nibbleOf(text.charCodeAt(from), path) << 4) | idle.nibble
}

function unpackDigits(cursor: Cursor, field: Field, units: number, path: string): string {
  let at = take(cursor, wireLength(field, units), path)
  const { bytes } = cursor
  const signed = field.type === 'x+n' ? 1 : 0
  let left = units - signed
  let text = signed ? String.fromCharCode(bytes[at++]!) : ''
  const idle = idleOf(field, left, path)
  const idleAs = (nibble: number) => {
    if (nibble !== idle.nibble) throw fieldError(path, 'its idle half byte is not what the table says')
  }
  if (left % 2 === 1 && idle.side === 'left') {
    idleAs(bytes[at]! >> 4)
    text += HEX[bytes[at++]! & 15]
    left--
  }
  for (; left > 1; left -= 2) text += PAIRS[bytes[at++]!]
  if (left === 1) {
    text += HEX[bytes[at]! >> 4]
    idleAs(bytes[at]! & 15)
  }
  return text
}

function packText(writer: Writer, field: Field, text: string, path: string): void {
  const type = field.type as Exclude<ContentType, 'b'>
  if (field.encoding === 'bcd') {
    checkContent(type, text, path)
    return packDigits(writer, field, text, path)
  }
  const start = writer.reserve(text.length, path)
  const { bytes } = writer
  putContent(type, text, bytes, start, path)
  if (field.encoding === 'ebcdic')
    for (let i = start; i < start + text.length; i++) bytes[i] = TO_EBCDIC[bytes[i]!]!
}

function packBytes(writer: Writer, field: Field, value: Uint8Array, path: string): void {
  if (field.encoding === 'binary') {
    const at = writer.reserve(value.length, path)
    writer.bytes.set(value, at)
    return
  }
  const start = writer.reserve(value.length * 2, path)
  const { bytes } = writer
  for (let i = 0; i < value.length; i++) {
    const high = HEX.charCodeAt(value[i]! >> 4)
    const low = HEX.charCodeAt(value[i]! & 15)
    bytes[start + 2 * i] = field.encoding === 'hex' ? high : TO_EBCDIC[high]!
    bytes[start + 2 * i + 1] = field.encoding === 'hex' ? low : TO_EBCDIC[low]!
  }
}

function unpackBytes(cursor: Cursor, field: Field, units: number, path: string): Uint8Array {
  const start = take(cursor, wireLength(field, units), path)
  if (field.encoding === 'binary') return cursor.bytes.slice(start, start + units)
  const out = new Uint8Array(units)
  for (let i = 0; i < units * 2; i++) {
    const wire = cursor.bytes[start + i]!
    const code = field.encoding === 'hex' ? wire : FROM_EBCDIC[wire]!
    if (code === 0x3d) throw fieldError(path, 'is not hexadecimal')
    out[i >> 1] = (out[i >> 1]! << 4) | nibbleOf(code, path)
  }
  return out
}

/** Text of up to so many characters is read eight at a time, longer text by the platform: what is quicker for each. */
const SHORT = 24

/** Latin-1 text of `units` bytes. */
function latin1(bytes: Uint8Array, start: number, units: number): string {
  if (units > SHORT) return Buffer.from(bytes.buffer, bytes.byteOffset + start, units).toString('latin1')
  let text = ''
  let at = start
  const end = start + units
  for (; at + 8 <= end; at += 8)
    text += String.fromCharCode(
      bytes[at]!,
      bytes[at + 1]!,
      bytes[at + 2]!,
      bytes[at + 3]!,
      bytes[at + 4]!,
      bytes[at + 5]!,
      bytes[at + 6]!,
      bytes[at + 7]!,
    )
  for (; at + 2 <= end; at += 2) text += String.fromCharCode(bytes[at]!, bytes[at + 1]!)
  return at < end ? text + String.fromCharCode(bytes[at]!) : text
}

function unpackText(cursor: Cursor, field: Field, units: number, path: string): string {
  const type = field.type as Exclude<ContentType, 'b'>
  if (field.encoding === 'bcd') {
    const digits = unpackDigits(cursor, field, units, path)
    checkContent(type, digits, path)
    return digits
  }
  let { bytes } = cursor
  let start = take(cursor, units, path)
  if (field.encoding === 'ebcdic') {
    bytes = bytes.subarray(start, start + units).map((byte) => FROM_EBCDIC[byte]!)
    start = 0
  }
  checkCodes(type, bytes, start, units, path)
  return latin1(bytes, start, units)
}

/** Units that a length indicator of `counted` stands for. */
function unitsOf(field: Field, prefix: Prefix, counted: number, path: string): number {
  const counts = prefix.counts ?? 'units'
  if (counts === 'units') return counted
  const bytes = counts === 'bytes' ? counted : counted / 2
  if (field.encoding === 'bcd') return counts === 'nibbles' ? counted : counted * 2
  const units = field.encoding === 'hex' || field.encoding === 'hex-ebcdic' ? bytes / 2 : bytes
  if (!Number.isInteger(units)) throw fieldError(path, 'its length indicator counts half a unit')
  return units
}

function countOf(field: Field, prefix: Prefix, units: number): number {
  const counts = prefix.counts ?? 'units'
  if (counts === 'units') return units
  if (counts === 'nibbles' && field.encoding === 'bcd') return units
  return counts === 'bytes' ? wireLength(field, units) : wireLength(field, units) * 2
}

/** Bytes that a field takes with its length indicator, if `value` fits it. */
export function fieldBytes(field: Field, { length }: Value): number {
  if (field.prefix === 'fixed') return wireLength(field, field.length)
  const { digits, encoding } = field.prefix
  return (encoding === 'bcd' ? Math.ceil(digits / 2) : digits) + wireLength(field, length)
}

/** Appends a field with its length indicator. @throws PosternError `ISO8583_INVALID` with the path */
export function packField(writer: Writer, field: Field, value: Value, path: string): void {
  let given = value
  if ((typeof given === 'string') === (field.type === 'b')) {
    throw fieldError(path, field.type === 'b' ? 'must be bytes' : 'must be text')
  }
  if (field.prefix === 'fixed') {
    if (given.length < field.length && typeof given === 'string') {
      if (field.padding === 'leftZero') given = given.padStart(field.length, '0')
      else if (field.padding === 'rightSpace') given = given.padEnd(field.length, ' ')
    }
    if (given.length !== field.length) {
      throw fieldError(path, 'has the wrong length', { length: given.length, expected: field.length })
    }
  } else {
    if (given.length > field.length) {
      throw fieldError(path, 'is too long', { length: given.length, most: field.length })
    }
    writePrefix(writer, field.prefix, countOf(field, field.prefix, given.length), path)
  }
  if (typeof given === 'string') packText(writer, field, given, path)
  else packBytes(writer, field, given, path)
}

/** Reads a field with its length indicator. @throws PosternError `ISO8583_INVALID` with the path */
export function unpackField(cursor: Cursor, field: Field, path: string): Value {
  let units = field.length
  if (field.prefix !== 'fixed') {
    units = unitsOf(field, field.prefix, readPrefix(cursor, field.prefix, path), path)
    if (units > field.length) throw fieldError(path, 'is too long', { length: units, most: field.length })
  }
  return field.type === 'b' ? unpackBytes(cursor, field, units, path) : unpackText(cursor, field, units, path)
}
