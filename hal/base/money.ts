// Money: minor units with their ISO 4217 currency; a decimal string of minor units wherever it crosses JSON.
import { PosternError } from './errors.js'

/** An amount in minor units (cents, fen) of one ISO 4217 currency (alphabetic code). */
export interface Money {
  readonly minor: bigint
  readonly currency: string
}

/** Money as it crosses JSON: `{ minor: "1250", currency: "EUR" }`. */
export interface MoneyJson {
  readonly minor: string
  readonly currency: string
}

interface Currency {
  readonly numeric: string
  readonly exponent: number
  readonly symbol: string
}

/** ISO 4217 list one: the currencies that a terminal may be configured for. */
export const CURRENCIES: Readonly<Record<string, Currency>> = {
  AED: { numeric: '784', exponent: 2, symbol: 'AED' },
  AUD: { numeric: '036', exponent: 2, symbol: 'A$' },
  BHD: { numeric: '048', exponent: 3, symbol: 'BHD' },
  BRL: { numeric: '986', exponent: 2, symbol: 'R$' },
  CAD: { numeric: '124', exponent: 2, symbol: 'C$' },
  CHF: { numeric: '756', exponent: 2, symbol: 'CHF' },
  CNY: { numeric: '156', exponent: 2, symbol: '¥' },
  EUR: { numeric: '978', exponent: 2, symbol: '€' },
  GBP: { numeric: '826', exponent: 2, symbol: '£' },
  HKD: { numeric: '344', exponent: 2, symbol: 'HK$' },
  INR: { numeric: '356', exponent: 2, symbol: '₹' },
  JPY: { numeric: '392', exponent: 0, symbol: '¥' },
  KRW: { numeric: '410', exponent: 0, symbol: '₩' },
  KWD: { numeric: '414', exponent: 3, symbol: 'KWD' },
  MXN: { numeric: '484', exponent: 2, symbol: 'MX$' },
  SGD: { numeric: '702', exponent: 2, symbol: 'S$' },
  THB: { numeric: '764', exponent: 2, symbol: '฿' },
  TWD: { numeric: '901', exponent: 2, symbol: 'NT$' },
  USD: { numeric: '840', exponent: 2, symbol: '$' },
}

/** The largest amount that fits ISO 8583 field 4 and EMV tag 9F02 (n12). */
export const MAX_MINOR = 999_999_999_999n

/**
 * Makes money, checked.
 * @throws PosternError `MONEY_INVALID` when negative, above n12, or of an unknown currency.
 */
export function money(minor: bigint | number, currency: string): Money {
  const value = BigInt(minor)
  if (!Object.hasOwn(CURRENCIES, currency)) {
    throw new PosternError('MONEY_INVALID', `unknown currency ${currency.slice(0, 8)}`)
  }
  if (value < 0n || value > MAX_MINOR)
    throw new PosternError('MONEY_INVALID', 'amount out of range 0 to 999999999999')
  return { minor: value, currency }
}

/** Reads money from its JSON form. @throws PosternError `MONEY_INVALID` */
export function moneyFromJson(json: MoneyJson): Money {
  if (!/^(0|[1-9][0-9]{0,11})$/.test(json.minor)) {
    throw new PosternError(
      'MONEY_INVALID',
      'amount must be a decimal string of at most 12 digits of minor units',
    )
  }
  return money(BigInt(json.minor), json.currency)
}

/** Money for JSON. */
export function moneyToJson(value: Money): MoneyJson {
  return { minor: value.minor.toString(), currency: value.currency }
}

/** `12.50`: the decimal form without currency, by the currency's exponent (ISO 4217). */
export function formatAmount(value: Money): string {
  const exponent = CURRENCIES[value.currency]!.exponent
  if (exponent === 0) return value.minor.toString()
  const digits = value.minor.toString().padStart(exponent + 1, '0')
  return `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`
}

/** `€12.50`: with the currency's sign. `fixed` uses the code instead (`EUR 12.50`), as receipts do. */
export function formatMoney(value: Money, fixed = false): string {
  const symbol = CURRENCIES[value.currency]!.symbol
  return fixed || symbol === value.currency
    ? `${value.currency} ${formatAmount(value)}`
    : `${symbol}${formatAmount(value)}`
}
