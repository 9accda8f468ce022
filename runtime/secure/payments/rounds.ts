// Rounds: from an operator's sign-in to the hand-in. Opening, closing and comparing totals are journalled steps.
import { randomUUID } from 'node:crypto'
import { PosternError } from '../../../hal/base/errors.js'
import { formatMoney } from '../../../hal/base/money.js'
import type { Operator, RoundClose, RoundTotals } from '../../api/payments.js'
import type { JournalStep } from './journal.js'
import type { Lane } from './lane.js'
import { utcOffsetMin } from './local-time.js'
import type { PaymentDependencies } from './payment-port.js'
import type { RoundRecord } from './payment-record.js'
import { next } from './payment-states.js'
import { amountOf } from './payment-view.js'
import type { Reversals } from './reversals.js'
import { batchTotals, differencesInWords, MAX_UNRESOLVED, roundTotals, unresolvedOf } from './totals.js'

export interface Rounds {
  /** The open round of the terminal, made in this step where there is none. Ends one whose close was cut off. */
  ensureOpen(operator: Operator, step: JournalStep): RoundRecord
  begin(operator: Operator): string | undefined
  totals(): RoundTotals
  close(signal: AbortSignal): Promise<RoundClose>
  /** Compares the totals of rounds that were closed without the acquirer's word; true when none is left. */
  compareOwed(signal: AbortSignal): Promise<boolean>
}

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'acquirer' | 'merchant' | 'session' | 'texts' | 'clock' | 'log' | 'isOnline' | 'onNotice'
>

type Comparison = Pick<RoundClose, 'agreement' | 'differences'>

