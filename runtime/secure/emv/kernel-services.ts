// The kernel's people, keys and records, made of the seam's prompts, the terminal's keys and the payment service's history.
import { erase } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { TAG } from '../../../hal/base/tags.js'
import type { CardHistory, CardPrompts, CardRequest, PinEntry } from '../card-transaction.js'
import type { CardKeys } from '../keys/terminal-keys.js'
import type { TransactionServices } from './transaction.js'
import { panDigits, type TransactionData } from './transaction-data.js'

/** What is asked for, until when, and whether the card has left meanwhile. */
export interface ServedTransaction {
  readonly request: CardRequest
  readonly signal: AbortSignal
  readonly wasRemoved: () => boolean
}

export function kernelServices(
  { keys, random }: { readonly keys: CardKeys; readonly random: Random },
  prompts: CardPrompts,
  history: CardHistory,
  { request, signal, wasRemoved }: ServedTransaction,
): TransactionServices {
  return {
    random,
    forceOnline: request.forceOnline ?? false,
    async chooseApplication(names) {
      const index = await prompts.chooseApplication(names, signal)
      if (index !== undefined) prompts.busy('reading')
      return index
    },
    async confirmApplication(name) {
      const confirmed = await prompts.confirmApplication(name, signal)
      if (confirmed) prompts.busy('reading')
      return confirmed
    },
    preferLanguages: (codes) => {
      if (codes.length > 0) prompts.preferLanguages(codes)
    },
    async enterPin(prompt): Promise<PinEntry> {
      const entry = await prompts.enterPin({ ...prompt, amount: request.amount }, signal)
      // The card left while the PIN was typed: nobody gets to see it.
      if (wasRemoved() && entry.kind === 'entered') {
        erase(entry.digits)
        return { kind: 'cancelled' }
      }
      if (entry.kind === 'entered' || entry.kind === 'bypassed') prompts.busy('reading')
      return entry
    },
    encryptPin: (pin, pan, aid) => keys.encryptPin(pin, pan, aid),
    cardHistory: async (data) => {
      const token = await tokenOf(data, keys)
      const last = await history.lastAmount(token)
      return {
        // NOTE: amounts of two currencies have no sum; the floor limit is in one.
        lastAmountOfCard: last?.currency === request.amount.currency ? last.minor : 0n,
        onExceptionFile: await history.onExceptionFile(token),
      }
    },
  }
}

/** The card's token; that of no digits where its PAN is none. @throws PosternError `KEY_UNAVAILABLE` */
export async function tokenOf(data: TransactionData, keys: Pick<CardKeys, 'cardToken'>): Promise<string> {
  const digits = panDigits(data.need(TAG.PAN)) ?? new Uint8Array()
  try {
    return await keys.cardToken(digits)
  } finally {
    erase(digits)
  }
}
