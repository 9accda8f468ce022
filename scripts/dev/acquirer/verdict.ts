// Do the terminal's totals and the ledger agree to the cent? The sentence that ends every scenario.
import { type LedgerTotals, netMinor } from './ledger.js'

export interface Verdict {
  readonly agrees: boolean
  /** A line for each count and sum that differs, and the sum of all; for people. */
  readonly lines: readonly string[]
  readonly terminal: LedgerTotals
  readonly ledger: LedgerTotals
}

const ROWS = [
  ['sales', 'number of sales'],
  ['salesMinor', 'sum of sales'],
  ['voids', 'number of voids'],
  ['voidsMinor', 'sum of voids'],
  ['refunds', 'number of refunds'],
  ['refundsMinor', 'sum of refunds'],
  ['refundVoids', 'number of voided refunds'],
  ['refundVoidsMinor', 'sum of voided refunds'],
] as const

/** Compares field by field; amounts in minor units of one currency. */
export function verdict(terminal: LedgerTotals, ledger: LedgerTotals): Verdict {
  const lines = ROWS.filter(([field]) => String(terminal[field]) !== String(ledger[field])).map(
    ([field, name]) => `${name}: terminal ${terminal[field]}, ledger ${ledger[field]}`,
  )
  const agrees = lines.length === 0
  const refunds = ledger.refunds === 0 ? '' : `, ${ledger.refunds} refunds of ${ledger.refundsMinor}`
  return {
    agrees,
    lines: agrees
      ? [
          `ledger and terminal agree: ${ledger.sales} sales of ${ledger.salesMinor}, ${ledger.voids} voids of ${ledger.voidsMinor}${refunds}, net ${netMinor(ledger)} (minor units)`,
        ]
      : ['ledger and terminal DIFFER', ...lines],
    terminal,
    ledger,
  }
}
