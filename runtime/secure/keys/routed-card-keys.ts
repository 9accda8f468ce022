// Card keys that go under the key set of whoever will take the payment: each acquirer reads its own cards only.
import { ascii, toHex } from '../../../hal/base/bytes.js'
import type { CardKeys } from './terminal-keys.js'

/** Digits of a card number that routing may see. */
const BIN_DIGITS = 8

/** `choose` gives the keys for a BIN; tokens are always of `tokens`, so that sums per card add up. */
export function routedCardKeys(tokens: CardKeys, choose: (bin: string) => CardKeys): CardKeys {
  const binOf = (digits: string) => /^[0-9]*/.exec(digits)![0].slice(0, BIN_DIGITS)
  return {
    // Track 2 equivalent data begin with the card number in BCD (EMV Book 3, annex A, tag 57).
    encryptCardData: (clear) =>
      choose(binOf(toHex(clear.subarray(0, BIN_DIGITS / 2)))).encryptCardData(clear),
    encryptPin: (pin, pan) => choose(binOf(ascii.decode(pan.subarray(0, BIN_DIGITS)))).encryptPin(pin, pan),
    cardToken: (pan) => tokens.cardToken(pan),
  }
}
