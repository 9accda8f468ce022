// Driver of a keypad that the kernel serves as /dev/input/event*: gpio-keys, matrix-keypad, tca8418, USB keypads.
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import { createDeviceBase } from '../../device-base.js'
import { createKeyContacts } from '../../key-contacts.js'
import { KEYS, type Key, type KeyPress, type Keypad } from '../../keypad.js'
import type { FileCalls } from '../device-file.js'
import { keepEvdevOpen } from './evdev-reader.js'
import { type EvdevMatch, EvdevMatchOptions, type EvdevRoots } from './find-device.js'
import { EV_KEY } from './input-event.js'
import { KEY_CODES, type KeyCodeName, type KeyMap, LAYOUTS } from './key-codes.js'

const KeyOrNone = Type.Unsafe<Key | null>(Type.Union([...KEYS.map((key) => Type.Literal(key)), Type.Null()]))
const Options = Type.Object(
  {
    device: EvdevMatchOptions,
    layout: Type.Unsafe<keyof typeof LAYOUTS>(
      Type.Union(
        Object.keys(LAYOUTS).map((name) => Type.Literal(name)),
        { default: 'terminal' },
      ),
    ),
    /** Keys by the kernel's names, in the place of the layout's; null takes one out. */
    keys: Type.Object(
      Object.fromEntries(Object.keys(KEY_CODES).map((name) => [name, Type.Optional(KeyOrNone)])),
      { additionalProperties: false, default: {} },
    ),
    /** The wiring as rows of keys: the kernel's matrix driver shows ghosts. */
    matrix: Type.Optional(
      Type.Array(Type.Array(Type.Union([KeyOrNone, Type.Null()]), { maxItems: 16 }), { maxItems: 16 }),
    ),
    /** Keeps keys from the console and other programs. */
    grab: Type.Boolean({ default: true }),
  },
  { additionalProperties: false },
)
interface Options {
  readonly device: EvdevMatch
  readonly layout: keyof typeof LAYOUTS
  readonly keys: Readonly<Partial<Record<KeyCodeName, Key | null>>>
  readonly matrix?: readonly (readonly (Key | null)[])[]
  readonly grab: boolean
}

/** The driver; a test has a `kernel` of its own. */
export function evdevKeypadDriver(
  kernel: { readonly roots?: EvdevRoots; readonly calls?: FileCalls } = {},
): Driver<Keypad> {
  return {
    name: 'evdev',
    deviceClass: 'keypad',
    optionsSchema: Options,
    async open({ device: match, layout, keys: own, matrix = [], grab }: Options, context) {
      const { clock } = context
      const base = createDeviceBase<'keypad', 'ready', KeyPress>(context, 'keypad', 'evdev', 'ready')
      const map: KeyMap = LAYOUTS[layout]
      const byCode = new Map<number, Key>()
      for (const [name, key] of Object.entries({ ...map, ...own })) {
        if (key !== null) byCode.set(KEY_CODES[name as KeyCodeName], key)
      }
      const keys = [...new Set(byCode.values())]
      const contacts = createKeyContacts({ clock, keys, matrix, emit: base.emit, count: base.count })

      const done = keepEvdevOpen({ match, grab, ...kernel }, clock, base.closing, {
        up(device) {
          contacts.reset(device.held().flatMap((code) => byCode.get(code) ?? []))
          base.update({ presence: 'ready', detail: device.info.name || device.info.path })
        },
        report(events) {
          for (const { type, code, value, atMs } of events) {
            const key = type === EV_KEY && value !== 2 ? byCode.get(code) : undefined
            if (key !== undefined) contacts.edge(key, value === 1, atMs)
          }
        },
        dropped: () => contacts.reset(),
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
