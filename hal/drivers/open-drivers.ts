// The drivers of real hardware that the open world can be given: one row each.
import type { Driver } from '../board.js'
import { escposSerialDriver } from './escpos/escpos-driver.js'

export function openDrivers(): readonly Driver[] {
  return [escposSerialDriver]
}
