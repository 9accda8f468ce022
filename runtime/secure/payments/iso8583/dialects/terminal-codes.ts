// Codes that the terminal's dialects share: what each word of a host message is in ISO 8583:1987 and in 1993.
import { PosternError } from '../../../../../hal/base/errors.js'
import type { Value } from '../field.js'
import type { ElementRow, Elements } from '../host-message.js'

/** DE3 (1987, table 5; 1993, table A.18): type of transaction, default accounts. Settlement: NOTE: as POS hosts use it. */
export const PROCESSING = {
  purchase: '000000',
  cashback: '090000',
  refund: '200000',
  settlement: '920000',
  settlementAfterUpload: '960000',
} as const

/** DE97: `D` where debits to cards exceed, else `C` (1987, 4.3.97); 16 digits of minor units. */
export const NET_ROW: ElementRow = {
  elements: ['netMinor'],
  fields: [97],
  write({ elements: { netMinor = '0' } }) {
    const negative = netMinor.startsWith('-')
    return [`${negative ? 'C' : 'D'}${netMinor.replace('-', '').padStart(16, '0')}`]
  },
  read([value]) {
    if (typeof value !== 'string') return {}
    const minor = BigInt(value.slice(1))
    return { netMinor: (value[0] === 'C' ? -minor : minor).toString() }
  },
}

const AMOUNT_TYPES = { cashbackMinor: '40', tipMinor: '44' } as const

/**
 * DE54: parts of the amount, 20 characters each: account type 00, amount type, currency, sign, 12 digits (1987, 4.3.54).
 * NOTE: type 40 is cash; 44, which the standard leaves to private use, is a tip.
 */
export const ADDITIONAL_AMOUNTS_ROW: ElementRow = {
  elements: ['cashbackMinor', 'tipMinor'],
  fields: [54],
  write({ elements }) {
    const parts = (Object.keys(AMOUNT_TYPES) as (keyof typeof AMOUNT_TYPES)[]).flatMap((element) => {
      const minor = elements[element]
      return minor === undefined
        ? []
        : [`00${AMOUNT_TYPES[element]}${elements.currency ?? '000'}D${minor.padStart(12, '0')}`]
    })
    return [parts.join('')]
  },
  read([value]) {
    const found: Elements = {}
    const text = typeof value === 'string' ? value : ''
    for (const [, type, minor] of text.matchAll(/00([0-9]{2})[0-9]{3}[CD]([0-9]{12})/g)) {
      const element = (Object.keys(AMOUNT_TYPES) as (keyof typeof AMOUNT_TYPES)[]).find(
        (one) => AMOUNT_TYPES[one] === type,
      )
      if (element !== undefined) found[element] = BigInt(minor!).toString()
    }
    return found
  },
}

/** A TR-31 block where the field holds bytes. */
export const keyBlockRow = (field: number): ElementRow => ({
  elements: ['keyBlock'],
  fields: [field],
  write: ({ elements }) => [elements.keyBlock && Buffer.from(elements.keyBlock, 'latin1')],
  read: ([value]) => (value instanceof Uint8Array ? { keyBlock: Buffer.from(value).toString('latin1') } : {}),
})

/** The digits of a field. @throws PosternError `ISO8583_INVALID` */
export function digitsOf(value: Value | undefined, field: number, least: number): string {
  if (typeof value !== 'string' || !/^[0-9]*$/.test(value) || value.length < least)
    throw new PosternError('ISO8583_INVALID', `field ${field}: is not ${least} digits`, {
      path: String(field),
    })
  return value
}
