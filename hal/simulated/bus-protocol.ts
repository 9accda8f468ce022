// The hardware bus as data: each peripheral of the virtual handheld, who may reach it, its commands, events and state.
import { type Static, type TSchema, Type } from 'typebox'
import { KEYS } from '../keypad.js'

/** Version of this protocol; both ends must have the same. */
export const BUS_VERSION = 1
/** Longest line on the socket in either direction, in bytes. */
export const MAX_LINE_BYTES = 1_048_576

const closed = { additionalProperties: false } as const
const literals = <T extends string>(...values: readonly T[]) =>
  Type.Unsafe<T>(Type.Union(values.map((value) => Type.Literal(value))))
const Nothing = Type.Object({}, closed)
/** Upper-case hex of at most 261 bytes: one APDU. */
const Apdu = Type.String({ maxLength: 522, pattern: '^([0-9A-F]{2})*$' })
const Base64 = (maxLength: number) => Type.String({ maxLength, pattern: '^[A-Za-z0-9+/]*={0,2}$' })
/** Number of a power cycle of a card, so that an answer meant for an earlier one can be told. */
const Cycle = Type.Integer({ minimum: 1 })
const Key = literals(...KEYS)
const Percent = Type.Number({ minimum: 0, maximum: 100 })

const PowerOnResult = Type.Union([
  Type.Object({ kind: Type.Literal('atr'), atr: Apdu, cycle: Cycle }, closed),
  Type.Object({ kind: Type.Literal('mute') }, closed),
  Type.Object({ kind: Type.Literal('removed') }, closed),
])
const TransmitResult = Type.Union([
  Type.Object({ kind: Type.Literal('response'), bytes: Apdu }, closed),
  Type.Object({ kind: Type.Literal('mute') }, closed),
  Type.Object({ kind: Type.Literal('removed') }, closed),
])
const cardCommands = {
  powerOn: { params: Nothing, result: PowerOnResult },
  transmit: { params: Type.Object({ cycle: Cycle, command: Apdu }, closed), result: TransmitResult },
  powerOff: { params: Type.Object({ cycle: Cycle }, closed), result: Nothing },
} as const
const Reading = Type.Object(
  {
    source: Type.Union([Type.Literal('battery'), Type.Literal('external')]),
    percent: Percent,
    temperatureC: Type.Optional(Type.Number({ minimum: -60, maximum: 150 })),
  },
  closed,
)
const Track = Type.Union([Type.String({ maxLength: 76 }), Type.Null()])
const Point = Type.Object(
  {
    x: Type.Number(),
    y: Type.Number(),
    t: Type.Number({ minimum: 0 }),
    pressure: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  },
  closed,
)

