// The merchant document: who takes the money, as receipts say it, and the terminal's currency and language.
import { type Static, Type } from 'typebox'
import { CURRENCIES } from '../../../hal/base/money.js'
import { checkDocument } from './documents.js'

const closed = { additionalProperties: false } as const

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
