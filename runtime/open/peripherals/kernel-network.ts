// Whether the kernel has a road out: a default route in /proc/net (proc(5): route, ipv6_route), looked at regularly.
import { readFileSync } from 'node:fs'
import type { NetworkState } from '../../../hal/network-state.js'

const RTF_UP = 0x0001
const RTF_REJECT = 0x0200

/** True where a line of /proc/net/route is a default route that is up. */
export function hasDefaultRoute(text: string): boolean {
  return text
    .split('\n')
    .slice(1)
    .some((line) => {
      const [device, destination, , flags = '0', , , , mask] = line.trim().split(/\s+/)
      return (
        device !== undefined &&
        destination === '00000000' &&
        mask === '00000000' &&
        isUsable(Number.parseInt(flags, 16))
      )
    })
}

/** The same of /proc/net/ipv6_route. The loopback's own unreachable default does not count. */
export function hasDefaultRoute6(text: string): boolean {
  return text.split('\n').some((line) => {
    const [destination, length, , , , , , , flags = '0', device] = line.trim().split(/\s+/)
    return (
      /^0{32}$/.test(destination ?? '') &&
      length === '00' &&
      device !== 'lo' &&
      isUsable(Number.parseInt(flags, 16))
    )
  })
}

const isUsable = (flags: number) => (flags & RTF_UP) !== 0 && (flags & RTF_REJECT) === 0

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

/** Watches the kernel's routes every `everyMs` (2 s), until `close`. */
export function watchKernelNetwork(everyMs = 2000, root = '/proc/net'): NetworkState & { close(): void } {
  const look = () => hasDefaultRoute(read(`${root}/route`)) || hasDefaultRoute6(read(`${root}/ipv6_route`))
  const listeners = new Set<(online: boolean) => void>()
  let online = look()
  const timer = setInterval(() => {
    const next = look()
    if (next === online) return
    online = next
    for (const listener of [...listeners]) {
      try {
        listener(next)
      } catch {
        // The promise of the trait: one listener's fault is not another's.
      }
    }
  }, everyMs)
  timer.unref()
  return {
    online: () => online,
    on: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: () => clearInterval(timer),
  }
}
