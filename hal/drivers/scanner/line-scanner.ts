// A scan engine on a serial line that sends codes as they are, with a terminator; lit by a command of its maker.
import { Type } from 'typebox'
import { fromHex } from '../../base/bytes.js'
import type { Driver, DriverContext } from '../../board.js'
import type { BytePort, OpenBytePort } from '../../byte-port.js'
import { deviceError } from '../../device-base.js'
import type { Scanner } from '../../scanner.js'
import { keepPortOpen } from '../kept-port.js'
import { SerialPortOptions, type SerialPortSettings, serialPortOpener } from '../serial-port.js'
import { onSilence } from '../silence.js'
import { lineReader, type Terminator } from './line-reader.js'
import { createScanDevice } from './scan-device.js'
import { splitAim } from './symbologies.js'

/** Engines by make: the bytes that light them and put them out. */
export const SERIAL_TRIGGERS = {
  /** Only the engine's own button, or presentation mode. */
  none: undefined,
  /** SYN T CR and SYN U CR. Honeywell Vuquest and N-series user's guides, serial trigger mode */
  honeywell: { on: '16540D', off: '16550D' },
} as const
export type SerialTrigger = keyof typeof SERIAL_TRIGGERS

const Hex = Type.String({ pattern: '^([0-9A-Fa-f]{2}){1,16}$' })
const Options = Type.Object(
  {
    ...SerialPortOptions,
    baudRate: Type.Integer({ minimum: 1200, maximum: 3_000_000, default: 9600 }),
    terminator: Type.Enum(['cr', 'lf', 'crlf', 'tab', 'none'], { default: 'cr' }),
    /** The engine puts `]cm` before each code. */
    aim: Type.Optional(Type.Boolean()),
    trigger: Type.Enum(['none', 'honeywell'], { default: 'none' }),
    /** Other makes: the commands of the engine's own guide, in hex. They win over `trigger`. */
    triggerOn: Type.Optional(Hex),
    triggerOff: Type.Optional(Hex),
  },
  { additionalProperties: false },
)
export interface LineScannerSettings extends SerialPortSettings {
  readonly terminator?: Terminator
  readonly aim?: boolean
  readonly trigger?: SerialTrigger
  readonly triggerOn?: string
  readonly triggerOff?: string
}

/** A code that stands still that long has ended, or never will. */
const PAUSE_MS = 300

/** Opens the engine over any port. */
export async function openLineScanner(
  driver: string,
  openPort: OpenBytePort,
  options: Omit<LineScannerSettings, keyof SerialPortSettings>,
  context: DriverContext,
): Promise<Scanner> {
  const device = createScanDevice(context, driver)
  const { base } = device
  const preset = SERIAL_TRIGGERS[options.trigger ?? 'none']
  const on = options.triggerOn ?? preset?.on
  const off = options.triggerOff ?? preset?.off
  let port: BytePort | undefined

  const lines = lineReader(
    options.terminator ?? 'cr',
    (code) => {
      const { aim, raw } = options.aim ? splitAim(code) : { aim: undefined, raw: code }
      device.scanned(raw, aim)
    },
    device.dropped,
  )
  const silence = onSilence(context.clock, PAUSE_MS, base.closing, lines.pause)
  const listen = (bytes: Uint8Array) => {
    lines.take(bytes)
    if (lines.pending() > 0) silence.heard()
    else silence.stop()
  }
  const say = async (hex: string | undefined) => {
    if (hex === undefined) return
    if (port === undefined) throw deviceError('DEVICE_LOST', 'the scanner is not there')
    await port.write(fromHex(hex))
  }

  const kept = keepPortOpen(openPort, context.clock, base.closing, {
    up(opened) {
      port = opened
      opened.onData(listen)
      // A process that crashed may have left it lit.
      say(off).catch(() => undefined)
      base.update({ presence: 'ready', state: 'idle' })
    },
    down(reason) {
      port = undefined
      lines.pause()
      base.update({ presence: 'lost', state: 'idle', detail: reason })
    },
  })
  base.onClose(() => kept)
  await device.known()
  return device.scanner((lit) => say(lit ? on : off))
}

/** Raw lines over a serial port. Profile driver `scanner-lines`. */
export const lineScannerDriver: Driver<Scanner> = {
  name: 'scanner-lines',
  deviceClass: 'scanner',
  optionsSchema: Options,
  open: (options: LineScannerSettings, context) =>
    openLineScanner('scanner-lines', serialPortOpener(options), options, context),
}
