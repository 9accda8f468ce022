// Power: battery and mains.
import type { Device } from './device.js'

export interface PowerReading {
  readonly source: 'battery' | 'external'
  /** 0 to 100. */
  readonly percent: number
  readonly temperatureC: number | undefined
}

/**
 * `low` at or below 15 %, `critical` at or below 5 %, both with 2 % of hysteresis. Readings at most 60 s old. Before
 * the first one `reading()` says external and 100 %; while lost, the last one.
 */
export interface Power
  extends Device<'ok' | 'low' | 'critical', { readonly type: 'reading'; readonly reading: PowerReading }> {
  readonly deviceClass: 'power'
  reading(): PowerReading
}
