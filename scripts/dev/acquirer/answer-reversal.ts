// Reversals and their repeats at the development acquirer: taken back once, acknowledged as often as asked, remembered where unseen.
import type { HostMessage } from '../../../runtime/secure/payments/iso8583/host-message.js'
import {
  type AcquirerOptions,
  bookingOf,
  ECHOED,
  echo,
  kindOf,
  need,
  originalOf,
  type Reply,
} from './reply.js'
import { findRule } from './rules.js'

/** Answers 0400, 0420 and their repeats. @throws PosternError `ISO8583_INVALID` */
export function createReversalAnswer({
  ledger,
  rules,
  clock,
  log,
}: AcquirerOptions): (message: HostMessage) => Reply {
  /** Reversals seen of one payment, for rules that count. */
  const seen = new Map<string, number>()

  return (message) => {
    const original = originalOf(message)
    const amountMinor = need(message, 'amountMinor')
    const now = clock.nowMs()
    const { reason = 'malfunction', originalType, processing } = message.elements
    const entry = ledger.find({ ...original, amountMinor })
    let code = '00'
    if (entry === undefined) {
      // 25, original not found. It may still be on its way, so it is remembered and refused should it come.
      code = '25'
      ledger.book({
        ...bookingOf(message, kindOf(originalType, processing, false), now),
        stan: original.stan,
        transmitted: original.transmitted ?? '',
        local: original.local ?? '',
        state: 'reversedUnseen',
        responseCode: '25',
        reason,
        reversedAtMs: now,
      })
    } else if (entry.state === 'approved') {
      ledger.reverse(entry.id, reason, now)
      // The hold that a completion had taken is a hold again.
      if (entry.kind === 'completion' && entry.original !== null) ledger.setState(entry.original, 'approved')
    }
    // 21, no action: there was nothing to take back.
    else if (entry.state === 'declined' || entry.state === 'captured') code = '21'
    else if (entry.state === 'reversedUnseen') code = '25'
    const key = `${original.terminalId} ${original.stan} ${original.transmitted ?? original.local}`
    const earlier = seen.get(key) ?? 0
    seen.set(key, earlier + 1)
    const rule = findRule(rules, { on: 'reversal', amountMinor, earlier })
    const responseCode = rule?.decline ?? code
    log.info('reversal', {
      role: message.role,
      stan: original.stan,
      reason,
      responseCode,
      rule: rule?.name ?? 'none',
    })
    return {
      elements: {
        ...echo(message, ECHOED.reversal),
        retrievalReference: entry?.retrievalReference ?? '0'.repeat(12),
        responseCode,
      },
      delivery: rule?.delivery ?? 'normal',
    }
  }
}
