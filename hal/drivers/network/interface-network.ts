// The network state of a machine by its interfaces: up when any but loopback has an address.
import { networkInterfaces } from 'node:os'
import type { Clock } from '../../base/clock.js'
import type { Log } from '../../base/log.js'
import type { NetworkState } from '../../network-state.js'

const POLL_MS = 2000

/** Whether any interface but loopback has an address. */
export const anyAddress = (): boolean =>
  Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ internal }) => !internal))

/** Looks every 2 s. Resolving and routing are not tried: `online` only means that connecting is worth a try. */
export function openInterfaceNetwork({
  clock,
  log,
}: {
  clock: Clock
  log: Log
}): NetworkState & { close(): Promise<void> } {
  const listeners = new Set<(online: boolean) => void>()
  const closing = new AbortController()
  let online = anyAddress()
  async function poll(): Promise<void> {
    for (;;) {
      await clock.sleep(POLL_MS, closing.signal)
      const now = anyAddress()
      if (now === online) continue
      online = now
      log.info('network.changed', { online })
      for (const listener of [...listeners]) listener(online)
    }
  }
  poll().catch(() => undefined)
  return {
    online: () => online,
    on(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close: async () => closing.abort(),
  }
}
