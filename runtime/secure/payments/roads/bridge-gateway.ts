// The way to the payment gateway over the bridge: the open world carries envelopes, and may lose, hold or double them.
import { PosternError } from '../../../../hal/base/errors.js'
import type { Client, Served } from '../../../api/contract.js'
import type { OpenMethods, SecureMethods } from '../../../bridge/contract.js'
import type { GatewayTransport } from '../../../bridge/gateway.js'

export interface BridgeGateway {
  readonly transport: GatewayTransport
  /** To be served on the bridge. */
  readonly methods: Pick<Served<typeof SecureMethods>, 'gateway.state' | 'gateway.message'>
  /** The open world is gone, and with it the way. */
  disconnected(): void
}

/** Envelopes over the bridge; `remote` is the open world as it is connected now, or undefined. */
export function createBridgeGateway(
  remote: () => Pick<Client<typeof OpenMethods>, 'gateway.send'> | undefined,
): BridgeGateway {
  const listeners = new Set<(message: unknown) => void>()
  const watchers = new Set<(connected: boolean) => void>()
  let connected = false
  const set = (next: boolean) => {
    if (next === connected) return
    connected = next
    for (const watcher of [...watchers]) watcher(next)
  }
  return {
    transport: {
      connected: () => connected && remote() !== undefined,
      async send(request) {
        const open = remote()
        if (open === undefined) throw new PosternError('ROAD_CLOSED', 'the open world is not there')
        await open['gateway.send']({ request })
      },
      onMessage(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      onState(listener) {
        watchers.add(listener)
        return () => watchers.delete(listener)
      },
    },
    methods: {
      'gateway.state': (state) => {
        set(state.connected)
        return null
      },
      'gateway.message': ({ message }) => {
        for (const listener of [...listeners]) listener(message)
        return null
      },
    },
    disconnected: () => set(false),
  }
}
