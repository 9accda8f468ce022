// The contract with a certified module: the card seam (card-transaction.ts) as JSON-RPC on a unix socket. Bytes are hex.
import { type Static, Type } from 'typebox'
import { Nothing } from '../../api/contract.js'
import { MoneyJson } from '../../api/screens.js'
import { OpenStatus } from '../../bridge/contract.js'

/** Counted up with every change that the other side would not understand. */
export const MODULE_PROTOCOL = 2

const closed = { additionalProperties: false } as const
/** Upper-case hex of `min` to `max` bytes. */
const Hex = (min: number, max = min) => Type.String({ pattern: `^([0-9A-F]{2}){${min},${max}}$` })
/** Shown to people: no control characters. */
const Shown = (maxLength: number) =>
  Type.String({ maxLength, pattern: '^[^\\u0000-\\u001F\\u007F-\\u009F]*$' })

/** BER-TLV of DE55, which has room for 255 bytes (ISO 8583:1987, LLLVAR 255). */
const De55 = Hex(0, 255)
/** AES DUKPT: 12 bytes of key serial number (X9.24-3, 6.1). */
const Ciphertext = (min: number, max = min) => Type.Object({ ksn: Hex(12), bytes: Hex(min, max) }, closed)

/** As `CardFacts`. */
export const ModuleFacts = Type.Object(
  {
    /** Of a stripe there is none; so are the four below that. */
    aid: Hex(0, 16),
    label: Shown(32),
    /** PANs have 12 digits at least (ISO/IEC 7812-1); fewer than two hidden ones would hide nothing. */
    maskedPan: Type.String({ pattern: '^[0-9]{6}\\*{2,9}[0-9]{4}$' }),
    bin: Type.String({ pattern: '^[0-9]{6,8}$' }),
    panLast4: Type.String({ pattern: '^[0-9]{4}$' }),
    panSequence: Type.Optional(Hex(1)),
    entryMode: Type.Enum(['chip', 'contactless', 'stripe']),
    cvm: Type.Enum(['pin', 'signature', 'none', 'failed']),
    tvr: Hex(0, 5),
    tsi: Hex(0, 2),
    atc: Hex(0, 2),
    cryptogram: Hex(0, 8),
    cryptogramType: Type.Enum(['ARQC', 'TC', 'AAC', 'none']),
  },
  closed,
)
export type ModuleFacts = Static<typeof ModuleFacts>

const ModuleAuthorisation = Type.Object(
  {
    facts: ModuleFacts,
    de55: De55,
    /** Track 2 equivalent data, 19 bytes at most, padded to whole AES blocks. */
    cardData: Ciphertext(16, 48),
    /** ISO 9564-1, format 4. */
    pinBlock: Type.Optional(Ciphertext(16)),
    cardToken: Hex(32),
  },
  closed,
)
const ModuleStripe = Type.Object(
  {
    ...ModuleAuthorisation.properties,
    serviceCode: Type.String({ pattern: '^[0-9]{3}$' }),
    reason: Type.Enum(['noChip', 'chipMute', 'chipError', 'noApplication']),
  },
  closed,
)
export type ModuleAuthorisation = Static<typeof ModuleAuthorisation>

const EndReason = Type.Enum([
  'cancelled',
  'timeout',
  'removed',
  'mute',
  'notAccepted',
  'blocked',
  'cardError',
  'expired',
  'stripeNotAllowed',
  'stripeUnreadable',
])

/** As `StartOutcome`. */
export const ModuleStart = Type.Union([
  Type.Object({ kind: Type.Literal('online'), authorisation: ModuleAuthorisation }, closed),
  Type.Object({ kind: Type.Literal('stripe'), authorisation: ModuleStripe }, closed),
  Type.Object(
    {
      kind: Type.Literal('approvedOffline'),
      authorisation: ModuleAuthorisation,
      signatureRequired: Type.Boolean(),
      adviceRequired: Type.Boolean(),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('declinedOffline'),
      facts: ModuleFacts,
      de55: De55,
      reason: Shown(100),
      adviceRequired: Type.Boolean(),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal('ended'), reason: EndReason, facts: Type.Optional(ModuleFacts) }, closed),
])
export type ModuleStart = Static<typeof ModuleStart>

