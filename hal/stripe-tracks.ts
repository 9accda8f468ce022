// Tracks of a magnetic stripe as a head reads them: sentinels, LRC, lengths. ISO/IEC 7811-2 and 7813.

interface TrackCode {
  /** The character of code 0: a track's codes are offsets from it. */
  readonly zero: number
  readonly bits: number
  readonly start: number
  readonly max: number
}

/** Track 1 (IATA, 6 bits and parity) and track 2 (ABA, 4 bits and parity). ISO/IEC 7811-2, tables 1 and 2 */
const TRACKS: Readonly<Record<1 | 2, TrackCode>> = {
  1: { zero: 0x20, bits: 6, start: '%'.charCodeAt(0), max: 76 },
  2: { zero: 0x30, bits: 4, start: ';'.charCodeAt(0), max: 37 },
}
const END = '?'.charCodeAt(0)

/** The characters of a track: `codes` of them from `zero` on, at most `max`. */
export const TRACK_LIMITS: Readonly<
  Record<1 | 2, { readonly zero: number; readonly codes: number; readonly max: number }>
> = {
  1: { zero: TRACKS[1].zero, codes: 1 << TRACKS[1].bits, max: TRACKS[1].max },
  2: { zero: TRACKS[2].zero, codes: 1 << TRACKS[2].bits, max: TRACKS[2].max },
}

/**
 * Takes sentinels and LRC off one track of ASCII characters. `'bad'` where a sentinel is missing, a character is not
 * of the track's set, it is too long, or the LRC (exclusive or of all codes up to the end sentinel) is wrong.
 */
export function readTrack(track: 1 | 2, raw: Uint8Array): Uint8Array | 'bad' | undefined {
  if (raw.length === 0) return undefined
  const { zero, bits, start, max } = TRACKS[track]
  const end = raw.indexOf(END)
  if (raw[0] !== start || end < 0 || end !== raw.length - 2 || end - 1 > max) return 'bad'
  let lrc = 0
  for (const character of raw) {
    const code = character - zero
    if (code < 0 || code >= 1 << bits) return 'bad'
    lrc ^= code
  }
  return lrc === 0 ? raw.slice(1, end) : 'bad'
}

/** Puts sentinels and LRC on the characters of one track, as a card's stripe has them. */
export function writeTrack(track: 1 | 2, characters: string): string {
  const { zero, start } = TRACKS[track]
  const framed = `${String.fromCharCode(start)}${characters}?`
  let lrc = 0
  for (let at = 0; at < framed.length; at++) lrc ^= framed.charCodeAt(at) - zero
  return `${framed}${String.fromCharCode(zero + lrc)}`
}
