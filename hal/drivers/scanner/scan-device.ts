// What every scanner driver shares: telling scans, and the trigger that waits for one.
import { createGate } from '../../base/gate.js'
import type { DriverContext } from '../../board.js'
import { createDeviceBase, type DeviceBase } from '../../device-base.js'
import type { Scan, Scanner } from '../../scanner.js'
import { MAX_CODE_BYTES } from './line-reader.js'

const MAX_TRIGGER_MS = 30_000

export interface ScanDevice {
  readonly base: DeviceBase<'scanner', 'idle' | 'scanning', Scan>
  /** Something was read. */
  scanned(raw: Uint8Array, aim: string | undefined): void
  /** Resolves when it is known whether the engine is there. */
  known(): Promise<void>
  /** Something was read that can't be told: too long, or broken on its way. */
  dropped(): void
  /** The device, with a trigger that lights by `light`; undefined where only the engine's own button does. */
  scanner(light?: (on: boolean) => Promise<void>): Scanner
}

export function createScanDevice(context: DriverContext, driver: string): ScanDevice {
  const base = createDeviceBase<'scanner', 'idle' | 'scanning', Scan>(context, 'scanner', driver, 'idle')
  const gate = createGate()
  let scans = 0
  return {
    base,
    scanned(raw, aim) {
      if (raw.length > MAX_CODE_BYTES) return base.count('DroppedScanCount')
      scans++
      base.count(base.hasListeners() ? 'GoodScanCount' : 'DroppedScanCount')
      base.emit({ type: 'scan', aim, raw })
      gate.notify()
    },
    known: () =>
      new Promise((resolve) => {
        const look = () => {
          if (base.device.status().presence === 'starting') return
          stop()
          resolve()
        }
        const stop = base.device.on(look)
        look()
      }),
    dropped: () => base.count('DroppedScanCount'),
    scanner: (light = async () => undefined) => ({
      ...base.device,
      trigger: ({ signal, timeoutMs = MAX_TRIGGER_MS } = {}) =>
        base.operation({ signal, lane: 'trigger' }, async (inner) => {
          const before = scans
          const timer = new AbortController()
          base.update({ state: 'scanning' })
          try {
            await light(true)
            const read = gate.until(() => (scans === before ? undefined : true), inner)
            read.catch(() => undefined)
            const over = context.clock
              .sleep(Math.min(timeoutMs, MAX_TRIGGER_MS), timer.signal)
              .catch(() => undefined)
            await Promise.race([read, over])
          } finally {
            timer.abort()
            await light(false).catch(() => undefined)
            base.update({ state: 'idle' })
          }
        }),
    }),
  }
}
