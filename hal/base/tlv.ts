// BER-TLV (EMV Book 3 v4.4, annex B; ISO/IEC 8825-1): keeps order and duplicates, bounds depth and sizes, says where a fault is.
import { concat } from './bytes.js'
import { PosternError } from './errors.js'

/** One data object. `children` is there exactly where the tag is constructed (bit 6 of its first byte). */
export interface Tlv {
  /** The tag's bytes as a number: 0x9F02, 0x5A, 0xDF8101; 1 to 4 bytes. */
  readonly tag: number
  readonly value: Uint8Array
  readonly children?: readonly Tlv[]
}

/** Nesting deeper than this is refused: EMV's own templates need four (6F, A5, BF0C, 61). */
export const MAX_TLV_DEPTH = 8
const MAX_TAG_BYTES = 4
const MAX_LENGTH_BYTES = 3
/** Longest input: far above the 64 KiB of an extended APDU; a bound on work, not on any format. */
const MAX_TLV_BYTES = 1 << 20

const CONSTRUCTED = 0x20
const LONG_TAG = 0x1f
const MORE = 0x80

/** Where bytes stop being BER-TLV, and which rule they break there. */
export interface TlvFault {
  readonly offset: number
  readonly rule: string
}

function invalid({ rule, offset }: TlvFault): never {
  throw new PosternError('TLV_INVALID', `BER-TLV: ${rule} at byte ${offset}`, { offset, rule })
}

/** True for a tag whose value is a list of data objects (Book 3, annex B1, bit 6 of the first byte). */
export function isConstructed(tag: number): boolean {
  return (firstByte(tag) & CONSTRUCTED) !== 0
}

function firstByte(tag: number): number {
  if (tag > 0xffffff) return tag >>> 24
  if (tag > 0xffff) return tag >>> 16
  return tag > 0xff ? tag >>> 8 : tag
}

/**
 * Reads a list of data objects, or says where it is none; `00` bytes before, between and after the objects carry no
 * meaning (Book 3, annex B1). Values are views on `bytes`, not copies.
 */
export function readTlv(bytes: Uint8Array): Tlv[] | TlvFault {
  if (bytes.length > MAX_TLV_BYTES) return { rule: 'input too long', offset: MAX_TLV_BYTES }
  return readRange(bytes, 0, bytes.length, 1)
}

/**
 * As `readTlv`, where anything else is a fault.
 * @example parseTlv(fromHex('9F0206000000001250')) // [{ tag: 0x9F02, value: … }]
 * @throws PosternError `TLV_INVALID` with `offset` and `rule`
 */
export function parseTlv(bytes: Uint8Array): Tlv[] {
  const list = readTlv(bytes)
  return Array.isArray(list) ? list : invalid(list)
}

/** As `parseTlv`, for exactly one object and nothing but `00` around it. @throws PosternError `TLV_INVALID` */
export function parseOneTlv(bytes: Uint8Array): Tlv {
  const list = parseTlv(bytes)
  if (list.length !== 1)
    invalid({ rule: list.length === 0 ? 'no data object' : 'more than one data object', offset: 0 })
  return list[0]!
}

function readRange(bytes: Uint8Array, start: number, end: number, depth: number): Tlv[] | TlvFault {
  if (depth > MAX_TLV_DEPTH) return { rule: 'nested too deep', offset: start }
  const out: Tlv[] = []
  let at = start
  while (at < end) {
    if (bytes[at] === 0) {
      at++
      continue
    }
    const tagAt = at
    const leading = bytes[at++]!
    let tag = leading
    if ((leading & LONG_TAG) === LONG_TAG) {
      let more = true
      while (more) {
        if (at >= end) return { rule: 'tag cut short', offset: tagAt }
        if (at - tagAt >= MAX_TAG_BYTES) return { rule: 'tag too long', offset: tagAt }
        tag = tag * 256 + bytes[at]!
        more = (bytes[at++]! & MORE) !== 0
      }
    }
    if (at >= end) return { rule: 'length missing', offset: at }
    let length = bytes[at++]!
    if (length >= 0x80) {
      const count = length & 0x7f
      if (count === 0) return { rule: 'indefinite length', offset: at - 1 }
      if (count > MAX_LENGTH_BYTES) return { rule: 'length too long', offset: at - 1 }
      if (at + count > end) return { rule: 'length cut short', offset: at - 1 }
      length = 0
      for (let i = 0; i < count; i++) length = length * 256 + bytes[at++]!
    }
    if (length > end - at) return { rule: 'value cut short', offset: at }
    const value = bytes.subarray(at, at + length)
    if ((leading & CONSTRUCTED) !== 0) {
      const children = readRange(bytes, at, at + length, depth + 1)
      if (!Array.isArray(children)) return children
      out.push({ tag, value, children })
    } else out.push({ tag, value })
    at += length
  }
  return out
}

