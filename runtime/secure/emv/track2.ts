// Tracks 1 and 2 of a payment card's stripe, from a swipe's characters to their fields (ISO/IEC 7813, 6 and 7; ISO/IEC 7812-1, annex B).
import { concat, erase } from '../../../hal/base/bytes.js'
import type { Swipe } from '../../../hal/magnetic-stripe-reader.js'

/** What a track says. Its buffers are copies of its own: `eraseTrack` overwrites them. */
export interface Track {
  readonly kind: 'track'
  /** 12 to 19 digits in ASCII, the check digit right. */
  readonly pan: Uint8Array
  /** YYMM; undefined where a separator stands in its place. */
  readonly expiry: string | undefined
  /** Three digits (service-code.ts); undefined where a separator stands in its place. */
  readonly serviceCode: string | undefined
  /** What the issuer adds, card verification value included; characters of the track. */
  readonly discretionary: Uint8Array
  /** Track 2 as tag 57 has it: digits two a byte, D for the separator, padded with F. Of track 1 empty. */
  readonly equivalent: Uint8Array
}

/** Which rule a track breaks; nothing of the track itself. */
export const TRACK_RULES = {
  notRead: 'the head read nothing of the track, or its parity or LRC is wrong',
  length: 'the track is longer than 76 (track 1) or 37 (track 2) characters',
  character: 'a character is not one of the track',
  formatCode: 'track 1 does not begin with format code B',
  separator: 'a field separator is missing',
  pan: 'the card number has not 12 to 19 digits',
  checkDigit: 'the check digit of the card number is wrong',
  name: 'the name has not 2 to 26 characters',
  expiry: 'the expiry date is not YYMM, nor a separator in its place',
  serviceCode: 'the service code is not three digits, nor a separator in its place',
  discretionary: 'the discretionary data of track 2 are not digits',
  tracksDiffer: 'track 1 and track 2 name two cards',
} as const
export type TrackRule = keyof typeof TRACK_RULES

export interface TrackFault {
  readonly kind: 'fault'
  readonly track: 1 | 2
  readonly rule: TrackRule
}

const ZERO = 0x30
const NINE = 0x39
/** Field separators: `^` of track 1, `=` of track 2 (ISO/IEC 7813, 6 and 7). */
const SEPARATOR = { 1: 0x5e, 2: 0x3d } as const
const MAX = { 1: 76, 2: 37 } as const
const FORMAT_CODE = 0x42
const SPACE = 0x20
/**
 * NOTE: ISO/IEC 7812-1 allows PANs from 10 digits on; payment cards have 12 or more, and of fewer than 12 first six and
 * last four would hide nothing.
 */
const MIN_PAN = 12
const MAX_PAN = 19

const isDigit = (byte: number) => byte >= ZERO && byte <= NINE

/** The check digit (ISO/IEC 7812-1, annex B): from the right every second digit doubled, cross sums, a multiple of ten. */
export function checkDigitHolds(digits: Uint8Array): boolean {
  let sum = 0
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    const digit = digits[i]! - ZERO
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit
  }
  return sum % 10 === 0
}

/** What is common to both tracks, from the PAN on. `at`: where the field after the PAN, or after the name, begins. */
function fields(track: 1 | 2, pan: Uint8Array, rest: Uint8Array): Track | TrackFault {
  const fault = (rule: TrackRule): TrackFault => {
    erase(pan)
    return { kind: 'fault', track, rule }
  }
  if (pan.length < MIN_PAN || pan.length > MAX_PAN || !pan.every(isDigit)) return fault('pan')
  if (!checkDigitHolds(pan)) return fault('checkDigit')
  let at = 0
  /** Digits, `undefined` for a separator in their place, or `null` where it is neither. */
  const field = (length: number): string | undefined | null => {
    if (rest[at] === SEPARATOR[track]) {
      at++
      return undefined
    }
    const digits = rest.subarray(at, at + length)
    at += length
    return digits.length === length && digits.every(isDigit) ? String.fromCharCode(...digits) : null
  }
  const expiry = field(4)
  if (expiry === null || (expiry !== undefined && !isMonth(expiry.slice(2)))) return fault('expiry')
  const serviceCode = field(3)
  if (serviceCode === null) return fault('serviceCode')
  const discretionary = rest.slice(at)
  return { kind: 'track', pan, expiry, serviceCode, discretionary, equivalent: new Uint8Array() }
}

