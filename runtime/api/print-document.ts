// What an app may print: blocks of text, rows, rules, codes; the printer service chooses code pages and raster.
import { type Static, Type } from 'typebox'

const closed = { additionalProperties: false } as const
const Align = Type.Union([Type.Literal('left'), Type.Literal('center'), Type.Literal('right')])

export const PrintBlock = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('text'),
      text: Type.String({ maxLength: 400 }),
      align: Type.Optional(Align),
      bold: Type.Optional(Type.Boolean()),
      large: Type.Optional(Type.Boolean()),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('row'),
      left: Type.String({ maxLength: 80 }),
      right: Type.String({ maxLength: 80 }),
      bold: Type.Optional(Type.Boolean()),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal('rule') }, closed),
  Type.Object({ kind: Type.Literal('feed'), lines: Type.Integer({ minimum: 1, maximum: 10 }) }, closed),
  Type.Object({ kind: Type.Literal('qr'), data: Type.String({ minLength: 1, maxLength: 600 }) }, closed),
  /** One bit a dot, rows top down, eight dots a byte, leftmost highest, 1 black; base64. Printed in the middle. */
  Type.Object(
    {
      kind: Type.Literal('picture'),
      width: Type.Integer({ minimum: 8, maximum: 576, multipleOf: 8 }),
      rows: Type.String({ maxLength: 32_768, pattern: '^[A-Za-z0-9+/]+={0,2}$' }),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal('barcode'), data: Type.String({ pattern: '^[ -~]{1,32}$' }) }, closed),
])
export const PrintDocument = Type.Object(
  { blocks: Type.Array(PrintBlock, { minItems: 1, maxItems: 200 }) },
  closed,
)
export type PrintBlock = Static<typeof PrintBlock>
export type PrintDocument = Static<typeof PrintDocument>

/**
 * How printing ended. `paperOut` and the rest name what a person must mend; printing again is safe. Where part of it is
 * on paper, `job` goes to `printer.resume`, which prints the rest.
 */
export const PrintResult = Type.Object(
  {
    outcome: Type.Enum([
      'printed',
      'paperOut',
      'coverOpen',
      'headHot',
      'jam',
      'undervoltage',
      'offline',
      'unknown',
      'aborted',
    ]),
    job: Type.Optional(Type.String({ pattern: '^print-[0-9]{1,12}$' })),
  },
  closed,
)
export type PrintResult = Static<typeof PrintResult>
