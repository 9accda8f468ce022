// Does a typed value look like a card number? Luhn, length and issuer range together (ISO/IEC 7812-1).
import { ascii } from '../../../hal/base/bytes.js'

/** Card numbers of a scheme: first digits between two prefixes of one length, and how long they are. */
export interface CardRange {
  readonly scheme: string
  readonly from: string
  readonly to: string
  readonly lengths: readonly number[]
}

/** Issuer ranges as the schemes publish them; a terminal's own table replaces this one. */
export const CARD_RANGES: readonly CardRange[] = [
  { scheme: 'Visa', from: '4', to: '4', lengths: [13, 16, 19] },
  { scheme: 'Mastercard', from: '51', to: '55', lengths: [16] },
  { scheme: 'Mastercard', from: '2221', to: '2720', lengths: [16] },
  { scheme: 'Maestro', from: '50', to: '50', lengths: [12, 13, 14, 15, 16, 17, 18, 19] },
  { scheme: 'Maestro', from: '56', to: '58', lengths: [12, 13, 14, 15, 16, 17, 18, 19] },
  { scheme: 'Maestro', from: '67', to: '67', lengths: [12, 13, 14, 15, 16, 17, 18, 19] },
  { scheme: 'American Express', from: '34', to: '34', lengths: [15] },
  { scheme: 'American Express', from: '37', to: '37', lengths: [15] },
  { scheme: 'UnionPay', from: '62', to: '62', lengths: [16, 17, 18, 19] },
  { scheme: 'UnionPay', from: '81', to: '81', lengths: [16, 17, 18, 19] },
  { scheme: 'JCB', from: '3528', to: '3589', lengths: [16, 17, 18, 19] },
  { scheme: 'Diners', from: '30', to: '30', lengths: [14, 16, 17, 18, 19] },
  { scheme: 'Diners', from: '36', to: '36', lengths: [14, 15, 16, 17, 18, 19] },
  { scheme: 'Diners', from: '38', to: '39', lengths: [14, 16, 17, 18, 19] },
  { scheme: 'Discover', from: '6011', to: '6011', lengths: [16, 17, 18, 19] },
  { scheme: 'Discover', from: '644', to: '659', lengths: [16, 17, 18, 19] },
]

/** The check digit of ASCII digits (ISO/IEC 7812-1, annex B). */
export function luhn(digits: Uint8Array): boolean {
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = digits[digits.length - 1 - i]! - 0x30
    sum += i % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2
  }
  return sum % 10 === 0
}

const isCardNumber = (digits: string, ranges: readonly CardRange[]) =>
  luhn(ascii.encode(digits)) &&
  ranges.some(({ from, to, lengths }) => {
    const prefix = digits.slice(0, from.length)
    return lengths.includes(digits.length) && prefix >= from && prefix <= to
  })

/**
 * True if a value, or all of them put together in their order, is a card number; spaces, dots and dashes between
 * digits don't hide it, nor does splitting it over fields. Waybills that merely pass Luhn stay free.
 */
export function looksLikeCardNumber(
  values: readonly string[],
  ranges: readonly CardRange[] = CARD_RANGES,
): boolean {
  const plain = values.map((value) => value.normalize('NFKC').replace(/(?<=\d)[ .\-/]+(?=\d)/g, ''))
  const runs = plain.flatMap((value) => value.match(/\d+/g) ?? [])
  return [...runs, runs.join('')].some((digits) => isCardNumber(digits, ranges))
}
