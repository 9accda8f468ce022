// Payments as an app and the bridge see them: what is asked, what came of it, what a receipt may say. No card numbers.
import { type Static, Type } from 'typebox'
import { MoneyJson } from './screens.js'

const closed = { additionalProperties: false } as const

/** The caller's idempotency key: asked twice, paid once. 8 to 64 characters, unique per terminal for ever. */
export const PaymentKey = Type.String({
  minLength: 8,
  maxLength: 64,
  pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]*$',
})

export const CollectRequest = Type.Object(
  {
    key: PaymentKey,
    amount: MoneyJson,
    /** What is paid for, such as the waybill: shown, printed, matched in the cloud. One live payment per reference. */
    reference: Type.String({ minLength: 1, maxLength: 40 }),
    description: Type.Optional(Type.String({ maxLength: 60 })),
    /** What the whole order comes to, where it is paid in parts; without it one payment is all of it. */
    due: Type.Optional(MoneyJson),
    /** The bank may approve less; the person is asked, and the view says what remains. */
    partial: Type.Optional(Type.Boolean()),
    /** Ask the customer for a tip first, on top of `amount`. */
    tip: Type.Optional(Type.Boolean()),
    /** Paid out in cash, on top of `amount`. */
    cashback: Type.Optional(MoneyJson),
    /** The card's number is typed on a secure screen, where the acquirer takes that. Needs a supervisor. */
    manual: Type.Optional(Type.Boolean()),
  },
  closed,
)
export type CollectRequest = Static<typeof CollectRequest>

export const VoidRequest = Type.Object(
  {
    key: PaymentKey,
    /** The key of the approved payment that is taken back. */ original: PaymentKey,
    reason: Type.String({ maxLength: 60 }),
  },
  closed,
)
export type VoidRequest = Static<typeof VoidRequest>

/** Gives money back: of an earlier payment at most what is left of it, without one under a cap. Needs a supervisor. */
export const RefundRequest = Type.Object(
  {
    key: PaymentKey,
    amount: MoneyJson,
    reference: Type.String({ minLength: 1, maxLength: 40 }),
    /** The key of the payment that is given back; without it the card is asked for. */
    original: Type.Optional(PaymentKey),
    reason: Type.String({ maxLength: 60 }),
  },
  closed,
)
export type RefundRequest = Static<typeof RefundRequest>

/** Reserves an amount on the card; void releases it. */
export const PreauthoriseRequest = Type.Object(
  {
    key: PaymentKey,
    amount: MoneyJson,
    reference: Type.String({ minLength: 1, maxLength: 40 }),
    description: Type.Optional(Type.String({ maxLength: 60 })),
  },
  closed,
)
export type PreauthoriseRequest = Static<typeof PreauthoriseRequest>

/** Reserves more, or takes at most what is reserved: about a pre-authorisation, without its card. */
export const HoldRequest = Type.Object({ key: PaymentKey, original: PaymentKey, amount: MoneyJson }, closed)
export type HoldRequest = Static<typeof HoldRequest>

/** What a payment is. */
export const PAYMENT_TYPES = ['sale', 'refund', 'preauth', 'increment', 'completion'] as const

/** Every fact a receipt needs (scheme rules and PSD2 lists put together); PAN as its last four digits only. */
export const ReceiptFacts = Type.Object(
  {
    merchant: Type.Object(
      {
        name: Type.String(),
        address: Type.Array(Type.String()),
        merchantId: Type.String(),
        terminalId: Type.String(),
      },
      closed,
    ),
    type: Type.Enum([...PAYMENT_TYPES, 'void']),
    outcome: Type.Union([Type.Literal('approved'), Type.Literal('declined'), Type.Literal('reversed')]),
    amount: MoneyJson,
    /** Of the amount. */
    tip: Type.Optional(MoneyJson),
    cashback: Type.Optional(MoneyJson),
    /** Local time with offset, ISO 8601. */
    at: Type.String(),
    reference: Type.String(),
    operator: Type.String(),
    stan: Type.String(),
    receiptNumber: Type.String(),
    responseCode: Type.Optional(Type.String()),
    authorisationCode: Type.Optional(Type.String()),
    /** Where the country wants receipts signed: the signer's code, or the words that stand in its place. */
    fiscal: Type.Optional(
      Type.Union([
        Type.Object(
          {
            kind: Type.Literal('signed'),
            serial: Type.String({ maxLength: 80 }),
            counter: Type.String({ maxLength: 20 }),
            /** By the signer's clock, ISO 8601. */
            at: Type.String({ maxLength: 40 }),
            /** Of the QR code. */
            code: Type.String({ minLength: 1, maxLength: 600 }),
            /** For people. */
            text: Type.String({ maxLength: 40 }),
          },
          closed,
        ),
        Type.Object({ kind: Type.Literal('failed'), text: Type.String({ maxLength: 400 }) }, closed),
      ]),
    ),
    /** Why, in the cardholder's language, where declined. */
    reason: Type.Optional(Type.String()),
    card: Type.Optional(
      Type.Object(
        {
          label: Type.String(),
          aid: Type.String(),
          panLast4: Type.String(),
          panSequence: Type.Optional(Type.String()),
          entryMode: Type.Union([
            Type.Literal('chip'),
            Type.Literal('contactless'),
            Type.Literal('stripe'),
            Type.Literal('manual'),
          ]),
          cvm: Type.Union([
            Type.Literal('pin'),
            Type.Literal('signature'),
            Type.Literal('none'),
            Type.Literal('failed'),
          ]),
          /** The signature is kept; none is wanted on paper. */
          signedOnPad: Type.Optional(Type.Boolean()),
          cryptogram: Type.Optional(Type.String()),
          cryptogramType: Type.Optional(Type.String()),
          tvr: Type.Optional(Type.String()),
          tsi: Type.Optional(Type.String()),
          atc: Type.Optional(Type.String()),
        },
        closed,
      ),
    ),
  },
  closed,
)
export type ReceiptFacts = Static<typeof ReceiptFacts>

