// A stripe reader on a serial line: the same characters as a keyboard wedge, as bytes.
import { Type } from 'typebox'
import { erase } from '../../base/bytes.js'
import type { Driver, DriverContext } from '../../board.js'
import type { OpenBytePort } from '../../byte-port.js'
import type { MagneticStripeReader } from '../../magnetic-stripe-reader.js'
import { keepPortOpen } from '../kept-port.js'
import { SerialPortOptions, type SerialPortSettings, serialPortOpener } from '../serial-port.js'
import { createSwipeDevice } from './swipe-device.js'

const Options = Type.Object(
  {
    ...SerialPortOptions,
    baudRate: Type.Integer({ minimum: 1200, maximum: 3_000_000, default: 9600 }),
    /** The reader sends the LRC behind each end sentinel. */
    lrc: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
export interface SerialStripeSettings extends SerialPortSettings {
  readonly lrc?: boolean
}

/** Frames around a swipe that some readers send. */
const STX = 0x02
const ETX = 0x03
const CR = 0x0d

/** Opens the reader over any port. */
export async function openSerialStripeReader(
  openPort: OpenBytePort,
  { lrc = false }: Pick<SerialStripeSettings, 'lrc'>,
  context: DriverContext,
): Promise<MagneticStripeReader> {
  const device = createSwipeDevice(context, 'stripe-serial', lrc)
  const { base } = device
  let first: () => void = () => undefined
  const known = new Promise<void>((resolve) => {
    first = resolve
  })
  const kept = keepPortOpen(openPort, context.clock, base.closing, {
    up(port) {
      port.onData((bytes) => {
        for (const byte of bytes) if (byte !== STX) device.take(byte === ETX ? CR : byte)
        erase(bytes)
      })
      base.update({ presence: 'ready', state: 'idle' })
      first()
    },
    down(reason) {
      device.broken()
      base.update({ presence: 'lost', state: 'idle', detail: reason })
      first()
    },
  })
  base.onClose(() => kept)
  await known
  return device.reader()
}

/** A reader on a serial line. Profile driver `stripe-serial`. */
export const serialStripeReaderDriver: Driver<MagneticStripeReader> = {
  name: 'stripe-serial',
  deviceClass: 'magnetic-stripe-reader',
  optionsSchema: Options,
  open: (options: SerialStripeSettings, context) =>
    openSerialStripeReader(serialPortOpener(options), options, context),
}
