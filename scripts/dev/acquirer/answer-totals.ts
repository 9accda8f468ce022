// Totals and uploads at the development acquirer: the terminal's batch against the ledger's, and what brings them together.
import type { HostMessage } from '../../../runtime/secure/payments/iso8583/host-message.js'
import { type LedgerTotals, netMinor } from './ledger.js'
import {
  type AcquirerOptions,
  approvalCode,
  bookingOf,
  ECHOED,
  echo,
  kindOf,
  need,
  originalOf,
  type Reply,
} from './reply.js'
import { findRule } from './rules.js'
import { verdict } from './verdict.js'

const COUNTS = ['sales', 'voids', 'refunds', 'refundVoids'] as const

function claimedBy({ elements }: HostMessage): LedgerTotals {
  const count = (name: (typeof COUNTS)[number]) => Number(elements[name] ?? '0')
  return {
    sales: count('sales'),
    salesMinor: elements.salesMinor ?? '0',
    voids: count('voids'),
    voidsMinor: elements.voidsMinor ?? '0',
    refunds: count('refunds'),
    refundsMinor: elements.refundsMinor ?? '0',
    refundVoids: count('refundVoids'),
    refundVoidsMinor: elements.refundVoidsMinor ?? '0',
  }
}

/** Answers 0500, 0520 and their repeats: 00, or 95 with the ledger's own totals, which asks for the batch. */
export function createTotalsAnswer({ ledger, rules, log }: AcquirerOptions): (message: HostMessage) => Reply {
  return (message) => {
    const claimed = claimedBy(message)
    const batch = need(message, 'batch')
    const own = ledger.totals(need(message, 'terminalId'), need(message, 'currency'), batch)
    const { agrees, lines } = verdict(claimed, own)
    const netAgrees = message.elements.netMinor === netMinor(claimed).toString()
    const rule = findRule(rules, { on: 'totals', amountMinor: claimed.salesMinor, earlier: 0 })
    log.info('totals', {
      batch,
      processing: message.elements.processing ?? '',
      agrees,
      lines: lines.join('; '),
    })
    const elements = echo(message, ECHOED.totals)
    const delivery = rule?.delivery ?? 'normal'
    if (agrees && netAgrees)
      return { elements: { ...elements, responseCode: '00', settlement: 'inBalance' }, delivery }
    return {
      elements: {
        ...elements,
        responseCode: '95',
        settlement: 'outOfBalance',
        ...Object.fromEntries(Object.entries(own).map(([name, value]) => [name, String(value)])),
        netMinor: netMinor(own).toString(),
      },
      delivery,
    }
  }
}

/**
 * Answers 0320 and its repeat: what the ledger does not have is booked, what it has with another amount is put right by
 * refusing (12) what was taken back here.
 */
export function createUploadAnswer({ ledger, clock, log }: AcquirerOptions): (message: HostMessage) => Reply {
  return (message) => {
    const original = originalOf(message)
    const { originalType, processing, authorisationCode } = message.elements
    const entry = ledger.find(original)
    let responseCode = '00'
    if (entry === undefined) {
      const booking = bookingOf(message, kindOf(originalType, processing, false), clock.nowMs())
      ledger.book({
        ...booking,
        stan: original.stan,
        transmitted: original.transmitted ?? '',
        local: original.local ?? '',
        approvedMinor: booking.amountMinor,
        state: 'approved',
        via: 'upload',
        authorisationCode: authorisationCode ?? approvalCode(clock),
      })
    } else if (entry.state !== 'approved' || entry.approvedMinor !== need(message, 'amountMinor'))
      responseCode = '12'
    log.info('upload', { stan: original.stan, number: need(message, 'number'), responseCode })
    return { elements: { ...echo(message, ECHOED.upload), responseCode }, delivery: 'normal' }
  }
}
