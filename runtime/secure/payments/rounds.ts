// Rounds: from an operator's sign-in to the hand-in. Opening, closing and comparing totals are journalled steps.
import { randomUUID } from 'node:crypto'
import { PosternError } from '../../../hal/base/errors.js'
import { formatMoney } from '../../../hal/base/money.js'
import type { Operator, RoundClose, RoundTotals } from '../../api/payments.js'
import type { Advices } from './advices.js'
import { type Comparison, createBatchClose } from './batch-close.js'
import type { JournalStep } from './journal.js'
import type { Lane } from './lane.js'
import { utcOffsetMin } from './local-time.js'
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord, RoundRecord } from './payment-record.js'
import { next } from './payment-states.js'
import { amountOf } from './payment-view.js'
import type { Reversals } from './reversals.js'
import { batchTotals, MAX_UNRESOLVED, roundTotals, unresolvedOf } from './totals.js'

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
  'journal' | 'acquirers' | 'merchant' | 'session' | 'texts' | 'clock' | 'log' | 'isOnline' | 'onNotice'
>

export function createRounds(deps: Needs, lane: Lane, reversals: Reversals, advices: Advices): Rounds {
  const { journal, acquirers, merchant, session, texts, clock, log } = deps
  const batches = createBatchClose(deps, reversals, advices)
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

  /** A pre-authorisation is no money yet: it waits for its completion, over any number of rounds. */
  function settle(payments: readonly PaymentRecord[], step: JournalStep): void {
    for (const payment of payments) {
      const held = payment.type === 'preauth' || payment.type === 'increment'
      if ((payment.state === 'COMPLETED' && !held) || payment.state === 'ADVISED')
        step.putPayment({ ...payment, state: next(payment.state, 'settled') })
    }
  }

  /** The last write of a round: its standing payments are settled, and the comparison may be owed. */
  function finish(round: RoundRecord, comparison: Comparison, step: JournalStep): RoundRecord {
    const { agreement, differences } = comparison
    const payments = journal.paymentsOfRound(round.id)
    settle(payments, step)
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

  /** With every acquirer that has a part in the batch; one that does not answer keeps none of the others back. */
  async function compare(id: string, signal: AbortSignal): Promise<Comparison> {
    if (!deps.isOnline()) return { agreement: 'notCompared', differences: [] }
    const asked = journal.paymentsOfRound(id).filter(({ stan }) => stan !== undefined)
    const ids = [...new Set(asked.map(({ acquirer }) => acquirer))]
    if (ids.length === 0 && acquirers.all[0] !== undefined) ids.push(acquirers.all[0].id)
    const parts: Comparison[] = []
    for (const one of ids)
      parts.push(await batches.compare(id, one, ids.length > 1 ? `${one}: ` : '', signal))
    const agreement = (['notCompared', 'differs'] as const).find((worst) =>
      parts.some((part) => part.agreement === worst),
    )
    return {
      agreement: agreement ?? 'agrees',
      differences: parts.flatMap(({ differences }) => differences),
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
        for (const one of deps.isOnline() ? acquirers.all : [])
          if (await reversals.clear(one, signal)) await advices.clear(one, signal)
        return compare(round.id, signal)
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
        journal.commit('round.compared', (step) => {
          settle(journal.paymentsOfRound(round.id), step)
          step.putRound({
            ...journal.round(round.id)!,
            agreement: comparison.agreement,
            differences: [...comparison.differences],
            comparisonOwed: false,
          })
        })
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
