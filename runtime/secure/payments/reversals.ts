// Reversals that are owed: sent before the next message of their acquirer, and until the host acknowledges.
import { PosternError } from '../../../hal/base/errors.js'
import { formatMoney, money } from '../../../hal/base/money.js'
import type { Acquirer, MoneyKind, OriginalFacts, ReversalAnswer } from './acquirer-port.js'
import type { JournalStep } from './journal.js'
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord, Reversal, ReversalCause } from './payment-record.js'
import { next, OWED_STATES, type PaymentInput } from './payment-states.js'
import { amountOf, outcomeOf } from './payment-view.js'

/** Failures in a row after which an operator is told. The reversal is tried on all the same. */
const STUCK_AFTER = 6
/** Wait after the first failure; doubled by each further one, up to the longest. */
const FIRST_WAIT_MS = 5_000
const LONGEST_WAIT_MS = 5 * 60_000

const CODES: Readonly<Record<ReversalCause, string>> = {
  timeout: 'TIMEOUT',
  badMac: 'BAD_MAC',
  unreadable: 'UNREADABLE',
  lineLost: 'LINE_LOST',
  cardDeclined: 'CARD_AAC',
  cardRemoved: 'CARD_REMOVED',
  cardFailed: 'CARD_ERROR',
  restart: 'RESTART',
  void: 'VOID',
  partialRefused: 'PARTIAL_REFUSED',
}

/** How the host was told of a payment. */
const kindOf = ({ type = 'sale', advice }: PaymentRecord): MoneyKind =>
  type === 'sale' && advice !== undefined ? 'offlineSale' : type

/** What a message about a payment repeats of it. @throws PosternError `STATE_INVALID` before it was prepared */
export function originalFacts(record: PaymentRecord): OriginalFacts {
  const { stan, preparedAtMs, receiptNumber, card, response } = record
  if (stan === undefined || preparedAtMs === undefined)
    throw new PosternError('STATE_INVALID', 'the payment was never prepared', { state: record.state })
  const { cashbackMinor, tipMinor } = record
  return {
    kind: kindOf(record),
    terminalId: record.terminalId,
    merchantId: record.merchantId,
    stan,
    preparedAtMs,
    receiptNumber,
    utcOffsetMin: record.utcOffsetMin,
    amount: money(BigInt(record.minor), record.currency),
    ...(cashbackMinor === undefined ? {} : { cashbackMinor: BigInt(cashbackMinor) }),
    ...(tipMinor === undefined ? {} : { tipMinor: BigInt(tipMinor) }),
    batch: record.batch,
    panSequence: card?.panSequence,
    entryMode: record.fallback === undefined ? (card?.entryMode ?? 'chip') : 'fallback',
    authorisationCode: response?.authorisationCode,
    retrievalReference: response?.retrievalReference,
    ...(record.sentOver === undefined ? {} : { sentOver: record.sentOver }),
  }
}

/** The record once it owes a reversal: the reversal's own number is taken in the same step. */
export function owing(
  record: PaymentRecord,
  input: PaymentInput,
  cause: ReversalCause,
  step: JournalStep,
  nowMs: number,
): PaymentRecord {
  const reversal: Reversal = { cause, stan: step.reserve('stan'), atMs: nowMs, attempts: 0, failures: 0 }
  const code = cause === 'void' ? {} : { code: CODES[cause] }
  return { ...record, ...code, state: next(record.state, input), reversal }
}

export interface Reversals {
  /**
   * Clears the way to an acquirer: tries each reversal that is owed to it under its terminal id once, in order, up to the
   * first failure; true when none is left. Call it in the lane.
   */
  clear(acquirer: Acquirer, signal: AbortSignal): Promise<boolean>
  /** True while something is owed to that acquirer under its terminal id. */
  owes(acquirer: Acquirer): boolean
  /** Tries whatever is due, of every acquirer: neither a road that is shut nor a refusal keeps back the others. */
  flushDue(signal: AbortSignal): Promise<void>
  /** Milliseconds until something owed is due, or undefined where nothing is owed. */
  dueInMs(): number | undefined
  /** What made tries fail may have gone: the next is due now. */
  hurry(): void
}

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'acquirers' | 'clock' | 'log' | 'texts' | 'onNotice' | 'onChanged'
>

