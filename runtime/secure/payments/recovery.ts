// The power-cut table: what the terminal makes of each payment that it finds unfinished when it starts.
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { isKnownState, next } from './payment-states.js'
import { owing } from './reversals.js'

type Needs = Pick<PaymentDependencies, 'journal' | 'clock' | 'log'>

/**
 * One durable step: before PREPARED nothing happened; PREPARED to APPROVED is reversed, though the host may have
 * approved; CARD_FINAL is completed and its receipt can be printed again; what was approved offline is advised; a
 * reversal stays owed and is sent as a repeat; a referral that nobody settled was a refusal. A state that only a newer
 * release knows is left as it is. Doing it again changes nothing. Returns how many payments it moved.
 */
export function recoverPayments({ journal, clock, log }: Needs): number {
  const unfinished = journal
    .openPayments()
    .filter(({ state }) => isKnownState(state) && next(state, 'restart') !== state)
  if (unfinished.length === 0) return 0
  journal.commit('recover', (step) => {
    for (const record of unfinished) {
      const state = next(record.state, 'restart')
      let after: PaymentRecord = { ...record, state }
      if (state === 'REVERSAL_PENDING') after = owing(record, 'restart', 'restart', step, clock.nowMs())
      else if (record.state === 'REFERRED') after = { ...after, code: `RESPONSE_${record.response?.code}` }
      else if (state === 'CANCELLED') after = { ...after, ended: 'cancelled', code: 'RESTART' }
      step.putPayment(after)
      step.queueChange(record.key, record.app)
      log.warn('payment.recovered', { payment: record.key, from: record.state, to: after.state })
    }
  })
  return unfinished.length
}
