// Tamper detection: switches and mesh that say that the case was opened.
import type { Device } from './device.js'

/**
 * Latched: `tampered` stays until the technician's procedure clears it. One event a sensor. Reported within 100 ms, also
 * if it happened while off.
 */
export interface Tamper
  extends Device<'intact' | 'tampered', { readonly type: 'tamper'; readonly sensor: string }> {
  readonly deviceClass: 'tamper'
}
