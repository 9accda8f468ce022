// Magnetic stripe reader (ISO/IEC 7811, 7813): tracks of one swipe. Secure world only: tracks hold the PAN.
import type { Device } from './device.js'

/**
 * One swipe. A track is its characters without sentinels and LRC, as bytes in ASCII that the receiver zeroises;
 * `undefined` where it was not read, `'bad'` where parity or LRC failed. Track 1 at most 76, track 2 at most 37.
 */
export interface Swipe {
  readonly track1: Uint8Array | 'bad' | undefined
  readonly track2: Uint8Array | 'bad' | undefined
}

/**
 * Reads only while a `swipe` waits; what is swiped outside of it is dropped by the driver and counted. `swipe`
 * resolves with the next swipe, unreadable ones too: the prompt then asks again.
 */
export interface MagneticStripeReader extends Device<'idle' | 'armed'> {
  readonly deviceClass: 'magnetic-stripe-reader'
  swipe(signal?: AbortSignal): Promise<Swipe>
}
