// Barcode scanner: what was read, with its symbology.
import type { Device } from './device.js'

export interface Scan {
  readonly type: 'scan'
  /** AIM symbology identifier without the bracket (`C1` for GS1-128, `Q1` QR…), where the engine tells. ISO/IEC 15424 */
  readonly aim: string | undefined
  /** As read, at most 4,096 bytes. */
  readonly raw: Uint8Array
}

/**
 * Scans arrive through `on` whenever the engine reads one. `trigger` lights it for at most `timeoutMs` (30 s) and
 * resolves when it is dark again: something was read and told, or the time was over.
 */
export interface Scanner extends Device<'idle' | 'scanning', Scan> {
  readonly deviceClass: 'scanner'
  trigger(options?: { signal?: AbortSignal; timeoutMs?: number }): Promise<void>
}
