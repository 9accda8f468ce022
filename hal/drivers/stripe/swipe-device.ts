// What every stripe reader's driver shares: characters gathered to swipes, told to who waits, erased everywhere else.
import { erase } from '../../base/bytes.js'
import { createGate } from '../../base/gate.js'
import type { DriverContext } from '../../board.js'
import { createDeviceBase, type DeviceBase } from '../../device-base.js'
import type { MagneticStripeReader, Swipe } from '../../magnetic-stripe-reader.js'
import { onSilence } from '../silence.js'
import { MAX_SWIPE_BYTES, readSwipe } from './swipe-text.js'

/** A swipe takes less than a second; readers send its characters a few milliseconds apart. */
const PAUSE_MS = 400
const CR = 0x0d
const LF = 0x0a

export interface SwipeDevice {
  readonly base: DeviceBase<'magnetic-stripe-reader', 'idle' | 'armed', never>
  /** One character that the reader sent. */
  take(byte: number): void
  /** Something got lost on the way: what was gathered is no swipe. */
  broken(): void
  reader(): MagneticStripeReader
}

export function createSwipeDevice(context: DriverContext, driver: string, withLrc: boolean): SwipeDevice {
  const base = createDeviceBase<'magnetic-stripe-reader', 'idle' | 'armed', never>(
    context,
    'magnetic-stripe-reader',
    driver,
    'idle',
  )
  const gate = createGate()
  const buffer = new Uint8Array(MAX_SWIPE_BYTES)
  let used = 0
  let tooLong = false
  /** Whether somebody waited when the first character came: a swipe that began before is another customer's. */
  let wanted = false
  let swiped: Swipe | undefined

  const forget = () => {
    erase(buffer.subarray(0, used))
    used = 0
    tooLong = false
  }
  const finish = () => {
    silence.stop()
    if (used === 0) return
    const armed = wanted && base.device.status().state === 'armed' && swiped === undefined
    if (!armed) {
      forget()
      return base.count('DroppedReadCount')
    }
    const swipe: Swipe = tooLong
      ? { track1: 'bad', track2: 'bad' }
      : readSwipe(buffer.subarray(0, used), withLrc)
    forget()
    swiped = swipe
    const bad = swipe.track1 === 'bad' || swipe.track2 === 'bad'
    const none = swipe.track1 === undefined && swipe.track2 === undefined
    base.count(none ? 'UnreadableCardCount' : bad ? 'FailedReadCount' : 'GoodReadCount')
    gate.notify()
  }
  const silence = onSilence(context.clock, PAUSE_MS, base.closing, finish)
  base.onClose(forget)

  return {
    base,
    take(byte) {
      if (byte === CR || byte === LF) return finish()
      if (used === 0) wanted = base.device.status().state === 'armed'
      if (used === buffer.length) tooLong = true
      else buffer[used++] = byte
      silence.heard()
    },
    broken() {
      if (used > 0) tooLong = true
    },
    reader: () => ({
      ...base.device,
      swipe: (signal) =>
        base.operation({ signal, lane: 'swipe' }, async (inner) => {
          base.update({ state: 'armed' })
          try {
            return await gate.until(() => swiped, inner)
          } finally {
            // What came too late for its caller goes nowhere else.
            if (inner.aborted)
              for (const track of [swiped?.track1, swiped?.track2])
                if (track instanceof Uint8Array) erase(track)
            swiped = undefined
            base.update({ state: 'idle' })
          }
        }),
    }),
  }
}
