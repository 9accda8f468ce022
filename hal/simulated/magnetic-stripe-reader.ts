// Driver of the virtual handheld's stripe slot.
import { erase } from '../base/bytes.js'
import { createGate } from '../base/gate.js'
import type { Driver } from '../board.js'
import { createDeviceBase } from '../device-base.js'
import type { MagneticStripeReader, Swipe } from '../magnetic-stripe-reader.js'
import { readTrack } from '../stripe-tracks.js'
import { type BusConnector, BusOptions, joinPeripheral, socketBus } from './bus-device.js'

export function magneticStripeReaderDriver(connect: BusConnector = socketBus): Driver<MagneticStripeReader> {
  return {
    name: 'simulated',
    deviceClass: 'magnetic-stripe-reader',
    optionsSchema: BusOptions,
    async open(options: BusOptions, context) {
      const base = createDeviceBase<'magnetic-stripe-reader', 'idle' | 'armed'>(
        context,
        'magnetic-stripe-reader',
        'simulated',
        'idle',
      )
      const gate = createGate()
      let swiped: Swipe | undefined

      await joinPeripheral(base, connect(options, context), 'magnetic-stripe-reader', {
        attached: () => undefined,
        event({ track1, track2 }) {
          if (base.device.status().state !== 'armed' || swiped !== undefined)
            return base.count('DroppedReadCount')
          swiped = { track1: decode(1, track1), track2: decode(2, track2) }
          const bad = swiped.track1 === 'bad' || swiped.track2 === 'bad'
          const none = swiped.track1 === undefined && swiped.track2 === undefined
          base.count(none ? 'UnreadableCardCount' : bad ? 'FailedReadCount' : 'GoodReadCount')
          gate.notify()
        },
      })

      return {
        ...base.device,
        swipe: (signal) =>
          base.operation({ signal, lane: 'swipe' }, async (inner) => {
            base.update({ state: 'armed' })
            try {
              return await gate.until(() => swiped, inner)
            } finally {
              // What came too late for its caller goes nowhere else.
              if (inner.aborted) eraseSwipe(swiped)
              swiped = undefined
              base.update({ state: 'idle' })
            }
          }),
      }
    },
  }
}

function decode(track: 1 | 2, characters: string | null): Uint8Array | 'bad' | undefined {
  if (characters === null) return undefined
  const raw = new Uint8Array(Buffer.from(characters, 'latin1'))
  const read = readTrack(track, raw)
  erase(raw)
  return read
}

function eraseSwipe(swipe: Swipe | undefined): void {
  for (const track of [swipe?.track1, swipe?.track2]) if (track instanceof Uint8Array) erase(track)
}
