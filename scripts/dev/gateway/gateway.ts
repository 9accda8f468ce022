// A development payment gateway in process: keeps the contract of roads/gateway-contract.ts before any acquirer.
import type { Clock } from '../../../hal/base/clock.js'
import { checker } from '../../../runtime/api/contract.js'
import {
  type GatewayAnswer,
  GatewayRequest,
} from '../../../runtime/secure/payments/roads/gateway-contract.js'

export interface GatewayOptions {
  /** Gives a message to the acquirer; undefined where it does not answer. */
  readonly forward: (message: Uint8Array) => Promise<Uint8Array | undefined>
  readonly clock: Clock
  readonly answer: (answer: GatewayAnswer) => void
}

/** Originals remembered as reversed; the oldest are forgotten beyond it. */
const MAX_REVERSED = 10_000

export interface Gateway {
  /** Takes an envelope; resolves when it has been dealt with. What is no envelope is dropped. */
  take(message: unknown): Promise<void>
}

export function createGateway({ forward, clock, answer }: GatewayOptions): Gateway {
  const isRequest = checker(GatewayRequest)
  const turns = new Map<string, Promise<void>>()
  const reversed = new Set<string>()

  async function serve(request: GatewayRequest): Promise<void> {
    const { id, acquirer, terminalId, subject, reversal, expiresAtMs, payload } = request
    const key = `${acquirer} ${terminalId} ${subject}`
    if (clock.nowMs() >= expiresAtMs) return answer({ id, kind: 'refused', reason: 'expired' })
    if (reversal) {
      reversed.add(key)
      if (reversed.size > MAX_REVERSED) reversed.delete(reversed.values().next().value!)
    } else if (reversed.has(key)) return answer({ id, kind: 'refused', reason: 'reversed' })
    const reply = await forward(new Uint8Array(Buffer.from(payload, 'base64')))
    if (reply !== undefined) answer({ id, kind: 'answered', payload: Buffer.from(reply).toString('base64') })
  }

  return {
    take(message) {
      if (isRequest(message) !== undefined) return Promise.resolve()
      const request = message as GatewayRequest
      const turn = `${request.acquirer} ${request.terminalId}`
      const mine = (turns.get(turn) ?? Promise.resolve()).then(() => serve(request)).catch(() => undefined)
      turns.set(turn, mine)
      return mine
    },
  }
}
