// Driver of the virtual handheld's keypad: contacts in, debounced presses out.
import { Type } from 'typebox'
import type { Driver } from '../board.js'
import { createDeviceBase } from '../device-base.js'
import { createKeyContacts } from '../key-contacts.js'
import { KEYS, type Key, type KeyPress, type Keypad } from '../keypad.js'
import { type BusConnector, busOptionFields, joinPeripheral, socketBus } from './bus-device.js'

const KeyName = Type.Unsafe<Key>(Type.Union(KEYS.map((key) => Type.Literal(key))))
const KeypadOptions = Type.Object(
  {
    ...busOptionFields,
    /** Keys that this keypad has; all of them unless told. */
    keys: Type.Optional(Type.Array(KeyName, { minItems: 1, maxItems: KEYS.length, uniqueItems: true })),
    /** The wiring as rows of keys, for telling ghosts; absent where each key has a line of its own. */
    matrix: Type.Optional(
      Type.Array(Type.Array(Type.Union([KeyName, Type.Null()]), { maxItems: 16 }), { maxItems: 16 }),
    ),
  },
  { additionalProperties: false },
)
interface KeypadOptions {
  readonly socket: string
  readonly keys?: readonly Key[]
  readonly matrix?: readonly (readonly (Key | null)[])[]
}

export function keypadDriver(connect: BusConnector = socketBus): Driver<Keypad> {
  return {
    name: 'simulated',
    deviceClass: 'keypad',
    optionsSchema: KeypadOptions,
    async open(options: KeypadOptions, context) {
      const keys = options.keys ?? KEYS
      const base = createDeviceBase<'keypad', 'ready', KeyPress>(context, 'keypad', 'simulated', 'ready')
      const contacts = createKeyContacts({
        clock: context.clock,
        keys,
        matrix: options.matrix ?? [],
        emit: base.emit,
        count: base.count,
      })

      await joinPeripheral(base, connect(options, context), 'keypad', {
        attached({ closed }) {
          contacts.reset(closed)
          return undefined
        },
        event: ({ key, closed, atMs }) => contacts.edge(key, closed, atMs),
        detached: () => contacts.reset(),
      })
      base.onClose(() => contacts.reset())

      return { ...base.device, capabilities: { keys } }
    },
  }
}
