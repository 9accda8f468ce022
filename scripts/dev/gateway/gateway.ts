// The development payment gateway's duties (runtime/bridge/gateway.ts): order, expiry, and a memory of what was reversed.
import type { Clock } from '../../../hal/base/clock.js'
import { checker } from '../../../runtime/api/contract.js'
import {
  CLOCK_SKEW_MS,
  type GatewayAnswer,
  GatewayRequest,
  MAX_LIFE_MS,
} from '../../../runtime/bridge/gateway.js'
import type { ReversedMemory } from './reversed-memory.js'

/** Gives a message to its acquirer; resolves when the next message of the terminal may go, `reply` may come later and again. */
export type Forward = (
  request: GatewayRequest,
  message: Uint8Array,
  reply: (message: Uint8Array) => void,
) => Promise<void>

export interface GatewayOptions {
  readonly forward: Forward
  readonly reversed: ReversedMemory
  readonly clock: Clock
  readonly answer: (answer: GatewayAnswer, terminalId: string) => void
}

/** Messages of one terminal that wait; beyond it they are refused. */
const MAX_WAITING = 64

export interface Gateway {
  /** Takes an envelope; resolves when it has been dealt with. What is no envelope is dropped. */
  take(message: unknown): Promise<void>
}

export function createGateway({ forward, reversed, clock, answer }: GatewayOptions): Gateway {
  const isRequest = checker(GatewayRequest)
  const turns = new Map<string, { last: Promise<void>; waiting: number }>()

  function refusal({ expiresAtMs, reversal, acquirer, terminalId, subject }: GatewayRequest) {
    const now = clock.nowMs()
    if (now >= expiresAtMs) return 'expired'
    if (expiresAtMs > now + MAX_LIFE_MS + CLOCK_SKEW_MS) return 'invalid'
    const key = `${acquirer} ${terminalId} ${subject}`
    if (reversal) reversed.add(key)
    else if (reversed.has(key)) return 'reversed'
    return undefined
  }

  async function serve(request: GatewayRequest): Promise<void> {
    const { id, terminalId, payload, expiresAtMs } = request
    const reason = refusal(request)
    if (reason !== undefined) return answer({ id, kind: 'refused', reason }, terminalId)
    const done = new AbortController()
    const expired = clock.sleep(expiresAtMs - clock.nowMs(), done.signal).catch(() => undefined)
    try {
      await Promise.race([
        expired,
        forward(request, new Uint8Array(Buffer.from(payload, 'base64')), (message) =>
          answer({ id, kind: 'answered', payload: Buffer.from(message).toString('base64') }, terminalId),
        ),
      ])
    } finally {
      done.abort()
    }
  }

  return {
    async take(message) {
      if (isRequest(message) !== undefined) return
      const request = message as GatewayRequest
      const key = `${request.acquirer} ${request.terminalId}`
      const turn = turns.get(key) ?? { last: Promise.resolve(), waiting: 0 }
      if (turn.waiting >= MAX_WAITING)
        return answer({ id: request.id, kind: 'refused', reason: 'invalid' }, request.terminalId)
      turns.set(key, turn)
      turn.waiting++
      // A message that fails is its terminal's to find out, by the answer that does not come.
      const mine = turn.last
        .then(() => serve(request))
        .catch(() => undefined)
        .finally(() => {
          if (--turn.waiting === 0) turns.delete(key)
        })
      turn.last = mine
      await mine
    },
  }
}
