// A scanner that types what it reads, as an input device of its own: grabbed, so that nobody else gets its keys.
import { Type } from 'typebox'
import type { Driver, DriverContext } from '../../board.js'
import type { Scanner } from '../../scanner.js'
import { keepEvdevOpen } from '../evdev/evdev-reader.js'
import { type EvdevMatch, EvdevMatchOptions, type EvdevRoots } from '../evdev/find-device.js'
import type { KeyboardLayoutName } from '../evdev/keyboard-layouts.js'
import { typedBytes } from '../evdev/typed-bytes.js'
import { onSilence } from '../silence.js'
import { lineReader } from './line-reader.js'
import { createScanDevice } from './scan-device.js'
import { splitAim } from './symbologies.js'

const Options = Type.Object(
  {
    device: EvdevMatchOptions,
    layout: Type.Enum(['us', 'uk', 'de', 'fr'], { default: 'us' }),
    terminator: Type.Enum(['cr', 'tab', 'none'], { default: 'cr' }),
    /** The scanner puts `]cm` before each code. */
    aim: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
export interface KeyboardScannerSettings {
  readonly device: EvdevMatch
  readonly layout?: KeyboardLayoutName
  readonly terminator?: 'cr' | 'tab' | 'none'
  readonly aim?: boolean
}

/** Scanners type a key every few milliseconds. */
const PAUSE_MS = 300
const KEY_ENTER = 28

/** Opens the scanner. Its own button lights it; `trigger` waits for a person to press that. */
export async function openKeyboardScanner(
  { device: match, layout = 'us', terminator = 'cr', aim = false }: KeyboardScannerSettings,
  context: DriverContext,
  roots?: EvdevRoots,
): Promise<Scanner> {
  const device = createScanDevice(context, 'scanner-evdev')
  const { base } = device
  const keys = typedBytes(layout)
  const lines = lineReader(
    terminator,
    (code) => {
      const found = aim ? splitAim(code) : { aim: undefined, raw: code }
      device.scanned(found.raw, found.aim)
    },
    device.dropped,
  )
  const broken = () => {
    lines.pause()
    keys.reset()
  }
  const silence = onSilence(context.clock, PAUSE_MS, base.closing, lines.pause)
  const kept = keepEvdevOpen(
    { match, needs: [KEY_ENTER], ...(roots === undefined ? {} : { roots }) },
    context.clock,
    base.closing,
    {
      up() {
        base.update({ presence: 'ready', state: 'idle' })
      },
      report(events) {
        for (const event of events) {
          const byte = keys.take(event)
          if (byte !== undefined) lines.take(Uint8Array.of(byte))
        }
        if (lines.pending() > 0) silence.heard()
        else silence.stop()
      },
      dropped: broken,
      down(reason) {
        broken()
        base.update({ presence: 'lost', state: 'idle', detail: reason })
      },
    },
  )
  base.onClose(() => kept)
  await device.known()
  return device.scanner()
}

/** A scanner that types. Profile driver `scanner-evdev`. */
export const keyboardScannerDriver: Driver<Scanner> = {
  name: 'scanner-evdev',
  deviceClass: 'scanner',
  optionsSchema: Options,
  open: (options: KeyboardScannerSettings, context) => openKeyboardScanner(options, context),
}
