// What the boot file hands to the open world: its devices, opened, and the traits of the house.
import type { Clock, Random } from '../../hal/base/clock.js'
import type { Log } from '../../hal/base/log.js'
import type { NetworkState } from '../../hal/network-state.js'
import type { Power } from '../../hal/power.js'
import type { Printer } from '../../hal/printer.js'
import type { Scanner } from '../../hal/scanner.js'

/** Devices that a board lacks are undefined. They are closed by whoever opened them, after the world has ended. */
export interface OpenDevices {
  readonly printer: Printer | undefined
  readonly scanner: Scanner | undefined
  readonly power: Power | undefined
  readonly network: NetworkState
  /** What of the board does not work, told now and at each change. Returns what ends it. */
  readonly watchTroubles?: (onChange: (lines: readonly string[]) => void) => () => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}
