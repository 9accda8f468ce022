// Envelopes between the secure world and a payment gateway: carried as they are, both ways, and never kept.
import type { Log } from '../../../hal/base/log.js'
import { checker, type Served } from '../../api/contract.js'
import { RpcError } from '../../api/json-rpc.js'
import type { OpenMethods } from '../../bridge/contract.js'
import { GatewayAnswer, type GatewayTransport } from '../../bridge/gateway.js'
import type { SecureClient } from './bridge-client.js'

export interface GatewayCarrier {
  readonly serve: Pick<Served<typeof OpenMethods>, 'gateway.send'>
  /** Tells the secure world whether there is a way: at every change, and when that world has come back. */
  tell(): void
  close(): void
}

/** Joins a transport to the bridge; without one there never is a way. */
export function carryGateway(
  transport: GatewayTransport | undefined,
  secure: () => Pick<SecureClient, 'gateway.state' | 'gateway.message'>,
  log: Log,
): GatewayCarrier {
  const isAnswer = checker(GatewayAnswer)
  // An authorisation is never kept for later: while that world is away, an answer is lost and the payment taken back.
  const quietly = (call: Promise<unknown>, event: string) =>
    void call.catch((error: Error) => log.debug(event, { error: error.message }))
  const tell = () =>
    quietly(secure()['gateway.state']({ connected: transport?.connected() ?? false }), 'gateway.not-told')
  const stop = [
    transport?.onState(tell),
    transport?.onMessage((message) => {
      const fault = isAnswer(message)
      if (fault !== undefined) return log.warn('gateway.no-answer', { fault })
      quietly(secure()['gateway.message']({ message: message as GatewayAnswer }), 'gateway.answer-lost')
    }),
  ]
  return {
    tell,
    serve: {
      'gateway.send': async ({ request }) => {
        if (transport?.connected() !== true)
          throw new RpcError('GATEWAY_AWAY', 'there is no way to the gateway')
        await transport.send(request)
        return null
      },
    },
    close() {
      for (const one of stop) one?.()
    },
  }
}