/** How a payment ended, or stands. Each is an outcome that the caller handles, never an exception. */
export const PAYMENT_OUTCOMES = [
  'approved',
  'declined', // by issuer, acquirer or card; `code` says why
  'cancelled', // by courier or customer, before money moved
  'cardRemoved', // too early; nothing was taken, or it is being reversed
  'cardUnusable', // mute, blocked, no supported application
  'needsNetwork', // this payment needs the host and nothing was sent
  'reversing', // the host's answer is not known: a reversal is on its way; nothing will be taken
  'reversed', // was `reversing`, and the host has acknowledged it: nothing was taken
  'voided', // approved, then taken back
  'endedByOperator', // the host never acknowledged that it was taken back: a supervisor ended it, the depot settles it
  'busy', // another payment is live
  'alreadyPaid', // this reference has a live or an approved payment under another key; nothing was started
  'inProgress', // only from status
  'unknown', // only from status: no such key
] as const
export type PaymentOutcome = (typeof PAYMENT_OUTCOMES)[number]

export const PaymentView = Type.Object(
  {
    key: PaymentKey,
    outcome: Type.Enum(PAYMENT_OUTCOMES),
    reference: Type.String(),
    amount: MoneyJson,
    /** A literal for programs (`RESPONSE_51`, `CARD_AAC`, `TIMEOUT`), and the sentence for people. */
    code: Type.Optional(Type.String()),
    message: Type.String(),
    tender: Type.Literal('card'),
    /** Absent: a sale. */
    type: Type.Optional(Type.Enum(PAYMENT_TYPES)),
    /** Of `amount`. */
    tip: Type.Optional(MoneyJson),
    cashback: Type.Optional(MoneyJson),
    /** The bank approved so much less than was asked for: still due. */
    remaining: Type.Optional(MoneyJson),
    receipt: Type.Optional(ReceiptFacts),
  },
  closed,
)
export type PaymentView = Static<typeof PaymentView>

/** Sums from the journal since the round was opened; `differences` names each payment that is not final. */
export const RoundTotals = Type.Object(
  {
    round: Type.String(),
    operator: Type.String(),
    openedAt: Type.String(),
    tenders: Type.Array(
      Type.Object(
        {
          tender: Type.Literal('card'),
          currency: Type.String(),
          sales: Type.Integer(),
          salesMinor: Type.String(),
          voids: Type.Integer(),
          voidsMinor: Type.String(),
          /** Given back; absent where there are none. */
          refunds: Type.Optional(Type.Integer()),
          refundsMinor: Type.Optional(Type.String()),
        },
        closed,
      ),
    ),
    unresolved: Type.Array(
      Type.Object(
        { key: PaymentKey, reference: Type.String(), amount: MoneyJson, state: Type.String() },
        closed,
      ),
    ),
    payments: Type.Array(
      Type.Object(
        { key: PaymentKey, reference: Type.String(), amount: MoneyJson, outcome: Type.String() },
        closed,
      ),
      { maxItems: 200 },
    ),
  },
  closed,
)
export type RoundTotals = Static<typeof RoundTotals>

/** What the acquirer answered to the comparison of totals. */
export const RoundClose = Type.Object(
  {
    totals: RoundTotals,
    agreement: Type.Union([Type.Literal('agrees'), Type.Literal('differs'), Type.Literal('notCompared')]),
    /** Each difference in words; empty where they agree. */
    differences: Type.Array(Type.String()),
  },
  closed,
)
export type RoundClose = Static<typeof RoundClose>

/** Payments that are owed to an acquirer, or that it refused, oldest first. */
export const StuckPayments = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          key: PaymentKey,
          reference: Type.String(),
          amount: MoneyJson,
          /** To be taken back, or approved without the bank and not reported yet. */
          /** Or a receipt whose fiscal signature is owed. */
          kind: Type.Enum(['reversal', 'advice', 'fiscal']),
          at: Type.String(),
          failures: Type.Integer(),
          code: Type.Optional(Type.String()),
          /** A supervisor may end it: the host has refused, or did not answer many times. */
          endable: Type.Boolean(),
        },
        closed,
      ),
      { maxItems: 100 },
    ),
  },
  closed,
)
export type StuckPayments = Static<typeof StuckPayments>

export const Operator = Type.Object(
  {
    id: Type.String({ pattern: '^[0-9]{1,10}$' }),
    name: Type.String({ maxLength: 60 }),
    role: Type.Union([Type.Literal('courier'), Type.Literal('supervisor'), Type.Literal('technician')]),
    locale: Type.String({ pattern: '^[a-z]{2}(-[A-Z]{2})?$' }),
  },
  closed,
)
export type Operator = Static<typeof Operator>
