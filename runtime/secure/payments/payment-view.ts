// A payment as the open world may see it: outcome, code, a sentence, and the facts for its receipt.
import { isPosternError } from '../../../hal/base/errors.js'
import { type MoneyJson, money, moneyToJson } from '../../../hal/base/money.js'
import type { PaymentOutcome, PaymentView, ReceiptFacts } from '../../api/payments.js'
import type { Texts } from '../texts.js'
import { fiscalFacts } from './fiscal-marks.js'
import type { MerchantDocument } from './merchant-document.js'
import type { FiscalMark, PaymentRecord, ReversalCause } from './payment-record.js'

const WHILE_OWED: Readonly<Record<ReversalCause, PaymentOutcome>> = {
  timeout: 'reversing',
  badMac: 'reversing',
  unreadable: 'reversing',
  lineLost: 'reversing',
  restart: 'reversing',
  void: 'reversing',
  partialRefused: 'reversing',
  cardFailed: 'reversing',
  cardDeclined: 'declined',
  cardRemoved: 'cardRemoved',
}

const ONCE_REVERSED: Readonly<Record<ReversalCause, PaymentOutcome>> = {
  ...WHILE_OWED,
  timeout: 'reversed',
  badMac: 'reversed',
  unreadable: 'reversed',
  lineLost: 'reversed',
  restart: 'reversed',
  cardFailed: 'reversed',
  void: 'voided',
  partialRefused: 'reversed',
}

/** What became of a payment, as its state and the cause of its reversal say. */
export function outcomeOf(record: PaymentRecord): PaymentOutcome {
  switch (record.state) {
    case 'CREATED':
    case 'PREPARED':
    case 'SENT':
    case 'REFERRED':
    case 'APPROVED':
    case 'OFFLINE_APPROVED':
      return 'inProgress'
    case 'CARD_FINAL':
    case 'COMPLETED':
    case 'SETTLED':
    case 'CAPTURED':
    case 'ADVICE_PENDING':
    case 'ADVISED':
    case 'ADVICE_REFUSED':
      return 'approved'
    case 'DECLINED':
    case 'DECLINE_PENDING':
    case 'DECLINE_REFUSED':
      return 'declined'
    case 'CANCELLED':
      return record.void === undefined ? (record.ended ?? 'cancelled') : 'voided'
    case 'REVERSAL_PENDING':
    case 'REVERSAL_STUCK':
      return WHILE_OWED[record.reversal?.cause ?? 'restart']
    case 'REVERSED':
      return ONCE_REVERSED[record.reversal?.cause ?? 'restart']
    case 'ENDED_BY_OPERATOR':
      // An advice that the host refused: the customer has paid, and the depot settles it with the bank.
      return record.reversal === undefined ? 'approved' : 'endedByOperator'
    default:
      // A newer release's state, of which this one knows only that it is not over.
      return 'inProgress'
  }
}

/** A wall-clock time as ISO 8601 with the offset it was made in. */
export function localIso(atMs: number, utcOffsetMin: number): string {
  const local = new Date(atMs + utcOffsetMin * 60_000).toISOString().slice(0, 19)
  const minutes = Math.abs(utcOffsetMin)
  const pad = (value: number) => String(value).padStart(2, '0')
  return `${local}${utcOffsetMin < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`
}

export const amountOf = (record: PaymentRecord) =>
  money(BigInt(record.approvedMinor ?? record.minor), record.currency)

/** Tip and cashback of a payment's amount. */
function partsOf({ tipMinor, cashbackMinor, currency }: PaymentRecord) {
  return {
    ...(tipMinor === undefined ? {} : { tip: { minor: tipMinor, currency } }),
    ...(cashbackMinor === undefined ? {} : { cashback: { minor: cashbackMinor, currency } }),
  }
}

/** Makes views and receipts; the narrow things they need are the merchant's facts and the texts. */
export interface Views {
  view(record: PaymentRecord): PaymentView
  /** The void of `record`, under the void's own key. */
  voidView(record: PaymentRecord): PaymentView
  /** A view of what is not in the journal: `busy`, `unknown`, `alreadyPaid`, a refused void. */
  plain(
    subject: { key: string; reference: string; amount: MoneyJson; locale: string },
    outcome: PaymentOutcome,
    code?: string,
  ): PaymentView
  /** Null where there is nothing to put on paper: nothing was asked of card or host, or it is still open. */
  receipt(record: PaymentRecord): ReceiptFacts | null
  voidReceipt(record: PaymentRecord): ReceiptFacts | null
}

const number6 = (value: number) => String(value).padStart(6, '0')

