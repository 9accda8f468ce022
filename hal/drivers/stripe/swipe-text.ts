// Tracks out of what a stripe reader types or sends: `%track1?;track2?+track3?`, with or without LRC. ISO/IEC 7811-2.
import { erase } from '../../base/bytes.js'
import type { Swipe } from '../../magnetic-stripe-reader.js'
import { readTrack, TRACK_LIMITS } from '../../stripe-tracks.js'

/** Room for three tracks with sentinels and LRC: 79, 40 and 107 characters, and some noise. */
export const MAX_SWIPE_BYTES = 320

const START = { 37: 1, 59: 2, 43: 3 } as const satisfies Record<number, 1 | 2 | 3>
const END = 0x3f
const startOf = (byte: number | undefined): 1 | 2 | 3 | undefined =>
  START[byte as keyof typeof START] as 1 | 2 | 3 | undefined

/** Readers write `%E?` for a track that they could not read. MagTek and ID TECH keyboard readers' manuals */
const isErrorMark = (characters: Uint8Array) => characters.length === 1 && characters[0] === 0x45

/** The characters of a track whose LRC the reader has checked and kept to itself. */
function checked(track: 1 | 2, characters: Uint8Array): Uint8Array | 'bad' {
  const { zero, codes, max } = TRACK_LIMITS[track]
  if (isErrorMark(characters) || characters.length === 0 || characters.length > max) return 'bad'
  return characters.every((byte) => byte >= zero && byte < zero + codes) ? characters.slice() : 'bad'
}

/**
 * One swipe from the characters between two terminators. A track without its end, its start or its LRC is `bad`; one
 * that is not there is undefined. What stands before the first start sentinel is a track that lost its own.
 * @example readSwipe(ascii.encode(';5413330089600010=2512201?'), false).track2
 */
export function readSwipe(typed: Uint8Array, withLrc: boolean): Swipe {
  const tracks: { 1?: Uint8Array | 'bad'; 2?: Uint8Array | 'bad' } = {}
  let orphan = false
  for (let at = 0; at < typed.length; ) {
    const track = startOf(typed[at])
    if (track === undefined) {
      orphan = true
      at++
      continue
    }
    const end = typed.indexOf(END, at)
    // The LRC may be any character of the track's set, a sentinel too.
    const next = end < 0 ? typed.length : Math.min(typed.length, end + (withLrc ? 2 : 1))
    if (track !== 3) {
      const one = tracks[track]
      // Two of a kind: nobody knows which is the card's.
      if (one !== undefined) {
        if (one !== 'bad') erase(one)
        tracks[track] = 'bad'
      } else if (end < 0) tracks[track] = 'bad'
      else if (withLrc) tracks[track] = readTrack(track, typed.subarray(at, next)) ?? 'bad'
      else tracks[track] = checked(track, typed.subarray(at + 1, end))
    }
    at = next
  }
  if (orphan && tracks[1] === undefined) tracks[1] = 'bad'
  else if (orphan && tracks[2] === undefined) tracks[2] = 'bad'
  return { track1: tracks[1], track2: tracks[2] }
}
