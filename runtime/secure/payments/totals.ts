// Totals of a round, always counted from the journal's own records, and differences from the acquirer's in words.
import { formatMoney, money, moneyToJson } from '../../../hal/base/money.js'
import type { RoundTotals } from '../../api/payments.js'
import type { Texts } from '../texts.js'
import type { BatchTotals, PaymentRecord, RoundRecord } from './payment-record.js'
import { BOOKED_STATES, UNRESOLVED_STATES } from './payment-states.js'
import { amountOf, localIso, outcomeOf } from './payment-view.js'

/** So that a whole answer, references in any script included, fits a line of the bridge (64 KiB). */
const MAX_PAYMENTS = 150
export const MAX_UNRESOLVED = 40

/**
 * Counts a batch. A sale that was voided counts as a sale and as a void; one that was reversed for any other
 * cause never happened; a void that is still owed counts as a sale only. What is only reserved is no money yet.
 */
export function batchTotals(payments: readonly PaymentRecord[]): BatchTotals {
  let sales = 0
  let salesMinor = 0n
  let voids = 0
  let voidsMinor = 0n
  let refunds = 0
  let refundsMinor = 0n
  for (const record of payments) {
    const { state, reversal, type = 'sale' } = record
    const { minor } = amountOf(record)
    if (type === 'refund' && BOOKED_STATES.includes(state)) {
      refunds++
      refundsMinor += minor
    }
    if (type !== 'sale' && type !== 'completion') continue
    const voided = reversal?.cause === 'void'
    if (BOOKED_STATES.includes(state) || voided) {
      sales++
      salesMinor += minor
    }
    if (voided && state === 'REVERSED') {
      voids++
      voidsMinor += minor
    }
  }
  const credits = refunds === 0 ? {} : { refunds, refundsMinor: refundsMinor.toString() }
  return {
    sales,
    salesMinor: salesMinor.toString(),
    voids,
    voidsMinor: voidsMinor.toString(),
    ...credits,
  }
}

/** Payments that are not final: live, owing a reversal or an advice, or waiting for a person. */
export const unresolvedOf = (payments: readonly PaymentRecord[]) =>
  payments.filter(({ state }) => UNRESOLVED_STATES.includes(state))

/** The totals of a round as the operator sees them. */
export function roundTotals(round: RoundRecord, payments: readonly PaymentRecord[]): RoundTotals {
  return {
    round: round.id,
    operator: round.operator,
    openedAt: localIso(round.openedAtMs, round.utcOffsetMin),
    tenders: [{ tender: 'card', currency: round.currency, ...batchTotals(payments) }],
    unresolved: unresolvedOf(payments)
      .slice(0, MAX_UNRESOLVED)
      .map((record) => ({
        key: record.key,
        reference: record.reference,
        amount: moneyToJson(amountOf(record)),
        state: record.state,
      })),
    payments: payments
      .filter(({ state }) => state !== 'CANCELLED')
      .slice(-MAX_PAYMENTS)
      .map((record) => ({
        key: record.key,
        reference: record.reference,
        amount: moneyToJson(amountOf(record)),
        outcome: outcomeOf(record),
      })),
  }
}

/** What the two sides count differently, a sentence each. */
export function differencesInWords(
  ours: BatchTotals,
  host: BatchTotals | undefined,
  currency: string,
  texts: Texts,
  locale: string,
): string[] {
  if (host === undefined) return [texts.text(locale, 'round.differs')]
  const amount = (minor: string) => formatMoney(money(BigInt(minor), currency), true)
  const words: string[] = []
  for (const kind of ['sales', 'voids', 'refunds'] as const) {
    const of = (totals: BatchTotals) => ({ count: totals[kind] ?? 0, minor: totals[`${kind}Minor`] ?? '0' })
    const [own, other] = [of(ours), of(host)]
    if (own.count === other.count && own.minor === other.minor) continue
    words.push(
      texts.text(locale, `round.differs.${kind}`, {
        ours: own.count,
        oursAmount: amount(own.minor),
        theirs: other.count,
        theirsAmount: amount(other.minor),
      }),
    )
  }
  return words.length > 0 ? words : [texts.text(locale, 'round.differs')]
}
