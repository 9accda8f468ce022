// The drivers of real hardware that the open world can be given: one row each.
import type { Driver } from '../board.js'
import { escposSerialDriver } from './escpos/escpos-driver.js'
import { keyboardScannerDriver } from './scanner/keyboard-scanner.js'
import { lineScannerDriver } from './scanner/line-scanner.js'
import { ssiScannerDriver } from './scanner/ssi-scanner.js'

export function openDrivers(): readonly Driver[] {
  return [escposSerialDriver, lineScannerDriver, ssiScannerDriver, keyboardScannerDriver]
}
