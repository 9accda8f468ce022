// Driver of the virtual handheld's keypad: contacts in, debounced presses out.
import { Type } from 'typebox'
import type { Driver } from '../board.js'
import { createDeviceBase } from '../device-base.js'
import { type ContactInput, type ContactState, mayBeGhost, nextContact, OPEN } from '../key-debounce.js'
import { KEYS, type Key, type KeyPress, type Keypad } from '../keypad.js'
import { type BusConnector, busOptionFields, joinPeripheral, socketBus } from './bus-device.js'

/** Keys that repeat while they are held. */
const REPEATING: readonly Key[] = ['up', 'down', 'left', 'right', 'clear']
const FIRST_REPEAT_MS = 500
const NEXT_REPEAT_MS = 120

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

interface Contact {
  state: ContactState
  reads: boolean
  /** Reported as pressed; a ghost is down without having been reported. */
  reported: boolean
  timer: AbortController | undefined
  repeat: AbortController | undefined
}

export function keypadDriver(connect: BusConnector = socketBus): Driver<Keypad> {
  return {
    name: 'simulated',
    deviceClass: 'keypad',
    optionsSchema: KeypadOptions,
    async open(options: KeypadOptions, context) {
      const { clock } = context
      const keys = options.keys ?? KEYS
      const base = createDeviceBase<'keypad', 'ready', KeyPress>(context, 'keypad', 'simulated', 'ready')
      const contacts = new Map<Key, Contact>()

      const contact = (key: Key): Contact => {
        const known = contacts.get(key)
        if (known !== undefined) return known
        const fresh: Contact = {
          state: OPEN,
          reads: false,
          reported: false,
          timer: undefined,
          repeat: undefined,
        }
        contacts.set(key, fresh)
        return fresh
      }
      const letGo = (each: Contact) => {
        each.timer?.abort()
        each.repeat?.abort()
        each.timer = undefined
        each.repeat = undefined
        each.reported = false
      }
      const after = async (ms: number, signal: AbortSignal, then: () => void) => {
        try {
          await clock.sleep(ms, signal)
        } catch {
          return
        }
        // Edges that wait in the socket come first: after a hold-up of the process they may say that the key is up.
        setImmediate(() => {
          if (!signal.aborted) then()
        })
      }

      function feed(key: Key, input: ContactInput): void {
        const each = contact(key)
        each.timer?.abort()
        each.timer = undefined
        const { state, output, wakeAtMs } = nextContact(each.state, input)
        each.state = state
        if (output === 'pressed') press(key, each)
        if (output === 'released') letGo(each)
        if (wakeAtMs === undefined) return
        const timer = new AbortController()
        each.timer = timer
        void after(Math.max(0, wakeAtMs - input.atMs), timer.signal, () =>
          feed(key, { kind: 'time', atMs: wakeAtMs }),
        )
      }
      function press(key: Key, each: Contact): void {
        const closed = new Set([...contacts].filter(([, other]) => other.reads).map(([name]) => name))
        if (mayBeGhost(options.matrix ?? [], closed, key)) return base.count('GhostKeyCount')
        each.reported = true
        base.count('KeyPressedCount')
        base.emit({ type: 'key', key, repeat: false })
        if (REPEATING.includes(key)) repeat(key, each, FIRST_REPEAT_MS)
      }
      function repeat(key: Key, each: Contact, afterMs: number): void {
        const timer = new AbortController()
        each.repeat = timer
        void after(afterMs, timer.signal, () => {
          if (each.reported && each.state.kind === 'pressed') base.emit({ type: 'key', key, repeat: true })
          if (each.reported) repeat(key, each, NEXT_REPEAT_MS)
        })
      }
      const forget = () => {
        for (const each of contacts.values()) letGo(each)
        contacts.clear()
      }

      await joinPeripheral(base, connect(options, context), 'keypad', {
        attached({ closed }) {
          forget()
          // What is held down while the keypad comes back was not pressed for this screen: it has to be let go first.
          for (const key of closed) Object.assign(contact(key), { state: { kind: 'pressed' }, reads: true })
          return undefined
        },
        event({ key, closed, atMs }) {
          if (!keys.includes(key)) return
          const each = contact(key)
          each.reads = closed
          if (each.state.kind === 'closing' || each.state.kind === 'opening') base.count('BounceCount')
          feed(key, { kind: 'edge', closed, atMs })
        },
        detached: forget,
      })
      base.onClose(forget)

      return { ...base.device, capabilities: { keys } }
    },
  }
}