/** True where `tag` is 1 to 4 bytes of a well-formed BER tag. */
export function isTag(tag: number): boolean {
  if (!Number.isInteger(tag) || tag < 1 || tag > 0xffffffff) return false
  const bytes = tagBytes(tag)
  if ((bytes[0]! & LONG_TAG) !== LONG_TAG) return bytes.length === 1
  if (bytes.length === 1) return false
  return bytes.every((byte, i) => i === 0 || ((byte & MORE) !== 0) === i < bytes.length - 1)
}

function tagBytes(tag: number): number[] {
  const out: number[] = []
  for (let rest = tag; rest > 0; rest = Math.floor(rest / 256)) out.unshift(rest % 256)
  return out
}

/** Tag bytes of a tag number. @throws PosternError `TLV_INVALID` */
export function encodeTag(tag: number): Uint8Array {
  if (!isTag(tag)) invalid({ rule: `not a tag: ${tag}`, offset: 0 })
  return Uint8Array.from(tagBytes(tag))
}

/** The shortest length bytes (Book 3, annex B2). @throws PosternError `TLV_INVALID` above 3 bytes. */
export function encodeLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length)
  if (length < 0x100) return Uint8Array.of(0x81, length)
  if (length < 0x10000) return Uint8Array.of(0x82, length >> 8, length & 0xff)
  if (length < 0x1000000) return Uint8Array.of(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff)
  return invalid({ rule: 'value too long', offset: 0 })
}

/** One data object; for a constructed tag `value` is the already encoded list. @throws PosternError `TLV_INVALID` */
export function encodeTlv(tag: number, value: Uint8Array): Uint8Array {
  if (!(value instanceof Uint8Array)) return invalid({ rule: 'value that is no bytes', offset: 0 })
  return concat(encodeTag(tag), encodeLength(value.length), value)
}

/** A list of objects in its order; `children` wins over `value`. @throws PosternError `TLV_INVALID` */
export function encodeTlvList(list: readonly Tlv[]): Uint8Array {
  return concat(
    ...list.map((item) => encodeTlv(item.tag, item.children ? encodeTlvList(item.children) : item.value)),
  )
}

/** The first object of that tag at this level. */
export function findTlv(list: readonly Tlv[] | undefined, tag: number): Tlv | undefined {
  return list?.find((item) => item.tag === tag)
}

/** Every object of that tag at this level, in order. */
export function findAllTlv(list: readonly Tlv[] | undefined, tag: number): Tlv[] {
  return list?.filter((item) => item.tag === tag) ?? []
}

/** The first object of that tag at any depth, parents before children. */
export function findDeepTlv(list: readonly Tlv[] | undefined, tag: number): Tlv | undefined {
  for (const item of list ?? []) {
    if (item.tag === tag) return item
    const inside = findDeepTlv(item.children, tag)
    if (inside) return inside
  }
  return undefined
}

/** Walks down a path of templates: `atPath(list, 0x6F, 0xA5, 0x50)`; the first match at each level. */
export function atPath(list: readonly Tlv[], ...path: readonly number[]): Tlv | undefined {
  let level: readonly Tlv[] | undefined = list
  let found: Tlv | undefined
  for (const tag of path) {
    found = findTlv(level, tag)
    if (!found) return undefined
    level = found.children
  }
  return found
}

/** `9F02`: a tag as the books write it. */
export function tagName(tag: number): string {
  const hex = tag.toString(16).toUpperCase()
  return hex.length % 2 === 0 ? hex : `0${hex}`
}
