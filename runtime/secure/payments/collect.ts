// One sale, step by step: each durable before what it names is done.
import { erase, toHex } from '../../../hal/base/bytes.js'
import { isPosternError } from '../../../hal/base/errors.js'
import type {
  CardAuthorisation,
  CardEndReason,
  CardPrompts,
  CardTransaction,
  FinalOutcome,
  StartOutcome,
} from '../card-transaction.js'
import type { SaleAnswer } from './acquirer-port.js'
import type { Lane } from './lane.js'
import type { PaymentDependencies } from './payment-port.js'
import type { EndedOutcome, PaymentRecord, ReversalCause } from './payment-record.js'
import { LIVE_STATES, next, OWED_STATES, type PaymentInput } from './payment-states.js'
import { amountOf } from './payment-view.js'
import { originalFacts, owing, type Reversals } from './reversals.js'

/** How a card's end before its first cryptogram is told. */
const ENDED: Readonly<Record<CardEndReason, { outcome: EndedOutcome; code: string }>> = {
  cancelled: { outcome: 'cancelled', code: 'CANCELLED' },
  timeout: { outcome: 'cancelled', code: 'NO_CARD' },
  removed: { outcome: 'cardRemoved', code: 'CARD_REMOVED' },
  mute: { outcome: 'cardUnusable', code: 'CARD_MUTE' },
  notAccepted: { outcome: 'cardUnusable', code: 'CARD_NOT_ACCEPTED' },
  blocked: { outcome: 'cardUnusable', code: 'CARD_BLOCKED' },
  cardError: { outcome: 'cardUnusable', code: 'CARD_ERROR' },
}

/** A signal that never fires: once the card was read, nothing but its own time-outs ends a payment. */
const unending = () => new AbortController().signal

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'acquirer' | 'cards' | 'texts' | 'clock' | 'log' | 'isOnline'
>

/** A sale under way. */
export interface Sale {
  /** Resolves with the record in a state that is final or owes a reversal. @throws PosternError `JOURNAL_FAILED` */
  readonly done: Promise<PaymentRecord>
  /** True if the payment will end as cancelled: its card has not been read. */
  cancel(): boolean
  /** A reversal is owed: nothing more is asked of the host for this sale, though the card may still be in. */
  readonly owed: boolean
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
  const { journal, acquirer, clock, log } = deps
  const cancelling = new AbortController()
  let cancellable = true
  let record = created
  let card: CardTransaction | undefined

  /** Makes a step durable. `tell`: the outcome is final or changed, and the open world must hear of it. */
  function advance(input: PaymentInput, change: Partial<PaymentRecord>, tell = false): void {
    record = journal.commit(`payment.${input}`, (step) => {
      const after = { ...record, ...change, state: next(record.state, input) }
      step.putPayment(after)
      if (tell) step.queueChange(after.key, after.app)
      return after
    })
  }
  const end = (ended: EndedOutcome, code: string, change: Partial<PaymentRecord> = {}) =>
    advance('endedBeforeSending', { ended, code, ...change }, true)
  function takeBack(input: PaymentInput, cause: ReversalCause, change: Partial<PaymentRecord> = {}): void {
    record = journal.commit(`payment.${input}`, (step) => {
      const after = owing({ ...record, ...change }, input, cause, step, clock.nowMs())
      step.putPayment(after)
      step.queueChange(after.key, after.app)
      return after
    })
    onOwed()
  }

  const listening: CardPrompts = {
    presentCard: (amount, signal) => prompts.presentCard(amount, signal),
    cardUnreadable: (signal) => prompts.cardUnreadable(signal),
    chooseApplication: (labels, signal) => prompts.chooseApplication(labels, signal),
    confirmApplication: (label, signal) => prompts.confirmApplication(label, signal),
    enterPin: (prompt, signal) => prompts.enterPin(prompt, signal),
    preferLanguages(languages) {
      const cardLocale = languages.find((language) => deps.texts.languages.includes(language))
      if (cardLocale !== undefined) record = { ...record, cardLocale }
      prompts.preferLanguages(languages)
    },
    busy: (what) => prompts.busy(what),
    removeCard: (amount, approved) => prompts.removeCard(amount, approved),
  }

