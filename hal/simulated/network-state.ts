// The virtual handheld's radio switch as the network fact that the open world follows.
import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { NetworkState } from '../network-state.js'
import type { Bus } from './bus.js'
import { connectHardware } from './connect-hardware.js'

/** Follows the switch over `bus`; offline while the handheld is away. Close it with the bus. */
export function networkStateOfBus(bus: Bus, log: Log): NetworkState {
  const listeners = new Set<(online: boolean) => void>()
  let online = false
  const set = (next: boolean) => {
    if (next === online) return
    online = next
    for (const listener of [...listeners]) {
      try {
        listener(online)
      } catch (error) {
        log.error('network.listener-failed', { error: String(error) })
      }
    }
  }
  bus.port('network').on((event) => {
    if (event.type === 'attached') set(event.state.online)
    else if (event.type === 'detached') set(false)
    else set(event.event.online)
  })
  return {
    online: () => online,
    on(listener) {
      const own = (next: boolean) => listener(next)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
  }
}

/** The switch of the handheld that serves `socketPath`; resolves once its position is known, or after 1.5 s. */
export async function openSimulatedNetwork(
  socketPath: string,
  context: { readonly clock: Clock; readonly log: Log },
): Promise<NetworkState & { close(): Promise<void> }> {
  const bus = connectHardware(socketPath, context)
  const state = networkStateOfBus(bus, context.log)
  await bus.settled()
  return { ...state, close: () => bus.close() }
}
