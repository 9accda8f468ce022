// The keypad's contacts: they bounce, and a matrix without diodes shows ghosts.
import { KEYS, type Key } from '../../keypad.js'
import type { Peripheral } from '../bus.js'
import type { PeripheralState } from '../bus-protocol.js'
import type { MachineIo } from './machine.js'

/** Chatter of a contact ends this long after its first edge. */
const BOUNCE_MS = 20
const DEFAULT_HOLD_MS = 60
/** A finger that has let go can't be back on the key sooner than this. */
const LIFT_MS = 40

/** The keypad as fingers use it. */
export interface KeyMatrix {
  readonly keys: readonly Key[]
  /** Keys that are held down. */
  down(): readonly Key[]
  /** Finger down. Resolves when the contact has come to rest. Keys that the keypad lacks are ignored. */
  press(key: Key): Promise<void>
  /** Finger up. Resolves when the contact has come to rest. */
  release(key: Key): Promise<void>
  /** Down, hold (60 ms unless told, 20 at least), up. */
  tap(key: Key, holdMs?: number): Promise<void>
  /** Contacts bounce unless switched off. */
  bounce(on: boolean): void
}

/**
 * The contacts and their end of the bus. `matrix` is the wiring as rows of keys; three closed contacts at the
 * corners of a rectangle close the fourth electrically.
 */
export function createKeyMatrix(
  io: MachineIo<'keypad'>,
  keys: readonly Key[] = KEYS,
  matrix: readonly (readonly (Key | null)[])[] = [],
): { readonly keypad: KeyMatrix; readonly peripheral: Peripheral } {
  const held = new Set<Key>()
  const closedContacts = new Set<Key>()
  const moving = new Map<Key, Promise<void>>()
  const pressedMs = new Map<Key, number>()
  const releasedMs = new Map<Key, number>()
  let bounces = true

  /** Contacts closed with these fingers down, ghosts included. */
  const electrically = (fingers: ReadonlySet<Key>): Set<Key> => {
    const all = new Set(fingers)
    for (let grew = true; grew; ) {
      grew = false
      for (const row of matrix)
        for (const [column, key] of row.entries()) {
          if (key === null || key === undefined || all.has(key)) continue
          const ghost = matrix.some(
            (other) =>
              other !== row &&
              isClosed(all, other[column]) &&
              row.some((inRow, at) => at !== column && isClosed(all, inRow) && isClosed(all, other[at])),
          )
          if (ghost) {
            all.add(key)
            grew = true
          }
        }
    }
    return all
  }
  const edge = (key: Key, closed: boolean, atMs: number) => {
    if (closedContacts.has(key) === closed) return
    if (closed) closedContacts.add(key)
    else closedContacts.delete(key)
    io.send({ type: 'contact', key, closed, atMs })
  }
  const settle = (key: Key, atMs: number) => {
    const now = electrically(held)
    edge(key, now.has(key), atMs)
    for (const each of keys) if (each !== key) edge(each, now.has(each), atMs)
  }

  /** One movement of one contact, edge by edge, stamped with the time it should have had. */
  async function move(key: Key, closing: boolean, before: Promise<void> | undefined): Promise<void> {
    await before
    if (closing) await until((releasedMs.get(key) ?? 0) + LIFT_MS)
    const startMs = io.clock.monotonicMs()
    const chatter: number[] = []
    if (bounces) {
      const pairs = 1 + Math.floor(io.random() * 3)
      for (let at = 0; at < pairs * 2; at++) chatter.push(io.random() * BOUNCE_MS)
      chatter.sort((a, b) => a - b)
    }
    if (closing) {
      held.add(key)
      pressedMs.set(key, startMs)
    }
    edge(key, closing, startMs)
    for (const [at, offsetMs] of chatter.entries()) {
      await until(startMs + offsetMs)
      if (io.off.aborted) return
      edge(key, at % 2 === 0 ? !closing : closing, startMs + offsetMs)
    }
    if (!closing) {
      held.delete(key)
      releasedMs.set(key, startMs + BOUNCE_MS)
    }
    settle(key, chatter.length === 0 ? startMs : startMs + BOUNCE_MS)
    io.changed()
  }
  const until = (ms: number) =>
    io.clock.sleep(Math.max(0, ms - io.clock.monotonicMs()), io.off).catch(() => undefined)
  const chain = (key: Key, closing: boolean): Promise<void> => {
    const movement = move(key, closing, moving.get(key))
    moving.set(key, movement)
    return movement
  }

  const keypad: KeyMatrix = {
    keys,
    down: () => [...held],
    async press(key) {
      if (keys.includes(key) && !held.has(key)) await chain(key, true)
    },
    async release(key) {
      await moving.get(key)
      if (held.has(key)) await chain(key, false)
    },
    async tap(key, holdMs = DEFAULT_HOLD_MS) {
      await keypad.press(key)
      await until((pressedMs.get(key) ?? 0) + Math.max(holdMs, BOUNCE_MS))
      await keypad.release(key)
    },
    bounce(on) {
      bounces = on
    },
  }
  return {
    keypad,
    peripheral: {
      state: (): PeripheralState<'keypad'> => ({ closed: [...closedContacts] }),
      command: () => ({}),
    },
  }
}

function isClosed(closed: ReadonlySet<Key>, key: Key | null | undefined): boolean {
  return key !== null && key !== undefined && closed.has(key)
}
