// One sale from the first prompt to the card out of the slot, each step durable before what it names is done.
import { toHex } from '../../../hal/base/bytes.js'
import { isPosternError } from '../../../hal/base/errors.js'
import { money } from '../../../hal/base/money.js'
import type { CardEndReason, CardPrompts, CardTransaction, StartOutcome } from '../card-transaction.js'
import { authorise, authorisedKind, forget, mayTake, wantsDeclines } from './authorise.js'
import { cardHistory } from './card-history.js'
import { isUnwantedDuplicate } from './card-questions.js'
import type { Lane } from './lane.js'
import { approveWithoutHost, chooseOffline } from './offline-approval.js'
import type { PaymentDependencies } from './payment-port.js'
import type { EndedOutcome, PaymentRecord } from './payment-record.js'
import { OWED_STATES } from './payment-states.js'
import { amountOf } from './payment-view.js'
import type { Reversals } from './reversals.js'
import { type SaleRecord, saleRecord } from './sale-record.js'
import { captureSignature } from './signature.js'

/** How a card's end before its first cryptogram is told. */
const ENDED: Readonly<Record<CardEndReason, { outcome: EndedOutcome; code: string }>> = {
  cancelled: { outcome: 'cancelled', code: 'CANCELLED' },
  timeout: { outcome: 'cancelled', code: 'NO_CARD' },
  removed: { outcome: 'cardRemoved', code: 'CARD_REMOVED' },
  mute: { outcome: 'cardUnusable', code: 'CARD_MUTE' },
  notAccepted: { outcome: 'cardUnusable', code: 'CARD_NOT_ACCEPTED' },
  blocked: { outcome: 'cardUnusable', code: 'CARD_BLOCKED' },
  cardError: { outcome: 'cardUnusable', code: 'CARD_ERROR' },
  expired: { outcome: 'cardUnusable', code: 'CARD_EXPIRED' },
  stripeNotAllowed: { outcome: 'cardUnusable', code: 'STRIPE_NOT_ALLOWED' },
  stripeUnreadable: { outcome: 'cardUnusable', code: 'STRIPE_UNREADABLE' },
}

/** The payment stands; it has not been told. */
const APPROVED: readonly string[] = ['CARD_FINAL', 'OFFLINE_APPROVED']

type Needs = Pick<
  PaymentDependencies,
  | 'journal'
  | 'acquirers'
  | 'cards'
  | 'typedCards'
  | 'signaturePad'
  | 'texts'
  | 'clock'
  | 'log'
  | 'isOnline'
  | 'exceptionFile'
  | 'vault'
  | 'ask'
  | 'session'
  | 'merchant'
>

/** What the card is told of a payment: a pre-authorisation is a sale to it. */
function cardRequestOf({ type, cashbackMinor, currency }: PaymentRecord) {
  if (type === 'refund') return { type } as const
  return cashbackMinor === undefined
    ? ({ type: 'sale' } as const)
    : ({ type: 'cashback', otherAmount: money(BigInt(cashbackMinor), currency) } as const)
}

/** A sale under way. */
export interface Sale {
  /** Resolves with the record in a state that is final or owes a reversal. @throws PosternError `JOURNAL_FAILED` */
  readonly done: Promise<PaymentRecord>
  /** True if the payment will end as cancelled: its card has not been read. */
  cancel(): boolean
  /** A reversal is owed: nothing more is asked of the host for this sale, though the card may still be in. */
  readonly owed: boolean
}

/** The prompts, with an ear for the card's language: the receipt's reason is in it. */
function listening(prompts: CardPrompts, languages: readonly string[], record: SaleRecord): CardPrompts {
  return {
    presentCard: (amount, signal) => prompts.presentCard(amount, signal),
    cardUnreadable: (signal) => prompts.cardUnreadable(signal),
    useStripe: (amount, again, signal) => prompts.useStripe(amount, again, signal),
    useChip: (amount, signal) => prompts.useChip(amount, signal),
    chooseApplication: (labels, signal) => prompts.chooseApplication(labels, signal),
    confirmApplication: (label, signal) => prompts.confirmApplication(label, signal),
    enterPin: (prompt, signal) => prompts.enterPin(prompt, signal),
    preferLanguages(preferred) {
      const cardLocale = preferred.find((language) => languages.includes(language))
      if (cardLocale !== undefined) record.remember({ cardLocale })
      prompts.preferLanguages(preferred)
    },
    busy: (what) => prompts.busy(what),
    removeCard: (amount, approved) => prompts.removeCard(amount, approved),
  }
}

