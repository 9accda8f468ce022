// A Zebra scan engine behind hal/scanner.ts, over its Simple Serial Interface.
import { Type } from 'typebox'
import type { Driver, DriverContext } from '../../board.js'
import type { BytePort, OpenBytePort } from '../../byte-port.js'
import { deviceError } from '../../device-base.js'
import type { Scanner } from '../../scanner.js'
import { keepPortOpen } from '../kept-port.js'
import { SerialPortOptions, type SerialPortSettings, serialPortOpener } from '../serial-port.js'
import { createScanDevice } from './scan-device.js'
import { type SsiLink, ssiLink } from './ssi-link.js'
import { SSI } from './ssi-packet.js'
import { aimOfSsiType } from './symbologies.js'

const Options = Type.Object(
  {
    ...SerialPortOptions,
    baudRate: Type.Integer({ minimum: 1200, maximum: 3_000_000, default: 9600 }),
    /** Beep code after each read, 0 to 26; absent: the engine beeps as it is set. */
    beep: Type.Optional(Type.Integer({ minimum: 0, maximum: 26 })),
  },
  { additionalProperties: false },
)
export interface SsiScannerSettings extends SerialPortSettings {
  readonly beep?: number
}

/** PARAM_SEND without a beep (FF): parameter EE, decode data in packets (01), until power-off. SSI guide, PARAM_SEND */
const SEND_PACKETS = Uint8Array.of(0xff, 0xee, 0x01)
/** How often a silent engine is tried again. */
const RETRY_MS = 3000

/** Opens the engine over any port. */
export async function openSsiScanner(
  openPort: OpenBytePort,
  { beep }: Pick<SsiScannerSettings, 'beep'>,
  context: DriverContext,
): Promise<Scanner> {
  const device = createScanDevice(context, 'scanner-ssi')
  const { base } = device
  const { clock } = context
  let link: SsiLink | undefined
  let ended = new AbortController()
  let greeting = false

  /** Until the engine takes its settings: that it answers is also how we know that it is there. */
  async function greet(current: SsiLink, over: AbortSignal): Promise<void> {
    if (greeting) return
    greeting = true
    try {
      while (!over.aborted) {
        const there = await current.command(SSI.paramSend, SEND_PACKETS).catch(() => false)
        if (over.aborted) return
        if (there) return base.update({ presence: 'ready' })
        base.update({
          presence: 'lost',
          state: 'idle',
          detail: 'the scanner does not answer: is it set to SSI?',
        })
        await clock.sleep(RETRY_MS, over).catch(() => undefined)
      }
    } finally {
      greeting = false
    }
  }

  const kept = keepPortOpen(openPort, clock, base.closing, {
    up(port: BytePort) {
      ended = new AbortController()
      const over = AbortSignal.any([ended.signal, base.closing])
      const current = ssiLink(port, clock, over, {
        code(type, raw) {
          device.scanned(raw, aimOfSsiType(type))
          if (beep !== undefined) current.command(SSI.beep, Uint8Array.of(beep)).catch(() => undefined)
        },
        dropped: device.dropped,
        // An engine that lost its power has lost its settings too, and sends codes without packets.
        damaged: () => void greet(current, over),
      })
      link = current
      greeting = false
      // A process that crashed may have left it lit.
      void greet(current, over).then(() => current.command(SSI.stopSession).catch(() => false))
    },
    down(reason) {
      link = undefined
      ended.abort()
      base.update({ presence: 'lost', state: 'idle', detail: reason })
    },
  })
  base.onClose(() => kept)
  await device.known()

  return device.scanner(async (on) => {
    if (link === undefined) throw deviceError('DEVICE_LOST', 'the scanner is not there')
    const taken = await link.command(on ? SSI.startSession : SSI.stopSession)
    if (on && !taken) throw deviceError('DEVICE_TIMEOUT', 'the scanner did not take the order to scan')
  })
}

/** SSI over a serial port. Profile driver `scanner-ssi`. */
export const ssiScannerDriver: Driver<Scanner> = {
  name: 'scanner-ssi',
  deviceClass: 'scanner',
  optionsSchema: Options,
  open: (options: SsiScannerSettings, context) => openSsiScanner(serialPortOpener(options), options, context),
}