const isMonth = (digits: string) => digits >= '01' && digits <= '12'

/**
 * Track 2 without sentinels and LRC (hal/stripe-tracks.ts has checked them), at most 37 characters: PAN, `=`, YYMM,
 * service code, discretionary data.
 * @example parseTrack2(ascii.encode('5413330089600010=25122010000000000'))
 */
export function parseTrack2(track: Uint8Array): Track | TrackFault {
  const fault = (rule: TrackRule): TrackFault => ({ kind: 'fault', track: 2, rule })
  if (track.length > MAX[2]) return fault('length')
  if (!track.every((byte) => isDigit(byte) || byte === SEPARATOR[2])) return fault('character')
  const separator = track.indexOf(SEPARATOR[2])
  if (separator < 0) return fault('separator')
  const parsed = fields(2, track.slice(0, separator), track.subarray(separator + 1))
  if (parsed.kind === 'fault') return parsed
  if (!parsed.discretionary.every(isDigit)) {
    eraseTrack(parsed)
    return fault('discretionary')
  }
  return { ...parsed, equivalent: packed(track) }
}

/**
 * Track 1 without sentinels and LRC, at most 76 characters: format code B, PAN, `^`, name, `^`, YYMM, service code,
 * discretionary data. Spaces in the PAN are left out, as some issuers group it.
 */
export function parseTrack1(track: Uint8Array): Track | TrackFault {
  const fault = (rule: TrackRule): TrackFault => ({ kind: 'fault', track: 1, rule })
  if (track.length > MAX[1]) return fault('length')
  if (!track.every((byte) => byte >= 0x20 && byte <= 0x5f)) return fault('character')
  if (track[0] !== FORMAT_CODE) return fault('formatCode')
  const afterPan = track.indexOf(SEPARATOR[1])
  const afterName = track.indexOf(SEPARATOR[1], afterPan + 1)
  if (afterPan < 0 || afterName < 0) return fault('separator')
  const nameLength = afterName - afterPan - 1
  if (nameLength < 2 || nameLength > 26) return fault('name')
  const pan = track.subarray(1, afterPan).filter((byte) => byte !== SPACE)
  return fields(1, pan, track.subarray(afterName + 1))
}

/**
 * The card of a swipe: track 2, as it is what the host is sent; where track 1 was read too it must name the same card.
 * The swipe's own buffers stay the caller's to erase.
 *
 * NOTE: without a track 2 the swipe gives nothing, though track 1 may be whole: the messages carry track 2 only. A track
 * 1 that is not a bank's (another format code) or can't be parsed is passed over, as it says nothing against track 2.
 */
export function cardOfSwipe(swipe: Swipe): Track | TrackFault {
  if (!(swipe.track2 instanceof Uint8Array)) return { kind: 'fault', track: 2, rule: 'notRead' }
  const second = parseTrack2(swipe.track2)
  if (second.kind === 'fault' || !(swipe.track1 instanceof Uint8Array)) return second
  const first = parseTrack1(swipe.track1)
  if (first.kind === 'fault') return second
  const same =
    Buffer.compare(first.pan, second.pan) === 0 &&
    first.expiry === second.expiry &&
    first.serviceCode === second.serviceCode
  eraseTrack(first)
  if (same) return second
  eraseTrack(second)
  return { kind: 'fault', track: 1, rule: 'tracksDiffer' }
}

/** Overwrites what a track holds of the card. */
export function eraseTrack(track: Track): void {
  erase(track.pan, track.discretionary, track.equivalent)
}

/** Overwrites the tracks of a swipe. */
export function eraseSwipe({ track1, track2 }: Swipe): void {
  for (const track of [track1, track2]) if (track instanceof Uint8Array) erase(track)
}

/** The code of a track 2 character is its nibble in tag 57: 0 to 9, and D for the separator (EMV Book 3, annex A1, 57). */
function packed(track: Uint8Array): Uint8Array {
  const even = track.length % 2 === 0 ? Uint8Array.from(track) : concat(track, Uint8Array.of(0x3f))
  const out = new Uint8Array(even.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = ((even[i * 2]! & 0x0f) << 4) | (even[i * 2 + 1]! & 0x0f)
  erase(even)
  return out
}
