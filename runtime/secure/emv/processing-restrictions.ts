// Processing restrictions: version, usage control, dates (EMV Book 3 v4.4, 10.4).
import { equalBytes } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import { isExpired, isNotYetEffective } from './dates.js'
import type { TransactionData } from './transaction-data.js'
import { hasBit, type ResultBit } from './verification-results.js'

/** Transaction types of 9C, the first two digits of ISO 8583's processing code. */
export const TRANSACTION_TYPE = { purchase: 0x00, cash: 0x01, cashback: 0x09, refund: 0x20 } as const

const bit = (byte: number, number: number, name: string): ResultBit => ({
  byte,
  mask: 1 << (number - 1),
  name,
})

/** Application Usage Control 9F07 (Book 3, annex C2). */
const AUC = {
  domesticCash: bit(1, 8, 'Valid for domestic cash transactions'),
  internationalCash: bit(1, 7, 'Valid for international cash transactions'),
  domesticGoods: bit(1, 6, 'Valid for domestic goods'),
  internationalGoods: bit(1, 5, 'Valid for international goods'),
  domesticServices: bit(1, 4, 'Valid for domestic services'),
  internationalServices: bit(1, 3, 'Valid for international services'),
  atm: bit(1, 2, 'Valid at ATMs'),
  otherThanAtm: bit(1, 1, 'Valid at terminals other than ATMs'),
  domesticCashback: bit(2, 8, 'Domestic cashback allowed'),
  internationalCashback: bit(2, 7, 'International cashback allowed'),
} as const

/** Additional Terminal Capabilities, byte 1: cash (Book 4, annex A3). */
const CASH = bit(1, 8, 'Cash')

/** An ATM is an unattended financial-institution terminal that gives cash (Book 4, annex A1). */
export function isAtm(terminalType: number, additionalCapabilities: Uint8Array | undefined): boolean {
  return terminalType >= 0x14 && terminalType <= 0x16 && hasBit(additionalCapabilities, CASH)
}

/** Sets the TVR's bits of byte 2; nothing here ends the transaction. */
export function processingRestrictions(data: TransactionData): void {
  const iccVersion = data.card(TAG.ICC_VERSION)
  // 10.4.1: without 9F08 the versions are presumed to be the same.
  if (iccVersion && !equalBytes(iccVersion, data.get(TAG.TERMINAL_VERSION) ?? new Uint8Array()))
    data.raise('versionsDiffer')
  const usage = data.card(TAG.USAGE_CONTROL)
  if (usage && !isServiceAllowed(usage, data)) data.raise('serviceNotAllowed')
  const today = data.get(TAG.TRANSACTION_DATE)
  const effective = data.card(TAG.EFFECTIVE_DATE)
  if (effective && isNotYetEffective(today, effective)) data.raise('notYetEffective')
  if (isExpired(today, data.card(TAG.EXPIRATION_DATE))) data.raise('expired')
}

/** 10.4.2: by kind of terminal, then by kind of service and country. */
function isServiceAllowed(usage: Uint8Array, data: TransactionData): boolean {
  const atm = isAtm(data.get(TAG.TERMINAL_TYPE)?.[0] ?? 0, data.get(TAG.ADDITIONAL_CAPABILITIES))
  if (!hasBit(usage, atm ? AUC.atm : AUC.otherThanAtm)) return false
  const issuerCountry = data.card(TAG.ISSUER_COUNTRY)
  // Without 5F28 nothing says which of the two columns applies.
  if (!issuerCountry) return true
  const domestic = equalBytes(issuerCountry, data.get(TAG.TERMINAL_COUNTRY) ?? new Uint8Array())
  const type = data.get(TAG.TRANSACTION_TYPE)?.[0]
  // Table 36: each row that applies asks for its bit.
  if (type === TRANSACTION_TYPE.cash && !hasBit(usage, domestic ? AUC.domesticCash : AUC.internationalCash))
    return false
  const purchase = type === TRANSACTION_TYPE.purchase || type === TRANSACTION_TYPE.cashback
  if (purchase && !isPurchaseAllowed(usage, domestic)) return false
  const cashback = type === TRANSACTION_TYPE.cashback || hasCashbackAmount(data)
  return !cashback || hasBit(usage, domestic ? AUC.domesticCashback : AUC.internationalCashback)
}

/** 9F03 above zero in a purchase: whatever 9C says, some of it is handed out. */
function hasCashbackAmount(data: TransactionData): boolean {
  return (
    data.get(TAG.TRANSACTION_TYPE)?.[0] === TRANSACTION_TYPE.purchase &&
    (data.get(TAG.AMOUNT_OTHER)?.some((byte) => byte !== 0) ?? false)
  )
}

/** Goods or services: the terminal doesn't know which of the two is sold, either will do. */
function isPurchaseAllowed(usage: Uint8Array, domestic: boolean): boolean {
  return domestic
    ? hasBit(usage, AUC.domesticGoods) || hasBit(usage, AUC.domesticServices)
    : hasBit(usage, AUC.internationalGoods) || hasBit(usage, AUC.internationalServices)
}
