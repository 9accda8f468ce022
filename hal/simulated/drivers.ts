// The simulated drivers: one row a device class. Boot files add these to their registries in development profiles.
import type { Driver } from '../board.js'
import { type BusConnector, socketBus } from './bus-device.js'
import { chipCardReaderDriver } from './chip-card-reader.js'
import { displayDriver } from './display.js'
import { indicatorsDriver } from './indicators.js'
import { keypadDriver } from './keypad.js'
import { powerDriver } from './power.js'

/** Every simulated driver over `connect`: the virtual handheld's socket, or a bus inside the process in tests. */
export function simulatedDrivers(connect: BusConnector = socketBus): readonly Driver[] {
  return [
    chipCardReaderDriver(connect),
    displayDriver(connect),
    indicatorsDriver(connect),
    keypadDriver(connect),
    powerDriver(connect),
  ]
}

/** Over the virtual handheld's socket. */
export const SIMULATED_DRIVERS: readonly Driver[] = simulatedDrivers()
