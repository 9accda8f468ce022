// Card keys that go under the key set of whoever will take the payment: each acquirer reads its own cards only.
import { ascii, erase } from '../../../hal/base/bytes.js'
import type { CardKeys } from './terminal-keys.js'

/** What routing may see of a card: first digits of its number, and its selected application where it has one. */
export interface RoutedCard {
  /** As in `CardFacts`: eight digits of a number of 16 and more, else six. */
  readonly bin: string
  readonly aid?: string
}

/** Bytes in which a PAN, of at most 19 digits, lies as BCD. */
const PAN_BYTES = 10

/** The digits of BCD, ASCII, up to what is none; the caller's to erase. */
function digitsOf(bcd: Uint8Array): Uint8Array {
  const digits = new Uint8Array(bcd.length * 2)
  for (const [i, byte] of bcd.entries()) {
    digits[i * 2] = 0x30 + (byte >> 4)
    digits[i * 2 + 1] = 0x30 + (byte & 0x0f)
  }
  return digits
}

/** `digits` is ASCII and may go on behind the number, as track 2 equivalent data do. */
function routed(digits: Uint8Array, aid: string | undefined): RoutedCard {
  let length = 0
  while (length < digits.length && digits[length]! >= 0x30 && digits[length]! <= 0x39) length++
  const bin = ascii.decode(digits.subarray(0, Math.min(length, length >= 16 ? 8 : 6)))
  return aid === undefined || aid === '' ? { bin } : { bin, aid }
}

/** `choose` gives the keys for a card; tokens are always of `tokens`, so that sums per card add up. */
export function routedCardKeys(tokens: CardKeys, choose: (card: RoutedCard) => CardKeys): CardKeys {
  return {
    async encryptCardData(clear, aid) {
      // Track 2 equivalent data begin with the card number in BCD (EMV Book 3, annex A, tag 57); `D` ends it.
      const digits = digitsOf(clear.subarray(0, PAN_BYTES))
      try {
        return await choose(routed(digits, aid)).encryptCardData(clear, aid)
      } finally {
        erase(digits)
      }
    },
    encryptPin: async (pin, pan, aid) => choose(routed(pan, aid)).encryptPin(pin, pan, aid),
    cardToken: (pan) => tokens.cardToken(pan),
  }
}
