// The bridge: the one contract between the worlds, JSON-RPC 2.0 on a unix socket, checked on both sides.
import { type Static, Type } from 'typebox'
import { Nothing } from '../api/contract.js'
import {
  CollectRequest,
  HoldRequest,
  Operator,
  PaymentKey,
  PaymentView,
  PreauthoriseRequest,
  ReceiptFacts,
  RefundRequest,
  RoundClose,
  RoundTotals,
  StuckPayments,
  VoidRequest,
} from '../api/payments.js'
import { Screen, ScreenResult } from '../api/screens.js'
import { DocumentPiece, DocumentResult } from './documents.js'
import { GatewayAnswer, GatewayRequest } from './gateway.js'

const closed = { additionalProperties: false } as const
const ScreenId = Type.String({ minLength: 1, maxLength: 64 })
/** Who asks: the top row names it. The open world sets it from the descriptor that a request came on. */
const Owner = Type.Object(
  { app: Type.String({ minLength: 1, maxLength: 64 }), name: Type.String({ minLength: 1, maxLength: 24 }) },
  closed,
)
const PipeId = Type.Integer({ minimum: 1 })
/** At most 32 KiB of bytes a frame. */
const Base64 = Type.String({ maxLength: 45_000, pattern: '^[A-Za-z0-9+/]*={0,2}$' })

/** The facts of the status row that only the open world knows. */
export const OpenStatus = Type.Object(
  {
    network: Type.Union([Type.Literal('online'), Type.Literal('offline')]),
    cloud: Type.Union([Type.Literal('connected'), Type.Literal('connecting'), Type.Literal('offline')]),
    printer: Type.Union([
      Type.Literal('ready'),
      Type.Literal('paperLow'),
      Type.Literal('problem'),
      Type.Literal('none'),
    ]),
    outbox: Type.Integer({ minimum: 0 }),
    /** What of the open world's devices does not work, for people. */
    troubles: Type.Optional(Type.Array(Type.String({ maxLength: 160 }), { maxItems: 8 })),
  },
  closed,
)
export type OpenStatus = Static<typeof OpenStatus>

export const TerminalInfo = Type.Object(
  {
    terminalId: Type.String(),
    merchantName: Type.String(),
    merchantId: Type.String(),
    currency: Type.String(),
    locale: Type.String(),
    operator: Type.Union([Operator, Type.Null()]),
  },
  closed,
)
export type TerminalInfo = Static<typeof TerminalInfo>

/** A signed document on its way: the secure world alone judges it. */
const SignedDocument = Type.Object(
  {
    type: Type.String({ maxLength: 32 }),
    version: Type.Integer({ minimum: 1 }),
    body: Type.String({ maxLength: 32_768 }),
    signature: Type.String({ maxLength: 128 }),
  },
  closed,
)

