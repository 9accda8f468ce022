// The messages of the `postern-dev` dialect as the terminal makes and reads them; layouts lie with the dialect.
import { equalBytes } from '../../../hal/base/bytes.js'
import { CURRENCIES } from '../../../hal/base/money.js'
import { encodeTlv, parseTlv } from '../../../hal/base/tlv.js'
import type { AcquirerEntry } from './acquirer-document.js'
import type { AuthoriseRequest, OriginalFacts, ReversalRequest, TotalsRequest } from './acquirer-port.js'
import type { Message } from './iso8583/codec.js'
import { ENTRY_MODES, originalDataElements, REVERSAL_REASONS } from './iso8583/dialects/postern-dev.js'
import {
  decodeSecurityControl,
  encodeCardData,
  encodeSecurityControl,
} from './iso8583/dialects/postern-dev-security.js'
import type { Value } from './iso8583/field.js'
import type { BatchTotals, ReversalCause } from './payment-record.js'

type Fields = [number, Value | undefined][]
type Entry = Pick<AcquirerEntry, 'nii' | 'terminalId' | 'merchantId'>
type Identity = Pick<OriginalFacts, 'terminalId' | 'merchantId'>

/** Point of service condition code, DE25: attended, normal presentment. */
const CONDITION = '00'
/** Processing code, DE3: purchase, default accounts. */
const PURCHASE = '000000'

const digits = (value: bigint | number | string, length: number) => String(value).padStart(length, '0')

/** DE7 in GMT, DE12 and DE13 in the terminal's local time. */
function times(atMs: number, utcOffsetMin: number): Fields {
  const gmt = new Date(atMs).toISOString().replace(/\D/g, '')
  const local = new Date(atMs + utcOffsetMin * 60_000).toISOString().replace(/\D/g, '')
  return [
    [7, gmt.slice(4, 14)],
    [12, local.slice(8, 14)],
    [13, local.slice(4, 8)],
  ]
}

/** `MMDDhhmmss` in GMT: DE7 of a message made at that time. */
const transmissionTime = (atMs: number) => String(times(atMs, 0)[0]![1])

const message = (mti: string, fields: Fields): Message => ({
  mti,
  fields: new Map(
    fields.flatMap(([number, value]) => (value === undefined ? [] : [[String(number), value] as const])),
  ),
})

const identity = ({ nii }: Entry, { terminalId, merchantId }: Identity): Fields => [
  [24, nii],
  [41, terminalId],
  [42, merchantId.padEnd(15, ' ')],
]

function transaction(
  facts: Pick<OriginalFacts, 'amount' | 'entryMode' | 'panSequence' | 'batch' | 'receiptNumber'>,
): Fields {
  return [
    [3, PURCHASE],
    [4, digits(facts.amount.minor, 12)],
    [22, ENTRY_MODES[facts.entryMode]],
    [23, facts.panSequence === undefined ? undefined : digits(facts.panSequence, 3)],
    [25, CONDITION],
    [49, CURRENCIES[facts.amount.currency]!.numeric],
    [60, digits(facts.batch, 6)],
    [62, digits(facts.receiptNumber % 1_000_000, 6)],
  ]
}

/** 0200: a sale to be authorised. */
export function saleMessage(entry: Entry, request: AuthoriseRequest, macKsn: Uint8Array): Message {
  const { facts, card } = request
  return message('0200', [
    ...identity(entry, facts),
    ...transaction(facts),
    ...times(facts.preparedAtMs, facts.utcOffsetMin),
    [11, digits(facts.stan, 6)],
    [48, card && encodeCardData(card.cardData)],
    [52, card?.pinBlock?.bytes],
    [53, encodeSecurityControl({ macKsn, pinKsn: card?.pinBlock?.ksn })],
    [55, card && card.de55.length > 0 ? card.de55 : undefined],
  ])
}

const REASONS: Readonly<Record<ReversalCause, string>> = {
  void: REVERSAL_REASONS.voidedByOperator,
  cardDeclined: REVERSAL_REASONS.cardDeclined,
  cardRemoved: REVERSAL_REASONS.cardRemoved,
  cardFailed: REVERSAL_REASONS.suspectedMalfunction,
  restart: REVERSAL_REASONS.suspectedMalfunction,
  timeout: REVERSAL_REASONS.responseTooLate,
  badMac: REVERSAL_REASONS.suspectedMalfunction,
  unreadable: REVERSAL_REASONS.suspectedMalfunction,
  lineLost: REVERSAL_REASONS.responseTooLate,
  partialRefused: REVERSAL_REASONS.voidedByOperator,
}

