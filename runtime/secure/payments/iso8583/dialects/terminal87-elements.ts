// Where the elements of a host message lie in the ISO 8583:1987 dialects, and the codes they take there.
import type { Dialect } from '../codec.js'
import {
  coded,
  type ElementRow,
  type HostDialect,
  type MessageType,
  numeric,
  padded,
  plain,
  type Role,
} from '../host-message.js'
import { ADDITIONAL_AMOUNTS_ROW, digitsOf, keyBlockRow, NET_ROW, PROCESSING } from './terminal-codes.js'

export const TYPES_87: HostDialect['types'] = {
  authorisation: ['0100', '0101', '0110'],
  financial: ['0200', '0201', '0210'],
  authorisationAdvice: ['0120', '0121', '0130'],
  financialAdvice: ['0220', '0221', '0230'],
  upload: ['0320', '0321', '0330'],
  reversal: ['0400', '0401', '0410'],
  totals: ['0500', '0501', '0510'],
  totalsAdvice: ['0520', '0521', '0530'],
  network: ['0800', '0801', '0810'],
}

/** DE22: chip (05), contactless (07), stripe (90, 80 in a chip's place), typed (01); PIN entry capability (1). */
const ENTRY_MODES = {
  chip: '051',
  contactless: '071',
  stripe: '901',
  fallback: '801',
  manual: '011',
} as const

/** DE25 (1987, table 7): normal presentment, pre-authorised request. */
const CONDITIONS = { normal: '00', preauthorised: '06' } as const

/**
 * DE39 of a reversal: why (1987, table 8, read as reasons). Only `void` leaves the payment in the batch's totals, as a
 * payment and as a void; every other reason means that it never was.
 */
const REASONS = { void: '17', malfunction: '22', tooLate: '68' } as const

/** DE66. */
const SETTLEMENT = { inBalance: '1', outOfBalance: '2', error: '3' } as const

/** DE70. */
const MANAGEMENT = { signOn: '001', signOff: '002', echo: '301', keyExchange: '101' } as const

/** A code that nobody knows stays as it is: it is refused, and the refusal repeats it. */
const managementRow: ElementRow = {
  ...coded('management', 70, MANAGEMENT),
  write({ elements: { management = '' } }) {
    return [MANAGEMENT[management as keyof typeof MANAGEMENT] ?? management]
  },
  read([value]) {
    const word = Object.entries(MANAGEMENT).find(([, code]) => code === value)?.[0]
    return { management: word ?? String(value) }
  },
}

const saysReason = (type: MessageType, role: Role) => type === 'reversal' && role !== 'answer'

const TIMES: ElementRow = {
  elements: ['local'],
  fields: [12, 13],
  on: (type) => type !== 'network',
  write: ({ elements: { local } }) => [local?.slice(6), local?.slice(2, 6)],
  read: ([time, date]) => ({ local: `00${digitsOf(date, 13, 4)}${digitsOf(time, 12, 6)}` }),
}

/** DE90: type, trace number and transmission time of the original, no institutions (1987, 4.3.90). */
const originalRow = (types: HostDialect['types']): ElementRow => ({
  elements: ['originalType', 'originalStan', 'originalTransmitted'],
  fields: [90],
  write({ elements: { originalType, originalStan = '', originalTransmitted = '' } }) {
    const [mti] = types[originalType as MessageType] ?? ['0000']
    return [`${mti}${originalStan}${originalTransmitted}`.padEnd(42, '0')]
  },
  read([value]) {
    const text = digitsOf(value, 90, 42)
    const type = Object.entries(types).find(([, [request]]) => request === text.slice(0, 4))?.[0]
    return {
      ...(type === undefined ? {} : { originalType: type }),
      originalStan: text.slice(4, 10),
      originalTransmitted: text.slice(10, 20),
    }
  },
})

/** A dialect of 1987; reversals are sent as 0400, or as advices 0420 where the acquirer wants those. */
export function hostDialect87(wire: Dialect, reversals: '0400' | '0420' = '0400'): HostDialect {
  const types: HostDialect['types'] =
    reversals === '0400' ? TYPES_87 : { ...TYPES_87, reversal: ['0420', '0421', '0430'] }
  return {
    name: wire.name,
    wire,
    types,
    rows: [
      coded('processing', 3, PROCESSING),
      numeric('amountMinor', 4),
      plain('transmitted', 7),
      plain('stan', 11),
      TIMES,
      coded('entryMode', 22, ENTRY_MODES),
      plain('panSequence', 23),
      plain('nii', 24),
      coded('condition', 25, CONDITIONS),
      plain('retrievalReference', 37),
      padded('authorisationCode', 38),
      plain('responseCode', 39, { on: (type, role) => !saysReason(type, role) }),
      coded('reason', 39, REASONS, { on: saysReason }),
      plain('terminalId', 41),
      padded('merchantId', 42),
      plain('cardData', 48),
      plain('currency', 49, { on: (type) => type !== 'totals' && type !== 'totalsAdvice' }),
      plain('currency', 50, { on: (type) => type === 'totals' || type === 'totalsAdvice' }),
      plain('pinBlock', 52),
      plain('security', 53),
      ADDITIONAL_AMOUNTS_ROW,
      plain('emv', 55),
      numeric('batch', 60),
      plain('partialAllowed', 61),
      numeric('receipt', 62),
      keyBlockRow(63),
      coded('settlement', 66, SETTLEMENT),
      managementRow,
      numeric('number', 71),
      numeric('count', 72),
      numeric('refunds', 74),
      numeric('refundVoids', 75),
      numeric('sales', 76),
      numeric('voids', 77),
      numeric('refundsMinor', 86),
      numeric('refundVoidsMinor', 87),
      numeric('salesMinor', 88),
      numeric('voidsMinor', 89),
      originalRow(types),
      NET_ROW,
    ],
  }
}