/** Served by the secure world, called by the open one. */
export const SecureMethods = {
  'terminal.info': { params: Nothing, result: TerminalInfo },
  'status.set': { params: OpenStatus, result: Nothing },
  /** A signed document in pieces; it holds from the next payment on, and what is wrong with it is said by name. */
  'documents.deliver': { params: DocumentPiece, result: DocumentResult },
  /** What should protect keys and is missing here, by name and in words; empty on a terminal that is set up right. */
  'terminal.protections': {
    params: Nothing,
    result: Type.Array(Type.Object({ name: Type.String(), message: Type.String() }, closed), {
      maxItems: 16,
    }),
  },
  /** A signed key package from the key room; the answer is its acknowledgement. */
  'keys.inject': {
    params: Type.Object({ document: SignedDocument }, closed),
    result: Type.Object({ set: Type.String(), sequence: Type.Integer(), checkValue: Type.String() }, closed),
  },
  'screens.show': {
    params: Type.Object({ owner: Owner, id: ScreenId, screen: Screen }, closed),
    result: ScreenResult,
  },
  'screens.update': {
    params: Type.Object({ owner: Owner, id: ScreenId, screen: Screen }, closed),
    result: Nothing,
  },
  'session.signIn': {
    params: Type.Object({ owner: Owner }, closed),
    result: Type.Union([Operator, Type.Null()]),
  },
  'session.signOut': { params: Nothing, result: Nothing },
  'session.authorise': {
    params: Type.Object(
      {
        owner: Owner,
        action: Type.Union([Type.Literal('refund'), Type.Literal('override')]),
        reason: Type.String({ maxLength: 60 }),
      },
      closed,
    ),
    result: Type.Object({ granted: Type.Boolean(), supervisor: Type.Optional(Type.String()) }, closed),
  },
  'payments.collect': {
    params: Type.Object({ owner: Owner, request: CollectRequest }, closed),
    result: PaymentView,
  },
  /** Of the owner's own payments, as with cancel and receipt: another's key is as good as none. */
  'payments.status': {
    params: Type.Object({ owner: Owner, key: PaymentKey }, closed),
    result: PaymentView,
  },
  'payments.cancel': {
    params: Type.Object({ owner: Owner, key: PaymentKey }, closed),
    result: Type.Object({ cancelled: Type.Boolean() }, closed),
  },
  'payments.void': {
    params: Type.Object({ owner: Owner, request: VoidRequest }, closed),
    result: PaymentView,
  },
  'payments.receipt': {
    params: Type.Object({ owner: Owner, key: PaymentKey }, closed),
    result: Type.Union([ReceiptFacts, Type.Null()]),
  },
  /** Payments whose outcome changed and that the open world has not acknowledged yet, oldest first, at most 20. */
  'payments.unacknowledged': {
    params: Nothing,
    result: Type.Array(
      Type.Object({ app: Type.String(), sequence: Type.Integer(), view: PaymentView }, closed),
      { maxItems: 20 },
    ),
  },
  'payments.acknowledge': { params: Type.Object({ sequence: Type.Integer() }, closed), result: Nothing },
  /** Gives money back; asks for a supervisor's code on a secure screen. */
  'payments.refund': {
    params: Type.Object({ owner: Owner, request: RefundRequest }, closed),
    result: PaymentView,
  },
  /** Reserves an amount; `increment` reserves more, `complete` takes at most that, `void` releases it. */
  'payments.preauthorise': {
    params: Type.Object({ owner: Owner, request: PreauthoriseRequest }, closed),
    result: PaymentView,
  },
  'payments.increment': {
    params: Type.Object({ owner: Owner, request: HoldRequest }, closed),
    result: PaymentView,
  },
  'payments.complete': {
    params: Type.Object({ owner: Owner, request: HoldRequest }, closed),
    result: PaymentView,
  },
  /** What is owed to an acquirer, or refused by it. */
  'payments.stuck': { params: Nothing, result: StuckPayments },
  /** Shows it on secure screens, where a supervisor may end it with a reason; resolves when they are left. */
  'payments.review': { params: Nothing, result: Nothing },
  'round.totals': { params: Nothing, result: RoundTotals },
  'round.close': { params: Nothing, result: RoundClose },
  'pipe.data': { params: Type.Object({ pipe: PipeId, data: Base64 }, closed), result: Nothing },
  'pipe.closed': {
    params: Type.Object({ pipe: PipeId, reason: Type.String({ maxLength: 200 }) }, closed),
    result: Nothing,
  },
  /** Whether there is a way to the payment gateway; until told, there is none. */
  'gateway.state': { params: Type.Object({ connected: Type.Boolean() }, closed), result: Nothing },
  /** An envelope that came from the gateway. */
  'gateway.message': { params: Type.Object({ message: GatewayAnswer }, closed), result: Nothing },
} as const

/** Served by the open world, called by the secure one. */
export const OpenMethods = {
  /** Opens a TCP connection to an acquirer; the TLS session inside ends in the secure world. */
  'pipe.open': {
    params: Type.Object(
      { host: Type.String({ maxLength: 253 }), port: Type.Integer({ minimum: 1, maximum: 65_535 }) },
      closed,
    ),
    result: Type.Object({ pipe: PipeId }, closed),
  },
  'pipe.write': { params: Type.Object({ pipe: PipeId, data: Base64 }, closed), result: Nothing },
  'pipe.close': { params: Type.Object({ pipe: PipeId }, closed), result: Nothing },
  /** Hands an envelope to the payment gateway; answered once it has left, or refused, which promises nothing. */
  'gateway.send': { params: Type.Object({ request: GatewayRequest }, closed), result: Nothing },
  /** Stops every app process (PIN entry); resolves when they stand still. */
  'apps.freeze': { params: Nothing, result: Nothing },
  'apps.thaw': { params: Nothing, result: Nothing },
  /** Something is new in `payments.unacknowledged`. */
  'payments.changed': { params: Nothing, result: Nothing },
  /** The context that apps see has changed (operator, locale). */
  'terminal.changed': { params: TerminalInfo, result: Nothing },
} as const
