// What a terminal and its host say to each other in the ISO 8583:1987 dialects: the one table of messages, and the fields.
import { type DialectTable, type Layout, patchDialect } from '../codec.js'
import type { Field } from '../field.js'
import { row, type Style } from '../notation.js'

/** The fields that these dialects have at all; the rest of the base is taken out, PAN and tracks first of all. */
const KEPT = [
  3, 4, 7, 11, 12, 13, 22, 23, 24, 25, 37, 38, 39, 41, 42, 49, 50, 54, 64, 66, 70, 71, 72, 74, 75, 76, 77, 86,
  87, 88, 89, 90, 97, 128,
] as const

/** Who and when: in every message about money. */
const HEAD = [7, 11, 12, 13, 24, 41, 42, 53] as const
const MONEY = [3, 4, 22, 25, 49, 60, 62, ...HEAD] as const
const MONEY_ANSWER = [3, 4, 37, 39, 49, ...HEAD] as const
const TOTALS = [3, 50, 60, 74, 75, 76, 77, 86, 87, 88, 89, 97, ...HEAD] as const
const TOTALS_ANSWER = [39, 50, 60, 66, ...HEAD] as const
const OWN_TOTALS = [74, 75, 76, 77, 86, 87, 88, 89, 97] as const

/** `mac` everywhere: DE64, or DE128 where a field above 64 is sent. */
const layout = (name: string, must: readonly number[], may: readonly number[] = []): Layout => ({
  name,
  must,
  may,
  mac: true,
})

const FINANCIAL_ADVICE = [39, ...MONEY]
const FINANCIAL_ADVICE_MAY = [23, 37, 38, 48, 54, 55, 90]
const DECLINE_ADVICE = [39, ...MONEY]
const UPLOAD = [39, 71, 72, 90, ...MONEY]
const REVERSAL = [39, 90, ...MONEY]

/**
 * What each message carries, without its MAC. Enforced both ways. A void is a reversal (reason 17) of an approved payment: it
 * is repeated until it is acknowledged, like any other.
 */
export const LAYOUTS_87: Readonly<Record<string, Layout>> = {
  '0100': layout('Pre-authorisation, or its increment (90)', MONEY, [23, 37, 38, 48, 52, 54, 55, 61, 90]),
  '0110': layout('Answer to a pre-authorisation', MONEY_ANSWER, [38, 55]),
  '0120': layout('Advice: declined here', DECLINE_ADVICE, [23, 48, 55]),
  '0121': layout('Advice: declined here, repeated', DECLINE_ADVICE, [23, 48, 55]),
  '0130': layout('Answer to an advice', MONEY_ANSWER),
  '0200': layout('Sale, or refund (linked: 90)', MONEY, [23, 37, 38, 48, 52, 54, 55, 61, 90]),
  '0210': layout('Answer to a sale or a refund', MONEY_ANSWER, [38, 55]),
  '0220': layout('Advice: booked here, or completion (90)', FINANCIAL_ADVICE, FINANCIAL_ADVICE_MAY),
  '0221': layout('Advice: booked here, repeated', FINANCIAL_ADVICE, FINANCIAL_ADVICE_MAY),
  '0230': layout('Answer to an advice', MONEY_ANSWER, [38]),
  '0320': layout('Upload: a payment of the batch', UPLOAD, [23, 37, 38, 54]),
  '0321': layout('Upload, repeated', UPLOAD, [23, 37, 38, 54]),
  '0330': layout('Answer to an upload', [39, 60, 71, ...HEAD]),
  '0400': layout('Reversal', REVERSAL, [23, 37, 38, 54]),
  '0401': layout('Reversal, repeated', REVERSAL, [23, 37, 38, 54]),
  '0410': layout('Answer to a reversal', [90, ...MONEY_ANSWER]),
  '0420': layout('Reversal advice', REVERSAL, [23, 37, 38, 54]),
  '0421': layout('Reversal advice, repeated', REVERSAL, [23, 37, 38, 54]),
  '0430': layout('Answer to a reversal advice', [90, ...MONEY_ANSWER]),
  '0500': layout('Totals of a batch', TOTALS),
  '0501': layout('Totals of a batch, repeated', TOTALS),
  '0510': layout("Answer to totals; with the acquirer's own where they differ", TOTALS_ANSWER, OWN_TOTALS),
  '0520': layout('Totals of a batch, advice', TOTALS),
  '0521': layout('Totals of a batch, advice, repeated', TOTALS),
  '0530': layout('Answer to a totals advice', TOTALS_ANSWER, OWN_TOTALS),
  '0800': layout('Network management', [7, 11, 24, 41, 42, 53, 70]),
  '0801': layout('Network management, repeated', [7, 11, 24, 41, 42, 53, 70]),
  '0810': layout('Answer to network management', [7, 11, 24, 39, 41, 42, 53, 70], [63]),
}

/** The terminal's dialect over a base of 1987, in that base's style. No PAN, no track, no expiry in clear. */
export function terminal87(base: DialectTable, name: string, style: Style): DialectTable {
  const f = (notation: string, title: string, shown?: Field['shown']) => row(style, notation, title, shown)
  return patchDialect(
    { ...base, rows: Object.fromEntries(KEPT.map((number) => [number, base.rows[number]])) },
    {
      name,
      most: 4096,
      layouts: LAYOUTS_87,
      rows: {
        // Encrypted track 2 equivalent data: BER-TLV DF01 KSN (12 or 10), DF02 ciphertext (CBC, zero IV, padding
        // method 2), DF05 why the stripe of a chip card was read.
        48: f('b...255', 'Encrypted card data', 'hidden'),
        49: f('n3', 'Currency code, transaction'),
        50: f('n3', 'Currency code, settlement'),
        // ISO 9564 format 4 needs a whole AES block, twice what the standard of 1987 has room for.
        52: f('b16', 'PIN block, ISO 9564 format 4', 'hidden'),
        // BER-TLV: DF03 KSN of the PIN block, DF04 KSN of the MAC. Neither is secret.
        53: f('b..48', 'Security control: key serial numbers'),
        // Values of 1987 and EMV tags that an answer carries: 91, 71, 72.
        55: f('b...512', 'Integrated circuit card data', 'hidden'),
        60: f('n...6', 'Batch number'),
        61: f('n...1', 'Partial approval accepted'),
        62: f('n...9', 'Receipt number'),
        63: f('b...999', 'Key block, TR-31', 'hidden'),
      },
    },
  )
}
