// Screens as data: what an app may ask to be shown, and what it gets back. The secure world renders them all.
import { type Static, Type } from 'typebox'

const closed = { additionalProperties: false } as const
const Text = (max: number) => Type.String({ maxLength: max })
const Id = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]*$' })

/** Money as a decimal string of minor units and an ISO 4217 code. */
export const MoneyJson = Type.Object(
  {
    minor: Type.String({ pattern: '^(0|[1-9][0-9]{0,11})$' }),
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
  },
  closed,
)

/** A label under the screen bound to a soft key: `soft1` left, `soft2` right. */
const SoftKey = Type.Object({ id: Id, label: Text(16) }, closed)
const common = {
  title: Text(40),
  softKeys: Type.Optional(Type.Array(SoftKey, { maxItems: 2 })),
  /** Result `timeout` after this long without a key. */
  timeoutMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: 600_000 })),
}

const ListItem = Type.Object(
  {
    id: Id,
    label: Text(60),
    detail: Type.Optional(Text(60)),
    right: Type.Optional(Text(20)),
    mark: Type.Optional(
      Type.Union([Type.Literal('done'), Type.Literal('failed'), Type.Literal('attention')]),
    ),
  },
  closed,
)

/** Scrolling rows with details; `empty` is shown where there are none. Digits 1-9 choose the visible rows. */
export const ListScreen = Type.Object(
  {
    kind: Type.Literal('list'),
    ...common,
    items: Type.Array(ListItem, { maxItems: 200 }),
    selected: Type.Optional(Id),
    empty: Type.Optional(Text(120)),
  },
  closed,
)
/** A few choices, each a short label. */
export const MenuScreen = Type.Object(
  {
    kind: Type.Literal('menu'),
    ...common,
    items: Type.Array(Type.Object({ id: Id, label: Text(40) }, closed), { minItems: 1, maxItems: 9 }),
    text: Type.Optional(Text(200)),
  },
  closed,
)
/** One to four fields, filled from the keypad. Numeric fields echo under "NOT FOR PIN". */
export const FormScreen = Type.Object(
  {
    kind: Type.Literal('form'),
    ...common,
    fields: Type.Array(
      Type.Object(
        {
          id: Id,
          label: Text(40),
          input: Type.Union([Type.Literal('digits'), Type.Literal('text')]),
          minLength: Type.Optional(Type.Integer({ minimum: 0, maximum: 40 })),
          maxLength: Type.Optional(Type.Integer({ minimum: 1, maximum: 40 })),
          value: Type.Optional(Text(40)),
        },
        closed,
      ),
      { minItems: 1, maxItems: 4 },
    ),
  },
  closed,
)
/** An amount typed in minor units, echoed with the currency; bounds are shown when they are broken. */
export const AmountScreen = Type.Object(
  {
    kind: Type.Literal('amount'),
    ...common,
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
    text: Type.Optional(Text(120)),
    initial: Type.Optional(MoneyJson),
    min: Type.Optional(MoneyJson),
    max: Type.Optional(MoneyJson),
  },
  closed,
)
/** Something to read. Enter closes it. */
export const MessageScreen = Type.Object(
  {
    kind: Type.Literal('message'),
    ...common,
    text: Text(500),
    tone: Type.Optional(
      Type.Union([
        Type.Literal('info'),
        Type.Literal('success'),
        Type.Literal('warning'),
        Type.Literal('error'),
      ]),
    ),
  },
  closed,
)
/** A yes or no. Enter is yes, cancel is no. */
export const ConfirmScreen = Type.Object(
  {
    kind: Type.Literal('confirm'),
    ...common,
    text: Text(300),
    amount: Type.Optional(MoneyJson),
    yes: Type.Optional(Text(16)),
    no: Type.Optional(Text(16)),
  },
  closed,
)
/** Work under way; `percent` absent is an indeterminate bar. Ends by the caller closing it, or by cancel where allowed. */
export const ProgressScreen = Type.Object(
  {
    kind: Type.Literal('progress'),
    ...common,
    text: Text(200),
    percent: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
    cancellable: Type.Optional(Type.Boolean()),
  },
  closed,
)
/** A QR code with its caption. */
export const QrScreen = Type.Object(
  { kind: Type.Literal('qr'), ...common, data: Text(600), text: Type.Optional(Text(120)) },
  closed,
)
/** Lines as they will be on paper; enter prints. */
export const ReceiptScreen = Type.Object(
  { kind: Type.Literal('receipt'), ...common, lines: Type.Array(Text(48), { maxItems: 120 }) },
  closed,
)
/** Facts in rows, label left and value right, with a menu of what can be done. */
export const DetailsScreen = Type.Object(
  {
    kind: Type.Literal('details'),
    ...common,
    rows: Type.Array(Type.Object({ label: Text(24), value: Text(80) }, closed), { maxItems: 20 }),
    items: Type.Array(Type.Object({ id: Id, label: Text(40) }, closed), { maxItems: 9 }),
  },
  closed,
)

export const Screen = Type.Union([
  ListScreen,
  MenuScreen,
  FormScreen,
  AmountScreen,
  MessageScreen,
  ConfirmScreen,
  ProgressScreen,
  QrScreen,
  ReceiptScreen,
  DetailsScreen,
])
export type Screen = Static<typeof Screen>

/**
 * What a screen ended with. `selected` a list, menu or details item; `submitted` a form's values; `amount`;
 * `confirmed` yes or enter; `declined` no; `softKey`; `back` the cancel key; `closed` by its caller (replaced or
 * aborted); `timeout`; `withheld` when a typed value looked like a card number.
 */
export const ScreenResult = Type.Union([
  Type.Object({ type: Type.Literal('selected'), id: Id }, closed),
  Type.Object({ type: Type.Literal('submitted'), values: Type.Record(Type.String(), Text(40)) }, closed),
  Type.Object({ type: Type.Literal('amount'), amount: MoneyJson }, closed),
  Type.Object({ type: Type.Literal('softKey'), id: Id }, closed),
  Type.Object(
    { type: Type.Enum(['confirmed', 'declined', 'back', 'closed', 'timeout', 'withheld']) },
    closed,
  ),
])
export type ScreenResult = Static<typeof ScreenResult>
