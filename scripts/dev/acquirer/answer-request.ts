// Sales, refunds, pre-authorisations and increments at the development acquirer: rules, the issuer's word, the ledger.
import { concat, toHex } from '../../../hal/base/bytes.js'
import { maskPan } from '../../../hal/base/log.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import type { HostMessage } from '../../../runtime/secure/payments/iso8583/host-message.js'
import type { IssuerDecision } from '../issuer/issuer-host.js'
import { type OpenedCard, openCard } from './card-data.js'
import { isStripe, isTyped, refusedEntry, typedFacts } from './entry-mode.js'
import type { Booking, Entry, EntryKind } from './ledger.js'
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
import { findRule, type Rule } from './rules.js'

/** DE55 of an answer: tag 91 and the script templates (EMV Book 3, annex A). */
function issuerData(decision: IssuerDecision, rule: Rule | undefined): Uint8Array {
  const given = decision.issuerAuthenticationData
  const data = rule?.issuerAnswer === 'wrong' ? given?.map((byte) => byte ^ 0xff) : given
  const first =
    data === undefined || rule?.issuerAnswer === 'none' ? new Uint8Array(0) : encodeTlv(0x91, data)
  return concat(first, ...decision.scripts)
}

interface Decided {
  readonly entry: Entry
  readonly emv?: Uint8Array
}

