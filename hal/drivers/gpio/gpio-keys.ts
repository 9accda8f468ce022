// Driver of keys that have a GPIO line each.
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import { createDeviceBase } from '../../device-base.js'
import { createKeyContacts } from '../../key-contacts.js'
import { KEYS, type Key, type KeyPress, type Keypad } from '../../keypad.js'
import { keepGpioOpen, openGpio } from './gpio-device.js'
import {
  type GpioBackend,
  GpioBackendOption,
  type GpioPort,
  LineName,
  type OpenGpio,
  parseLine,
} from './gpio-port.js'
import { type Sampling, startSampling } from './sampled-keys.js'

const Options = Type.Object(
  {
    backend: GpioBackendOption,
    /** The line of each key that there is. */
    keys: Type.Object(Object.fromEntries(KEYS.map((key) => [key, Type.Optional(LineName)])), {
      additionalProperties: false,
      minProperties: 1,
    }),
    activeLow: Type.Boolean({ default: true }),
    bias: Type.Optional(Type.Union([Type.Literal('pull-up'), Type.Literal('pull-down')])),
  },
  { additionalProperties: false },
)
interface Options {
  readonly backend: GpioBackend
  readonly keys: Readonly<Partial<Record<Key, string>>>
  readonly activeLow: boolean
  readonly bias?: 'pull-up' | 'pull-down'
}

/** The driver; `open` brings the lines. The character device's edges bear the hardware's stamps and count by
 * them; those of sysfs say only that there was one. */
export function gpioKeysDriver(open: OpenGpio = openGpio): Driver<Keypad> {
  return {
    name: 'gpio-keys',
    deviceClass: 'keypad',
    optionsSchema: Options,
    async open(options: Options, context) {
      const { clock } = context
      const base = createDeviceBase<'keypad', 'ready', KeyPress>(context, 'keypad', 'gpio-keys', 'ready')
      const lines = Object.entries(options.keys) as [Key, string][]
      const keys = lines.map(([key]) => key)
      const contacts = createKeyContacts({
        clock,
        keys,
        matrix: [],
        ticked: options.backend === 'onoff',
        emit: base.emit,
        count: base.count,
      })

      function up(port: GpioPort, lost: (error: unknown) => void): () => void {
        const { activeLow, bias } = options
        let sampling: Sampling | undefined
        let live = false
        const inputs = lines.map(([key, name]) => ({
          key,
          line: port.input(parseLine(name), {
            activeLow,
            ...(bias === undefined ? {} : { bias }),
            onEdge(closed, atMs) {
              if (live) contacts.edge(key, closed, atMs)
              sampling?.wake()
            },
          }),
        }))
        const sample = () => new Set(inputs.filter(({ line }) => line.read()).map(({ key }) => key))
        if (options.backend === 'character-device') {
          contacts.reset(sample())
          live = true
        } else {
          const source = { sample, anyDown: () => inputs.some(({ line }) => line.read()) }
          sampling = startSampling(source, keys, contacts, clock, false, lost)
        }
        base.update({ presence: 'ready' })
        return () => {
          live = false
          sampling?.stop()
        }
      }

      const done = keepGpioOpen(() => open(options.backend), clock, base.closing, {
        up,
        down(reason) {
          contacts.reset()
          base.update({ presence: 'lost', detail: reason })
        },
      })
      base.onClose(() => done)
      base.onClose(() => contacts.reset())
      return { ...base.device, capabilities: { keys } }
    },
  }
}
