// 0400 and 0401 at the development acquirer: taken back once, acknowledged as often as asked, remembered where unseen.
import type { Message } from '../../../runtime/secure/payments/iso8583/codec.js'
import { readOriginalDataElements } from '../../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import { type AcquirerOptions, decimal, ECHOED, echo, type Reply, text } from './reply.js'
import { findRule } from './rules.js'

/** Answers 0400 and 0401. @throws PosternError `ISO8583_INVALID` */
export function createReversalAnswer({
  ledger,
  rules,
  clock,
  log,
}: AcquirerOptions): (message: Message) => Reply {
  /** Reversals seen of one sale, for rules that count. */
  const seen = new Map<string, number>()

  function reversal(message: Message): Reply {
    const original = readOriginalDataElements(text(message, 90))
    const identity = {
      terminalId: text(message, 41),
      stan: original.stan,
      transmitted: original.transmitted,
      amountMinor: decimal(text(message, 4)),
    }
    const now = clock.nowMs()
    const reason = text(message, 39)
    const entry = ledger.find(identity)
    let code = '00'
    if (entry === undefined) {
      // 25, original not found. It may still be on its way, so it is remembered and refused should it come.
      code = '25'
      ledger.book({
        ...identity,
        merchantId: text(message, 42).trimEnd(),
        currency: text(message, 49),
        batch: text(message, 60),
        receipt: text(message, 62),
        maskedPan: '',
        state: 'reversedUnseen',
        responseCode: '25',
        authorisationCode: null,
        reason,
        pinOk: null,
        cryptogramOk: null,
        receivedAtMs: now,
        reversedAtMs: now,
      })
    } else if (entry.state === 'approved') ledger.reverse(entry.id, reason, now)
    // 21, no action: there was nothing to take back.
    else if (entry.state === 'declined') code = '21'
    else if (entry.state === 'reversedUnseen') code = '25'
    const key = `${identity.terminalId} ${identity.stan} ${identity.transmitted}`
    const earlier = seen.get(key) ?? 0
    seen.set(key, earlier + 1)
    const rule = findRule(rules, { on: 'reversal', amountMinor: identity.amountMinor, earlier })
    log.info('reversal', {
      mti: message.mti,
      stan: identity.stan,
      reason,
      responseCode: code,
      rule: rule?.name ?? 'none',
    })
    return {
      fields: {
        ...echo(message, [...ECHOED, 90]),
        37: entry?.retrievalReference ?? '0'.repeat(12),
        39: code,
      },
      delivery: rule?.delivery ?? 'normal',
    }
  }

  return reversal
}
