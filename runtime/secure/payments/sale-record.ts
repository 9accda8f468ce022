// The record of the sale under way: each change of it is a durable step, and what is in memory is what is on disk.
import { isPosternError } from '../../../hal/base/errors.js'
import type { JournalStep } from './journal.js'
import type { PaymentDependencies } from './payment-port.js'
import type { EndedOutcome, PaymentRecord, ReversalCause } from './payment-record.js'
import { LIVE_STATES, next, type PaymentInput } from './payment-states.js'
import { owing } from './reversals.js'

type Change = Partial<PaymentRecord>

export interface SaleRecord {
  readonly current: PaymentRecord
  /** Makes a step durable, or several that nothing can come between. `tell`: the outcome is final, and the open world must hear of it. */
  advance(input: PaymentInput | readonly PaymentInput[], change: Change, tell?: boolean): void
  /** Ends before anything was sent. */
  end(ended: EndedOutcome, code: string, change?: Change): void
  /** Owes a reversal from now on. */
  takeBack(input: PaymentInput, cause: ReversalCause, change?: Change): void
  /** PREPARED: with the trace number and all that a reversal needs. */
  prepare(change: Change): void
  /** Approved without the host's yes: an advice is owed from now on, with all that it needs. */
  approveOffline(
    input: 'offlineApproved' | 'voiceApproved',
    responseCode: string,
    change: Change,
    also?: (step: JournalStep) => void,
  ): void
  /** Declined, and the card's issuer wants to hear of it, where the acquirer takes that. `inputs` lead to DECLINED. */
  declineAdvised(inputs: readonly PaymentInput[], responseCode: string, change: Change): void
  /** Kept with the next step; not worth one of its own. */
  remember(change: Pick<PaymentRecord, 'cardLocale'>): void
  /** Ends or takes back what a fault of ours interrupted. @throws the fault itself where the journal failed */
  endAfterFault(error: unknown): void
}

type Needs = Pick<PaymentDependencies, 'journal' | 'clock' | 'log'>

/** `onOwed` is called as soon as the sale has to be taken back. */
export function saleRecord(deps: Needs, created: PaymentRecord, onOwed: () => void): SaleRecord {
  const { journal, clock, log } = deps
  let record = created

  const own: SaleRecord = {
    get current() {
      return record
    },
    advance(input, change, tell = false) {
      const inputs = typeof input === 'string' ? [input] : input
      record = journal.commit(`payment.${inputs.at(-1)}`, (step) => {
        const after = { ...record, ...change, state: inputs.reduce(next, record.state) }
        step.putPayment(after)
        if (tell) step.queueChange(after.key, after.app)
        return after
      })
    },
    end: (ended, code, change = {}) => own.advance('endedBeforeSending', { ended, code, ...change }, true),
    takeBack(input, cause, change = {}) {
      record = journal.commit(`payment.${input}`, (step) => {
        const after = owing({ ...record, ...change }, input, cause, step, clock.nowMs())
        step.putPayment(after)
        step.queueChange(after.key, after.app)
        return after
      })
      onOwed()
    },
    prepare(change) {
      record = journal.commit('payment.prepared', (step) => {
        const stan = step.reserve('stan')
        const state = next(record.state, 'prepared')
        const prepared = { ...record, ...change, state, stan, preparedAtMs: clock.nowMs() }
        step.putPayment(prepared)
        return prepared
      })
    },
    approveOffline(input, responseCode, change, also) {
      record = journal.commit(`payment.${input}`, (step) => {
        const after: PaymentRecord = {
          ...record,
          ...change,
          state: next(record.state, input),
          stan: record.stan ?? step.reserve('stan'),
          preparedAtMs: record.preparedAtMs ?? clock.nowMs(),
          advice: { responseCode, attempts: 0, failures: 0 },
        }
        step.putPayment(after)
        also?.(step)
        return after
      })
    },
    declineAdvised(inputs, responseCode, change) {
      record = journal.commit('payment.declineToAdvise', (step) => {
        const asked = record.stan !== undefined
        const atMs = clock.nowMs()
        const after: PaymentRecord = {
          ...record,
          ...change,
          state: [...inputs, 'declineToAdvise' as const].reduce(next, record.state),
          ...(asked ? {} : { stan: step.reserve('stan'), preparedAtMs: atMs }),
          advice: {
            responseCode,
            attempts: 0,
            failures: 0,
            // The host knows the request by its number; the advice is another message.
            ...(asked ? { own: { stan: step.reserve('stan'), atMs } } : {}),
          },
        }
        step.putPayment(after)
        step.queueChange(after.key, after.app)
        return after
      })
    },
    remember(change) {
      record = { ...record, ...change }
    },
    endAfterFault(error) {
      if (isPosternError(error, 'JOURNAL_FAILED') || !LIVE_STATES.includes(record.state)) throw error
      const code = isPosternError(error) ? error.code : 'FAULT'
      log.error('payment.fault', { payment: record.key, fault: code, state: record.state })
      if (record.state === 'CREATED' || record.state === 'PREPARED') own.end('cardUnusable', code)
      else if (record.state === 'SENT') own.takeBack('answerUnknown', 'unreadable')
      else if (record.state === 'REFERRED') own.advance('voiceRefused', { code }, true)
      else if (record.state === 'APPROVED') own.takeBack('cardNotFinal', 'cardFailed')
    },
  }
  return own
}
