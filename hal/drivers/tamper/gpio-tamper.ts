// Driver of case switches and mesh on GPIO lines; what tripped stays tripped until a technician resets it.
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import { createDeviceBase } from '../../device-base.js'
import type { Tamper } from '../../tamper.js'
import { keepGpioOpen, openGpio } from '../gpio/gpio-device.js'
import {
  ActiveLowOption,
  type GpioBackend,
  GpioBackendOption,
  type GpioInput,
  type GpioPort,
  LineName,
  type OpenGpio,
  parseLine,
} from '../gpio/gpio-port.js'
import { openTamperLatch } from './tamper-latch.js'

/** What a sensor may be called. */
const SENSORS = ['case', 'back', 'front', 'keypad', 'display', 'mesh', 'battery', 'reader'] as const

const Options = Type.Object(
  {
    backend: GpioBackendOption,
    /** A line by the name of its sensor: `{ "case": "pinctrl-bcm2711:5" }`. */
    sensors: Type.Object(Object.fromEntries(SENSORS.map((name) => [name, Type.Optional(LineName)])), {
      additionalProperties: false,
      minProperties: 1,
    }),
    /** Tripped is low. A loop that is cut should trip: wire it so that the pull says tripped. */
    activeLow: ActiveLowOption,
    bias: Type.Optional(Type.Union([Type.Literal('pull-up'), Type.Literal('pull-down')])),
    /** Where the latch is kept; a file that only the secure world may write. */
    latch: Type.String({ minLength: 2, maxLength: 256, pattern: '^/' }),
  },
  { additionalProperties: false },
)
interface Options {
  readonly backend: GpioBackend
  readonly sensors: Readonly<Record<string, string>>
  readonly activeLow: boolean
  readonly bias?: 'pull-up' | 'pull-down'
  readonly latch: string
}

/** How often it is looked whether a technician has reset the latch, and whether a switch is open still. */
const LOOK_MS = 250

/**
 * The driver; `open` brings the lines. NOTE: lines without power see nothing: what happens while the terminal is off is
 * told only where the switch is still open when it starts, or where a latch in hardware holds the line.
 */
export function gpioTamperDriver(open: OpenGpio = openGpio): Driver<Tamper> {
  return {
    name: 'gpio',
    deviceClass: 'tamper',
    optionsSchema: Options,
    async open({ backend, sensors, activeLow, bias, latch: path }: Options, context) {
      type TamperEvent = { readonly type: 'tamper'; readonly sensor: string }
      type State = 'intact' | 'tampered'
      const { clock, log } = context
      const base = createDeviceBase<'tamper', State, TamperEvent>(context, 'tamper', 'gpio', 'intact')
      const latch = openTamperLatch(path)
      const known = new Set(latch.sensors())
      /** Whether all that is known is on disk. */
      let kept = true
      if (known.size > 0) base.update({ state: 'tampered' })
      const detail = () => (known.size === 0 ? undefined : [...known].join(', '))

      /** Tried again with every look while the disk takes nothing. */
      const keep = () => {
        try {
          for (const sensor of known) latch.add(sensor)
          kept = true
        } catch (error) {
          if (kept) log.error('tamper.latch-failed', { error: String(error) })
          kept = false
        }
      }
      const trip = (sensor: string) => {
        if (known.has(sensor)) return
        known.add(sensor)
        keep()
        log.error('tamper.tripped', { sensor })
        base.count('TamperCount')
        base.update({ state: 'tampered', detail: detail() })
        base.emit({ type: 'tamper', sensor })
      }

      function up(port: GpioPort, lost: (error: unknown) => void): () => void {
        const stop = new AbortController()
        const lines: [string, GpioInput][] = Object.entries(sensors).map(([sensor, name]) => [
          sensor,
          port.input(parseLine(name), {
            activeLow,
            ...(bias === undefined ? {} : { bias }),
            // Any edge: one that ends where it began was a moment in between, too short to be read.
            onEdge: () => {
              if (!stop.signal.aborted) trip(sensor)
            },
          }),
        ])
        const look = () => {
          const open = lines.filter(([, line]) => line.read()).map(([sensor]) => sensor)
          if (!kept) keep()
          else if (known.size > 0 && latch.sensors().length === 0) {
            known.clear()
            if (open.length === 0) base.update({ state: 'intact', detail: undefined })
          }
          for (const sensor of open) trip(sensor)
        }
        const keepLooking = async () => {
          try {
            for (;;) {
              await clock.sleep(LOOK_MS, stop.signal)
              look()
            }
          } catch (error) {
            if (!stop.signal.aborted) lost(error)
          }
        }
        look()
        base.update({ presence: 'ready', detail: detail() })
        void keepLooking()
        return () => stop.abort()
      }

      const done = keepGpioOpen(() => open(backend), clock, base.closing, {
        up,
        down: (reason) => base.update({ presence: 'lost', detail: reason }),
      })
      base.onClose(() => done)
      return base.device
    },
  }
}
