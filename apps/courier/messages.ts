// What the courier's app and the delivery service tell each other: deliveries down, parcel status and hand-in up.
import { type Static, Type } from 'typebox'
import { MoneyJson } from '../../runtime/api/screens.js'

const closed = { additionalProperties: false } as const
const Text = (maxLength: number) => Type.String({ maxLength })
/** Milliseconds since 1970, by the terminal's clock. */
const At = Type.Integer({ minimum: 0 })

/** The app's topics: `deliveries` and `notice` come down, `status` and `hand-in` go up. */
export const TOPICS = {
  deliveries: 'deliveries',
  notice: 'notice',
  status: 'status',
  handIn: 'hand-in',
} as const

export const Waybill = Type.String({ pattern: '^[A-Z0-9][A-Z0-9-]{5,29}$' })
const RoundId = Type.String({ pattern: '^[A-Za-z0-9-]{1,32}$' })

/** What the shipper allows at the door. */
export const ShipperRules = Type.Object(
  {
    /** The customer may keep part of the parcel and pay less. */
    partialAllowed: Type.Boolean(),
    /** With `partialAllowed`: the least that may be collected. */
    minimum: Type.Optional(MoneyJson),
    /** The customer may look inside before paying. */
    openBeforePaying: Type.Optional(Type.Boolean()),
    /** Only the named recipient may take it: ask for an identity card. */
    recipientOnly: Type.Optional(Type.Boolean()),
    /** The customer is asked for a tip on top. */
    tip: Type.Optional(Type.Boolean()),
  },
  closed,
)
export type ShipperRules = Static<typeof ShipperRules>

export const Parcel = Type.Object(
  {
    waybill: Waybill,
    /** The order in which the depot planned the round, from 1. */
    stop: Type.Integer({ minimum: 1, maximum: 999 }),
    recipient: Text(60),
    phone: Type.Optional(Text(24)),
    address: Type.Array(Text(60), { minItems: 1, maxItems: 4 }),
    shipper: Text(60),
    contents: Type.Optional(Text(60)),
    pieces: Type.Integer({ minimum: 1, maximum: 99 }),
    /** What is to be collected; `minor` is "0" where everything is paid. */
    due: MoneyJson,
    rules: ShipperRules,
    note: Type.Optional(Text(200)),
    /** The recipient's language, for the receipt. */
    locale: Type.Optional(Type.String({ pattern: '^[a-z]{2}(-[A-Z]{2})?$' })),
  },
  closed,
)
export type Parcel = Static<typeof Parcel>

/**
 * Down, `deliveries`: parcels of a round. At most 40 a message, so that one fits a line of the wire; several messages
 * for one round add up by waybill, and a waybill told again replaces the earlier facts.
 */
export const Deliveries = Type.Object(
  {
    round: RoundId,
    /** The day of the round, `YYYY-MM-DD`. */
    date: Type.String({ pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' }),
    depot: Text(60),
    parcels: Type.Array(Parcel, { maxItems: 40 }),
    /** Waybills taken off the round, where they are not finished yet. */
    withdrawn: Type.Optional(Type.Array(Waybill, { maxItems: 40 })),
  },
  closed,
)
export type Deliveries = Static<typeof Deliveries>

/** Down, `notice`: a sentence from the depot to the courier. */
export const Notice = Type.Object({ at: At, text: Text(300) }, closed)
export type Notice = Static<typeof Notice>

export const TENDERS = ['card', 'cash', 'qr'] as const
const TenderSchema = Type.Enum(TENDERS)

/** The ways a stop can end; `undone` takes the last one back before the round is closed. */
export const STATUSES = ['delivered', 'refused', 'notAtHome', 'partlyAccepted', 'undone'] as const

/** Why a parcel was refused. */
export const REFUSAL_REASONS = ['damaged', 'wrongGoods', 'tooLate', 'noMoney', 'notOrdered', 'other'] as const
export type RefusalReason = (typeof REFUSAL_REASONS)[number]

/**
 * Up, `status`: how a stop ended. `sequence` grows with every status of this terminal's app, so that the service
 * can order them and drop one it has; the highest for a waybill holds.
 */
export const ParcelStatus = Type.Object(
  {
    round: RoundId,
    waybill: Waybill,
    sequence: Type.Integer({ minimum: 1 }),
    status: Type.Enum(STATUSES),
    /** With `refused`. */
    reason: Type.Optional(Type.Enum(REFUSAL_REASONS)),
    /** What else the depot should know, such as the supervisor who allowed another amount. */
    note: Type.Optional(Text(120)),
    /** With `delivered` and `partlyAccepted`, where something was due; a tip is part of the amount. */
    paid: Type.Optional(
      Type.Object(
        {
          key: Type.String({ maxLength: 64 }),
          amount: MoneyJson,
          tender: TenderSchema,
          tip: Type.Optional(MoneyJson),
        },
        closed,
      ),
    ),
    /** What of `paid` was given back since, all refunds together. */
    refunded: Type.Optional(MoneyJson),
    /** With `undone`, where a payment was taken back: the key of the void and that of the payment. */
    voided: Type.Optional(
      Type.Object(
        { key: Type.String({ maxLength: 64 }), original: Type.String({ maxLength: 64 }), amount: MoneyJson },
        closed,
      ),
    ),
    at: At,
    /** The operator's number. */
    operator: Text(10),
  },
  closed,
)
export type ParcelStatus = Static<typeof ParcelStatus>

/** Up, `hand-in`: the end of a round, as printed for the depot's countersignature. */
export const HandIn = Type.Object(
  {
    round: RoundId,
    operator: Text(10),
    at: At,
    /** How many stops ended in which way; `open` were not finished. */
    counts: Type.Object(
      {
        delivered: Type.Integer({ minimum: 0 }),
        refused: Type.Integer({ minimum: 0 }),
        notAtHome: Type.Integer({ minimum: 0 }),
        partlyAccepted: Type.Integer({ minimum: 0 }),
        open: Type.Integer({ minimum: 0 }),
      },
      closed,
    ),
    tenders: Type.Array(
      Type.Object({ tender: TenderSchema, count: Type.Integer({ minimum: 0 }), amount: MoneyJson }, closed),
      { maxItems: 12 },
    ),
    agreement: Type.Enum(['agrees', 'differs', 'notCompared']),
    /** Each difference in words; empty where none. */
    differences: Type.Array(Text(200), { maxItems: 50 }),
  },
  closed,
)
export type HandIn = Static<typeof HandIn>
