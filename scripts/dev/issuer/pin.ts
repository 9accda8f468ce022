// How an issuer recognises a PIN without keeping it: PIN verification value, IBM 3624 natural PIN and offset.
import { fromHex, toHex } from '../../../hal/base/bytes.js'
import { encryptEcb } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'

const bad = (message: string): never => {
  throw new PosternError('ISSUER_INVALID', message)
}

/** Hex digits to decimal ones: the decimal digits first, then the letters less ten, until `count` are found. */
export function decimalise(hex: string, count: number): string {
  const letters = hex.replace(/[0-9]/g, '').replace(/[A-F]/g, (letter) => `${letter.charCodeAt(0) - 65}`)
  return (hex.replace(/[A-F]/g, '') + letters).slice(0, count)
}

const checkKey = (key: Uint8Array): unknown =>
  [8, 16, 24].includes(key.length) || bad('a PIN verification key is 8, 16 or 24 bytes')

/**
 * PIN verification value: four digits from PAN, key index and a PIN of four digits.
 * @throws PosternError `ISSUER_INVALID`
 */
export function pinVerificationValue(key: Uint8Array, keyIndex: string, pan: string, pin: string): string {
  checkKey(key)
  if (!/^\d$/.test(keyIndex)) bad('a key index is one digit')
  if (!/^\d{4}$/.test(pin)) bad('this method takes PINs of four digits')
  if (!/^\d{12,19}$/.test(pan)) bad('a PAN has 12 to 19 digits')
  const input = pan.slice(-12, -1) + keyIndex + pin
  return decimalise(toHex(encryptEcb('tdes', key, fromHex(input))), 4)
}

/** What IBM 3624 takes of a PAN, and its table of hex digits to decimal ones. */
export interface Ibm3624 {
  readonly key: Uint8Array
  /** 16 decimal digits. */
  readonly table: string
  readonly pan: string
  /** First digit of the PAN that is used, counted from 0, and how many are. */
  readonly from: number
  readonly length: number
  /** One hex digit that fills up to 16. */
  readonly pad: string
}

function naturalPin(scheme: Ibm3624): string {
  checkKey(scheme.key)
  if (!/^\d{16}$/.test(scheme.table)) bad('a decimalisation table has 16 digits')
  if (!/^\d{1,19}$/.test(scheme.pan)) bad('a PAN has at most 19 digits')
  if (!/^[0-9A-Fa-f]$/.test(scheme.pad)) bad('the pad is one hex digit')
  if (
    scheme.from < 0 ||
    scheme.length < 1 ||
    scheme.length > 16 ||
    scheme.from + scheme.length > scheme.pan.length
  )
    bad('the digits used must lie within the PAN')
  const input = scheme.pan.slice(scheme.from, scheme.from + scheme.length).padEnd(16, scheme.pad)
  const cipher = toHex(encryptEcb('tdes', scheme.key, fromHex(input)))
  return [...cipher].map((digit) => scheme.table[Number.parseInt(digit, 16)]!).join('')
}

const digitwise = (a: string, b: string, sign: 1 | -1): string =>
  [...a].map((digit, i) => (Number(digit) + sign * Number(b[i]) + 10) % 10).join('')

/** The PIN that belongs to an offset of 4 to 16 digits (IBM 3624). @throws PosternError `ISSUER_INVALID` */
export function ibm3624Pin(scheme: Ibm3624, offset: string): string {
  if (!/^\d{4,16}$/.test(offset)) bad('an offset has 4 to 16 digits')
  return digitwise(offset, naturalPin(scheme), 1)
}

/** The offset that makes a PIN of 4 to 16 digits right (IBM 3624). @throws PosternError `ISSUER_INVALID` */
export function ibm3624Offset(scheme: Ibm3624, pin: string): string {
  if (!/^\d{4,16}$/.test(pin)) bad('a PIN has 4 to 16 digits')
  return digitwise(pin, naturalPin(scheme), -1)
}
