// The development acquirer's dialect: ISO 8583:1987 binary, patched, and the one table of its messages. No PAN in clear.
import { PosternError } from '../../../../../hal/base/errors.js'
import { type DialectTable, defineDialect, type Layout, patchDialect } from '../codec.js'
import type { Field } from '../field.js'
import { row } from '../notation.js'
import { BINARY, ISO87_BINARY_TABLE } from './iso87-binary.js'

/** The fields that the dialect has at all; everything else of the base is taken out, PAN and tracks first of all. */
const KEPT = [
  3, 4, 7, 11, 12, 13, 22, 23, 24, 25, 37, 38, 39, 41, 42, 49, 50, 64, 66, 70, 76, 77, 88, 89, 90, 97, 128,
] as const

/**
 * What each message carries, in the order of the bitmap. `must` and `may` are enforced on both ways.
 * A void is a reversal (0400, reason 17) of an approved sale: it is repeated until it is acknowledged, like any other.
 * NOTE: the MAC (CMAC, leftmost 8 bytes, DE64, or DE128 where a field above 64 is sent) covers every byte from the MTI to
 * the one before it, without framing. Its KSN lies in DE53; the answer repeats it and is made with the response key.
 */
const LAYOUTS: Readonly<Record<string, Layout>> = {
  '0200': {
    name: 'Sale',
    must: [3, 4, 7, 11, 12, 13, 22, 24, 25, 41, 42, 48, 49, 53, 60, 62, 64],
    may: [23, 52, 55],
  },
  '0210': {
    name: 'Answer to a sale',
    must: [3, 4, 7, 11, 12, 13, 24, 37, 39, 41, 42, 49, 53, 64],
    may: [38, 55],
  },
  '0400': {
    name: 'Reversal',
    must: [3, 4, 7, 11, 12, 13, 22, 24, 25, 39, 41, 42, 49, 53, 60, 62, 90, 128],
    may: [23, 37, 38],
  },
  '0401': {
    name: 'Reversal, repeated',
    must: [3, 4, 7, 11, 12, 13, 22, 24, 25, 39, 41, 42, 49, 53, 60, 62, 90, 128],
    may: [23, 37, 38],
  },
  '0410': {
    name: 'Answer to a reversal',
    must: [3, 4, 7, 11, 12, 13, 24, 37, 39, 41, 42, 49, 53, 90, 128],
    may: [],
  },
  '0500': {
    name: 'Totals of a batch',
    must: [7, 11, 12, 13, 24, 41, 42, 50, 53, 60, 76, 77, 88, 89, 97, 128],
    may: [],
  },
  '0510': {
    name: "Answer to totals; with the acquirer's own where they differ",
    must: [7, 11, 12, 13, 24, 39, 41, 42, 50, 53, 60, 66, 128],
    may: [76, 77, 88, 89, 97],
  },
  '0800': { name: 'Network management', must: [7, 11, 24, 41, 42, 53, 70, 128], may: [] },
  '0810': { name: 'Answer to network management', must: [7, 11, 24, 39, 41, 42, 53, 70, 128], may: [] },
}

const b = (notation: string, name: string, shown?: Field['shown']): Field =>
  row(BINARY, notation, name, shown)

export const POSTERN_DEV_TABLE: DialectTable = patchDialect(
  {
    ...ISO87_BINARY_TABLE,
    rows: Object.fromEntries(KEPT.map((number) => [number, ISO87_BINARY_TABLE.rows[number]])),
  },
  {
    name: 'postern-dev',
    most: 2048,
    layouts: LAYOUTS,
    rows: {
      // Encrypted track 2 equivalent data: BER-TLV DF01 KSN (12), DF02 ciphertext (CBC, zero IV, padding method 2).
      48: b('b...255', 'Encrypted card data', 'hidden'),
      49: b('n3', 'Currency code, transaction'),
      50: b('n3', 'Currency code, settlement'),
      // ISO 9564 format 4 needs a whole AES block, twice what the standard of 1987 has room for.
      52: b('b16', 'PIN block, ISO 9564 format 4', 'hidden'),
      // BER-TLV: DF03 KSN of the PIN block, DF04 KSN of the MAC. Neither is secret.
      53: b('b..48', 'Security control: key serial numbers'),
      // Values of 1987 and EMV tags that an answer carries: 91, 71, 72.
      55: b('b...512', 'Integrated circuit card data', 'hidden'),
      60: b('n...6', 'Batch number'),
      62: b('n...9', 'Receipt number'),
    },
  },
)

export const POSTERN_DEV = defineDialect(POSTERN_DEV_TABLE)

/**
 * DE39 of a reversal: why (ISO 8583:1987, table 8, read as reasons). Only `voidedByOperator` leaves the sale in the
 * batch's totals, as a sale and as a void; every other reason means that it never was.
 */
export const REVERSAL_REASONS = {
  voidedByOperator: '17',
  suspectedMalfunction: '22',
  cardDeclined: '22',
  cardRemoved: '22',
  responseTooLate: '68',
} as const

/** DE39 of an answer that lets the money move. */
export const APPROVED_CODES: readonly string[] = ['00']
/** DE39 of an answer to a reversal that ends it: done, or nothing was there to reverse. */
export const REVERSED_CODES: readonly string[] = ['00', '21', '25']

/** DE22: chip (05), contactless chip (07), stripe (90, 80 in a chip's place), typed (01), each with PIN entry capability (1). */
export const ENTRY_MODES = {
  chip: '051',
  contactless: '071',
  stripe: '901',
  fallback: '801',
  manual: '011',
} as const

/** DE70. */
export const NETWORK_CODES = { signOn: '001', echo: '301' } as const

/** DE66: whether the totals agree. */
export const SETTLEMENT_CODES = { inBalance: '1', outOfBalance: '2', error: '3' } as const

/** DE97: sales (debits to cards) less voids in minor units; `D` where debits exceed, else `C` (ISO 8583:1987, 4.3.97). */
export function netSettlement(minor: bigint): string {
  return `${minor < 0n ? 'C' : 'D'}${(minor < 0n ? -minor : minor).toString().padStart(16, '0')}`
}

/** DE90: type, trace number and transmission time of the original, no institutions (ISO 8583:1987, 4.3.90). */
export function originalDataElements(original: { mti: string; stan: string; transmitted: string }): string {
  return `${original.mti}${original.stan}${original.transmitted}`.padEnd(42, '0')
}

/** Reads DE90. @throws PosternError `ISO8583_INVALID` */
export function readOriginalDataElements(text: string): { mti: string; stan: string; transmitted: string } {
  if (!/^[0-9]{42}$/.test(text)) {
    throw new PosternError('ISO8583_INVALID', 'field 90: is not 42 digits', { path: '90' })
  }
  return { mti: text.slice(0, 4), stan: text.slice(4, 10), transmitted: text.slice(10, 20) }
}
