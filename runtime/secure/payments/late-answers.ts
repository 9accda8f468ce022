// Answers that came when nothing waited for them: recorded with the payment whose trace number they carry, and no more.
import type { Log } from '../../../hal/base/log.js'
import type { Stray } from './acquirer-client.js'
import type { Journal } from './journal.js'

/** Payments looked at, the newest first. */
const LOOK_BACK = 50

/** A late approval is recorded and changes nothing: what the journal decided stands. */
export function recordStray(journal: Journal, log: Log, { acquirer, mti, stan }: Stray): void {
  const record = journal
    .list(LOOK_BACK)
    .find(
      (payment) =>
        payment.acquirer === acquirer && (payment.stan === stan || payment.reversal?.stan === stan),
    )
  if (record === undefined) {
    log.warn('answer.unknown', { acquirer, mti, stan })
    return
  }
  journal.commit('answer.late', (step) =>
    step.putPayment({ ...record, lateAnswers: (record.lateAnswers ?? 0) + 1 }),
  )
}
