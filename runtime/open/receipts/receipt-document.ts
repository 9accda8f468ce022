// A card receipt: the facts of a payment as blocks to print, one document for each copy. Facts: scheme rules and PSD2.
import { formatMoney, moneyFromJson } from '../../../hal/base/money.js'
import type { ReceiptFacts } from '../../api/payments.js'
import type { PrintBlock, PrintDocument } from '../../api/print-document.js'
import type { ReceiptTexts } from './receipt-texts.js'

export interface ReceiptOptions {
  readonly copy: 'customer' | 'merchant'
  readonly locale: string
  /** Says so on paper: a second original could be handed in twice. */
  readonly reprint: boolean
  /** The merchant's, above the name. */
  readonly logo?: PrintBlock | undefined
}

const cut = (text: string, length: number) => [...text].slice(0, length).join('')
const text = (
  value: string,
  style: Omit<PrintBlock & { kind: 'text' }, 'kind' | 'text'> = {},
): PrintBlock => ({
  kind: 'text',
  text: cut(value, 400),
  ...style,
})
const row = (left: string, right: string | undefined, bold = false): PrintBlock[] =>
  right === undefined || right === ''
    ? []
    : [{ kind: 'row', left: cut(left, 80), right: cut(right, 80), ...(bold ? { bold } : {}) }]
const centered = { align: 'center' } as const
const RULE: PrintBlock = { kind: 'rule' }

/** `2026-11-22` and `05:30:11`, as the terminal's local time says; the offset only where it is not that simple. */
function dateAndTime(at: string): readonly [string, string] {
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}(?::\d{2})?)/.exec(at)
  return match === null ? [at, ''] : [match[1]!, match[2]!]
}

function merchantBlocks({ merchant }: ReceiptFacts): PrintBlock[] {
  return [
    text(merchant.name, { ...centered, bold: true }),
    ...merchant.address.slice(0, 6).map((line) => text(line, centered)),
  ]
}

function cardBlocks(card: NonNullable<ReceiptFacts['card']>, say: (key: string) => string): PrintBlock[] {
  return [
    ...row(say('card'), card.label),
    // The last four digits and nothing else of the number, on every copy; no expiry date.
    ...row(say('number'), `**** **** **** ${card.panLast4.slice(-4)}`),
    ...row(say('panSequence'), card.panSequence),
    ...row(say('entry'), say(`entry.${card.entryMode}`)),
    ...row(say('aid'), card.aid),
  ]
}

/** What the issuer may ask for when a payment is disputed; present where the acquirer wants it. */
function evidenceBlocks(card: NonNullable<ReceiptFacts['card']>, say: (key: string) => string): PrintBlock[] {
  return [
    ...row(card.cryptogramType ?? say('cryptogram'), card.cryptogram),
    ...row('TVR', card.tvr),
    ...row('TSI', card.tsi),
    ...row('ATC', card.atc),
  ]
}

function verificationBlocks(
  facts: ReceiptFacts,
  copy: ReceiptOptions['copy'],
  say: (key: string) => string,
): PrintBlock[] {
  const { card } = facts
  if (card === undefined) return []
  const words = text(say(`cvm.${card.cvm}`), centered)
  if (card.signedOnPad === true) return [text(say('signature.onPad'), centered)]
  if (card.cvm !== 'signature' || facts.outcome !== 'approved' || copy !== 'merchant') return [words]
  return [
    words,
    text(say('signature.text'), centered),
    { kind: 'feed', lines: 3 },
    text('_'.repeat(28), centered),
    text(say('signature'), centered),
  ]
}

/** What a country's inspector looks for: the signature in words and as a code, or that it failed. */
function fiscalBlocks({ fiscal }: ReceiptFacts, say: (key: string) => string): PrintBlock[] {
  if (fiscal === undefined) return []
  if (fiscal.kind === 'failed') return [text(`*** ${fiscal.text} ***`, { ...centered, bold: true })]
  return [
    ...row(say('fiscal.serial'), fiscal.serial),
    ...row(say('fiscal.counter'), fiscal.counter),
    ...row(say('fiscal.at'), fiscal.at.slice(0, 19).replace('T', ' ')),
    ...row(say('fiscal.code'), fiscal.text),
    { kind: 'qr', data: fiscal.code },
  ]
}

/** The receipt of a payment, approved, declined or reversed. */
export function receiptDocument(
  facts: ReceiptFacts,
  options: ReceiptOptions,
  texts: ReceiptTexts,
): PrintDocument {
  const say = (key: string) => texts(options.locale, key)
  const [date, time] = dateAndTime(facts.at)
  const approved = facts.outcome === 'approved'
  const evidence = facts.card === undefined ? [] : evidenceBlocks(facts.card, say)
  return {
    blocks: [
      ...(options.logo === undefined ? [] : [options.logo]),
      ...merchantBlocks(facts),
      RULE,
      text(`*** ${say(`copy.${options.copy}`)} ***`, centered),
      ...(options.reprint ? [text(`*** ${say('reprint')} ***`, { ...centered, bold: true })] : []),
      ...row(date, time),
      ...row(say('merchantId'), facts.merchant.merchantId),
      ...row(say('terminalId'), facts.merchant.terminalId),
      ...row(say('receiptNumber'), facts.receiptNumber),
      ...row(say('stan'), facts.stan),
      ...row(say('operator'), facts.operator),
      ...row(say('reference'), facts.reference),
      RULE,
      text(say(`type.${facts.type}`), { ...centered, bold: true }),
      ...(facts.card === undefined ? [] : cardBlocks(facts.card, say)),
      RULE,
      ...(facts.tip === undefined ? [] : row(say('tip'), formatMoney(moneyFromJson(facts.tip), true))),
      ...(facts.cashback === undefined
        ? []
        : row(say('cashback'), formatMoney(moneyFromJson(facts.cashback), true))),
      ...row(say('amount'), formatMoney(moneyFromJson(facts.amount), true), true),
      text(say(`outcome.${facts.outcome}`), { ...centered, bold: true, large: true }),
      ...(approved ? [] : [text(`${say('reason')}: ${facts.reason || say('reason.unknown')}`, centered)]),
      ...row(say('authorisationCode'), facts.authorisationCode),
      ...row(say('responseCode'), facts.responseCode),
      ...verificationBlocks(facts, options.copy, say),
      RULE,
      ...evidence,
      ...(evidence.length > 0 && facts.fiscal !== undefined ? [RULE] : []),
      ...fiscalBlocks(facts, say),
      text(say(`note.${facts.outcome}.${facts.type}`), centered),
    ],
  }
}
