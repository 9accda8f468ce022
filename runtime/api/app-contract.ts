// The contract between an app (fd 3) and its host: version 1. Everything an app can do is a row here.
import { type Static, Type } from 'typebox'
import { Nothing } from './contract.js'
import {
  CollectRequest,
  HoldRequest,
  Operator,
  PaymentKey,
  PaymentView,
  PreauthoriseRequest,
  RefundRequest,
  RoundClose,
  RoundTotals,
  StuckPayments,
  VoidRequest,
} from './payments.js'
import { PrintDocument, PrintResult } from './print-document.js'
import { Screen, ScreenResult } from './screens.js'

export const API_VERSION = '1.0'

const closed = { additionalProperties: false } as const
const ScreenId = Type.String({ minLength: 1, maxLength: 64 })
const StorageKey = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' })
const Topic = Type.String({ minLength: 1, maxLength: 64, pattern: '^[a-z0-9-]+(/[a-z0-9-]+)*$' })

/** Where the terminal stands: told at start and again by `event.context` on every change. */
export const AppContext = Type.Object(
  {
    apiVersion: Type.String(),
    terminalId: Type.String(),
    merchantName: Type.String(),
    currency: Type.String(),
    locale: Type.String(),
    /** Milliseconds since 1970, by the terminal's checked clock. */
    now: Type.Integer(),
    online: Type.Boolean(),
    /** Whether a receipt will come out; absent where the host does not say. `problem` is one that a person can mend. */
    printer: Type.Optional(Type.Enum(['ready', 'paperLow', 'problem', 'none'])),
    operator: Type.Union([Operator, Type.Null()]),
  },
  closed,
)
export type AppContext = Static<typeof AppContext>

/** Served by the host, called by the app. */
export const HostMethods = {
  /** First call of every app; the host answers with the context and starts delivering events. */
  'app.ready': { params: Nothing, result: AppContext },
  /** Shows a screen and resolves with how it ended. A second `show` closes the first. Cancel to take it back. */
  'screens.show': { params: Type.Object({ id: ScreenId, screen: Screen }, closed), result: ScreenResult },
  /** Replaces the data of the screen that is shown under this id, keeping selection and typed text. */
  'screens.update': { params: Type.Object({ id: ScreenId, screen: Screen }, closed), result: Nothing },
  /** Asks for an operator's number and code on a secure screen. Null when given up. */
  'session.signIn': { params: Nothing, result: Type.Union([Operator, Type.Null()]) },
  'session.signOut': { params: Nothing, result: Nothing },
  /** Asks for a supervisor's code on a secure screen, for one action. */
  'session.authorise': {
    params: Type.Object(
      {
        action: Type.Union([Type.Literal('refund'), Type.Literal('override')]),
        reason: Type.String({ maxLength: 60 }),
      },
      closed,
    ),
    result: Type.Object({ granted: Type.Boolean(), supervisor: Type.Optional(Type.String()) }, closed),
  },
  'payments.collect': { params: CollectRequest, result: PaymentView },
  'payments.status': { params: Type.Object({ key: PaymentKey }, closed), result: PaymentView },
  /** Works until the card is read; the collect then ends as `cancelled`. */
  'payments.cancel': {
    params: Type.Object({ key: PaymentKey }, closed),
    result: Type.Object({ cancelled: Type.Boolean() }, closed),
  },
  /** Takes an approved payment back before the round is closed. Asks for a supervisor's code on a secure screen. */
  'payments.void': { params: VoidRequest, result: PaymentView },
  /** Gives money back; asks for a supervisor's code on a secure screen. */
  'payments.refund': { params: RefundRequest, result: PaymentView },
  /** Reserves an amount; `increment` reserves more, `complete` takes at most that, `void` releases it. */
  'payments.preauthorise': { params: PreauthoriseRequest, result: PaymentView },
  'payments.increment': { params: HoldRequest, result: PaymentView },
  'payments.complete': { params: HoldRequest, result: PaymentView },
  /** What is owed to an acquirer, or refused by it. */
  'payments.stuck': { params: Nothing, result: StuckPayments },
  /** Shows it on secure screens, where a supervisor may end it with a reason; resolves when they are left. */
  'payments.review': { params: Nothing, result: Nothing },
  'round.totals': { params: Nothing, result: RoundTotals },
  /** Sends what is pending, compares totals with the acquirer, closes the round. */
  'round.close': { params: Nothing, result: RoundClose },
  'printer.print': { params: PrintDocument, result: PrintResult },
  /** Prints the receipt of a payment, by the terminal's own layout; `merchant` is the courier's copy. */
  'printer.receipt': {
    params: Type.Object(
      { key: PaymentKey, copy: Type.Union([Type.Literal('customer'), Type.Literal('merchant')]) },
      closed,
    ),
    result: PrintResult,
  },
  /** Prints the rest of an interrupted job below a line that says so. Refused with PRINT_JOB_UNKNOWN after a while. */
  'printer.resume': {
    params: Type.Object({ job: Type.String({ pattern: '^print-[0-9]{1,12}$' }) }, closed),
    result: PrintResult,
  },
  /** Lights the scanner until something is read; scans also arrive unasked as `event.scan`. */
  'scanner.trigger': { params: Nothing, result: Nothing },
  'storage.get': {
    params: Type.Object({ key: StorageKey }, closed),
    result: Type.Object({ value: Type.Unknown() }, closed),
  },
  /** Durable when it resolves. At most 48 KiB a value, 1 MiB an app. */
  'storage.set': { params: Type.Object({ key: StorageKey, value: Type.Unknown() }, closed), result: Nothing },
  'storage.delete': { params: Type.Object({ key: StorageKey }, closed), result: Nothing },
  /** Queues a message for the cloud under the app's own topics: durable when it resolves, sent when there is a network. */
  'messages.publish': {
    params: Type.Object({ topic: Topic, payload: Type.Unknown() }, closed),
    result: Type.Object({ id: Type.String() }, closed),
  },
  /** Says that a received message is safely kept; until then it is delivered again after a restart. */
  'messages.ack': { params: Type.Object({ id: Type.String() }, closed), result: Nothing },
  'log.write': {
    params: Type.Object(
      {
        level: Type.Union([Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')]),
        event: Type.String({ maxLength: 64 }),
        text: Type.Optional(Type.String({ maxLength: 1000 })),
      },
      closed,
    ),
    result: Nothing,
  },
} as const

/** Served by the app, called by the host. An app that does not serve one in 5 s is taken as not listening. */
export const AppMethods = {
  'event.context': { params: AppContext, result: Nothing },
  'event.scan': {
    params: Type.Object(
      { text: Type.String({ maxLength: 4096 }), aim: Type.Optional(Type.String()) },
      closed,
    ),
    result: Nothing,
  },
  /** A payment of this app changed after its collect had ended, or ended while the app was away. Again until it is taken. */
  'event.payment': { params: PaymentView, result: Nothing },
  'event.message': {
    params: Type.Object({ id: Type.String(), topic: Topic, payload: Type.Unknown() }, closed),
    result: Nothing,
  },
  /** End within 2 s, having stored what matters. */
  'app.stop': { params: Nothing, result: Nothing },
} as const
