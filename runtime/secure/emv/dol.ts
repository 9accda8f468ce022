// Data object lists: PDOL, CDOL1, CDOL2, TDOL, DDOL (EMV Book 3 v4.4, section 5.4).
import { PosternError } from '../../../hal/base/errors.js'
import { formatOfTag } from '../../../hal/base/tags.js'
import { isConstructed } from '../../../hal/base/tlv.js'

/** One entry: a tag, and how many bytes of it the card wants. */
export interface DolEntry {
  readonly tag: number
  readonly length: number
}

/** Where values come from: the first source that has the tag wins. */
export type ValueOf = (tag: number) => Uint8Array | undefined

/** Longest data field that a DOL may ask for: what a short APDU carries (Book 3, 5.4; Book 1, 11.1.1). */
export const MAX_DOL_DATA = 255
const MAX_TAG_BYTES = 4

/** Why bytes are no list that can be served. */
interface DolFault {
  readonly rule: string
  readonly offset: number
}

function invalid({ rule, offset }: DolFault): never {
  throw new PosternError('DOL_INVALID', `DOL: ${rule} at byte ${offset}`, { offset, rule })
}

/**
 * Reads the list: tag and one length byte each, in order, duplicates kept.
 * @example parseDol(fromHex('9F37049F0206')) // [{ tag: 0x9F37, length: 4 }, { tag: 0x9F02, length: 6 }]
 * @throws PosternError `DOL_INVALID` with `offset` and `rule`
 */
export function parseDol(dol: Uint8Array): DolEntry[] {
  const entries = readDol(dol)
  return Array.isArray(entries) ? entries : invalid(entries)
}

function readDol(dol: Uint8Array): DolEntry[] | DolFault {
  const out: DolEntry[] = []
  let at = 0
  while (at < dol.length) {
    const start = at
    let tag = dol[at++]!
    if ((tag & 0x1f) === 0x1f) {
      let more = true
      while (more) {
        if (at >= dol.length) return { rule: 'tag cut short', offset: start }
        if (at - start >= MAX_TAG_BYTES) return { rule: 'tag too long', offset: start }
        tag = tag * 256 + dol[at]!
        more = (dol[at++]! & 0x80) !== 0
      }
    }
    if (at >= dol.length) return { rule: 'length missing', offset: at }
    out.push({ tag, length: dol[at++]! })
  }
  return out
}

/** Bytes that the list asks for. */
export function dolDataLength(entries: readonly DolEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.length, 0)
}

/**
 * The concatenated values in the list's order, each cut or padded by its format (Book 3, 5.4, step 2).
 * @throws PosternError `DOL_INVALID` where the list is malformed or asks for more than 255 bytes
 */
export function buildDolData(dol: Uint8Array, lookUp: ValueOf): Uint8Array {
  const data = readDolData(dol, lookUp)
  return data instanceof Uint8Array ? data : invalid(data)
}

/** The same of a card's list, whose faults are no exceptions of ours: undefined where it cannot be served. */
export function tryBuildDolData(dol: Uint8Array, lookUp: ValueOf): Uint8Array | undefined {
  const data = readDolData(dol, lookUp)
  return data instanceof Uint8Array ? data : undefined
}

function readDolData(dol: Uint8Array, lookUp: ValueOf): Uint8Array | DolFault {
  const entries = readDol(dol)
  if (!Array.isArray(entries)) return entries
  const length = dolDataLength(entries)
  if (length > MAX_DOL_DATA) return { rule: 'asks for more than 255 bytes', offset: dol.length }
  const out = new Uint8Array(length)
  let at = 0
  for (const entry of entries) {
    // An unknown tag and a constructed one are zeros whatever we hold (5.4, step 2).
    const value = isConstructed(entry.tag) ? undefined : lookUp(entry.tag)
    if (value) placeValue(out.subarray(at, at + entry.length), entry.tag, value)
    at += entry.length
  }
  return out
}

/** Writes `value` into a zeroed field by the tag's format (Book 3, 5.4, step 2). */
function placeValue(field: Uint8Array, tag: number, value: Uint8Array): void {
  const format = formatOfTag(tag)
  if (format === 'n') {
    // Numeric keeps its rightmost digits and is padded with leading zeros.
    if (value.length >= field.length) field.set(value.subarray(value.length - field.length))
    else field.set(value, field.length - value.length)
    return
  }
  field.set(value.subarray(0, field.length))
  if (format === 'cn' && value.length < field.length) field.fill(0xff, value.length)
}

/** True if the list holds the tag. A malformed list holds nothing. */
export function dolHas(dol: Uint8Array | undefined, tag: number): boolean {
  const entries = dol && readDol(dol)
  return Array.isArray(entries) && entries.some((entry) => entry.tag === tag)
}
