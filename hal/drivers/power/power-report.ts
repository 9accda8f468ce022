// What every power driver does with a reading: level with hysteresis, counters, events in order.
import type { DeviceBase } from '../../device-base.js'
import type { PowerReading } from '../../power.js'
import { nextPowerLevel, type PowerLevel } from '../../power-level.js'

export type PowerEvent = { readonly type: 'reading'; readonly reading: PowerReading }

export interface PowerReport {
  reading(): PowerReading
  /** The device is there and says this. */
  take(next: PowerReading): void
}

export function createPowerReport(base: DeviceBase<'power', PowerLevel, PowerEvent>): PowerReport {
  let reading: PowerReading = { source: 'external', percent: 100, temperatureC: undefined }
  let told = false
  return {
    reading: () => reading,
    take(next) {
      const before = base.device.status().state
      const level = nextPowerLevel(before, next.percent)
      if (told && next.source !== reading.source) base.count('SourceTransitionCount')
      if (level !== before && level === 'low') base.count('LowBatteryCount')
      if (level !== before && level === 'critical') base.count('CriticalBatteryCount')
      const same =
        told &&
        next.source === reading.source &&
        next.percent === reading.percent &&
        next.temperatureC === reading.temperatureC
      reading = next
      told = true
      base.update({ presence: 'ready', state: level })
      if (!same) base.emit({ type: 'reading', reading })
    },
  }
}
