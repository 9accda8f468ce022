// The merchant document: who takes the money, as receipts say it, and the terminal's currency and language.
import { type Static, Type } from 'typebox'
import { CURRENCIES } from '../../../hal/base/money.js'
import { checkDocument } from './documents.js'

const closed = { additionalProperties: false } as const

/** Kinds of receipts that fiscal laws tell apart. */
export const FISCAL_KINDS = ['sale', 'refund', 'void'] as const
export type FiscalKind = (typeof FISCAL_KINDS)[number]

export const MerchantDocument = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 40 }),
    address: Type.Array(Type.String({ minLength: 1, maxLength: 40 }), { maxItems: 4 }),
    /** ISO 4217, alphabetic. */
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
    /** ISO 3166-1 numeric, for tag 9F1A. */
    country: Type.String({ pattern: '^[0-9]{3}$' }),
    locale: Type.String({ pattern: '^[a-z]{2}(-[A-Z]{2})?$' }),
    /** ISO 18245 merchant category code. */
    categoryCode: Type.String({ pattern: '^[0-9]{4}$' }),
    /** Where the country wants receipts signed: each is, before it is printed. Absent: none is. */
    fiscal: Type.Optional(
      Type.Object(
        {
          /** All of them unless told. A completion is a sale. */
          kinds: Type.Optional(Type.Array(Type.Enum([...FISCAL_KINDS]), { minItems: 1, maxItems: 3 })),
          /** How long a receipt waits for its signature: 5,000. */
          timeoutMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 30_000 })),
          /** What the law wants on a receipt whose signature failed, by language; ours unless told. */
          failedText: Type.Optional(
            Type.Record(
              Type.String({ pattern: '^[a-z]{2}$' }),
              Type.String({ minLength: 1, maxLength: 120 }),
              { maxProperties: 16 },
            ),
          ),
        },
        closed,
      ),
    ),
    /** Cardholders sign on the board's pad; on paper where this is absent, or they do not. */
    signatureOnPad: Type.Optional(Type.Boolean()),
    /** What a supervisor may agree to for one operator in one shift; what is left out has the default beside it. */
    supervision: Type.Optional(
      Type.Object(
        {
          /** Ends of stuck items, voice codes, typed cards: 20. */
          overrides: Type.Optional(Type.Integer({ minimum: 0, maximum: 1000 })),
          /** Refunds and voids: 20, and 100,000 minor units in all. */
          refunds: Type.Optional(Type.Integer({ minimum: 0, maximum: 1000 })),
          refundsMinor: Type.Optional(Type.String({ pattern: '^(0|[1-9][0-9]{0,11})$' })),
          /** A single payment by typed card: 50,000 minor units. */
          typedCardMinor: Type.Optional(Type.String({ pattern: '^(0|[1-9][0-9]{0,11})$' })),
          /** A single refund that names no payment: 10,000 minor units. */
          unlinkedRefundMinor: Type.Optional(Type.String({ pattern: '^(0|[1-9][0-9]{0,11})$' })),
        },
        closed,
      ),
    ),
  },
  closed,
)
export type MerchantDocument = Static<typeof MerchantDocument>

/** Checks a merchant document. @throws PosternError `DOCUMENT_INVALID` naming the key and what is allowed */
export function readMerchantDocument(value: unknown): MerchantDocument {
  return checkDocument('merchant', MerchantDocument, value, (document) =>
    Object.hasOwn(CURRENCIES, document.currency)
      ? undefined
      : {
          path: '/currency',
          problem: `is none of ${Object.keys(CURRENCIES).join(', ')}`,
        },
  )
}