export function createRounds(deps: Needs, lane: Lane, reversals: Reversals): Rounds {
  const { journal, acquirer, merchant, session, texts, clock, log } = deps
  const current = () => journal.openRounds().find(({ state }) => state !== 'CLOSED')
  const localeHere = () => session.operator?.locale ?? merchant.locale

  function fresh(operator: Operator, step: JournalStep): RoundRecord {
    const now = clock.nowMs()
    const round: RoundRecord = {
      id: randomUUID(),
      state: 'OPEN',
      batch: step.reserve('batch'),
      operator: operator.id,
      operatorName: operator.name,
      currency: merchant.currency,
      openedAtMs: now,
      utcOffsetMin: utcOffsetMin(now),
    }
    step.putRound(round)
    return round
  }

  /** The last write of a round: its standing payments are settled, and the comparison may be owed. */
  function finish(round: RoundRecord, comparison: Comparison, step: JournalStep): RoundRecord {
    const { agreement, differences } = comparison
    const payments = journal.paymentsOfRound(round.id)
    for (const payment of payments) {
      if (payment.state === 'COMPLETED')
        step.putPayment({ ...payment, state: next(payment.state, 'settled') })
    }
    const closed: RoundRecord = {
      ...round,
      state: 'CLOSED',
      agreement,
      differences: [...differences],
      comparisonOwed: agreement === 'notCompared' && payments.some(({ stan }) => stan !== undefined),
      closedAtMs: clock.nowMs(),
    }
    step.putRound(closed)
    return closed
  }

  /** Sends the totals of a batch; the first time fixes them, every further time sends the same. */
  async function compare(id: string, signal: AbortSignal): Promise<Comparison> {
    const notCompared: Comparison = { agreement: 'notCompared', differences: [] }
    if (!deps.isOnline()) return notCompared
    const round = journal.round(id)!
    const totals = round.closing?.totals ?? batchTotals(journal.paymentsOfRound(id))
    const closing = journal.commit('round.compare', (step) => {
      const { stan, atMs, attempts } = round.closing ?? {
        stan: step.reserve('stan'),
        atMs: clock.nowMs(),
        attempts: 0,
      }
      const sending = { stan, atMs, totals, attempts: attempts + 1 }
      step.putRound({ ...round, closing: sending })
      return sending
    })
    const { batch, currency } = round
    const answer = await acquirer.compareTotals(
      { batch, currency, totals, stan: closing.stan, atMs: closing.atMs, utcOffsetMin: round.utcOffsetMin },
      signal,
    )
    switch (answer.kind) {
      case 'agrees':
        return { agreement: 'agrees', differences: [] }
      case 'differs':
        return {
          agreement: 'differs',
          differences: differencesInWords(totals, answer.host, currency, texts, localeHere()),
        }
      case 'notSent':
      case 'failed':
        log.warn('round.notCompared', { round: id, reason: answer.reason })
        return notCompared
    }
  }

  function unresolvedInWords(round: RoundRecord): string[] {
    const unresolved = unresolvedOf(journal.paymentsOfRound(round.id)).slice(0, MAX_UNRESOLVED)
    return unresolved.map((payment) =>
      texts.text(localeHere(), 'round.unresolved', {
        reference: payment.reference,
        amount: formatMoney(amountOf(payment), true),
      }),
    )
  }

  function closeOf(round: RoundRecord): RoundClose {
    return {
      totals: roundTotals(round, journal.paymentsOfRound(round.id)),
      agreement: round.agreement ?? 'notCompared',
      differences: [...(round.differences ?? []), ...unresolvedInWords(round)],
    }
  }

  return {
    ensureOpen(operator, step) {
      const round = current()
      if (round?.state === 'OPEN') return round
      if (round !== undefined) finish(round, { agreement: 'notCompared', differences: [] }, step)
      return fresh(operator, step)
    },

    begin(operator) {
      const round = current()
      if (round === undefined) {
        journal.commit('round.open', (step) => fresh(operator, step))
        return undefined
      }
      if (round.operator === operator.id || operator.role === 'supervisor') return undefined
      if (journal.paymentsOfRound(round.id).some(({ state }) => state !== 'CANCELLED'))
        return texts.text(operator.locale, 'session.otherRound', { name: round.operatorName })
      journal.commit('round.open', (step) => {
        finish(round, { agreement: 'notCompared', differences: [] }, step)
        return fresh(operator, step)
      })
      return undefined
    },

    totals() {
      const round = current()
      if (round !== undefined) return roundTotals(round, journal.paymentsOfRound(round.id))
      const now = clock.nowMs()
      return {
        round: '-',
        operator: session.operator?.id ?? '-',
        openedAt: new Date(now).toISOString(),
        tenders: [{ tender: 'card', currency: merchant.currency, ...batchTotals([]) }],
        unresolved: [],
        payments: [],
      }
    },

    async close(signal) {
      const round = current()
      if (round === undefined) {
        // Asked again because the answer was lost: the same answer.
        const last = journal.lastRound()
        if (last === undefined) throw new PosternError('NO_ROUND', 'there is no round to close')
        return closeOf(last)
      }
      journal.commit('round.closing', (step) => step.putRound({ ...round, state: 'CLOSING' }))
      const comparison = await lane.run(async (): Promise<Comparison> => {
        const clear = deps.isOnline() && (await reversals.flush(signal))
        return clear ? compare(round.id, signal) : { agreement: 'notCompared', differences: [] }
      })
      const closed = journal.commit('round.closed', (step) =>
        finish(journal.round(round.id)!, comparison, step),
      )
      log.info('round.closed', { round: closed.id, batch: closed.batch, agreement: comparison.agreement })
      return closeOf(closed)
    },

    async compareOwed(signal) {
      for (const round of journal.openRounds().filter(({ state }) => state === 'CLOSED')) {
        const comparison = await compare(round.id, signal)
        if (comparison.agreement === 'notCompared') return false
        journal.commit('round.compared', (step) =>
          step.putRound({
            ...journal.round(round.id)!,
            agreement: comparison.agreement,
            differences: [...comparison.differences],
            comparisonOwed: false,
          }),
        )
        log.info('round.compared', { round: round.id, agreement: comparison.agreement })
        if (comparison.agreement === 'differs')
          deps.onNotice(
            texts.text(merchant.locale, 'round.differsLater', {
              name: round.operatorName,
              differences: comparison.differences.join(' '),
            }),
          )
      }
      return true
    },
  }
}
