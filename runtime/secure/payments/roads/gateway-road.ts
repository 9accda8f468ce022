// The line to an acquirer through a payment gateway: the same exchange as over TLS, in envelopes with an absolute expiry.
import { toHex } from '../../../../hal/base/bytes.js'
import type { Clock, Random } from '../../../../hal/base/clock.js'
import { isPosternError } from '../../../../hal/base/errors.js'
import { checker } from '../../../api/contract.js'
import { GatewayAnswer, type GatewayTransport } from '../../../bridge/gateway.js'
import { type Exchange, type ExchangeRequest, ended, type HostLine, type OnStray } from '../host-line.js'

export interface GatewayLineOptions {
  readonly transport: GatewayTransport
  readonly acquirer: string
  readonly terminalId: string
  /** From handing over to the answer, at most `MAX_LIFE_MS`; what has not been forwarded by then expires. */
  readonly hostMs: number
  readonly random: Random
  readonly clock: Clock
}

/** Random bytes of an envelope's id, behind the acquirer's. */
const ID_BYTES = 12

const decode = (payload: string) => new Uint8Array(Buffer.from(payload, 'base64'))

/**
 * A line through a gateway. Not connected is `notSent`; once an envelope was handed over, only an answer that fits is
 * known, and even a refusal is `unknown`: the payment is taken back on whatever road there is.
 */
export function createGatewayLine(options: GatewayLineOptions, onStray: OnStray): HostLine {
  const { transport, acquirer, terminalId, hostMs, random, clock } = options
  const isAnswer = checker(GatewayAnswer)
  /** Whose answer it is can be read from its id, also of one from before a restart. */
  const ours = new RegExp(`^${acquirer}-[0-9A-F]{${2 * ID_BYTES}}$`)
  let waiting: { readonly id: string; take(answer: GatewayAnswer | undefined): void } | undefined
  const leave = transport.onMessage((message) => {
    if (isAnswer(message) !== undefined) return
    const answer = message as GatewayAnswer
    if (answer.id === waiting?.id) waiting.take(answer)
    else if (answer.kind === 'answered' && ours.test(answer.id)) onStray(decode(answer.payload))
  })

  /** Hands the message over and waits; undefined where it may not have left. */
  async function ask(
    request: Parameters<GatewayTransport['send']>[0],
    signal: AbortSignal,
  ): Promise<GatewayAnswer | 'timeout' | undefined> {
    const done = new AbortController()
    const forget = ended(signal, done)
    const late = clock.sleep(hostMs, done.signal).then(
      () => 'timeout' as const,
      () => 'timeout' as const,
    )
    try {
      return await Promise.race([
        late,
        new Promise<GatewayAnswer | undefined>((take) => {
          let first: GatewayAnswer | undefined
          waiting = {
            id: request.id,
            take(answer) {
              // The second of two answers is a stray.
              if (first !== undefined && answer?.kind === 'answered') onStray(decode(answer.payload))
              first ??= answer
              take(answer)
            },
          }
          transport.send(request).catch(() => take(undefined))
        }),
      ])
    } finally {
      waiting = undefined
      forget()
      done.abort()
    }
  }

  return {
    close: leave,
    async exchange<T>(
      { build, judge, beforeSend, about }: ExchangeRequest<T>,
      signal: AbortSignal,
    ): Promise<Exchange<T>> {
      if (!transport.connected()) return { kind: 'notSent', reason: 'ROAD_CLOSED' }
      let bytes: Uint8Array
      try {
        bytes = await build()
      } catch (error) {
        return { kind: 'notSent', reason: isPosternError(error) ? error.code : 'FAULT' }
      }
      if (!transport.connected()) return { kind: 'notSent', reason: 'ROAD_CLOSED' }
      const id = `${acquirer}-${toHex(random(ID_BYTES))}`
      const { subject, reversal } = about?.() ?? { subject: id, reversal: false }
      const expiresAtMs = clock.nowMs() + hostMs
      beforeSend({ road: 'gateway', expiresAtMs })
      const payload = Buffer.from(bytes).toString('base64')
      const answer = await ask({ id, acquirer, terminalId, subject, reversal, expiresAtMs, payload }, signal)
      if (answer === 'timeout') return { kind: 'unknown', cause: 'timeout' }
      if (answer?.kind !== 'answered') return { kind: 'unknown', cause: 'lineLost' }
      const verdict = await judge(decode(answer.payload))
      if (verdict.kind === 'answer') return { kind: 'answered', value: verdict.value }
      // An answer under our id that is none of ours cannot be told from a forgery.
      return { kind: 'unknown', cause: verdict.kind === 'unusable' ? verdict.cause : 'unreadable' }
    },
  }
}