  /** No network, or an earlier payment that must be taken back first: found before the card is asked for. */
  async function roadIsClear(): Promise<boolean> {
    if (!deps.isOnline()) {
      end('needsNetwork', 'NO_NETWORK')
      return false
    }
    if (await lane.run(() => reversals.flush(cancelling.signal))) return true
    if (cancelling.signal.aborted) end('cancelled', 'CANCELLED')
    else end('needsNetwork', 'REVERSAL_FIRST')
    return false
  }

  async function readCard(): Promise<StartOutcome | undefined> {
    try {
      card = deps.cards(listening)
      const outcome = await card.start(
        {
          type: 'sale',
          amount: amountOf(record),
          sequence: record.sequence,
          at: new Date(record.createdAtMs),
          locale: record.locale.slice(0, 2),
        },
        cancelling.signal,
      )
      if (!cancelling.signal.aborted) return outcome
      if (outcome.kind === 'online' || outcome.kind === 'approvedOffline') forget(outcome.authorisation)
      end('cancelled', 'CANCELLED')
    } catch (error) {
      if (isPosternError(error, 'JOURNAL_FAILED')) throw error
      if (cancelling.signal.aborted) end('cancelled', 'CANCELLED')
      else end('cardUnusable', cardFault(error))
    } finally {
      cancellable = false
    }
    return undefined
  }

  /** Logs what went wrong with card or reader; the code for it. */
  function cardFault(error: unknown): string {
    const code = isPosternError(error) ? error.code : 'FAULT'
    log.error('payment.cardFault', { key: record.key, code })
    return code
  }

  function forget({ cardData, pinBlock }: CardAuthorisation): void {
    erase(cardData.bytes, pinBlock?.bytes)
  }

  /** Tells the card that the host was not reached, so that it can end in good order; what it says changes nothing. */
  async function endCardWithoutHost(transaction: CardTransaction): Promise<void> {
    await transaction.hostAnswer({ kind: 'unableToGoOnline' }, unending()).catch(cardFault)
  }

  async function authorise(transaction: CardTransaction, authorisation: CardAuthorisation): Promise<void> {
    const answer = await askHost(authorisation).finally(() => forget(authorisation))
    switch (answer.kind) {
      case 'notSent':
        end('needsNetwork', answer.reason)
        return endCardWithoutHost(transaction)
      case 'unknown':
        takeBack('answerUnknown', answer.cause)
        return endCardWithoutHost(transaction)
      case 'answered':
        return answer.approved ? finishApproved(transaction, answer) : finishDeclined(transaction, answer)
    }
  }

  /** Asks, and holds the answer against what the journal knows: once SENT, "not sent" is no longer possible. */
  async function askHost(authorisation: CardAuthorisation): Promise<SaleAnswer> {
    if (!deps.isOnline()) return { kind: 'notSent', reason: 'NO_NETWORK' }
    let answer: SaleAnswer
    try {
      answer = await sendSale(authorisation)
    } catch (error) {
      if (isPosternError(error, 'JOURNAL_FAILED')) throw error
      const code = isPosternError(error) ? error.code : 'FAULT'
      log.error('payment.hostFault', { key: record.key, code })
      answer = { kind: 'notSent', reason: code }
    }
    return answer.kind === 'notSent' && record.state === 'SENT'
      ? { kind: 'unknown', cause: 'lineLost' }
      : answer
  }

  function sendSale({ facts, de55, cardData, pinBlock, cardToken }: CardAuthorisation): Promise<SaleAnswer> {
    return lane.run(async () => {
      // One live payment at a time leaves nothing new to reverse here, unless the background work was cut short.
      if (!(await reversals.flush(unending()))) return { kind: 'notSent', reason: 'REVERSAL_FIRST' }
      record = journal.commit('payment.prepared', (step) => {
        const prepared: PaymentRecord = {
          ...record,
          state: next(record.state, 'prepared'),
          stan: step.reserve('stan'),
          preparedAtMs: clock.nowMs(),
          card: facts,
          cardToken,
          de55: toHex(de55),
        }
        step.putPayment(prepared)
        return prepared
      })
      return acquirer.sale(
        { facts: originalFacts(record), de55, cardData, pinBlock },
        () => advance('sending', {}),
        unending(),
      )
    })
  }