/** 0400, or 0401 once one may have left: every field the same but the MAC and its KSN. */
export function reversalMessage(entry: Entry, request: ReversalRequest, macKsn: Uint8Array): Message {
  const { original, stan, atMs, cause, repeat } = request
  return message(repeat ? '0401' : '0400', [
    ...identity(entry, original),
    ...transaction(original),
    ...times(atMs, original.utcOffsetMin),
    [11, digits(stan, 6)],
    [37, original.retrievalReference],
    [38, original.authorisationCode],
    [39, REASONS[cause]],
    [53, encodeSecurityControl({ macKsn })],
    [
      90,
      originalDataElements({
        mti: '0200',
        stan: digits(original.stan, 6),
        transmitted: transmissionTime(original.preparedAtMs),
      }),
    ],
  ])
}

/** 0500: the totals of a batch; sales are debits, voids are reversals of debits. */
export function totalsMessage(entry: Entry, request: TotalsRequest, macKsn: Uint8Array): Message {
  const { totals } = request
  const net = BigInt(totals.salesMinor) - BigInt(totals.voidsMinor)
  return message('0500', [
    ...identity(entry, entry),
    ...times(request.atMs, request.utcOffsetMin),
    [11, digits(request.stan, 6)],
    [50, CURRENCIES[request.currency]!.numeric],
    [53, encodeSecurityControl({ macKsn })],
    [60, digits(request.batch, 6)],
    [76, digits(totals.sales, 10)],
    [77, digits(totals.voids, 10)],
    [88, digits(totals.salesMinor, 16)],
    [89, digits(totals.voidsMinor, 16)],
    [97, `D${digits(net, 16)}`],
  ])
}

const text = (answer: Message, field: number): string | undefined => {
  const value = answer.fields.get(String(field))
  return typeof value === 'string' ? value.trimEnd() : undefined
}

/**
 * Is this the answer to that request? By type, trace number, terminal, transmission and local time, and amount; a
 * partial approval (10) may be lower (ISO 8583:1987, 4.3.39).
 */
export function answers(request: Message, answer: Message): boolean {
  const expected = `${request.mti.slice(0, 2)}10`
  if (answer.mti !== expected) return false
  for (const field of [7, 11, 12, 13, 41, 42, 60, 90]) {
    if (answer.fields.has(String(field)) && text(answer, field) !== text(request, field)) return false
  }
  const [asked, answered] = [text(request, 4), text(answer, 4)]
  if (asked === answered) return true
  return text(answer, 39) === '10' && asked !== undefined && answered !== undefined && answered < asked
}

/** True if the answer's DE53 names the KSN of the request: it was made under the same key. */
export function namesKsn(answer: Message, macKsn: Uint8Array): boolean {
  const value = answer.fields.get('53')
  try {
    return value instanceof Uint8Array && equalBytes(decodeSecurityControl(value).macKsn, macKsn)
  } catch {
    return false
  }
}

/** What an answer carries for the card: tag 91, and the templates 71 and 72 whole and in order. @throws PosternError `TLV_INVALID` */
export function issuerData(answer: Message): {
  issuerAuthenticationData: Uint8Array | undefined
  scripts: Uint8Array[]
} {
  const value = answer.fields.get('55')
  const objects = value instanceof Uint8Array ? parseTlv(value) : []
  return {
    issuerAuthenticationData: objects.find(({ tag }) => tag === 0x91)?.value.slice(),
    scripts: objects
      .filter(({ tag }) => tag === 0x71 || tag === 0x72)
      .map(({ tag, value: script }) => encodeTlv(tag, script)),
  }
}

/** Facts of an answer that are kept. */
export const answerFacts = (answer: Message) => ({
  responseCode: text(answer, 39) ?? '',
  authorisationCode: text(answer, 38),
  retrievalReference: text(answer, 37),
  settlementCode: text(answer, 66),
})

/** The acquirer's own totals, where it sent all of them. */
export function hostTotals(answer: Message): BatchTotals | undefined {
  const [sales, voids, salesMinor, voidsMinor] = [76, 77, 88, 89].map((field) => text(answer, field))
  if (sales === undefined || voids === undefined || salesMinor === undefined || voidsMinor === undefined)
    return undefined
  return {
    sales: Number(sales),
    voids: Number(voids),
    salesMinor: BigInt(salesMinor).toString(),
    voidsMinor: BigInt(voidsMinor).toString(),
  }
}

/** What a stray says of itself, for the journal. */
export const strayFacts = (stray: Message) => ({
  mti: stray.mti,
  stan: Number(text(stray, 11) ?? 0),
  amount: text(stray, 4),
})