export function createViews(merchant: MerchantDocument, texts: Texts): Views {
  function sentence(outcome: PaymentOutcome, code: string | undefined, locale: string): string {
    const general = `payment.${outcome}`
    if (code === undefined) return texts.text(locale, general)
    try {
      return texts.text(locale, `${general}.${code}`)
    } catch (error) {
      if (!isPosternError(error, 'TEXT_UNKNOWN')) throw error
      return texts.text(locale, general)
    }
  }

  function codeOf(record: PaymentRecord): string | undefined {
    if (record.void !== undefined) return 'VOID'
    if (record.state === 'ADVICE_PENDING') return 'OFFLINE'
    if (record.state === 'ADVICE_REFUSED') return 'ADVICE_REFUSED'
    if (record.state === 'REVERSAL_STUCK') return 'STUCK'
    if (record.signatureRequired === true && record.signature === undefined)
      if (outcomeOf(record) === 'approved') return 'SIGNATURE'
    return record.code
  }

  const signature = (mark: FiscalMark | undefined, record: PaymentRecord) => {
    const locale = record.cardLocale ?? record.locale
    return fiscalFacts(mark, merchant, locale, texts.text(locale, 'fiscal.failed'))
  }

  function facts(record: PaymentRecord, outcome: ReceiptFacts['outcome']): ReceiptFacts {
    const { card, response } = record
    const locale = record.cardLocale ?? record.locale
    return {
      merchant: {
        name: merchant.name,
        address: [...merchant.address],
        merchantId: record.merchantId,
        terminalId: record.terminalId,
      },
      type: record.type ?? 'sale',
      ...partsOf(record),
      outcome,
      amount: moneyToJson(amountOf(record)),
      at: localIso(record.preparedAtMs ?? record.createdAtMs, record.utcOffsetMin),
      reference: record.reference,
      operator: record.operator,
      stan: record.stan === undefined ? '-' : number6(record.stan),
      receiptNumber: number6(record.receiptNumber),
      ...(response === undefined ? {} : { responseCode: response.code }),
      ...(response?.authorisationCode === undefined ? {} : { authorisationCode: response.authorisationCode }),
      ...(outcome === 'approved'
        ? signature(record.fiscal, record)
        : { reason: sentence(outcomeOf(record), codeOf(record), locale) }),
      ...(card === undefined
        ? {}
        : {
            card: {
              label: card.label,
              aid: card.aid,
              panLast4: card.panLast4,
              ...(card.panSequence === undefined ? {} : { panSequence: card.panSequence }),
              entryMode: card.entryMode,
              cvm: card.cvm,
              ...(record.signature === undefined ? {} : { signedOnPad: true }),
              // A stripe has none of them.
              ...(card.entryMode === 'stripe'
                ? {}
                : {
                    cryptogram: card.cryptogram,
                    cryptogramType: card.cryptogramType,
                    tvr: card.tvr,
                    tsi: card.tsi,
                    atc: card.atc,
                  }),
            },
          }),
    }
  }

  const views: Views = {
    plain: ({ key, reference, amount, locale }, outcome, code) => ({
      key,
      outcome,
      reference,
      amount,
      ...(code === undefined ? {} : { code }),
      message: sentence(outcome, code, locale),
      tender: 'card',
    }),
    view(record) {
      const { key, reference, locale } = record
      const receipt = views.receipt(record)
      const view = views.plain(
        { key, reference, amount: moneyToJson(amountOf(record)), locale },
        outcomeOf(record),
        codeOf(record),
      )
      const less = BigInt(record.minor) - amountOf(record).minor
      return {
        ...view,
        ...(record.type === undefined ? {} : { type: record.type }),
        ...partsOf(record),
        ...(less > 0n && outcomeOf(record) === 'approved'
          ? { remaining: { minor: less.toString(), currency: record.currency } }
          : {}),
        ...(receipt === null ? {} : { receipt }),
      }
    },
    voidView(record) {
      const receipt = views.voidReceipt(record)
      return {
        ...views.view(record),
        key: record.void?.key ?? record.key,
        ...(receipt === null ? {} : { receipt }),
      }
    },
    receipt(record) {
      switch (outcomeOf(record)) {
        case 'approved':
          return facts(record, 'approved')
        case 'declined':
          return facts(record, 'declined')
        case 'reversed':
        case 'voided':
          return facts(record, 'reversed')
        default:
          return record.state === 'REVERSED' ? facts(record, 'reversed') : null
      }
    },
    voidReceipt(record) {
      const { void: mark, reversal } = record
      const unsent = record.state === 'CANCELLED'
      if (mark === undefined || !(unsent || record.state === 'REVERSED')) return null
      const { reason: _, responseCode: __, fiscal: ___, ...sale } = facts(record, 'approved')
      return {
        ...sale,
        type: 'void',
        at: localIso(mark.atMs, record.utcOffsetMin),
        operator: mark.operator,
        stan: reversal === undefined ? '-' : number6(reversal.stan),
        receiptNumber: number6(mark.receiptNumber),
        ...signature(mark.fiscal, record),
        ...(reversal?.responseCode === undefined ? {} : { responseCode: reversal.responseCode }),
      }
    },
  }
  return views
}
