// The messages that a terminal sends, by what they mean; the acquirer's dialect writes them in fields.
import { CURRENCIES } from '../../../hal/base/money.js'
import type { AcquirerEntry } from './acquirer-document.js'
import type {
  AdviceRequest,
  AuthoriseRequest,
  ManagementKind,
  MoneyKind,
  OriginalFacts,
  RequestCard,
  ReversalRequest,
  TotalsRequest,
  UploadRequest,
} from './acquirer-port.js'
import type { Elements, HostMessage, MessageType, Role } from './iso8583/host-message.js'
import { encodeCardData, encodeSecurityControl } from './iso8583/security-fields.js'
import type { ReversalCause } from './payment-record.js'

type Entry = Pick<AcquirerEntry, 'nii' | 'terminalId' | 'merchantId'>

const digits = (value: bigint | number | string, length: number) => String(value).padStart(length, '0')
const numericCurrency = (code: string): string => CURRENCIES[code]!.numeric

/** GMT as MMDDhhmmss, local as YYMMDDhhmmss. */
function times(atMs: number, utcOffsetMin: number): { transmitted: string; local: string } {
  const gmt = new Date(atMs).toISOString().replace(/\D/g, '')
  const local = new Date(atMs + utcOffsetMin * 60_000).toISOString().replace(/\D/g, '')
  return { transmitted: gmt.slice(4, 14), local: local.slice(2, 14) }
}

/** An element where there is a value, and none where there is not. */
const some = <K extends keyof Elements>(key: K, value: Elements[K] | undefined): Elements =>
  value === undefined ? {} : { [key]: value }

/** How each kind of payment travels. */
export const TYPE_OF: Readonly<Record<MoneyKind, MessageType>> = {
  sale: 'financial',
  refund: 'financial',
  preauth: 'authorisation',
  increment: 'authorisation',
  completion: 'financialAdvice',
  offlineSale: 'financialAdvice',
  offlineDecline: 'authorisationAdvice',
}
const PREAUTHORISED: readonly MoneyKind[] = ['preauth', 'increment', 'completion']

/** What every message about a payment says of it. */
function payment(entry: Entry, facts: OriginalFacts): Elements {
  const { kind, cashbackMinor, tipMinor, panSequence, amount } = facts
  const cashback = cashbackMinor !== undefined && cashbackMinor > 0n
  return {
    nii: entry.nii,
    terminalId: facts.terminalId,
    merchantId: facts.merchantId.padEnd(15, ' '),
    processing: kind === 'refund' ? 'refund' : cashback ? 'cashback' : 'purchase',
    amountMinor: amount.minor.toString(),
    ...some('cashbackMinor', cashback ? cashbackMinor.toString() : undefined),
    ...some('tipMinor', tipMinor !== undefined && tipMinor > 0n ? tipMinor.toString() : undefined),
    currency: numericCurrency(amount.currency),
    entryMode: facts.entryMode,
    ...some('panSequence', panSequence === undefined ? undefined : digits(panSequence, 3)),
    condition: PREAUTHORISED.includes(kind) ? 'preauthorised' : 'normal',
    batch: digits(facts.batch, 6),
    receipt: digits(facts.receiptNumber % 1_000_000, 6),
  }
}

/** The payment that a message is about. */
function originalOf(facts: OriginalFacts): Elements {
  const { transmitted, local } = times(facts.preparedAtMs, facts.utcOffsetMin)
  return {
    originalType: TYPE_OF[facts.kind],
    originalStan: digits(facts.stan, 6),
    originalTransmitted: transmitted,
    originalLocal: local,
    ...some('retrievalReference', facts.retrievalReference),
    ...some('authorisationCode', facts.authorisationCode),
  }
}

function cardOf(card: Omit<RequestCard, 'pinBlock'> | undefined, pin: RequestCard['pinBlock']): Elements {
  if (card === undefined) return {}
  return {
    cardData: encodeCardData(card.cardData),
    ...some('pinBlock', pin?.bytes),
    ...(card.de55.length === 0 ? {} : { emv: card.de55 }),
  }
}

/** A sale, a refund, a pre-authorisation or its increment, to be authorised. */
export function authoriseMessage(entry: Entry, request: AuthoriseRequest, macKsn: Uint8Array): HostMessage {
  const { facts, card, original, partialAllowed } = request
  return {
    type: TYPE_OF[facts.kind],
    role: 'request',
    elements: {
      ...payment(entry, facts),
      ...times(facts.preparedAtMs, facts.utcOffsetMin),
      stan: digits(facts.stan, 6),
      ...(original === undefined ? {} : originalOf(original)),
      ...cardOf(card, card?.pinBlock),
      security: encodeSecurityControl({ macKsn, pinKsn: card?.pinBlock?.ksn }),
      ...some('partialAllowed', partialAllowed === true ? '1' : undefined),
    },
  }
}

