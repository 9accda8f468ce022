// Driver of the virtual handheld's battery.
import type { Driver } from '../board.js'
import { createDeviceBase } from '../device-base.js'
import type { Power, PowerReading } from '../power.js'
import { nextPowerLevel, type PowerLevel } from '../power-level.js'
import { type BusConnector, BusOptions, joinPeripheral, socketBus } from './bus-device.js'
import type { PeripheralState } from './bus-protocol.js'

export function powerDriver(connect: BusConnector = socketBus): Driver<Power> {
  return {
    name: 'simulated',
    deviceClass: 'power',
    optionsSchema: BusOptions,
    async open(options: BusOptions, context) {
      type PowerEvent = { readonly type: 'reading'; readonly reading: PowerReading }
      const base = createDeviceBase<'power', PowerLevel, PowerEvent>(context, 'power', 'simulated', 'ok')
      let reading: PowerReading = { source: 'external', percent: 100, temperatureC: undefined }
      const take = (next: PeripheralState<'power'>) => {
        const before = base.device.status().state
        const level = nextPowerLevel(before, next.percent)
        if (next.source !== reading.source) base.count('SourceTransitionCount')
        if (level !== before && level === 'low') base.count('LowBatteryCount')
        if (level !== before && level === 'critical') base.count('CriticalBatteryCount')
        reading = { source: next.source, percent: next.percent, temperatureC: next.temperatureC }
        base.update({ state: level })
        base.emit({ type: 'reading', reading })
      }
      await joinPeripheral(base, connect(options, context), 'power', {
        attached(state) {
          take(state)
          return undefined
        },
        event: (event) => take(event.reading),
      })
      return { ...base.device, reading: () => reading }
    },
  }
}
