// Advices at the development acquirer: offline approvals and declines, completions of pre-authorisations. Booked once.
import { maskPan } from '../../../hal/base/log.js'
import type { HostMessage } from '../../../runtime/secure/payments/iso8583/host-message.js'
import { openCard } from './card-data.js'
import type { Booking, Entry } from './ledger.js'
import {
  type AcquirerOptions,
  approvalCode,
  bookingOf,
  ECHOED,
  echo,
  identityOf,
  kindOf,
  need,
  originalOf,
  type Reply,
} from './reply.js'
import { findRule } from './rules.js'

/** Answers 0120, 0220 and their repeats. @throws PosternError of what could not be opened; nothing is booked then */
export function createAdviceAnswer(options: AcquirerOptions): (message: HostMessage) => Reply {
  const { ledger, rules, clock, log } = options
  const seen = new Map<string, number>()

  /** What a completion may take: the pre-authorisation and its increments, once. */
  function holdOf(original: Entry | undefined): bigint {
    if (original === undefined || original.kind !== 'preauth' || original.state !== 'approved') return -1n
    return [original, ...ledger.referringTo(original.id)]
      .filter(({ kind, state }) => (kind === 'preauth' || kind === 'increment') && state === 'approved')
      .reduce((sum, { approvedMinor }) => sum + BigInt(approvedMinor), 0n)
  }

  function book(message: HostMessage, refused: string | undefined): { entry?: Entry; code: string } {
    const { elements, type } = message
    const known = ledger.find(identityOf(message))
    // A repeat of what is booked already is acknowledged as it was.
    if (known !== undefined) return { entry: known, code: known.state === 'reversedUnseen' ? '94' : '00' }
    if (refused !== undefined) return { code: refused }
    const linked = elements.originalStan !== undefined
    const kind = kindOf(type, elements.processing, linked)
    const original = linked ? ledger.find(originalOf(message)) : undefined
    const booking: Booking = {
      ...bookingOf(message, kind, clock.nowMs()),
      via: 'advice',
      original: original?.id ?? null,
      maskedPan: original?.maskedPan ?? '',
    }
    if (kind === 'completion') {
      const hold = holdOf(original)
      if (hold < 0n) return { code: '12' }
      if (BigInt(booking.amountMinor) > hold) return { code: '13' }
      ledger.setState(original!.id, 'captured')
    }
    // Repeats carry the card data of the first attempt, under the same key.
    const card = openCard(options, message, message.role === 'repeat')
    const maskedPan = card === undefined ? booking.maskedPan : maskPan(card.pan)
    card?.close()
    if (kind === 'offlineDecline') return { entry: ledger.book({ ...booking, maskedPan }), code: '00' }
    const entry = ledger.book({
      ...booking,
      maskedPan,
      approvedMinor: booking.amountMinor,
      state: 'approved',
      authorisationCode: elements.authorisationCode ?? approvalCode(clock),
    })
    return { entry, code: '00' }
  }

  return (message) => {
    const { terminalId, stan, transmitted, amountMinor } = identityOf(message)
    const key = `${terminalId} ${stan} ${transmitted}`
    const earlier = seen.get(key) ?? 0
    seen.set(key, earlier + 1)
    const rule = findRule(rules, { on: 'advice', amountMinor, earlier })
    const { entry, code } = book(message, rule?.decline)
    log.info('advice', {
      type: message.type,
      role: message.role,
      stan: need(message, 'stan'),
      amount: amountMinor,
      responseCode: code,
      rule: rule?.name ?? 'none',
    })
    return {
      elements: {
        ...echo(message, ECHOED.money),
        retrievalReference: entry?.retrievalReference ?? '0'.repeat(12),
        responseCode: code,
      },
      delivery: rule?.delivery ?? 'normal',
    }
  }
}
