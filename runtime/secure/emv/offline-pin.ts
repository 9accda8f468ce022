// Offline PIN: try counter, VERIFY in clear or enciphered (EMV Book 3 v4.4, 10.5.1 and 6.5.12; Book 2, 7.2 and 13.2).
import { concat, erase } from '../../../hal/base/bytes.js'
import { rsaPublic } from '../../../hal/base/ciphers.js'
import type { Random } from '../../../hal/base/clock.js'
import { TAG } from '../../../hal/base/tags.js'
import type { PinEntry } from '../card-transaction.js'
import { encodeFormat2 } from '../keys/pin-block.js'
import { type CardEnd, cardError, ends, isEnd } from './card-end.js'
import { tryParseTemplate } from './card-tlv.js'
import { getChallenge, getData, SW, verifyPin } from './commands.js'
import { EccEncipherment } from './ecc-encipherment.js'
import type { PinKey } from './pin-encipherment-key.js'
import type { RsaKey } from './rsa-recovery.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** Asks the cardholder; the digits are this file's to erase. */
export type AskPin = (triesLeft: number | undefined, wrong: boolean) => Promise<PinEntry>

export type OfflinePinResult = 'successful' | 'failed' | 'bypassed'

/** 63Cx counts fifteen tries at most; a card that never counts down is left after as many. */
const MAX_TRIES = 15
/** Data header of a PIN to be enciphered (Book 2, tables 25 and 40). */
const PIN_HEADER = 0x7f

/**
 * Asks for the PIN until the card accepts it, has no tries left, or the cardholder passes over or cancels.
 * Sets PIN Try Limit exceeded and PIN not entered in the TVR.
 */
export async function verifyOfflinePin(
  card: CardChannel,
  data: TransactionData,
  ask: AskPin,
  enciphered: { readonly key: PinKey; readonly random: Random } | undefined,
): Promise<OfflinePinResult | CardEnd> {
  let triesLeft = await readTryCounter(card, data)
  if (isEnd(triesLeft)) return triesLeft
  if (triesLeft === 0) {
    data.raise('pinTryLimitExceeded')
    return 'failed'
  }
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const entry = await ask(triesLeft, attempt > 0)
    if (entry.kind === 'cancelled' || entry.kind === 'timeout') return ends(entry.kind, 'PIN entry')
    if (entry.kind === 'bypassed') {
      data.raise('pinNotEntered')
      return 'bypassed'
    }
    const sw = await presentPin(card, entry.digits, enciphered)
    if (sw === undefined) return 'failed'
    if (isEnd(sw)) return sw
    if (sw === SW.OK) return 'successful'
    if (sw === SW.METHOD_BLOCKED || sw === SW.REFERENCE_INVALIDATED || sw === 0x63c0) {
      data.raise('pinTryLimitExceeded')
      return 'failed'
    }
    // Book 3, figure 11: any other status terminates the transaction.
    if ((sw & 0xfff0) !== 0x63c0) return cardError('VERIFY was answered with a status that it has not')
    triesLeft = sw & 0x0f
  }
  return 'failed'
}

/** GET DATA 9F17; undefined where the card does not tell (10.5.1: then the PIN is asked for without knowing). */
async function readTryCounter(
  card: CardChannel,
  data: TransactionData,
): Promise<number | undefined | CardEnd> {
  const answer = await card.exchange(getData(TAG.PIN_TRY_COUNTER))
  if (answer.kind === 'end') return answer
  const value = answer.sw === SW.OK ? tryParseTemplate(answer.data, TAG.PIN_TRY_COUNTER)?.value : undefined
  if (value?.length !== 1) return undefined
  data.updateFromCard(TAG.PIN_TRY_COUNTER, value)
  return value[0]
}

/** One VERIFY; its status words, or undefined where the PIN could not be enciphered. Erases the digits. */
async function presentPin(
  card: CardChannel,
  digits: Uint8Array,
  enciphered: { readonly key: PinKey; readonly random: Random } | undefined,
): Promise<number | undefined | CardEnd> {
  const block = encodeFormat2(digits)
  erase(digits)
  let content: Uint8Array = block
  let command: Uint8Array | undefined
  try {
    if (enciphered) {
      const challenge = await card.exchange(getChallenge())
      if (challenge.kind === 'end') return challenge
      if (challenge.sw !== SW.OK || challenge.data.length !== 8) return undefined
      const sealed = encipher(block, challenge.data, enciphered.key, enciphered.random)
      if (!sealed) return undefined
      content = sealed
    }
    command = verifyPin(content, !enciphered ? 'plaintext' : isEcc(enciphered.key) ? 'ecc' : 'rsa')
    const answer = await card.exchange(command)
    return answer.kind === 'end' ? answer : answer.sw
  } finally {
    erase(block, content, command)
  }
}

const isEcc = (key: PinKey): key is EccEncipherment => key instanceof EccEncipherment

/** Book 2, tables 25 and 40: 7F, PIN block and the card's challenge; with RSA random padding to the key's length. */
function encipher(
  block: Uint8Array,
  challenge: Uint8Array,
  key: PinKey,
  random: Random,
): Uint8Array | undefined {
  const clear = concat(Uint8Array.of(PIN_HEADER), block, challenge)
  try {
    return isEcc(key) ? key.encipher(clear, challenge, random) : encipherRsa(clear, key, random)
  } finally {
    erase(clear)
  }
}

function encipherRsa(clear: Uint8Array, key: RsaKey, random: Random): Uint8Array | undefined {
  const padding = key.modulus.length - clear.length
  if (padding < 0) return undefined
  const padded = concat(clear, random(padding))
  try {
    return rsaPublic(key.modulus, key.exponent, padded)
  } catch {
    // `CIPHER_INVALID`: a modulus that RSA cannot use, or that is below the block.
    return undefined
  } finally {
    erase(padded)
  }
}
