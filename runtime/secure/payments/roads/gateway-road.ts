// The line to an acquirer through a payment gateway: the same exchange as over TLS, in envelopes with an absolute expiry.
import type { Clock } from '../../../../hal/base/clock.js'
import { isPosternError } from '../../../../hal/base/errors.js'
import { checker } from '../../../api/contract.js'
import type { Exchange, HostLine, OnStray } from '../host-line.js'
import { GatewayAnswer, type GatewayTransport } from './gateway-contract.js'

export interface GatewayLineOptions {
  readonly transport: GatewayTransport
  readonly acquirer: string
  readonly terminalId: string
  /** From handing over to the answer; what has not been forwarded by then expires. */
  readonly hostMs: number
  readonly newId: () => string
  readonly clock: Clock
}

const decode = (payload: string) => new Uint8Array(Buffer.from(payload, 'base64'))

/**
 * A line through a gateway. Not connected is `notSent`; once an envelope was handed over, only an answer that fits is
 * known, and even a refusal is `unknown`: the payment is taken back on whatever road there is.
 */
export function createGatewayLine(
  { transport, acquirer, terminalId, hostMs, newId, clock }: GatewayLineOptions,
  onStray: OnStray,
): HostLine {
  const isAnswer = checker(GatewayAnswer)
  let waiting: { readonly id: string; take(answer: GatewayAnswer): void } | undefined
  const leave = transport.onMessage((message) => {
    if (isAnswer(message) !== undefined) return
    const answer = message as GatewayAnswer
    if (answer.id === waiting?.id) waiting.take(answer)
    else if (answer.kind === 'answered') onStray(decode(answer.payload))
  })

  return {
    close: leave,
    async exchange<T>(
      { build, judge, beforeSend, about }: Parameters<HostLine['exchange']>[0],
      signal: AbortSignal,
    ) {
      if (!transport.connected()) return { kind: 'notSent', reason: 'ROAD_CLOSED' }
      let bytes: Uint8Array
      try {
        bytes = await build()
      } catch (error) {
        return { kind: 'notSent', reason: isPosternError(error) ? error.code : 'FAULT' }
      }
      if (!transport.connected()) return { kind: 'notSent', reason: 'ROAD_CLOSED' }
      const id = newId()
      const { subject, reversal } = about?.() ?? { subject: id, reversal: false }
      beforeSend()
      const done = new AbortController()
      const answered = new Promise<GatewayAnswer>((take) => {
        waiting = { id, take }
      })
      const late = clock.sleep(hostMs, AbortSignal.any([done.signal, signal])).then(
        () => undefined,
        () => undefined,
      )
      try {
        transport.send({
          id,
          acquirer,
          terminalId,
          subject,
          reversal,
          expiresAtMs: clock.nowMs() + hostMs,
          payload: Buffer.from(bytes).toString('base64'),
        })
        const answer = await Promise.race([answered, late])
        if (answer === undefined) return { kind: 'unknown', cause: 'timeout' }
        if (answer.kind === 'refused') return { kind: 'unknown', cause: 'lineLost' }
        const verdict = await judge(decode(answer.payload))
        if (verdict.kind === 'answer') return { kind: 'answered', value: verdict.value } as Exchange<T>
        // An answer under our id that is none of ours cannot be told from a forgery.
        return { kind: 'unknown', cause: verdict.kind === 'unusable' ? verdict.cause : 'unreadable' }
      } catch {
        return { kind: 'unknown', cause: 'lineLost' }
      } finally {
        waiting = undefined
        done.abort()
      }
    },
  } as HostLine
}
