// A network that a test switches.
import type { NetworkState } from '../../../hal/network-state.js'

export interface SwitchedNetwork extends NetworkState {
  set(online: boolean): void
}

export function switchedNetwork(online = true): SwitchedNetwork {
  const listeners = new Set<(online: boolean) => void>()
  let state = online
  return {
    online: () => state,
    on: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    set: (next) => {
      state = next
      for (const listener of [...listeners]) listener(next)
    },
  }
}
