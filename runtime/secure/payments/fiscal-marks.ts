// What a record says of its fiscal signatures: owed from its first step, signed later; which receipts are signed at all.
import type { ReceiptFacts } from '../../api/payments.js'
import type { FiscalKind, MerchantDocument } from './merchant-document.js'
import type { FiscalMark, PaymentRecord } from './payment-record.js'
import { STANDING_STATES } from './payment-states.js'

const ALL_KINDS: readonly FiscalKind[] = ['sale', 'refund', 'void']

/** Which of a payment's two receipts: its own, or that of its void. */
export type FiscalPart = 'own' | 'void'

/** The mark that a record gets with the step that begins it; nothing where its kind is not signed here. */
export function fiscalFrom(
  { fiscal }: MerchantDocument,
  type: PaymentRecord['type'] | 'void' = 'sale',
): { fiscal?: FiscalMark } {
  // What is only reserved is no money; a completion is the sale.
  if (fiscal === undefined || type === 'preauth' || type === 'increment') return {}
  const kind = type === 'completion' ? 'sale' : type
  return (fiscal.kinds ?? ALL_KINDS).includes(kind) ? { fiscal: { state: 'owed', failures: 0 } } : {}
}

export const markOf = (record: PaymentRecord, part: FiscalPart): FiscalMark | undefined =>
  part === 'own' ? record.fiscal : record.void?.fiscal

/** A receipt of it was, or will be, printed: a sale's also where it was voided since. */
function isDue(record: PaymentRecord, part: FiscalPart): boolean {
  const { state, void: voided } = record
  if (part === 'void') return voided !== undefined && (state === 'REVERSED' || state === 'CANCELLED')
  return STANDING_STATES.includes(state) || voided !== undefined
}

/** The receipts of a payment that are still to be signed. */
export const unsignedParts = (record: PaymentRecord): FiscalPart[] =>
  (['own', 'void'] as const).filter((part) => markOf(record, part)?.state === 'owed' && isDue(record, part))

/** Payments with a receipt that is still to be signed, oldest first. */
export const unsignedPayments = (journal: { unsigned(): PaymentRecord[] }): PaymentRecord[] =>
  journal.unsigned().filter((record) => unsignedParts(record).length > 0)

/** What a receipt says of its signature. */
export function fiscalFacts(
  mark: FiscalMark | undefined,
  { fiscal }: MerchantDocument,
  locale: string,
  failedText: string,
): Pick<ReceiptFacts, 'fiscal'> {
  if (mark === undefined) return {}
  if (mark.state === 'owed') {
    const failure = fiscal?.failedText?.[locale.slice(0, 2)] ?? failedText
    return { fiscal: { kind: 'failed', text: failure } }
  }
  const { serial, counter, code, text, signedAtMs } = mark
  return {
    fiscal: {
      kind: 'signed',
      serial,
      counter: String(counter),
      at: new Date(signedAtMs).toISOString(),
      code,
      text,
    },
  }
}
