// Where the elements of a host message lie in the ISO 8583:1993 dialect, and the codes they take there.
import type { Dialect } from '../codec.js'
import {
  coded,
  type ElementRow,
  type HostDialect,
  type HostMessage,
  type MessageType,
  numeric,
  padded,
  plain,
} from '../host-message.js'
import { ADDITIONAL_AMOUNTS_ROW, digitsOf, keyBlockRow, NET_ROW, PROCESSING } from './terminal-codes.js'

const TYPES: HostDialect['types'] = {
  authorisation: ['1100', '1101', '1110'],
  financial: ['1200', '1201', '1210'],
  authorisationAdvice: ['1120', '1121', '1130'],
  financialAdvice: ['1220', '1221', '1230'],
  upload: ['1320', '1321', '1330'],
  reversal: ['1420', '1421', '1430'],
  totals: ['1500', '1501', '1510'],
  totalsAdvice: ['1520', '1521', '1530'],
  network: ['1804', '1805', '1814'],
}

/**
 * DE22, twelve positions (1993, table A.17): reads chips (5), takes PINs (1), keeps no cards (0); attended, off the
 * merchant's premises (3); cardholder (0) and card (1) present; seventh, how the card was read; prints and shows (4).
 * NOTE: 7 for contactless and 9 for a stripe in a chip's place, which the standard leaves to private use.
 */
const ENTRY_MODES = {
  chip: '51030150014C',
  contactless: '51030170014C',
  stripe: '51030120014C',
  fallback: '51030190014C',
  manual: '51030060014C',
} as const

/** DE25 (1993, table A.10): cancelled by a person, malfunction suspected, answer too late. */
const REASONS = { void: '4000', malfunction: '4002', tooLate: '4006' } as const

/**
 * DE39 (1993, table A.1) of answers about money, by the code of 1987 that it means.
 * NOTE: A0 and A1 are private: change the key (917, MAC key synchronisation error), sign on first (950, private).
 * NOTE: 081, 083, 181, 183 are private: the card's own codes Y1, Y3, Z1, Z3; 480 is private: nothing to take back (21).
 */
const ACTION_CODES: Readonly<Record<string, string>> = {
  '00': '000',
  '10': '002',
  Y1: '081',
  Y3: '083',
  '05': '100',
  '54': '101',
  '62': '104',
  '75': '106',
  '01': '107',
  '02': '108',
  '03': '109',
  '13': '110',
  '14': '111',
  '51': '116',
  '55': '117',
  '57': '119',
  '58': '120',
  '61': '121',
  '65': '123',
  Z1: '181',
  Z3: '183',
  '04': '200',
  '41': '208',
  '43': '209',
  '21': '480',
  '95': '501',
  '12': '902',
  '30': '904',
  '91': '907',
  '96': '909',
  A0: '917',
  A1: '950',
  '94': '913',
  '25': '914',
}
/** What "done" is called beside 000. */
const DONE: Readonly<Partial<Record<MessageType, string>>> = {
  upload: '300',
  reversal: '400',
  totals: '500',
  totalsAdvice: '500',
  network: '800',
}

const ACTION_ROW: ElementRow = {
  elements: ['responseCode'],
  fields: [39],
  write({ type, role, elements: { responseCode = '96' } }) {
    const done = role === 'answer' && responseCode === '00' ? DONE[type] : undefined
    return [done ?? ACTION_CODES[responseCode] ?? '909']
  },
  read([value], type) {
    const code = digitsOf(value, 39, 3)
    const word = Object.keys(ACTION_CODES).find((key) => ACTION_CODES[key] === code)
    const responseCode = code === DONE[type] ? '00' : (word ?? '96')
    if (type !== 'totals' && type !== 'totalsAdvice') return { responseCode }
    const settlement = responseCode === '00' ? 'inBalance' : responseCode === '95' ? 'outOfBalance' : 'error'
    return { responseCode, settlement }
  },
}

