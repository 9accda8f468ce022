// Driver of the virtual handheld's scan engine.
import { createGate } from '../base/gate.js'
import type { Driver } from '../board.js'
import { createDeviceBase } from '../device-base.js'
import type { Scan, Scanner } from '../scanner.js'
import { type BusConnector, BusOptions, joinPeripheral, socketBus } from './bus-device.js'

const MAX_TRIGGER_MS = 30_000

export function scannerDriver(connect: BusConnector = socketBus): Driver<Scanner> {
  return {
    name: 'simulated',
    deviceClass: 'scanner',
    optionsSchema: BusOptions,
    async open(options: BusOptions, context) {
      const base = createDeviceBase<'scanner', 'idle' | 'scanning', Scan>(
        context,
        'scanner',
        'simulated',
        'idle',
      )
      const gate = createGate()
      let scans = 0
      const port = await joinPeripheral(base, connect(options, context), 'scanner', {
        attached(_, wire) {
          // A process that crashed may have left the engine lit.
          wire.call('trigger', { on: false }).catch(() => undefined)
          return undefined
        },
        event({ aim, raw }) {
          scans++
          base.count(base.hasListeners() ? 'GoodScanCount' : 'DroppedScanCount')
          base.emit({ type: 'scan', aim, raw: new Uint8Array(Buffer.from(raw, 'base64')) })
          gate.notify()
        },
        detached: () => base.update({ state: 'idle' }),
      })
      return {
        ...base.device,
        trigger: ({ signal, timeoutMs = MAX_TRIGGER_MS } = {}) =>
          base.operation({ signal, lane: 'trigger' }, async (inner) => {
            const before = scans
            const timer = new AbortController()
            base.update({ state: 'scanning' })
            try {
              await port.call('trigger', { on: true })
              const read = gate.until(() => (scans !== before ? true : undefined), inner)
              read.catch(() => undefined)
              const over = context.clock
                .sleep(Math.min(timeoutMs, MAX_TRIGGER_MS), timer.signal)
                .catch(() => undefined)
              await Promise.race([read, over])
            } finally {
              timer.abort()
              await port.call('trigger', { on: false }).catch(() => undefined)
              base.update({ state: 'idle' })
            }
          }),
      }
    },
  }
}
