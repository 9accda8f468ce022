// 0500 at the development acquirer: the terminal's totals of a batch against the ledger's.
import type { Message } from '../../../runtime/secure/payments/iso8583/codec.js'
import {
  netSettlement,
  SETTLEMENT_CODES,
} from '../../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import type { LedgerTotals } from './ledger.js'
import { type AcquirerOptions, decimal, echo, type Reply, text } from './reply.js'
import { verdict } from './verdict.js'

/** Answers 0500. */
export function createTotalsAnswer({ ledger, log }: AcquirerOptions): (message: Message) => Reply {
  function totals(message: Message): Reply {
    const claimed: LedgerTotals = {
      sales: Number(text(message, 76)),
      salesMinor: decimal(text(message, 88)),
      voids: Number(text(message, 77)),
      voidsMinor: decimal(text(message, 89)),
    }
    const own = ledger.totals(text(message, 41), text(message, 50), text(message, 60))
    const { agrees, lines } = verdict(claimed, own)
    const net = BigInt(claimed.salesMinor) - BigInt(claimed.voidsMinor)
    const netAgrees = text(message, 97) === netSettlement(net)
    log.info('totals', { batch: text(message, 60), agrees, lines: lines.join('; ') })
    const fields = echo(message, [7, 11, 12, 13, 24, 41, 42, 50, 60])
    if (agrees && netAgrees)
      return { fields: { ...fields, 39: '00', 66: SETTLEMENT_CODES.inBalance }, delivery: 'normal' }
    return {
      fields: {
        ...fields,
        39: '95',
        66: SETTLEMENT_CODES.outOfBalance,
        76: String(own.sales),
        77: String(own.voids),
        88: own.salesMinor,
        89: own.voidsMinor,
        97: netSettlement(BigInt(own.salesMinor) - BigInt(own.voidsMinor)),
      },
      delivery: 'normal',
    }
  }

  return totals
}
