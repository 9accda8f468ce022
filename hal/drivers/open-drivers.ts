// The drivers of real hardware that the open world can be given: one row each.
import type { Clock } from '../base/clock.js'
import type { Driver } from '../board.js'
import { escposSerialDriver, escposUsbDriver } from './escpos/escpos-driver.js'
import { i2cBuses } from './i2c/i2c-bus.js'
import { max17048Driver } from './power/max17048.js'
import { powerSupplyDriver } from './power/power-supply-driver.js'
import { keyboardScannerDriver } from './scanner/keyboard-scanner.js'
import { lineScannerDriver } from './scanner/line-scanner.js'
import { ssiScannerDriver } from './scanner/ssi-scanner.js'

export function openDrivers(clock: Clock): readonly Driver[] {
  return [
    powerSupplyDriver(),
    max17048Driver(i2cBuses(clock)),
    escposSerialDriver,
    escposUsbDriver,
    lineScannerDriver,
    ssiScannerDriver,
    keyboardScannerDriver,
  ]
}
