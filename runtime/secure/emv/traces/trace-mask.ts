// Masking of recorded exchanges: PAN to first six and last four, everything else that tells it, and names, to zeros (PCI DSS 3.3, 3.4; PCI PIN 3).
// NOTE: the same digits become the same mask wherever they stand, so that DOL data still fit the records they come from.
import { erase } from '../../../../hal/base/bytes.js'
import { TAG } from '../../../../hal/base/tags.js'
import type { Tlv } from '../../../../hal/base/tlv.js'
import { tryParseTlv } from '../card-tlv.js'

/** One exchange's raw parts, which masking overwrites; status words are the answer's last two bytes. */
export interface RawExchange {
  readonly command: Uint8Array
  readonly response: Uint8Array
}

/** Track 1 and 2 data in each of their tags; 56 and 9F6B are the contactless forms. */
const TRACKS: ReadonlySet<number> = new Set([TAG.TRACK2, 0x9f6b])
/**
 * Blanked whole: track 1, name, discretionary data, IBAN; and what recovers to the PAN or to a hash of it: signed static
 * data (93), ICC and PIN key certificates (9F46, 9F2D), signed dynamic data (9F4B), whose DDOL may hold it.
 */
const BLANKED: ReadonlySet<number> = new Set([
  TAG.CARDHOLDER_NAME,
  0x56,
  0x9f0b,
  0x9f1f,
  0x9f20,
  0x5f53,
  0x93,
  0x9f46,
  0x9f2d,
  0x9f4b,
])
const INS = { verify: 0x20, pinChange: 0x24, internalAuthenticate: 0x88 } as const
/** Bytes of a name below which it is too common to be looked for elsewhere. */
const MIN_NAME = 6
/** Digits of a PAN that show it is this PAN: more than the eight that may be shown in front. */
const MIN_RUN = 9

/** Blanks the data of VERIFY and PIN CHANGE/UNBLOCK: a PIN, in clear or enciphered, in whatever length. */
export function withoutPin(command: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(command)
  if (copy[1] === INS.verify || copy[1] === INS.pinChange) copy.fill(0, 5)
  return copy
}

/**
 * Masks a transaction's exchanges in place, one group for each command with its GET RESPONSEs; and `others`, byte strings
 * in which the card's data may stand (DE55, issuer scripts). Works on bytes only: no text ever holds a PAN.
 */
export function maskExchanges(
  groups: readonly (readonly RawExchange[])[],
  others: readonly Uint8Array[],
): void {
  const pans: Uint8Array[] = []
  const names: Uint8Array[] = []
  for (const group of groups) collect(group, pans, names)
  for (const group of groups) {
    maskAnswer(group)
    for (const { command, response } of group) {
      scrub(command.subarray(5), pans, names)
      scrub(response, pans, names)
    }
  }
  for (const bytes of others) scrub(bytes, pans, names)
  erase(...pans, ...names)
}

/** The answer's data of a group, put together; undefined where they are no BER-TLV. */
function answerOf(group: readonly RawExchange[]): { data: Uint8Array; list: readonly Tlv[] | undefined } {
  const parts = group.map(({ response }) => response.subarray(0, Math.max(0, response.length - 2)))
  const data = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    data.set(part, at)
    at += part.length
  }
  return { data, list: data.length > 0 ? tryParseTlv(data) : undefined }
}

function walk(list: readonly Tlv[] | undefined, each: (item: Tlv) => void): void {
  for (const item of list ?? []) {
    if (item.children) walk(item.children, each)
    else each(item)
  }
}

function collect(group: readonly RawExchange[], pans: Uint8Array[], names: Uint8Array[]): void {
  const { data, list } = answerOf(group)
  walk(list, ({ tag, value }) => {
    if (tag === TAG.PAN || TRACKS.has(tag)) {
      const digits = leadingDigits(value)
      if (digits.length > MIN_RUN) pans.push(digits)
    } else if ((tag === TAG.CARDHOLDER_NAME || tag === 0x9f0b) && value.length >= MIN_NAME)
      names.push(Uint8Array.from(value))
  })
  erase(data)
}

/** The decimal nibbles in front, one a byte: the PAN of 5A or of 57. */
function leadingDigits(bytes: Uint8Array): Uint8Array {
  const out: number[] = []
  for (const nibble of nibblesOf(bytes)) {
    if (nibble > 9) break
    out.push(nibble)
  }
  return Uint8Array.from(out)
}

function nibblesOf(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length * 2)
  for (const [at, byte] of bytes.entries()) {
    out[at * 2] = byte >> 4
    out[at * 2 + 1] = byte & 0x0f
  }
  return out
}

function putNibbles(into: Uint8Array, nibbles: Uint8Array): void {
  for (let at = 0; at < into.length; at++) into[at] = (nibbles[at * 2]! << 4) | nibbles[at * 2 + 1]!
}

/** By tag, in the bytes of the exchanges themselves. */
function maskAnswer(group: readonly RawExchange[]): void {
  const { data, list } = answerOf(group)
  const signed = group[0]?.command[1] === INS.internalAuthenticate
  walk(list, ({ tag, value }) => {
    if (TRACKS.has(tag)) maskTrack(value)
    else if (BLANKED.has(tag) || (signed && tag === TAG.RESPONSE_FORMAT_1)) value.fill(0)
  })
  let at = 0
  for (const { response } of group) {
    const length = Math.max(0, response.length - 2)
    response.set(data.subarray(at, at + length))
    at += length
  }
  erase(data)
}

/** What follows the PAN and its separator: expiry, service code, discretionary data. */
function maskTrack(value: Uint8Array): void {
  const nibbles = nibblesOf(value)
  const end = nibbles.findIndex((nibble) => nibble > 9)
  const padded = nibbles.at(-1) === 0x0f
  if (end >= 0) nibbles.fill(0, end + 1, padded ? nibbles.length - 1 : nibbles.length)
  putNibbles(value, nibbles)
  erase(nibbles)
}

/** Every stretch of a PAN from its first digit on, at any nibble or as text, and every name. */
function scrub(bytes: Uint8Array, pans: readonly Uint8Array[], names: readonly Uint8Array[]): void {
  const nibbles = nibblesOf(bytes)
  for (const pan of pans) {
    scrubRuns(nibbles, pan, (nibble) => nibble)
    putNibbles(bytes, nibbles)
    scrubRuns(bytes, pan, (digit) => digit + 0x30)
    nibbles.set(nibblesOf(bytes))
  }
  for (const name of names) {
    for (let at = 0; at + name.length <= bytes.length; at++)
      if (name.every((byte, i) => bytes[at + i] === byte)) bytes.fill(0, at, at + name.length)
  }
  erase(nibbles)
}

/** NOTE: a run that a DOL cut short keeps its first six digits only; the last four count from the PAN's own end. */
function scrubRuns(symbols: Uint8Array, pan: Uint8Array, symbolOf: (digit: number) => number): void {
  for (let at = 0; at + MIN_RUN <= symbols.length; at++) {
    let length = 0
    while (length < pan.length && symbols[at + length] === symbolOf(pan[length]!)) length++
    if (length >= MIN_RUN) symbols.fill(symbolOf(0), at + 6, at + Math.min(length, pan.length - 4))
  }
}
