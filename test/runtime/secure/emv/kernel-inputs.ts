// What the kernel's tests start from: a store with usual values, an application row, hex in both directions.
import { fromHex, toHex } from '../../../../hal/base/bytes.js'
import { TAG } from '../../../../hal/base/tags.js'
import type { ApplicationConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { TransactionData } from '../../../../runtime/secure/emv/transaction-data.js'

export const hex = (text: string): Uint8Array => fromHex(text.replaceAll(' ', ''))

/** Terminal values of a sale of 12.50 EUR in Germany on 2026-11-22; `card` and `terminal` add to them. */
export function storeWith(
  card: Readonly<Record<number, string>> = {},
  terminal: Readonly<Record<number, string>> = {},
): TransactionData {
  const data = new TransactionData()
  const usual: Record<number, string> = {
    [TAG.AMOUNT]: '000000001250',
    [TAG.AMOUNT_OTHER]: '000000000000',
    [TAG.TRANSACTION_DATE]: '261122',
    [TAG.TRANSACTION_TIME]: '101500',
    [TAG.TRANSACTION_TYPE]: '00',
    [TAG.TRANSACTION_CURRENCY]: '0978',
    [TAG.TERMINAL_COUNTRY]: '0276',
    [TAG.TERMINAL_TYPE]: '22',
    [TAG.TERMINAL_CAPABILITIES]: 'E0F8C8',
    [TAG.ADDITIONAL_CAPABILITIES]: '6000F0A001',
    [TAG.TERMINAL_VERSION]: '008C',
    [TAG.UNPREDICTABLE_NUMBER]: 'DEADBEEF',
    [TAG.AID]: 'A0000000031010',
  }
  for (const [tag, value] of Object.entries({ ...usual, ...terminal })) data.set(Number(tag), hex(value))
  for (const [tag, value] of Object.entries(card)) data.addFromCard(Number(tag), hex(value))
  return data
}

export const tvr = (data: TransactionData): string => toHex(data.need(TAG.TVR))
export const tsi = (data: TransactionData): string => toHex(data.need(TAG.TSI))

export function application(
  aid: string,
  changes: Partial<ApplicationConfiguration> = {},
): ApplicationConfiguration {
  return {
    aid: hex(aid),
    partialSelection: false,
    version: hex('008C'),
    tac: { denial: hex('0000000000'), online: hex('0000000000'), default: hex('0000000000') },
    floorLimit: 0n,
    randomSelection: undefined,
    ddol: undefined,
    tdol: undefined,
    riskManagementData: undefined,
    ...changes,
  }
}

/** TLV with one-byte length, for answers in scripts. */
export function tlv(tag: string, ...values: string[]): string {
  const value = values.join('').replaceAll(' ', '')
  const length = value.length / 2
  const head = length < 0x80 ? '' : '81'
  return `${tag}${head}${length.toString(16).padStart(2, '0').toUpperCase()}${value}`
}
