// The terminal's data objects for one transaction, out of configuration, request, clock and random (EMV Book 3 v4.4, annex A; Book 4, annex A).
import { ascii, fromHex, toBcd } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { CURRENCIES, type Money } from '../../../hal/base/money.js'
import { TAG } from '../../../hal/base/tags.js'
import type { ApplicationConfiguration, TerminalConfiguration } from './configuration.js'
import { transactionDateTime } from './dates.js'
import { type TransactionData, toUint } from './transaction-data.js'

/** What is paid, when, and under which number. */
export interface TransactionRequest {
  /** 9C. */
  readonly type: number
  readonly amount: Money
  /** 9F03, part of `amount`. */
  readonly otherAmount?: Money
  /** 9F41. */
  readonly sequence: number
  /** Local time of the terminal. */
  readonly at: Date
}

const MAX_BINARY_AMOUNT = 0xffff_ffffn
/** 9F39: contact chip (ISO 8583 field 22, first two digits). */
const ENTRY_MODE_CHIP = 0x05

/** Sets what holds for the whole transaction, whichever application is chosen. */
export function setTransactionData(
  data: TransactionData,
  request: TransactionRequest,
  terminal: TerminalConfiguration,
  random: Random,
): void {
  const { amount } = request
  const currency = CURRENCIES[amount.currency]!
  const { date, time } = transactionDateTime(request.at)
  const cashback = request.otherAmount?.minor ?? 0n
  data.set(TAG.AMOUNT, toBcd(amount.minor.toString(), 6))
  data.set(TAG.AMOUNT_OTHER, toBcd(cashback.toString(), 6))
  // Book 3, annex A1: the binary amounts hold 32 bits; above that the numeric ones alone are right.
  data.set(TAG.AMOUNT_BINARY, toUint(amount.minor > MAX_BINARY_AMOUNT ? MAX_BINARY_AMOUNT : amount.minor, 4))
  data.set(TAG.AMOUNT_OTHER_BINARY, toUint(cashback > MAX_BINARY_AMOUNT ? MAX_BINARY_AMOUNT : cashback, 4))
  data.set(TAG.TRANSACTION_CURRENCY, fromHex(currency.numeric.padStart(4, '0')))
  data.set(TAG.CURRENCY_EXPONENT, Uint8Array.of(currency.exponent))
  data.set(TAG.TRANSACTION_DATE, date)
  data.set(TAG.TRANSACTION_TIME, time)
  data.set(TAG.TRANSACTION_TYPE, Uint8Array.of(request.type))
  data.set(TAG.SEQUENCE_COUNTER, toBcd(request.sequence.toString(), 4))
  data.set(TAG.UNPREDICTABLE_NUMBER, random(4))
  data.set(TAG.POS_ENTRY_MODE, Uint8Array.of(ENTRY_MODE_CHIP))
  data.set(TAG.TERMINAL_COUNTRY, terminal.countryCode)
  data.set(TAG.TERMINAL_TYPE, Uint8Array.of(terminal.type))
  data.set(TAG.TERMINAL_CAPABILITIES, terminal.capabilities)
  data.set(TAG.ADDITIONAL_CAPABILITIES, terminal.additionalCapabilities)
  const text = (tag: number, value: string | undefined, length?: number) => {
    if (value !== undefined) data.set(tag, ascii.encode(length ? value.padEnd(length) : value))
  }
  if (terminal.acquirerId) data.set(TAG.ACQUIRER_ID, terminal.acquirerId)
  if (terminal.merchantCategoryCode) data.set(TAG.MERCHANT_CATEGORY, terminal.merchantCategoryCode)
  text(TAG.MERCHANT_ID, terminal.merchantId, 15)
  text(TAG.TERMINAL_ID, terminal.terminalId, 8)
  text(TAG.MERCHANT_NAME, terminal.merchantName)
  text(TAG.IFD_SERIAL, terminal.ifdSerial, 8)
}

/** Sets what the chosen application brings, and clears the results of one tried before. */
export function setApplicationData(
  data: TransactionData,
  application: ApplicationConfiguration,
  dfName: Uint8Array,
  floorLimit: bigint,
): void {
  data.resetResults()
  data.set(TAG.AID, dfName)
  data.set(TAG.TERMINAL_VERSION, application.version)
  data.set(TAG.FLOOR_LIMIT, toUint(floorLimit, 4))
  if (application.riskManagementData) data.set(TAG.RISK_MANAGEMENT_DATA, application.riskManagementData)
}
