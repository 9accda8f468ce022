// Driver of the virtual handheld's case switches.
import type { Driver } from '../board.js'
import { createDeviceBase } from '../device-base.js'
import type { Tamper } from '../tamper.js'
import { type BusConnector, BusOptions, joinPeripheral, socketBus } from './bus-device.js'

export function tamperDriver(connect: BusConnector = socketBus): Driver<Tamper> {
  return {
    name: 'simulated',
    deviceClass: 'tamper',
    optionsSchema: BusOptions,
    async open(options: BusOptions, context) {
      type TamperEvent = { readonly type: 'tamper'; readonly sensor: string }
      const base = createDeviceBase<'tamper', 'intact' | 'tampered', TamperEvent>(
        context,
        'tamper',
        'simulated',
        'intact',
      )
      const known = new Set<string>()
      const trip = (sensor: string) => {
        if (known.has(sensor)) return
        known.add(sensor)
        base.count('TamperCount')
        base.update({ state: 'tampered', detail: [...known].join(', ') })
        base.emit({ type: 'tamper', sensor })
      }
      const clear = () => {
        known.clear()
        base.update({ state: 'intact', detail: undefined })
      }
      await joinPeripheral(base, connect(options, context), 'tamper', {
        attached({ sensors }) {
          // The switches are latched in hardware: what happened while nobody listened is there to be read.
          if (sensors.length === 0) clear()
          for (const sensor of sensors) trip(sensor)
          return undefined
        },
        event(event) {
          if (event.type === 'tripped') trip(event.sensor)
          else clear()
        },
      })
      return base.device
    },
  }
}
