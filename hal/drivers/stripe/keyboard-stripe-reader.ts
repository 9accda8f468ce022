// A stripe reader that types (USB HID keyboard wedge), as an input device of its own: grabbed, so that no console and no
// other program gets a track.
import { Type } from 'typebox'
import type { Driver, DriverContext } from '../../board.js'
import type { MagneticStripeReader } from '../../magnetic-stripe-reader.js'
import { keepEvdevOpen } from '../evdev/evdev-reader.js'
import { type EvdevMatch, EvdevMatchOptions, type EvdevRoots } from '../evdev/find-device.js'
import type { KeyboardLayoutName } from '../evdev/keyboard-layouts.js'
import { typedBytes } from '../evdev/typed-bytes.js'
import { createSwipeDevice } from './swipe-device.js'

const Options = Type.Object(
  {
    device: EvdevMatchOptions,
    layout: Type.Enum(['us', 'uk', 'de', 'fr'], { default: 'us' }),
    /** The reader types the LRC behind each end sentinel. */
    lrc: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
export interface KeyboardStripeSettings {
  readonly device: EvdevMatch
  readonly layout?: KeyboardLayoutName
  readonly lrc?: boolean
}

const KEY_ENTER = 28

/** Opens the reader. */
export async function openKeyboardStripeReader(
  { device: match, layout = 'us', lrc = false }: KeyboardStripeSettings,
  context: DriverContext,
  roots?: EvdevRoots,
): Promise<MagneticStripeReader> {
  const device = createSwipeDevice(context, 'stripe-evdev', lrc)
  const { base } = device
  const keys = typedBytes(layout)
  let first: () => void = () => undefined
  const known = new Promise<void>((resolve) => {
    first = resolve
  })
  const kept = keepEvdevOpen(
    { match, needs: [KEY_ENTER], ...(roots === undefined ? {} : { roots }) },
    context.clock,
    base.closing,
    {
      up() {
        base.update({ presence: 'ready', state: 'idle' })
        first()
      },
      report(events) {
        for (const event of events) {
          const byte = keys.take(event)
          if (byte !== undefined) device.take(byte)
        }
      },
      dropped() {
        device.broken()
        keys.reset()
      },
      down(reason) {
        device.broken()
        keys.reset()
        base.update({ presence: 'lost', state: 'idle', detail: reason })
        first()
      },
    },
  )
  base.onClose(() => kept)
  await known
  return device.reader()
}

/** A reader that types. Profile driver `stripe-evdev`. */
export const keyboardStripeReaderDriver: Driver<MagneticStripeReader> = {
  name: 'stripe-evdev',
  deviceClass: 'magnetic-stripe-reader',
  optionsSchema: Options,
  open: (options: KeyboardStripeSettings, context) => openKeyboardStripeReader(options, context),
}
