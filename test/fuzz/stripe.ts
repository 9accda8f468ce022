// Fuzz target: tracks of a swipe out of random bytes, and out of a good track with some of its bytes changed: a card or a rule, never a throw.
import { ascii, concat, toHex } from '../../hal/base/bytes.js'
import { readSwipe } from '../../hal/drivers/stripe/swipe-text.js'
import { readTrack, writeTrack } from '../../hal/stripe-tracks.js'
import { readServiceCode } from '../../runtime/secure/emv/service-code.js'
import {
  cardOfSwipe,
  checkDigitHolds,
  eraseTrack,
  parseTrack1,
  parseTrack2,
  type Track,
  type TrackFault,
} from '../../runtime/secure/emv/track2.js'

const TRACK1 = 'B9999990000000360^CARDHOLDER/TEST^35122010000000000'
const TRACK2 = '9999990000000360=35122010000012300000'

/** Which rule was broken, or that none was. */
function check(parsed: Track | TrackFault, input: Uint8Array): string {
  if (parsed.kind === 'fault') return parsed.rule
  const { pan, expiry, serviceCode, discretionary, equivalent } = parsed
  if (pan.length < 12 || pan.length > 19 || !checkDigitHolds(pan)) throw new Error('no card number')
  if (expiry !== undefined && !/^\d\d(0[1-9]|1[0-2])$/.test(expiry)) throw new Error('no expiry date')
  if (serviceCode !== undefined && !/^\d{3}$/.test(serviceCode)) throw new Error('no service code')
  if (serviceCode !== undefined) readServiceCode(serviceCode)
  if (pan.length + discretionary.length > input.length) throw new Error('more than was read')
  if (equivalent.length > 19) throw new Error('more than tag 57 holds')
  const text = ascii.decode(input)
  if (equivalent.length > 0 && toHex(equivalent).replace(/F$/, '').replaceAll('D', '=') !== text)
    throw new Error('another track than was read')
  eraseTrack(parsed)
  if ([...pan, ...discretionary, ...equivalent].some((byte) => byte !== 0)) throw new Error('not erased')
  return 'card'
}

/** The text with some characters of the track's set put where the bytes say. */
function changed(text: string, zero: number, codes: number, bytes: Uint8Array): Uint8Array {
  const out = ascii.encode(text)
  for (let i = 0; i + 1 < Math.min(bytes.length, 6); i += 2)
    out[bytes[i]! % out.length] = zero + (bytes[i + 1]! % codes)
  return out.subarray(0, out.length - (bytes.length % 5))
}

export const target = {
  name: 'stripe tracks',
  run(bytes: Uint8Array): string {
    const track1 = changed(TRACK1, 0x20, 64, bytes)
    const track2 = changed(TRACK2, 0x30, 16, bytes)
    const words = [bytes, track1].map((input) => check(parseTrack1(input), input))
    words.push(...[bytes, track2].map((input) => check(parseTrack2(input), input)))
    words.push(check(cardOfSwipe({ track1, track2 }), track2))
    for (const number of [1, 2] as const) {
      const read = readTrack(number, bytes)
      if (read instanceof Uint8Array && read.length > 76) throw new Error('longer than a track')
      if (readTrack(number, ascii.encode(writeTrack(number, ''))) === 'bad') throw new Error('own LRC')
    }
    // The same out of what a reader would type, with the bytes as noise behind it.
    for (const withLrc of [true, false]) {
      const typed = concat(ascii.encode('%'), track1, ascii.encode('?;'), track2, bytes)
      const swipe = readSwipe(typed, withLrc)
      for (const [track, max] of [
        [swipe.track1, 76],
        [swipe.track2, 37],
      ] as const) {
        if (track instanceof Uint8Array && (track.length > max || track.length === 0))
          throw new Error('no length of a track')
        words.push(track instanceof Uint8Array ? 'read' : String(track))
      }
    }
    return words.join()
  },
}
