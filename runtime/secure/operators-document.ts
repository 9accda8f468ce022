// The operators document: who may sign in, in which role, and the hash of each one's code.
import { type Static, Type } from 'typebox'
import { Operator } from '../api/payments.js'
import { checkDocument } from './payments/documents.js'

const closed = { additionalProperties: false } as const

const OperatorEntry = Type.Object(
  {
    ...Operator.properties,
    code: Type.Object(
      {
        salt: Type.String({ pattern: '^[0-9A-Fa-f]{32}$' }),
        hash: Type.String({ pattern: '^[0-9A-Fa-f]{64}$' }),
      },
      closed,
    ),
  },
  closed,
)
export type OperatorEntry = Static<typeof OperatorEntry>

export const OperatorsDocument = Type.Object(
  { operators: Type.Array(OperatorEntry, { maxItems: 1000 }) },
  closed,
)
export type OperatorsDocument = Static<typeof OperatorsDocument>

/** Checks an operators document. @throws PosternError `DOCUMENT_INVALID` naming the key and what is allowed */
export function readOperatorsDocument(value: unknown): OperatorsDocument {
  return checkDocument('operators', OperatorsDocument, value, ({ operators }) => {
    const seen = new Set<string>()
    for (const [i, { id }] of operators.entries()) {
      if (seen.has(id)) return { path: `/operators/${i}/id`, problem: 'is the number of another operator' }
      seen.add(id)
    }
    return undefined
  })
}
