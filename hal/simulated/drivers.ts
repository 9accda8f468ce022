// The simulated drivers: one row a device class. Boot files add these to their registries in development profiles.
import type { Driver } from '../board.js'
import { type BusConnector, socketBus } from './bus-device.js'
import { chipCardReaderDriver } from './chip-card-reader.js'
import { contactlessReaderDriver } from './contactless-reader.js'
import { displayDriver } from './display.js'
import { fiscalSignerDriver } from './fiscal-signer.js'
import { indicatorsDriver } from './indicators.js'
import { keypadDriver } from './keypad.js'
import { magneticStripeReaderDriver } from './magnetic-stripe-reader.js'
import { powerDriver } from './power.js'
import { scannerDriver } from './scanner.js'
import { secureElementDriver } from './secure-element.js'
import { signaturePadDriver } from './signature-pad.js'
import { tamperDriver } from './tamper.js'

/**
 * Every simulated driver but the printer's over `connect`: the virtual handheld's socket, or a bus inside the process in
 * tests. The printer is `escposDriver('simulated', busOptionFields, busPrinterPort())`: real language, simulated wire.
 */
export function simulatedDrivers(connect: BusConnector = socketBus): readonly Driver[] {
  return [
    chipCardReaderDriver(connect),
    contactlessReaderDriver(connect),
    displayDriver(connect),
    fiscalSignerDriver(connect),
    indicatorsDriver(connect),
    keypadDriver(connect),
    magneticStripeReaderDriver(connect),
    powerDriver(connect),
    scannerDriver(connect),
    secureElementDriver(connect),
    signaturePadDriver(connect),
    tamperDriver(connect),
  ]
}

/** Over the virtual handheld's socket. */
export const SIMULATED_DRIVERS: readonly Driver[] = simulatedDrivers()