export function createReversals(deps: Needs): Reversals {
  const { journal, clock, log } = deps
  /** When each was tried last, by key. */
  const tried = new Map<string, number>()
  const owed = () => journal.openPayments().filter(({ state }) => OWED_STATES.includes(state))
  const owedTo = ({ id, terminalId }: Acquirer) =>
    owed().filter((record) => record.acquirer === id && record.terminalId === terminalId)

  function dueOf({ key, reversal }: PaymentRecord): number {
    const failures = reversal?.failures ?? 0
    const last = tried.get(key)
    if (failures === 0 || last === undefined) return 0
    return Math.max(
      0,
      last + Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) - clock.monotonicMs(),
    )
  }

  function failed(key: string, why: string): void {
    const record = journal.payment(key)!
    const reversal = record.reversal!
    const failures = reversal.failures + 1
    const stuck = failures >= STUCK_AFTER && record.state === 'REVERSAL_PENDING'
    journal.commit('reversal.failed', (step) => {
      step.putPayment({
        ...record,
        state: stuck ? next(record.state, 'reversalFailing') : record.state,
        reversal: { ...reversal, failures, lastFailure: why },
      })
      if (stuck) step.queueChange(record.key, record.app)
    })
    log.warn('reversal.failed', { payment: key, failures, why })
    if (stuck) {
      deps.onChanged()
      deps.onNotice(
        deps.texts.text(record.locale, 'reversal.stuck', {
          reference: record.reference,
          amount: formatMoney(amountOf(record)),
        }),
      )
    }
  }

  function acknowledged(key: string, responseCode: string): void {
    const before = journal.payment(key)!
    const record: PaymentRecord = {
      ...before,
      state: next(before.state, 'reversalAcknowledged'),
      reversal: { ...before.reversal!, acknowledgedAtMs: clock.nowMs(), responseCode },
    }
    const changed = outcomeOf(record) !== outcomeOf(before)
    tried.delete(key)
    journal.commit('reversal.acknowledged', (step) => {
      step.putPayment(record)
      if (changed) step.queueChange(record.key, record.app)
    })
    log.info('reversal.acknowledged', { payment: key, responseCode, cause: record.reversal!.cause })
    if (changed) deps.onChanged()
  }

  async function attempt(record: PaymentRecord, signal: AbortSignal): Promise<ReversalAnswer['kind']> {
    const { key, reversal } = record
    tried.set(key, clock.monotonicMs())
    const acquirer = deps.acquirers.byId(record.acquirer)
    if (acquirer === undefined) {
      failed(key, 'ACQUIRER_GONE')
      return 'notSent'
    }
    const answer = await acquirer.reverse(
      {
        original: originalFacts(record),
        stan: reversal!.stan,
        atMs: reversal!.atMs,
        cause: reversal!.cause,
        repeat: reversal!.attempts > 0,
      },
      () =>
        journal.commit('reversal.send', (step) =>
          step.putPayment({
            ...journal.payment(key)!,
            reversal: { ...reversal!, attempts: reversal!.attempts + 1 },
          }),
        ),
      signal,
    )
    if (answer.kind === 'acknowledged') acknowledged(key, answer.responseCode)
    else if (!signal.aborted) failed(key, answer.reason)
    return answer.kind
  }

  return {
    owes: (acquirer) => owedTo(acquirer).length > 0,
    async clear(acquirer, signal) {
      for (const record of owedTo(acquirer)) {
        if (signal.aborted || (await attempt(record, signal)) !== 'acknowledged') return false
      }
      return owedTo(acquirer).length === 0
    },
    async flushDue(signal) {
      const shut = new Set<string>()
      for (const record of owed()) {
        if (signal.aborted) return
        if (shut.has(record.acquirer) || dueOf(record) > 0) continue
        if ((await attempt(record, signal)) === 'notSent') shut.add(record.acquirer)
      }
    },
    dueInMs() {
      const all = owed()
      return all.length === 0 ? undefined : Math.min(...all.map(dueOf))
    },
    hurry() {
      tried.clear()
    },
  }
}
