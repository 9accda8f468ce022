// The contract with a payment gateway between terminal and acquirer: envelopes that carry the same message as a TLS road.
import { type Static, Type } from 'typebox'
import { Nothing } from '../api/contract.js'

const closed = { additionalProperties: false } as const
const Id = Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' })
const Payload = Type.String({ maxLength: 12_000, pattern: '^[A-Za-z0-9+/]*={0,2}$' })

/** An envelope lives at most this long; a gateway refuses one that claims more, and may forget reversals that are older. */
export const MAX_LIFE_MS = 120_000
/** How far the clocks of a terminal and its gateway may lie apart. */
export const CLOCK_SKEW_MS = 30_000

/** A message on its way to the acquirer; authenticated by its own MAC, card data and PIN enciphered as on every road. */
export const GatewayRequest = Type.Object(
  {
    /** Correlates the answer; never used twice. */
    id: Id,
    acquirer: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    terminalId: Type.String({ pattern: '^[A-Za-z0-9]{8}$' }),
    /** Names the payment that the message is about: the same in its request and in its reversal. */
    subject: Type.String({ minLength: 1, maxLength: 64 }),
    reversal: Type.Boolean(),
    /** Absolute: what has not been forwarded by then never is. Milliseconds since 1970. */
    expiresAtMs: Type.Integer({ minimum: 0 }),
    /** The message, base64. */
    payload: Payload,
  },
  closed,
)
export type GatewayRequest = Static<typeof GatewayRequest>

/** `refused`: this message was not forwarded, and never will be. It says nothing of earlier ones. */
export const GatewayAnswer = Type.Union([
  Type.Object({ id: Id, kind: Type.Literal('answered'), payload: Payload }, closed),
  Type.Object(
    { id: Id, kind: Type.Literal('refused'), reason: Type.Enum(['expired', 'reversed', 'invalid']) },
    closed,
  ),
])
export type GatewayAnswer = Static<typeof GatewayAnswer>

/**
 * What carries envelopes, for the transport's author (MQTT comes with the link). The gateway's duties:
 *
 * - it forwards one message of a terminal at a time, in the order of arrival, and waits for the acquirer no longer than
 *   the message lives;
 * - it refuses what has expired, also after it has waited in its own queue, and what claims to live longer than
 *   `MAX_LIFE_MS`;
 * - it remembers the subject of a reversal durably before it forwards it, and refuses a request of that subject from then
 *   on;
 * - an answer bears the id of its request; it may come twice, late, or not at all.
 */
export interface GatewayTransport {
  /** Is there a way to the gateway just now? */
  connected(): boolean
  /** Hands an envelope over; it may have left even if this rejects. */
  send(request: GatewayRequest): Promise<void>
  /** Whatever comes from the gateway, unverified. Returns the unsubscriber. */
  onMessage(listener: (message: unknown) => void): () => void
  /** Called with every change of `connected`. Returns the unsubscriber. */
  onState(listener: (connected: boolean) => void): () => void
}

/** A gateway on this machine, JSON-RPC on a unix socket: what it serves, and what it calls. */
export const LocalGatewayMethods = {
  /** Answered once the gateway has it. */
  'envelope.take': { params: GatewayRequest, result: Nothing },
} as const
export const LocalTerminalMethods = {
  'answer.take': { params: GatewayAnswer, result: Nothing },
} as const
