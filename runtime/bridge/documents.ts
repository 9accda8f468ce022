// Signed documents on their way from the open world to the secure one, in pieces that fit the bridge's lines.
import { type Static, Type } from 'typebox'

const closed = { additionalProperties: false } as const

/**
 * What may come while the terminal runs: `emv` and `exceptions` hold from the next payment on, `keys` is a key package
 * for one key set.
 */
export const DELIVERED_TYPES = ['emv', 'exceptions', 'keys'] as const
export const DeliveredType = Type.Enum([...DELIVERED_TYPES])
export type DeliveredType = Static<typeof DeliveredType>

/** Longest document, envelope included. */
export const MAX_DOCUMENT = 1_400_000
/** Bytes of one piece: what base64 makes of them fits a line of the bridge. */
export const DOCUMENT_PIECE = 30_000

/** One piece of the envelope's bytes; pieces follow each other from 0 to `total`. */
export const DocumentPiece = Type.Object(
  {
    type: DeliveredType,
    offset: Type.Integer({ minimum: 0, maximum: MAX_DOCUMENT }),
    total: Type.Integer({ minimum: 1, maximum: MAX_DOCUMENT }),
    data: Type.String({ maxLength: 40_000, pattern: '^[A-Za-z0-9+/]*={0,2}$' }),
  },
  closed,
)
export type DocumentPiece = Static<typeof DocumentPiece>

const Text = (maxLength: number) => Type.String({ maxLength })

/** What became of it, with the last piece; `where`, `key` and `rule` name what in a body is wrong. */
export const DocumentResult = Type.Union([
  Type.Object({ kind: Type.Literal('more') }, closed),
  Type.Object(
    {
      kind: Type.Literal('taken'),
      /** Of a key package its sequence. */
      version: Type.Integer({ minimum: 1 }),
      /** Of the key that was imported; absent where the package had been imported before. */
      checkValue: Type.Optional(Type.String({ pattern: '^[0-9A-F]{6,16}$' })),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('refused'),
      code: Text(60),
      message: Text(500),
      where: Type.Optional(Text(200)),
      key: Type.Optional(Text(200)),
      rule: Type.Optional(Text(200)),
    },
    closed,
  ),
])
export type DocumentResult = Static<typeof DocumentResult>