/** What was decided here, told until the host acknowledges it; repeats differ in type, KSN and MAC only. */
export function adviceMessage(entry: Entry, request: AdviceRequest, macKsn: Uint8Array): HostMessage {
  const { facts, card, original, repeat, responseCode, de55 } = request
  return {
    type: TYPE_OF[facts.kind],
    role: repeat ? 'repeat' : 'request',
    elements: {
      ...payment(entry, facts),
      ...times(facts.preparedAtMs, facts.utcOffsetMin),
      stan: digits(facts.stan, 6),
      ...(original === undefined ? {} : originalOf(original)),
      ...some('authorisationCode', facts.authorisationCode ?? original?.authorisationCode),
      responseCode,
      ...cardOf(card, undefined),
      ...(de55 === undefined || de55.length === 0 ? {} : { emv: de55 }),
      security: encodeSecurityControl({ macKsn }),
    },
  }
}

const REASONS: Readonly<Record<ReversalCause, string>> = {
  void: 'void',
  cardDeclined: 'malfunction',
  cardRemoved: 'malfunction',
  cardFailed: 'malfunction',
  restart: 'malfunction',
  timeout: 'tooLate',
  badMac: 'malfunction',
  unreadable: 'malfunction',
  lineLost: 'tooLate',
  // Never told as approved: unlike a void, it leaves nothing in the totals.
  partialRefused: 'malfunction',
}

/** A reversal; a repeat once one may have left: every field the same but the MAC and its KSN. */
export function reversalMessage(entry: Entry, request: ReversalRequest, macKsn: Uint8Array): HostMessage {
  const { original, stan, atMs, cause, repeat } = request
  return {
    type: 'reversal',
    role: repeat ? 'repeat' : 'request',
    elements: {
      ...payment(entry, original),
      ...times(atMs, original.utcOffsetMin),
      stan: digits(stan, 6),
      ...originalOf(original),
      reason: REASONS[cause],
      security: encodeSecurityControl({ macKsn }),
    },
  }
}

/** One payment of a batch that differs. */
export function uploadMessage(entry: Entry, request: UploadRequest, macKsn: Uint8Array): HostMessage {
  const { original, minor, stan, atMs, number, count, responseCode, repeat } = request
  return {
    type: 'upload',
    role: repeat ? 'repeat' : 'request',
    elements: {
      ...payment(entry, original),
      amountMinor: minor.toString(),
      ...times(atMs, original.utcOffsetMin),
      stan: digits(stan, 6),
      ...originalOf(original),
      responseCode,
      number: String(number),
      count: String(count),
      security: encodeSecurityControl({ macKsn }),
    },
  }
}

/** The totals of a batch: sales are debits and refunds credits to cards, voids their reversals. */
export function totalsMessage(entry: Entry, request: TotalsRequest, macKsn: Uint8Array): HostMessage {
  const { totals, phase = 'first' } = request
  const { refunds = 0, refundsMinor = '0', refundVoids = 0, refundVoidsMinor = '0' } = totals
  const net =
    BigInt(totals.salesMinor) - BigInt(totals.voidsMinor) - BigInt(refundsMinor) + BigInt(refundVoidsMinor)
  return {
    type: phase === 'advice' ? 'totalsAdvice' : 'totals',
    role: 'request',
    elements: {
      nii: entry.nii,
      terminalId: entry.terminalId,
      merchantId: entry.merchantId.padEnd(15, ' '),
      ...times(request.atMs, request.utcOffsetMin),
      stan: digits(request.stan, 6),
      processing: phase === 'afterUpload' ? 'settlementAfterUpload' : 'settlement',
      currency: numericCurrency(request.currency),
      batch: digits(request.batch, 6),
      sales: String(totals.sales),
      salesMinor: totals.salesMinor,
      voids: String(totals.voids),
      voidsMinor: totals.voidsMinor,
      refunds: String(refunds),
      refundsMinor,
      refundVoids: String(refundVoids),
      refundVoidsMinor,
      netMinor: net.toString(),
      security: encodeSecurityControl({ macKsn }),
    },
  }
}

/** Sign-on, sign-off, echo, or the wish for a new key. */
export function managementMessage(
  entry: Entry,
  kind: ManagementKind,
  stan: number,
  atMs: number,
  macKsn: Uint8Array,
): HostMessage {
  const role: Role = 'request'
  return {
    type: 'network',
    role,
    elements: {
      nii: entry.nii,
      terminalId: entry.terminalId,
      merchantId: entry.merchantId.padEnd(15, ' '),
      ...times(atMs, 0),
      stan: digits(stan, 6),
      management: kind,
      security: encodeSecurityControl({ macKsn }),
    },
  }
}