  type Answered = Extract<SaleAnswer, { kind: 'answered' }>
  const responseOf = ({ responseCode, authorisationCode, retrievalReference }: Answered) => ({
    code: responseCode,
    ...(authorisationCode === undefined ? {} : { authorisationCode }),
    ...(retrievalReference === undefined ? {} : { retrievalReference }),
  })
  const toCard = (transaction: CardTransaction, answer: Answered) =>
    transaction.hostAnswer(
      {
        kind: 'answered',
        responseCode: answer.responseCode,
        approved: answer.approved,
        issuerAuthenticationData: answer.issuerAuthenticationData,
        scripts: answer.scripts,
      },
      unending(),
    )

  async function finishDeclined(transaction: CardTransaction, answer: Answered): Promise<void> {
    advance('hostDeclined', { response: responseOf(answer), code: `RESPONSE_${answer.responseCode}` }, true)
    await toCard(transaction, answer).catch(cardFault)
  }

  async function finishApproved(transaction: CardTransaction, answer: Answered): Promise<void> {
    advance('hostApproved', { response: responseOf(answer) })
    let final: FinalOutcome
    try {
      final = await toCard(transaction, answer)
    } catch (error) {
      cardFault(error)
      return takeBack('cardNotFinal', 'cardFailed')
    }
    const card = final.facts
    switch (final.kind) {
      case 'approved':
        return advance('cardApproved', {
          card,
          signatureRequired: final.signatureRequired,
          de55: toHex(final.de55),
        })
      case 'declined':
        return takeBack('cardNotFinal', 'cardDeclined', { card })
      case 'ended':
        return takeBack('cardNotFinal', final.reason === 'removed' ? 'cardRemoved' : 'cardFailed', { card })
    }
  }

  async function takeFromCard(): Promise<void> {
    const outcome = await readCard()
    switch (outcome?.kind) {
      case undefined:
        return
      case 'ended': {
        const { outcome: ended, code } = ENDED[outcome.reason]
        return end(ended, code, outcome.facts === undefined ? {} : { card: outcome.facts })
      }
      case 'declinedOffline':
        return advance(
          'cardDeclined',
          { card: outcome.facts, code: 'CARD_AAC', de55: toHex(outcome.de55) },
          true,
        )
      case 'approvedOffline':
        // NOTE: a payment stands only with a host's answer here (floor limit zero); the card's own approval is let lapse.
        forget(outcome.authorisation)
        return advance(
          'cardDeclined',
          { card: outcome.authorisation.facts, code: 'OFFLINE_NOT_ALLOWED' },
          true,
        )
      case 'online':
        return authorise(card!, outcome.authorisation)
    }
  }

  /** A fault of ours must not leave a payment live: before the first byte it ends, after it is taken back. */
  function endAfterFault(error: unknown): void {
    if (isPosternError(error, 'JOURNAL_FAILED') || !LIVE_STATES.includes(record.state)) throw error
    const code = isPosternError(error) ? error.code : 'FAULT'
    log.error('payment.fault', { key: record.key, code, state: record.state })
    if (record.state === 'CREATED' || record.state === 'PREPARED') end('cardUnusable', code)
    else if (record.state === 'SENT') takeBack('answerUnknown', 'unreadable')
    else if (record.state === 'APPROVED') takeBack('cardNotFinal', 'cardFailed')
  }

  async function run(): Promise<PaymentRecord> {
    try {
      if (await roadIsClear()) await takeFromCard()
    } catch (error) {
      endAfterFault(error)
    } finally {
      cancellable = false
      await card?.finish({ approved: record.state === 'CARD_FINAL' }).catch(cardFault)
    }
    if (record.state === 'CARD_FINAL') advance('completed', {}, true)
    return record
  }

  return {
    done: run(),
    cancel() {
      if (cancellable) cancelling.abort()
      return cancellable
    },
    get owed() {
      return OWED_STATES.includes(record.state)
    },
  }
}
