// The routing document: schemes by BIN and AID, what each acquirer costs, and the rules in the order they are tried.
import { type Static, Type } from 'typebox'
import { ADVISED_KINDS, AUTHORISED_KINDS } from './acquirer-port.js'
import { checkDocument, type DocumentFault } from './documents.js'

const closed = { additionalProperties: false } as const
const Id = Type.String({ pattern: '^[a-z0-9-]{1,32}$' })
const Minor = Type.String({ pattern: '^(0|[1-9][0-9]{0,11})$' })
/** First digits (`4761`), or a range of as many on both sides (`510000-559999`). */
const Bin = Type.String({ pattern: '^[0-9]{1,8}(-[0-9]{1,8})?$' })
/** An AID or its beginning, hex. */
const Aid = Type.String({ pattern: '^([0-9A-F]{2}){5,16}$' })
const list = <T extends Parameters<typeof Type.Array>[0]>(items: T, maxItems: number) =>
  Type.Optional(Type.Array(items, { minItems: 1, maxItems }))

/** Every condition that is given must hold; of each list, one entry. */
const When = Type.Object(
  {
    bins: list(Bin, 256),
    aids: list(Aid, 64),
    schemes: list(Id, 32),
    currencies: list(Type.String({ pattern: '^[A-Z]{3}$' }), 32),
    kinds: list(Type.Enum([...AUTHORISED_KINDS, ...ADVISED_KINDS]), 8),
    /** Minor units, both inclusive. */
    amount: Type.Optional(Type.Object({ least: Type.Optional(Minor), most: Type.Optional(Minor) }, closed)),
  },
  closed,
)

export const RoutingDocument = Type.Object(
  {
    schemes: Type.Optional(
      Type.Record(Id, Type.Object({ bins: list(Bin, 256), aids: list(Aid, 64) }, closed)),
    ),
    /** By acquirer: hundredths of a percent of the amount, and minor units on top. */
    costs: Type.Optional(
      Type.Record(
        Id,
        Type.Object(
          { basisPoints: Type.Integer({ minimum: 0, maximum: 10_000 }), fixed: Type.Optional(Minor) },
          closed,
        ),
      ),
    ),
    /** The first that matches decides. */
    rules: Type.Array(
      Type.Object(
        {
          name: Type.String({ minLength: 1, maxLength: 80 }),
          when: When,
          acquirers: Type.Array(Id, { minItems: 1, maxItems: 16 }),
          /** In the order given, or the cheapest first. */
          prefer: Type.Optional(Type.Enum(['order', 'cost'])),
        },
        closed,
      ),
      { maxItems: 256 },
    ),
    /** Where no rule matches. Empty: nobody takes it. */
    otherwise: Type.Array(Id, { maxItems: 16 }),
  },
  closed,
)
export type RoutingDocument = Static<typeof RoutingDocument>
export type RoutingRule = RoutingDocument['rules'][number]

const lengthsDiffer = (bin: string) => {
  const [from, to] = bin.split('-') as [string, string?]
  return to !== undefined && (from.length !== to.length || from > to)
}

/**
 * Checks a routing document against the acquirers that there are.
 * @throws PosternError `DOCUMENT_INVALID` naming the key and what is allowed
 */
export function readRoutingDocument(value: unknown, acquirers: readonly string[]): RoutingDocument {
  return checkDocument('routing', RoutingDocument, value, (document): DocumentFault | undefined => {
    const unknown = (path: string, ids: readonly string[]): DocumentFault | undefined => {
      const at = ids.findIndex((id) => !acquirers.includes(id))
      return at < 0
        ? undefined
        : { path: `${path}/${at}`, problem: `is none of the acquirers ${acquirers.join(', ')}` }
    }
    const badBin = (path: string, bins: readonly string[] = []): DocumentFault | undefined => {
      const at = bins.findIndex(lengthsDiffer)
      return at < 0
        ? undefined
        : { path: `${path}/bins/${at}`, problem: 'must be a range of as many digits on both sides, upwards' }
    }
    for (const [name, scheme] of Object.entries(document.schemes ?? {})) {
      const fault = badBin(`/schemes/${name}`, scheme.bins)
      if (fault !== undefined) return fault
    }
    for (const [i, { when, acquirers: ids }] of document.rules.entries()) {
      const at = when.schemes?.findIndex((name) => !Object.hasOwn(document.schemes ?? {}, name)) ?? -1
      if (at >= 0) return { path: `/rules/${i}/when/schemes/${at}`, problem: 'is not among /schemes' }
      const fault = badBin(`/rules/${i}/when`, when.bins) ?? unknown(`/rules/${i}/acquirers`, ids)
      if (fault !== undefined) return fault
    }
    return unknown('/otherwise', document.otherwise)
  })
}
