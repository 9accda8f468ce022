// Data object lists (EMV Book 3, 5.4) on the card's side: what a command's data hold, by tag.
import { concat } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import { encodeTag } from '../../../hal/base/tlv.js'

/** One entry: tag number and length in bytes. */
export interface DolEntry {
  readonly tag: number
  readonly length: number
}

/** Reads `9F0206…`. @throws PosternError `ISSUER_INVALID` where it is cut short. */
export function parseDol(bytes: Uint8Array): DolEntry[] {
  const entries: DolEntry[] = []
  let at = 0
  while (at < bytes.length) {
    let tag = bytes[at++]!
    if ((tag & 0x1f) === 0x1f) {
      do tag = tag * 256 + (bytes[at] ?? 0)
      while (((bytes[at++] ?? 0) & 0x80) !== 0)
    }
    const length = bytes[at++]
    if (length === undefined) throw new PosternError('ISSUER_INVALID', 'the DOL is cut short')
    entries.push({ tag, length })
  }
  return entries
}

/** The bytes of a DOL. */
export function encodeDol(entries: readonly DolEntry[]): Uint8Array {
  return concat(...entries.map(({ tag, length }) => concat(encodeTag(tag), Uint8Array.of(length))))
}

/** How many bytes a terminal sends for it. */
export function dolLength(entries: readonly DolEntry[]): number {
  return entries.reduce((sum, { length }) => sum + length, 0)
}

/** The value that a command's data hold for `tag`, or undefined where the list does not ask for it. */
export function dolValue(
  entries: readonly DolEntry[],
  data: Uint8Array,
  tag: number,
): Uint8Array | undefined {
  let at = 0
  for (const entry of entries) {
    if (entry.tag === tag) return data.subarray(at, at + entry.length)
    at += entry.length
  }
  return undefined
}
