// A recorded transaction: what the kernel was given, in order, and what it did. Masked, so that it may be kept and sent.
import { type Static, Type } from 'typebox'
import { fromHex, toHex } from '../../../../hal/base/bytes.js'
import { CURRENCIES } from '../../../../hal/base/money.js'
import { checker } from '../../../api/contract.js'

const closed = { additionalProperties: false } as const
const Hex = (max: number) => Type.String({ pattern: `^([0-9A-F]{2}){0,${max}}$` })
const Text = (maxLength: number) => Type.String({ maxLength })
/** How a prompt or a command ended that gave no answer: the code of the fault. */
const Fault = Type.Object({ fault: Type.String({ pattern: '^[A-Z_]{1,40}$' }) }, closed)

/** Long enough for every command and answer of ISO/IEC 7816-4's short form. */
const MAX_APDU = 261
/** More than a transaction of the most exchanges that transport.ts allows. */
const MAX_EVENTS = 2000

const Outcome = Type.Union([
  Type.Object({ kind: Type.Literal('ended'), reason: Text(20), rule: Text(200) }, closed),
  Type.Object({ kind: Type.Literal('fault'), fault: Text(40) }, closed),
  Type.Object(
    {
      kind: Type.Literal('first'),
      decision: Text(20),
      reason: Text(200),
      application: Text(40),
      cvm: Text(20),
      signatureRequired: Type.Boolean(),
      adviceRequired: Type.Boolean(),
      cryptogramType: Text(10),
      oda: Text(100),
      de55: Hex(4096),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('second'),
      approved: Type.Boolean(),
      offline: Type.Boolean(),
      cardSaidNo: Type.Boolean(),
      adviceRequired: Type.Boolean(),
      cryptogramType: Text(10),
      de55: Hex(4096),
    },
    closed,
  ),
])
export type TraceOutcome = Static<typeof Outcome>

const TraceEvent = Type.Union([
  /** One exchange with the card; `r` in hex, or how the card left. */
  Type.Object(
    {
      kind: Type.Literal('apdu'),
      c: Hex(MAX_APDU),
      r: Type.Union([Hex(MAX_APDU), Type.Object({ gone: Text(10) }, closed), Fault]),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal('random'), bytes: Hex(256) }, closed),
  Type.Object(
    {
      kind: Type.Literal('choose'),
      names: Type.Array(Text(64), { maxItems: 200 }),
      answer: Type.Union([Type.Integer({ minimum: 0 }), Type.Null(), Fault]),
    },
    closed,
  ),
  Type.Object(
    { kind: Type.Literal('confirm'), name: Text(64), answer: Type.Union([Type.Boolean(), Fault]) },
    closed,
  ),
  Type.Object({ kind: Type.Literal('languages'), codes: Type.Array(Text(2), { maxItems: 8 }) }, closed),
  /** What was asked, and how it ended; never the PIN. */
  Type.Object(
    {
      kind: Type.Literal('pin'),
      online: Type.Boolean(),
      triesLeft: Type.Union([Type.Integer(), Type.Null()]),
      wrong: Type.Boolean(),
      bypassAllowed: Type.Boolean(),
      answer: Type.Union([Type.Enum(['entered', 'bypassed', 'cancelled', 'timeout']), Fault]),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('history'),
      lastAmount: Type.String({ pattern: '^[0-9]{1,15}$' }),
      onExceptionFile: Type.Boolean(),
    },
    closed,
  ),
  /** What a check of a certificate or signature came to; see signature-judge.ts. */
  Type.Object({ kind: Type.Literal('judged'), step: Text(40), result: Type.Unknown() }, closed),
  /** What the kernel was told by the host. */
  Type.Object(
    {
      kind: Type.Literal('answer'),
      answer: Type.Union([
        Type.Object({ kind: Type.Literal('unableToGoOnline'), decline: Type.Boolean() }, closed),
        Type.Object(
          {
            kind: Type.Literal('answered'),
            responseCode: Text(2),
            approved: Type.Boolean(),
            issuerAuthenticationData: Type.Union([Hex(1024), Type.Null()]),
            scripts: Type.Array(Hex(2048), { maxItems: 64 }),
          },
          closed,
        ),
      ]),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal('outcome'), outcome: Outcome }, closed),
])
export type TraceEvent = Static<typeof TraceEvent>

export const TRACE_FORMAT = 'postern-emv-trace-1'

export const Trace = Type.Object(
  {
    format: Type.Literal(TRACE_FORMAT),
    /** SHA-256 of the whole configuration, CA keys included: which push it was. */
    configurationDigest: Type.String({ pattern: '^[0-9A-F]{64}$' }),
    /** Terminal and applications in the form of `plain`; CA keys are left out, as no signature is checked anew. */
    configuration: Type.Unknown(),
    protocol: Type.Enum(['T=0', 'T=1']),
    atr: Hex(33),
    request: Type.Object(
      {
        type: Type.Integer({ minimum: 0, maximum: 255 }),
        minor: Type.String({ pattern: '^[0-9]{1,12}$' }),
        otherMinor: Type.String({ pattern: '^[0-9]{1,12}$' }),
        currency: Type.Enum(Object.keys(CURRENCIES)),
        sequence: Type.Integer({ minimum: 1, maximum: 99_999_999 }),
        /** The terminal's local time, without zone: the kernel sees no other. */
        at: Type.String({ pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$' }),
        forceOnline: Type.Boolean(),
      },
      closed,
    ),
    events: Type.Array(TraceEvent, { maxItems: MAX_EVENTS }),
  },
  closed,
)
export type Trace = Static<typeof Trace>

const isTrace = checker(Trace)

/** Checks a parsed trace; what is wrong, or undefined. */
export function traceFault(value: unknown): string | undefined {
  return isTrace(value)
}

/** Bytes, amounts and keys as JSON: `{hex}`, `{int}`; anything else as it is, undefined left out. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { hex: toHex(value) }
  if (typeof value === 'bigint') return { int: value.toString() }
  if (value instanceof Set) return { set: [...value] }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const rows = Object.entries(value).filter(([, part]) => part !== undefined)
  return Object.fromEntries(rows.map(([key, part]) => [key, plain(part)]))
}

/** The other way. */
export function unplain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unplain)
  if (typeof value !== 'object' || value === null) return value
  const { hex, int, set } = value as { hex?: unknown; int?: unknown; set?: unknown }
  if (typeof hex === 'string') return fromHex(hex)
  if (typeof int === 'string') return BigInt(int)
  if (Array.isArray(set)) return new Set(set)
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, unplain(part)]))
}
