// A message to or from a host as it means the same in every dialect, and the rows by which a dialect writes it in fields.
import { PosternError } from '../../../../hal/base/errors.js'
import type { Dialect, Message } from './codec.js'
import type { Value } from './field.js'

/** What a message is for (ISO 8583:1993, table 2). */
export const MESSAGE_TYPES = [
  'authorisation', // asks; books nothing: pre-authorisations and their increments
  'financial', // asks and books: sales and refunds
  'authorisationAdvice', // tells of what was declined here
  'financialAdvice', // tells of what was booked here: offline approvals, completions
  'upload', // a booked payment once more, where totals differ
  'reversal',
  'totals',
  'totalsAdvice', // totals that nobody waits for
  'network',
] as const
export type MessageType = (typeof MESSAGE_TYPES)[number]

/** A `repeat` is a request that may have been sent before. */
export type Role = 'request' | 'repeat' | 'answer'

/** Elements that are text: digits without leading zeros for amounts and counts, codes as the word that they mean. */
export interface TextElements {
  /** `purchase`, `cashback`, `refund`; of totals `settlement`, `settlementAfterUpload`. */
  processing: string
  /** Minor units. */
  amountMinor: string
  cashbackMinor: string
  tipMinor: string
  /** ISO 4217, three digits. */
  currency: string
  /** GMT, MMDDhhmmss. */
  transmitted: string
  /** Local, YYMMDDhhmmss; the year is `00` where the dialect sends none. */
  local: string
  /** Six digits. */
  stan: string
  /** `chip`, `contactless`, `stripe`, `fallback`, `manual`. */
  entryMode: string
  panSequence: string
  nii: string
  /** `normal` or `preauthorised`. */
  condition: string
  retrievalReference: string
  authorisationCode: string
  /** As in ISO 8583:1987, two characters. */
  responseCode: string
  /** Why something is reversed: `void`, `malfunction`, `tooLate`. */
  reason: string
  terminalId: string
  merchantId: string
  batch: string
  receipt: string
  /** `1` where less may be approved. */
  partialAllowed: string
  /** TR-31, ASCII. */
  keyBlock: string
  originalType: string
  originalStan: string
  originalTransmitted: string
  originalLocal: string
  /** `signOn`, `signOff`, `echo`, `keyExchange`. */
  management: string
  /** `inBalance`, `outOfBalance`, `error`. */
  settlement: string
  number: string
  count: string
  sales: string
  salesMinor: string
  voids: string
  voidsMinor: string
  refunds: string
  refundsMinor: string
  refundVoids: string
  refundVoidsMinor: string
  /** What the merchant is owed, minor units, with `-` where the merchant owes. */
  netMinor: string
}

export interface ByteElements {
  cardData: Uint8Array
  pinBlock: Uint8Array
  security: Uint8Array
  emv: Uint8Array
}

export type Elements = Partial<TextElements & ByteElements>

export interface HostMessage {
  readonly type: MessageType
  readonly role: Role
  readonly elements: Readonly<Elements>
}

/** How elements lie in fields. A row whose elements are absent writes nothing; fields that are absent are not read. */
export interface ElementRow {
  readonly elements: readonly (keyof Elements)[]
  readonly fields: readonly number[]
  /** The code of each word, where the row has a table of them. */
  readonly codes?: Readonly<Record<string, string>>
  /** Where the row holds; everywhere when absent. */
  readonly on?: (type: MessageType, role: Role) => boolean
  /** A value a field; `undefined` leaves it out. */
  write(message: HostMessage): readonly (Value | undefined)[]
  read(values: readonly (Value | undefined)[], type: MessageType): Elements
}

/** How one acquirer speaks: the table of its fields, its message types, and where the elements lie. */
export interface HostDialect {
  readonly name: string
  readonly wire: Dialect
  /** Message type identifiers of request, repeat and answer. */
  readonly types: Readonly<Record<MessageType, readonly [request: string, repeat: string, answer: string]>>
  readonly rows: readonly ElementRow[]
}

const invalid = (path: string, problem: string) =>
  new PosternError('ISO8583_INVALID', `field ${path}: ${problem}`, { path })

/** One element in one field, as it stands. */
export const plain = (
  element: keyof Elements,
  field: number,
  rest: Pick<ElementRow, 'on'> = {},
): ElementRow => ({
  elements: [element],
  fields: [field],
  write: ({ elements }) => [elements[element]],
  read: ([value]) => (value === undefined ? {} : { [element]: value }),
  ...rest,
})

/** Text that the wire fills up with spaces. */
export const padded = (element: keyof TextElements, field: number): ElementRow => ({
  ...plain(element, field),
  read: ([value]) => (typeof value === 'string' ? { [element]: value.trimEnd() } : {}),
})

/** A number that the wire fills up with zeros. */
export const numeric = (
  element: keyof TextElements,
  field: number,
  rest: Pick<ElementRow, 'on'> = {},
): ElementRow => ({
  ...plain(element, field, rest),
  read: ([value]) =>
    typeof value === 'string' && /^[0-9]+$/.test(value) ? { [element]: BigInt(value).toString() } : {},
})

/** A code that stands for a word; `strict` refuses one that the table does not have. */
export const coded = (
  element: keyof TextElements,
  field: number,
  codes: Readonly<Record<string, string>>,
  rest: Pick<ElementRow, 'on'> = {},
): ElementRow => ({
  elements: [element],
  fields: [field],
  codes,
  write({ elements }) {
    const word = elements[element]
    if (word === undefined) return [undefined]
    const code = Object.hasOwn(codes, word) ? codes[word] : undefined
    if (code === undefined) throw invalid(String(field), 'has no code for what it should say')
    return [code]
  },
  read([value]) {
    const word = Object.keys(codes).find((key) => codes[key] === value)
    return word === undefined ? {} : { [element]: word }
  },
  ...rest,
})

/** Type and role of a message type identifier. */
export function kindOf(
  { types }: Pick<HostDialect, 'types'>,
  mti: string,
): { type: MessageType; role: Role } | undefined {
  for (const type of MESSAGE_TYPES) {
    const index = types[type].indexOf(mti)
    if (index >= 0) return { type, role: (['request', 'repeat', 'answer'] as const)[index]! }
  }
  return undefined
}

/** The message in this dialect's fields, without its MAC. @throws PosternError `ISO8583_INVALID` */
export function toFields(dialect: HostDialect, message: HostMessage): Message {
  const { type, role, elements } = message
  const fields = new Map<string, Value>()
  for (const row of dialect.rows) {
    if (row.on?.(type, role) === false) continue
    if (row.elements.every((element) => elements[element] === undefined)) continue
    for (const [i, value] of row.write(message).entries()) {
      if (value !== undefined) fields.set(String(row.fields[i]), value)
    }
  }
  const index = role === 'request' ? 0 : role === 'repeat' ? 1 : 2
  return { mti: dialect.types[type][index]!, fields }
}

/** What the fields of a message say. @throws PosternError `ISO8583_INVALID` for a type that the dialect does not have */
export function fromFields(dialect: HostDialect, message: Message): HostMessage {
  const kind = kindOf(dialect, message.mti)
  if (kind === undefined) throw invalid('mti', `${dialect.name} has no such message type`)
  const { type, role } = kind
  const elements: Elements = {}
  for (const row of dialect.rows) {
    if (row.on?.(type, role) === false) continue
    const values = row.fields.map((field) => message.fields.get(String(field)))
    if (values.some((value) => value !== undefined)) Object.assign(elements, row.read(values, type))
  }
  return { type, role, elements }
}
