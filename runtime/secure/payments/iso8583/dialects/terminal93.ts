// What a terminal and its host say to each other in the ISO 8583:1993 dialect: the one table of messages, and the fields.
import { type Layout, patchDialect } from '../codec.js'
import { row } from '../notation.js'
import { BINARY } from './iso87-binary.js'
import { ISO93_TABLE } from './iso93.js'

/** The fields that the dialect has at all; PAN, tracks and expiry are not among them. */
const KEPT = [
  3, 4, 7, 11, 12, 22, 23, 24, 25, 37, 38, 39, 41, 42, 49, 50, 52, 53, 54, 56, 64, 71, 74, 75, 76, 77, 86, 87,
  88, 89, 96, 97, 128,
] as const

const HEAD = [7, 11, 12, 24, 41, 42, 53] as const
const MONEY = [3, 4, 22, 49, 60, 62, ...HEAD] as const
const MONEY_ANSWER = [3, 4, 37, 39, 49, 7, 11, 12, 41, 42, 53] as const
const TOTALS = [3, 50, 60, 74, 75, 76, 77, 86, 87, 88, 89, 97, ...HEAD] as const
const TOTALS_ANSWER = [39, 50, 60, 7, 11, 12, 41, 42, 53] as const
const OWN_TOTALS = [74, 75, 76, 77, 86, 87, 88, 89, 97] as const

/** `mac` everywhere: DE64, or DE128 where a field above 64 is sent. */
const layout = (name: string, must: readonly number[], may: readonly number[] = []): Layout => ({
  name,
  must,
  may,
  mac: true,
})

const FINANCIAL_ADVICE = [39, ...MONEY]
const FINANCIAL_ADVICE_MAY = [23, 37, 38, 48, 54, 55, 56]
const DECLINE_ADVICE = [39, ...MONEY]
const UPLOAD = [39, 56, 71, 72, ...MONEY]
const REVERSAL = [25, 56, ...MONEY]

/** What each message carries, without its MAC. Enforced both ways. */
export const LAYOUTS_93: Readonly<Record<string, Layout>> = {
  '1100': layout('Pre-authorisation, or its increment (56)', MONEY, [23, 37, 38, 48, 52, 54, 55, 56, 61]),
  '1110': layout('Answer to a pre-authorisation', MONEY_ANSWER, [38, 55]),
  '1120': layout('Advice: declined here', DECLINE_ADVICE, [23, 48, 55]),
  '1121': layout('Advice: declined here, repeated', DECLINE_ADVICE, [23, 48, 55]),
  '1130': layout('Answer to an advice', MONEY_ANSWER),
  '1200': layout('Sale, or refund (linked: 56)', MONEY, [23, 37, 38, 48, 52, 54, 55, 56, 61]),
  '1210': layout('Answer to a sale or a refund', MONEY_ANSWER, [38, 55]),
  '1220': layout('Advice: booked here, or completion (56)', FINANCIAL_ADVICE, FINANCIAL_ADVICE_MAY),
  '1221': layout('Advice: booked here, repeated', FINANCIAL_ADVICE, FINANCIAL_ADVICE_MAY),
  '1230': layout('Answer to an advice', MONEY_ANSWER, [38]),
  '1320': layout('Upload: a payment of the batch', UPLOAD, [23, 37, 38, 54]),
  '1321': layout('Upload, repeated', UPLOAD, [23, 37, 38, 54]),
  '1330': layout('Answer to an upload', [39, 60, 71, 7, 11, 12, 41, 42, 53]),
  '1420': layout('Reversal', REVERSAL, [23, 37, 38, 54]),
  '1421': layout('Reversal, repeated', REVERSAL, [23, 37, 38, 54]),
  '1430': layout('Answer to a reversal', [56, ...MONEY_ANSWER]),
  '1500': layout('Totals of a batch', TOTALS),
  '1501': layout('Totals of a batch, repeated', TOTALS),
  '1510': layout("Answer to totals; with the acquirer's own where they differ", TOTALS_ANSWER, OWN_TOTALS),
  '1520': layout('Totals of a batch, advice', TOTALS),
  '1521': layout('Totals of a batch, advice, repeated', TOTALS),
  '1530': layout('Answer to a totals advice', TOTALS_ANSWER, OWN_TOTALS),
  '1804': layout('Network management', HEAD),
  '1805': layout('Network management, repeated', HEAD),
  '1814': layout('Answer to network management', [39, ...HEAD], [96]),
}

export const TERMINAL93_TABLE = patchDialect(
  { ...ISO93_TABLE, rows: Object.fromEntries(KEPT.map((number) => [number, ISO93_TABLE.rows[number]])) },
  {
    name: 'postern-93',
    most: 4096,
    layouts: LAYOUTS_93,
    rows: {
      // As in the dialects of 1987: BER-TLV DF01 KSN, DF02 ciphertext.
      48: row(BINARY, 'b...255', 'Encrypted card data', 'hidden'),
      52: row(BINARY, 'b16', 'PIN block, ISO 9564 format 4', 'hidden'),
      55: row(BINARY, 'b...512', 'Integrated circuit card system related data', 'hidden'),
      60: row(BINARY, 'n...6', 'Batch number'),
      61: row(BINARY, 'n...1', 'Partial approval accepted'),
      62: row(BINARY, 'n...9', 'Receipt number'),
      72: row(BINARY, 'n...8', 'Data record: messages of the upload'),
    },
  },
)