/** As `HostAnswer`. */
export const ModuleHostAnswer = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('answered'),
      responseCode: Type.String({ pattern: '^[0-9A-Z]{2}$' }),
      approved: Type.Boolean(),
      issuerAuthenticationData: Type.Optional(Hex(8, 16)),
      scripts: Type.Array(Hex(0, 1024), { maxItems: 16 }),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal('unableToGoOnline'), decline: Type.Optional(Type.Boolean()) }, closed),
])
export type ModuleHostAnswer = Static<typeof ModuleHostAnswer>

/** As `FinalOutcome`. */
export const ModuleFinal = Type.Union([
  Type.Object(
    {
      kind: Type.Enum(['approved', 'approvedOffline']),
      facts: ModuleFacts,
      de55: De55,
      signatureRequired: Type.Boolean(),
      adviceRequired: Type.Boolean(),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('declined'),
      facts: ModuleFacts,
      de55: De55,
      cardSaidNo: Type.Boolean(),
      adviceRequired: Type.Boolean(),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal('ended'), reason: EndReason, facts: ModuleFacts }, closed),
])
export type ModuleFinal = Static<typeof ModuleFinal>

export const ModuleStatus = Type.Object(
  {
    ...OpenStatus.properties,
    battery: Type.Optional(
      Type.Object({ percent: Type.Number({ minimum: 0, maximum: 100 }), charging: Type.Boolean() }, closed),
    ),
  },
  closed,
)

export const ModuleCardRequest = Type.Object(
  {
    type: Type.Enum(['sale', 'cash', 'cashback', 'refund']),
    amount: MoneyJson,
    otherAmount: Type.Optional(MoneyJson),
    forceOnline: Type.Optional(Type.Boolean()),
    sequence: Type.Integer({ minimum: 1, maximum: 99_999_999 }),
    /** ISO 8601; date and time of the card's data are local to the terminal. */
    at: Type.String({ pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,12}Z$' }),
    locale: Type.String({ pattern: '^[a-z]{2}$' }),
    /** For the module's top row, if it has one. */
    status: ModuleStatus,
  },
  closed,
)
export type ModuleCardRequest = Static<typeof ModuleCardRequest>

/**
 * Served by the module, called by the secure world. A connection is one payment: `module.info`, `card.start`, where it
 * went online `card.hostAnswer`, always `card.finish`. A cancelled `card.start` ends as soon as the card allows. When the
 * connection ends first, the module ends the payment by itself and leaves the display.
 */
export const ModuleMethods = {
  'module.info': {
    params: Nothing,
    result: Type.Object(
      {
        protocol: Type.Integer({ minimum: 1, maximum: 1000 }),
        model: Shown(40),
        /** True for a module that nobody certified; a production terminal refuses it. */
        simulated: Type.Boolean(),
      },
      closed,
    ),
  },
  'card.start': { params: ModuleCardRequest, result: ModuleStart },
  'card.hostAnswer': { params: ModuleHostAnswer, result: ModuleFinal },
  'card.finish': { params: Type.Object({ approved: Type.Boolean() }, closed), result: Nothing },
} as const

/** Served by the secure world, called by the module. */
export const TerminalMethods = {
  /** Resolves when no app runs any more. No PIN is asked for before. */
  'apps.freeze': { params: Nothing, result: Nothing },
  'apps.thaw': { params: Nothing, result: Nothing },
  /** As `CardHistory`, both answers at once. */
  'card.history': {
    params: Type.Object({ cardToken: Hex(32) }, closed),
    result: Type.Object({ lastAmount: Type.Optional(MoneyJson), onExceptionFile: Type.Boolean() }, closed),
  },
  /** What the card prefers (5F2D), for the receipt. */
  'card.languages': {
    params: Type.Object(
      { languages: Type.Array(Type.String({ pattern: '^[a-z]{2}$' }), { minItems: 1, maxItems: 4 }) },
      closed,
    ),
    result: Nothing,
  },
} as const
