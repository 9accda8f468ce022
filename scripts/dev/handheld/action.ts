// What hands can do to the virtual handheld: the page's buttons and the scenarios' steps are the same actions.
import { type Static, Type } from 'typebox'
import { KEYS } from '../../../hal/keypad.js'

const closed = { additionalProperties: false } as const

/** Moments of a card payment at which the battery can be pulled; matched on the command that reaches the card. */
export const CUT_MOMENTS = [
  'getProcessingOptions',
  'verify',
  'firstGenerateAc',
  'secondGenerateAc',
  'afterSecondGenerateAc',
] as const
export type CutMoment = (typeof CUT_MOMENTS)[number]

/** How a card may be swiped: too fast for the head (wrong LRC), or stopped in the middle of the track. */
export const SWIPES = ['clean', 'bad', 'partial'] as const
export type SwipeManner = (typeof SWIPES)[number]

export const Swipe = Type.Object(
  { swipe: Type.String({ minLength: 1, maxLength: 64 }), how: Type.Optional(Type.Enum(SWIPES)) },
  closed,
)

export const Fault = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 40 }),
    args: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  closed,
)

export const Power = Type.Union([
  Type.Enum(['cut', 'on', 'restart']),
  Type.Object({ cutAt: Type.Enum(CUT_MOMENTS) }, closed),
])

export const Action = Type.Union([
  Type.Object({ insert: Type.String({ minLength: 1, maxLength: 64 }) }, closed),
  Type.Object({ pull: Type.Literal(true) }, closed),
  /** Pulls a card through the stripe slot; one that is in the chip slot is taken out first. */
  Swipe,
  Type.Object(
    { key: Type.Enum(KEYS), holdMs: Type.Optional(Type.Integer({ minimum: 10, maximum: 5000 })) },
    closed,
  ),
  Type.Object({ scan: Type.String({ minLength: 1, maxLength: 4000 }) }, closed),
  Type.Object({ fault: Fault }, closed),
  Type.Object({ network: Type.Enum(['on', 'off']) }, closed),
  Type.Object({ power: Power }, closed),
  /** Tears the paper off: what is printed next begins a new slip. */
  Type.Object({ tear: Type.Literal(true) }, closed),
])
export type Action = Static<typeof Action>
