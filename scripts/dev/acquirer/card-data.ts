// Card data and PIN of a message, opened: keys that were used before are refused.
import { ascii, erase, toHex } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { HostMessage } from '../../../runtime/secure/payments/iso8583/host-message.js'
import {
  decodeCardData,
  decodeSecurityControl,
} from '../../../runtime/secure/payments/iso8583/security-fields.js'
import type { AcquirerOptions } from './reply.js'

/** PAN of track 2 equivalent data: the digits before the separator D (EMV Book 3, annex A, tag 57). */
function panOfTrack2(track2: Uint8Array): string {
  const pan = toHex(track2).split('D', 1)[0]!
  if (!/^[0-9]{8,19}$/.test(pan)) throw new PosternError('CARD_DATA_INVALID', 'track 2 holds no card number')
  return pan
}

export interface OpenedCard {
  readonly pan: string
  readonly track2: Uint8Array
  /** The message says why a chip card's stripe was read. */
  readonly hasFallbackReason: boolean
  pin(): Uint8Array | undefined
  /** Erases track and PIN. */
  close(): void
}

/**
 * Opens the card data of a message, or undefined where it has none.
 * @throws PosternError `KSN_REUSED` unless `again`; of what could not be opened
 */
export function openCard(
  { keys, ledger }: Pick<AcquirerOptions, 'keys' | 'ledger'>,
  { elements }: HostMessage,
  again = false,
): OpenedCard | undefined {
  if (elements.cardData === undefined) return undefined
  const data = decodeCardData(elements.cardData)
  const { pinKsn } = decodeSecurityControl(elements.security ?? new Uint8Array(0))
  for (const ksn of [data.ksn, ...(pinKsn === undefined ? [] : [pinKsn])]) {
    if (!ledger.useKsn(toHex(ksn)) && !again)
      throw new PosternError('KSN_REUSED', 'card data or PIN under a key that was used before', {
        ksn: toHex(ksn),
      })
  }
  const track2 = keys.decryptCardData(data)
  const pan = panOfTrack2(track2)
  let pin: Uint8Array | undefined
  return {
    pan,
    track2,
    hasFallbackReason: data.fallback !== undefined,
    pin() {
      if (elements.pinBlock === undefined) return undefined
      if (pinKsn === undefined) throw new PosternError('PIN_BLOCK_INVALID', 'no KSN for the PIN block')
      pin ??= keys.decryptPin({ ksn: pinKsn, bytes: elements.pinBlock }, ascii.encode(pan))
      return pin
    },
    close: () => erase(track2, pin),
  }
}