/** Takes a payment whose record is CREATED through to its end; `onOwed` as soon as it has to be taken back. */
export function startSale(
  deps: Needs,
  lane: Lane,
  reversals: Reversals,
  created: PaymentRecord,
  prompts: CardPrompts,
  onOwed: () => void,
): Sale {
  const record = saleRecord(deps, created, onOwed)
  const cancelling = new AbortController()
  let cancellable = true
  let card: CardTransaction | undefined

  /** Logs what went wrong with card or reader; the code for it. */
  function cardFault(error: unknown): string {
    const code = isPosternError(error) ? error.code : 'FAULT'
    deps.log.error('payment.cardFault', { payment: created.key, fault: code })
    return code
  }

  const candidates = () =>
    mayTake(created, deps.acquirers.route({ kind: authorisedKind(created), amount: amountOf(created) }))

  /** No network, or an earlier payment that must be taken back first: found before the card is asked for. */
  async function roadIsClear(): Promise<boolean> {
    // A typed card is never approved without its bank.
    const offline =
      created.manual === true
        ? ({ allowed: false, code: 'OFFLINE_NOT_ALLOWED' } as const)
        : chooseOffline(deps, created)
    if (!deps.isOnline()) {
      if (offline.allowed) return true
      const code = offline.code === 'OFFLINE_NOT_ALLOWED' ? 'NO_NETWORK' : offline.code
      record.end('needsNetwork', code)
      return false
    }
    const able = candidates()
    if (able.some((one) => !reversals.owes(one))) return true
    for (const acquirer of able) {
      if (await lane.run(() => reversals.clear(acquirer, cancelling.signal))) return true
    }
    if (cancelling.signal.aborted) record.end('cancelled', 'CANCELLED')
    else if (offline.allowed) return true
    else record.end('needsNetwork', able.length === 0 ? 'NO_ACQUIRER' : 'REVERSAL_FIRST')
    return false
  }

  async function readCard(): Promise<StartOutcome | undefined> {
    const { sequence, createdAtMs, locale } = created
    try {
      const prompting = listening(prompts, deps.texts.languages, record)
      const history = cardHistory(deps, created)
      card =
        created.manual === true
          ? deps.typedCards!(prompting, history, { cvv2: candidates()[0]?.capabilities.manualCvv2 === true })
          : deps.cards(prompting, history)
      const outcome = await card.start(
        {
          ...cardRequestOf(created),
          amount: amountOf(created),
          sequence,
          at: new Date(createdAtMs),
          locale: locale.slice(0, 2),
        },
        cancelling.signal,
      )
      if (!cancelling.signal.aborted) return outcome
      if ('authorisation' in outcome) forget(outcome.authorisation)
      record.end('cancelled', 'CANCELLED')
    } catch (error) {
      if (isPosternError(error, 'JOURNAL_FAILED')) throw error
      if (cancelling.signal.aborted) record.end('cancelled', 'CANCELLED')
      else record.end('cardUnusable', cardFault(error))
    } finally {
      cancellable = false
    }
    return undefined
  }

  async function takeFromCard(): Promise<void> {
    const outcome = await readCard()
    if (outcome !== undefined && 'authorisation' in outcome) {
      const { authorisation } = outcome
      if (await isUnwantedDuplicate(deps, created, authorisation.cardToken)) {
        forget(authorisation)
        record.end('cancelled', 'DUPLICATE', { card: authorisation.facts })
        if (outcome.kind === 'approvedOffline') return
        const letGo = card!.hostAnswer(
          { kind: 'unableToGoOnline', decline: true },
          new AbortController().signal,
        )
        return void (await letGo.catch(cardFault))
      }
    }
    switch (outcome?.kind) {
      case undefined:
        return
      case 'ended': {
        const { outcome: ended, code } = ENDED[outcome.reason]
        return record.end(ended, code, outcome.facts === undefined ? {} : { card: outcome.facts })
      }
      case 'declinedOffline': {
        const { facts, de55, adviceRequired } = outcome
        const change = { card: facts, code: 'CARD_AAC', de55: toHex(de55) }
        return adviceRequired && wantsDeclines(deps, created)
          ? record.declineAdvised(['cardDeclined'], 'Z1', change)
          : record.advance('cardDeclined', change, true)
      }
      case 'approvedOffline': {
        const { authorisation, signatureRequired } = outcome
        const approving = approveWithoutHost(deps, record, authorisation, '', undefined, signatureRequired)
        return approving.finally(() => forget(authorisation))
      }
      case 'online':
      case 'stripe':
      case 'typed':
        return authorise(deps, lane, reversals, record, card!, outcome.authorisation)
    }
  }

  async function run(): Promise<PaymentRecord> {
    try {
      if (await roadIsClear()) await takeFromCard()
    } catch (error) {
      record.endAfterFault(error)
    } finally {
      cancellable = false
      await card?.finish({ approved: APPROVED.includes(record.current.state) }).catch(cardFault)
    }
    if (APPROVED.includes(record.current.state)) {
      const signature = await captureSignature(deps, record.current)
      record.advance('completed', signature === undefined ? {} : { signature }, true)
    }
    return record.current
  }

  return {
    done: run(),
    cancel() {
      if (cancellable) cancelling.abort()
      return cancellable
    },
    get owed() {
      return OWED_STATES.includes(record.current.state)
    },
  }
}