/** Answers 01xx and 0200. @throws PosternError of what could not be opened; nothing is booked then */
export function createRequestAnswer(options: AcquirerOptions): (message: HostMessage) => Reply {
  const { issuer, ledger, rules, clock, log } = options

  /** Why a payment that refers to an earlier one cannot be, as a response code; undefined where it can. */
  function refusal(kind: EntryKind, original: Entry | undefined, minor: bigint): string | undefined {
    if (kind === 'increment') {
      // 12, invalid transaction: there is nothing that it could add to.
      return original?.kind === 'preauth' && original.state === 'approved' ? undefined : '12'
    }
    if (original === undefined) return undefined
    if (!['sale', 'completion', 'offlineSale'].includes(original.kind) || original.state !== 'approved')
      return '12'
    const refunded = ledger
      .referringTo(original.id)
      .filter((one) => one.kind === 'refund' && one.state === 'approved')
      .reduce((sum, one) => sum + BigInt(one.approvedMinor), 0n)
    // 13, invalid amount: more than was paid.
    return refunded + minor > BigInt(original.approvedMinor) ? '13' : undefined
  }

  function approve(booking: Booking, rule: Rule | undefined, rest: Partial<Booking> = {}): Entry {
    const approved: Booking = {
      ...booking,
      approvedMinor: booking.amountMinor,
      state: 'approved',
      authorisationCode: approvalCode(clock),
      ...rest,
    }
    // What the ledger forgets is approved all the same: totals will differ, and the upload brings it back.
    return rule?.forgotten === true
      ? { ...approved, id: 0, retrievalReference: '0'.repeat(12) }
      : ledger.book(approved)
  }

  /** Half of it, where the terminal takes a part; else no funds. */
  function part(booking: Booking, rule: Rule, message: HostMessage): Entry {
    if (message.elements.partialAllowed !== '1') return ledger.book({ ...booking, responseCode: '51' })
    const approvedMinor = (BigInt(booking.amountMinor) / 2n).toString()
    return approve(booking, rule, { approvedMinor, responseCode: '10' })
  }

  function askIssuer(
    message: HostMessage,
    booking: Booking,
    card: OpenedCard,
    rule: Rule | undefined,
  ): Decided {
    const decision = issuer.authorise({
      pan: card.pan,
      panSequence: (message.elements.panSequence ?? '').slice(-2).padStart(2, '0'),
      track2: card.track2,
      pin: card.pin(),
      de55: message.elements.emv ?? new Uint8Array(0),
      stripe: isStripe(need(message, 'entryMode')),
      ...(isTyped(need(message, 'entryMode')) ? { typed: typedFacts(toHex(card.track2))! } : {}),
      amountMinor: BigInt(booking.amountMinor),
      currencyNumeric: booking.currency,
    })
    const checked: Booking = {
      ...booking,
      responseCode: decision.responseCode,
      pinOk: decision.pinOk === undefined ? null : Number(decision.pinOk),
      cryptogramOk: decision.cryptogramOk === undefined ? null : Number(decision.cryptogramOk),
    }
    const entry =
      decision.responseCode !== '00'
        ? ledger.book(checked)
        : rule?.partial === true
          ? part(checked, rule, message)
          : approve(checked, rule)
    return { entry, emv: issuerData(decision, rule) }
  }

  function decide(message: HostMessage, rule: Rule | undefined, card: OpenedCard | undefined): Decided {
    const { elements, type } = message
    const linked = elements.originalStan !== undefined
    const kind = kindOf(type, elements.processing, linked)
    const original = linked ? ledger.find(originalOf(message)) : undefined
    const booking: Booking = {
      ...bookingOf(message, kind, clock.nowMs()),
      maskedPan: card === undefined ? (original?.maskedPan ?? '') : maskPan(card.pan),
      original: original?.id ?? null,
    }
    const wrongEntry =
      card === undefined || kind === 'refund'
        ? undefined
        : refusedEntry({
            entryMode: need(message, 'entryMode'),
            hasChipData: elements.emv !== undefined,
            hasFallbackReason: card.hasFallbackReason,
            track2: toHex(card.track2),
          })
    const decline = wrongEntry ?? rule?.decline
    if (decline !== undefined) return { entry: ledger.book({ ...booking, responseCode: decline }) }
    if (rule?.booked === false)
      return { entry: { ...booking, id: 0, responseCode: '96', retrievalReference: '0'.repeat(12) } }
    const refused =
      linked && original === undefined ? '12' : refusal(kind, original, BigInt(booking.amountMinor))
    if (refused !== undefined) return { entry: ledger.book({ ...booking, responseCode: refused }) }
    // Stand-in: the issuer cannot be reached, and the acquirer answers in its place, without issuer authentication.
    if (rule?.standIn === true) return { entry: approve(booking, rule) }
    // Increments and linked refunds carry no card; a refund's cryptogram is no ARQC.
    if (card === undefined || kind === 'refund') {
      if (card === undefined && !linked) return { entry: ledger.book({ ...booking, responseCode: '30' }) }
      return { entry: approve(booking, rule) }
    }
    return askIssuer(message, booking, card, rule)
  }

  return (message) => {
    const earlier = ledger.find(identityOf(message))
    const card = earlier === undefined ? openCard(options, message) : undefined
    try {
      const rule =
        earlier === undefined
          ? findRule(rules, {
              on: 'sale',
              amountMinor: need(message, 'amountMinor'),
              ...(card === undefined ? {} : { pan: card.pan }),
              earlier: 0,
            })
          : undefined
      // 94, duplicate transmission: it was answered before, or its reversal overtook it. No money moves.
      const { entry, emv } =
        earlier === undefined
          ? decide(message, rule, card)
          : { entry: { ...earlier, responseCode: '94' }, emv: undefined }
      const approved = entry.responseCode === '00' || entry.responseCode === '10'
      log.info('payment', {
        kind: entry.kind,
        stan: entry.stan,
        amount: entry.amountMinor,
        approved: entry.approvedMinor,
        card: entry.maskedPan,
        responseCode: entry.responseCode,
        rule: rule?.name ?? 'none',
        entryMode: message.elements.entryMode ?? '',
        cryptogramOk: entry.cryptogramOk,
        pinOk: entry.pinOk,
      })
      return {
        elements: {
          ...echo(message, ECHOED.money),
          ...(entry.responseCode === '10' ? { amountMinor: entry.approvedMinor } : {}),
          retrievalReference: entry.retrievalReference,
          responseCode: entry.responseCode,
          ...(approved && entry.authorisationCode !== null
            ? { authorisationCode: entry.authorisationCode }
            : {}),
          ...(emv === undefined || emv.length === 0 ? {} : { emv }),
        },
        delivery: rule?.delivery ?? 'normal',
      }
    } finally {
      card?.close()
    }
  }
}