/** DE24 (1993, table A.8). NOTE: 580 is private: totals after an upload. */
const FUNCTIONS = {
  request: '200',
  preauthorisation: '101',
  increment: '107',
  completion: '202',
  advice: '200',
  upload: '302',
  reversal: '400',
  totals: '500',
  totalsAfterUpload: '580',
} as const
const MANAGEMENT = { signOn: '801', signOff: '802', echo: '831', keyExchange: '811' } as const

function functionOf({ type, elements }: HostMessage): string | undefined {
  switch (type) {
    case 'authorisation':
      return elements.originalStan === undefined ? FUNCTIONS.preauthorisation : FUNCTIONS.increment
    case 'authorisationAdvice':
    case 'financial':
      return FUNCTIONS.request
    case 'financialAdvice':
      return elements.originalStan === undefined ? FUNCTIONS.advice : FUNCTIONS.completion
    case 'upload':
      return FUNCTIONS.upload
    case 'reversal':
      return FUNCTIONS.reversal
    case 'totals':
    case 'totalsAdvice':
      return elements.processing === 'settlementAfterUpload' ? FUNCTIONS.totalsAfterUpload : FUNCTIONS.totals
    case 'network':
      return MANAGEMENT[elements.management as keyof typeof MANAGEMENT] ?? elements.management
  }
}

const FUNCTION_ROW: ElementRow = {
  elements: ['processing', 'management'],
  fields: [24],
  on: (type, role) => role !== 'answer' || type === 'network',
  write: (message) => [functionOf(message)],
  read([value], type) {
    const management = Object.keys(MANAGEMENT).find(
      (key) => MANAGEMENT[key as keyof typeof MANAGEMENT] === value,
    )
    // A code that nobody knows stays as it is: it is refused, and the refusal repeats it.
    if (type === 'network') return { management: management ?? String(value) }
    const preauthorised = type === 'authorisation' || value === FUNCTIONS.completion
    return { condition: preauthorised ? 'preauthorised' : 'normal' }
  },
}

/** DE56: type, trace number, local time of the original, and no institution (1993, 4.3.56). */
const ORIGINAL_ROW: ElementRow = {
  elements: ['originalType', 'originalStan', 'originalLocal'],
  fields: [56],
  write({ elements: { originalType, originalStan = '', originalLocal = '' } }) {
    const [mti] = TYPES[originalType as MessageType] ?? ['0000']
    return [`${mti}${originalStan}${originalLocal}00`]
  },
  read([value]) {
    const text = digitsOf(value, 56, 22)
    const type = Object.entries(TYPES).find(([, [request]]) => request === text.slice(0, 4))?.[0]
    return {
      ...(type === undefined ? {} : { originalType: type }),
      originalStan: text.slice(4, 10),
      originalLocal: text.slice(10, 22),
    }
  },
}

const isTotals = (type: MessageType) => type === 'totals' || type === 'totalsAdvice'

export function hostDialect93(wire: Dialect): HostDialect {
  return {
    name: wire.name,
    wire,
    types: TYPES,
    rows: [
      coded('processing', 3, PROCESSING),
      numeric('amountMinor', 4),
      plain('transmitted', 7),
      plain('stan', 11),
      plain('local', 12),
      coded('entryMode', 22, ENTRY_MODES),
      plain('panSequence', 23),
      FUNCTION_ROW,
      coded('reason', 25, REASONS, { on: (type, role) => type === 'reversal' && role !== 'answer' }),
      plain('retrievalReference', 37),
      padded('authorisationCode', 38),
      ACTION_ROW,
      plain('terminalId', 41),
      padded('merchantId', 42),
      plain('cardData', 48),
      plain('currency', 49, { on: (type) => !isTotals(type) }),
      plain('currency', 50, { on: isTotals }),
      plain('pinBlock', 52),
      plain('security', 53),
      ADDITIONAL_AMOUNTS_ROW,
      plain('emv', 55),
      ORIGINAL_ROW,
      numeric('batch', 60),
      plain('partialAllowed', 61),
      numeric('receipt', 62),
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
      keyBlockRow(96),
      NET_ROW,
    ],
  }
}