/** What is on the bus. `state` is sent whenever a peripheral is attached or a client connects. */
export const PERIPHERALS = {
  'chip-card-reader': {
    roles: ['secure'],
    state: Type.Object({ card: Type.Boolean() }, closed),
    events: Type.Object({ type: literals('inserted', 'removed') }, closed),
    commands: cardCommands,
  },
  'contactless-reader': {
    roles: ['secure'],
    state: Type.Object({ cards: Type.Integer({ minimum: 0, maximum: 8 }) }, closed),
    events: Type.Object(
      { type: Type.Literal('field'), cards: Type.Integer({ minimum: 0, maximum: 8 }) },
      closed,
    ),
    commands: {
      ...cardCommands,
      /** Switches the field on or off; the answer says how many cards answer in it. */
      field: {
        params: Type.Object({ on: Type.Boolean() }, closed),
        result: Type.Object(
          {
            cards: Type.Integer({ minimum: 0, maximum: 8 }),
            technology: Type.Optional(Type.Union([Type.Literal('A'), Type.Literal('B')])),
          },
          closed,
        ),
      },
    },
  },
  'magnetic-stripe-reader': {
    roles: ['secure'],
    state: Nothing,
    /** Raw tracks with sentinels and LRC, one character a byte, as the head read them. */
    events: Type.Object({ type: Type.Literal('swipe'), track1: Track, track2: Track }, closed),
    commands: {},
  },
  keypad: {
    roles: ['secure'],
    state: Type.Object({ closed: Type.Array(Key, { maxItems: 64 }) }, closed),
    /** An edge of a contact, bounce included. `atMs` is the hardware's own monotonic time. */
    events: Type.Object(
      { type: Type.Literal('contact'), key: Key, closed: Type.Boolean(), atMs: Type.Number() },
      closed,
    ),
    commands: {},
  },
  display: {
    roles: ['secure'],
    state: Type.Object(
      {
        width: Type.Integer(),
        height: Type.Integer(),
        depth: Type.Integer(),
        revision: Type.Integer({ minimum: 0 }),
      },
      closed,
    ),
    events: Nothing,
    commands: {
      /**
       * A rectangle of RGB565 pixels, little-endian, deflated, on top of the picture numbered `base`. Refused as
       * `stale` where another client has drawn since: the caller then sends the whole frame with base -1.
       */
      draw: {
        params: Type.Object(
          {
            base: Type.Integer({ minimum: -1 }),
            x: Type.Integer({ minimum: 0, maximum: 4095 }),
            y: Type.Integer({ minimum: 0, maximum: 4095 }),
            width: Type.Integer({ minimum: 0, maximum: 4096 }),
            height: Type.Integer({ minimum: 0, maximum: 4096 }),
            pixels: Base64(1_000_000),
            alt: Type.Array(Type.String({ maxLength: 400 }), { maxItems: 80 }),
          },
          closed,
        ),
        result: Type.Object({ drawn: Type.Boolean(), revision: Type.Integer() }, closed),
      },
      backlight: {
        params: Type.Object({ level: literals('on', 'dim', 'off') }, closed),
        result: Nothing,
      },
    },
  },
  indicators: {
    roles: ['secure'],
    state: Nothing,
    events: Nothing,
    commands: {
      light: {
        params: Type.Object(
          {
            light: literals(
              'secure',
              'contactless1',
              'contactless2',
              'contactless3',
              'contactless4',
              'alert',
            ),
            state: literals('off', 'on', 'blink'),
          },
          closed,
        ),
        result: Nothing,
      },
      /** Answers when the tone has sounded, or when a newer one or `silence` took its place. */
      tone: {
        params: Type.Object(
          {
            steps: Type.Array(
              Type.Object(
                {
                  hz: Type.Number({ minimum: 0, maximum: 20_000 }),
                  ms: Type.Integer({ minimum: 1, maximum: 2_000 }),
                },
                closed,
              ),
              { maxItems: 16 },
            ),
          },
          closed,
        ),
        result: Nothing,
      },
      silence: { params: Nothing, result: Nothing },
    },
  },
  power: {
    roles: ['secure', 'open'],
    state: Reading,
    events: Type.Object({ type: Type.Literal('reading'), reading: Reading }, closed),
    commands: {},
  },
  tamper: {
    roles: ['secure'],
    state: Type.Object({ sensors: Type.Array(Type.String({ maxLength: 32 }), { maxItems: 16 }) }, closed),
    events: Type.Union([
      Type.Object({ type: Type.Literal('tripped'), sensor: Type.String({ maxLength: 32 }) }, closed),
      Type.Object({ type: Type.Literal('cleared') }, closed),
    ]),
    commands: {},
  },
  'signature-pad': {
    roles: ['secure'],
    state: Type.Object({ width: Type.Integer(), height: Type.Integer() }, closed),
    events: Type.Union([
      Type.Object(
        {
          type: Type.Literal('signed'),
          strokes: Type.Array(Type.Array(Point, { maxItems: 4_000 }), { maxItems: 400 }),
        },
        closed,
      ),
      Type.Object({ type: Type.Literal('cleared') }, closed),
    ]),
    commands: { capture: { params: Type.Object({ on: Type.Boolean() }, closed), result: Nothing } },
  },
  printer: {
    roles: ['open'],
    state: Nothing,
    events: Type.Object({ type: Type.Literal('data'), bytes: Base64(8_192) }, closed),
    commands: {
      /** At most 4 KiB; answers when the wire has taken them. */
      write: { params: Type.Object({ bytes: Base64(5_464) }, closed), result: Nothing },
    },
  },
  scanner: {
    roles: ['open'],
    state: Nothing,
    events: Type.Object(
      { type: Type.Literal('scan'), aim: Type.Optional(Type.String({ maxLength: 2 })), raw: Base64(5_464) },
      closed,
    ),
    commands: {
      /** Light on until something is read, or off. */
      trigger: { params: Type.Object({ on: Type.Boolean() }, closed), result: Nothing },
    },
  },
  /** It keeps its receipts in its driver's folder; here it is only there, or unplugged. */
  'fiscal-signer': { roles: ['secure'], state: Nothing, events: Nothing, commands: {} },
  network: {
    roles: ['open'],
    state: Type.Object({ online: Type.Boolean() }, closed),
    events: Type.Object({ type: Type.Literal('network'), online: Type.Boolean() }, closed),
    commands: {},
  },
} as const satisfies Record<string, PeripheralShape>

interface PeripheralShape {
  readonly roles: readonly BusRole[]
  readonly state: TSchema
  readonly events: TSchema
  readonly commands: Readonly<Record<string, { readonly params: TSchema; readonly result: TSchema }>>
}

/** Which half of the handheld a socket serves: the worlds can't reach each other's devices. */
export type BusRole = 'secure' | 'open'
export type PeripheralName = keyof typeof PERIPHERALS
type Shape<P extends PeripheralName> = (typeof PERIPHERALS)[P]
export type CommandName<P extends PeripheralName> = keyof Shape<P>['commands'] & string
type CommandOf<P extends PeripheralName, O extends CommandName<P>> = Shape<P>['commands'][O] extends {
  readonly params: infer A extends TSchema
  readonly result: infer R extends TSchema
}
  ? { params: Static<A>; result: Static<R> }
  : never
export type CommandParams<P extends PeripheralName, O extends CommandName<P>> = CommandOf<P, O>['params']
export type CommandResult<P extends PeripheralName, O extends CommandName<P>> = CommandOf<P, O>['result']
export type PeripheralState<P extends PeripheralName> = Static<Shape<P>['state']>
export type PeripheralEvent<P extends PeripheralName> = Static<Shape<P>['events']>

/** Names of the peripherals that a role reaches. */
export function peripheralsOf(role: BusRole): readonly PeripheralName[] {
  return (Object.keys(PERIPHERALS) as PeripheralName[]).filter((name) =>
    (PERIPHERALS[name].roles as readonly BusRole[]).includes(role),
  )
}

/** Looks up one command's schemas; undefined where the peripheral has no such command. */
export function commandShape(
  name: PeripheralName,
  op: string,
): { readonly params: TSchema; readonly result: TSchema } | undefined {
  const commands: PeripheralShape['commands'] = PERIPHERALS[name].commands
  return Object.hasOwn(commands, op) ? commands[op] : undefined
}
