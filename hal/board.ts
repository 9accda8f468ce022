// A board profile: which driver serves which device, with its options. Drivers are named in a registry by the boot files.
import type { Clock } from './base/clock.js'
import type { Log } from './base/log.js'
import type { Device, DeviceClass } from './device.js'
import type { StatisticsStore } from './statistics.js'

/** What a driver's factory is given besides its options. */
export interface DriverContext {
  /** The device's id in the profile, such as `printer`. */
  readonly id: string
  readonly clock: Clock
  readonly log: Log
  /** Keeps the counters over a restart; without one they start at zero. */
  readonly statistics?: StatisticsStore
}

/** Opens one device. Options come from the profile and were checked against `optionsSchema`. */
export interface Driver<D extends Device<string, unknown> = Device<string, unknown>> {
  readonly name: string
  readonly deviceClass: DeviceClass
  /** A typebox schema for `options`; its errors name the key and what is allowed. */
  readonly optionsSchema: object
  open(options: never, context: DriverContext): Promise<D>
}
