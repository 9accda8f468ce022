// The link's topics, all under pos/v1/d/{device}, and the envelopes in which messages travel.
import { type Static, type TSchema, Type } from 'typebox'
import { checker } from '../../api/contract.js'

/** Everything of one device. */
export const deviceTopics = (device: string) => {
  const base = `pos/v1/d/${device}`
  return {
    base,
    /** Retained, and the will: is it there? */
    presence: `${base}/presence`,
    /** Down: ids of the device's messages that the application has. */
    ack: `${base}/ack`,
    /** Up: ids of the cloud's messages that an app has. */
    taken: `${base}/taken`,
    /** Down: messages to an app. */
    down: (app: string, topic: string) => `${base}/app/${app}/down/${topic}`,
    allDown: `${base}/app/+/down/#`,
    /** Down, retained: the newest signed document of a type, its envelope as it stands. */
    documents: `${base}/documents/`,
  }
}

const closed = { additionalProperties: false } as const
const Id = Type.String({ minLength: 1, maxLength: 128 })
const AtMs = Type.Integer({ minimum: 0 })

/** A message up. `seq` grows with every message of the device: the application sees gaps and order. */
export const UpEnvelope = Type.Object(
  { v: Type.Literal(1), id: Id, seq: Type.Integer({ minimum: 1 }), at: AtMs, body: Type.Unknown() },
  closed,
)
export type UpEnvelope = Static<typeof UpEnvelope>

/** A message down to an app. The sender repeats it, under the same id, until the device says `taken`. */
export const DownEnvelope = Type.Object(
  { v: Type.Literal(1), id: Id, at: AtMs, body: Type.Unknown() },
  closed,
)
export type DownEnvelope = Static<typeof DownEnvelope>

/** Ids that arrived: of the device's messages on `ack`, of the cloud's on `taken`. */
export const Ids = Type.Object({ v: Type.Literal(1), ids: Type.Array(Id, { maxItems: 100 }) }, closed)
export type Ids = Static<typeof Ids>

export const Presence = Type.Object(
  {
    v: Type.Literal(1),
    online: Type.Boolean(),
    /** A new one at each start of the process. */
    bootId: Type.String({ maxLength: 64 }),
    /** Grows with every connection, for ever. */
    sessionSeq: Type.Integer({ minimum: 0 }),
    at: AtMs,
  },
  closed,
)
export type Presence = Static<typeof Presence>

/** Bytes of a message down: what is larger would not fit the app's wire. */
export const MAX_DOWN = 56 * 1024

/** Parses and checks a payload; undefined where it is not what the schema says. */
export function readPayload<S extends TSchema>(schema: S, payload: Uint8Array): Static<S> | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch {
    return undefined
  }
  return checker(schema)(value) === undefined ? (value as Static<S>) : undefined
}
