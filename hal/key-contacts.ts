// The contacts of a keypad: edges in, presses out, with debounce, ghost suppression and repeat; shared by keypad drivers.
import type { Clock } from './base/clock.js'
import {
  type ContactInput,
  type ContactState,
  type KeyMatrixWiring,
  mayBeGhost,
  nextContact,
  OPEN,
} from './key-debounce.js'
import type { Key, KeyPress } from './keypad.js'

/** Keys that repeat while they are held. */
const REPEATING: readonly Key[] = ['up', 'down', 'left', 'right', 'clear']
const FIRST_REPEAT_MS = 500
const NEXT_REPEAT_MS = 120

export interface KeyContactsOptions {
  readonly clock: Clock
  readonly keys: readonly Key[]
  /** The wiring as rows of keys, for telling ghosts; empty where each key has a line of its own. */
  readonly matrix: KeyMatrixWiring
  /** Whoever looks at contacts tells the time with `tick`; without it edges come by themselves and timers decide. */
  readonly ticked?: boolean
  emit(press: KeyPress): void
  count(name: 'KeyPressedCount' | 'GhostKeyCount' | 'BounceCount'): void
}

export interface KeyContacts {
  /** A contact changed; `atMs` is the hardware's stamp. Keys that the keypad lacks are ignored. */
  edge(key: Key, closed: boolean, atMs: number): void
  /** Until `atMs` no edge was missed. */
  tick(atMs: number): void
  /** Whether nothing is closed and nothing has to settle. */
  idle(): boolean
  /**
   * Forgets all, as when the device goes. What is `held` when it comes back was not pressed for this screen: it has to
   * be let go first.
   */
  reset(held?: Iterable<Key>): void
}

interface Contact {
  state: ContactState
  reads: boolean
  /** Reported as pressed; a ghost is down without having been reported. */
  reported: boolean
  timer: AbortController | undefined
  repeat: AbortController | undefined
}

export function createKeyContacts(options: KeyContactsOptions): KeyContacts {
  const { clock, keys, matrix, ticked = false, emit, count } = options
  const contacts = new Map<Key, Contact>()
  let tickedMs = Number.NEGATIVE_INFINITY

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
    if (wakeAtMs === undefined || ticked) return
    const timer = new AbortController()
    each.timer = timer
    void after(Math.max(0, wakeAtMs - input.atMs), timer.signal, () =>
      feed(key, { kind: 'time', atMs: wakeAtMs }),
    )
  }
  function press(key: Key, each: Contact): void {
    const closed = new Set([...contacts].filter(([, other]) => other.reads).map(([name]) => name))
    if (mayBeGhost(matrix, closed, key)) return count('GhostKeyCount')
    each.reported = true
    count('KeyPressedCount')
    emit({ type: 'key', key, repeat: false })
    if (REPEATING.includes(key)) repeat(key, each, FIRST_REPEAT_MS)
  }
  function repeat(key: Key, each: Contact, afterMs: number): void {
    const timer = new AbortController()
    each.repeat = timer
    void after(afterMs, timer.signal, () => {
      if (each.reported && each.state.kind === 'pressed') emit({ type: 'key', key, repeat: true })
      if (each.reported) repeat(key, each, NEXT_REPEAT_MS)
    })
  }

  return {
    edge(key, closed, atMs) {
      if (!keys.includes(key)) return
      const each = contact(key)
      each.reads = closed
      const bounced = each.state.kind === 'closing' || each.state.kind === 'opening'
      if (bounced) count('BounceCount')
      // Between two looks nobody saw the contact at rest: what changed back may have done so at once.
      feed(key, { kind: 'edge', closed, atMs: ticked && bounced ? tickedMs : atMs })
    },
    tick(atMs) {
      tickedMs = atMs
      for (const [key, { state }] of contacts) {
        if (state.kind === 'closing' || state.kind === 'opening') feed(key, { kind: 'time', atMs })
      }
    },
    idle: () => [...contacts.values()].every(({ state, reads }) => state.kind === 'open' && !reads),
    reset(held = []) {
      for (const each of contacts.values()) letGo(each)
      contacts.clear()
      for (const key of held) {
        if (keys.includes(key)) Object.assign(contact(key), { state: { kind: 'pressed' }, reads: true })
      }
    },
  }
}
