// Debounce and ghost suppression for keypad drivers: contact edges in, key presses out, as a pure machine.
import type { Key } from './keypad.js'

/** A contact has to stay closed so long before the press counts, in ms: keeps out single spikes. */
export const CLOSED_STABLE_MS = 5
/** A contact has to stay open so long before the key counts as released: longer than any bounce (20 ms). */
export const OPEN_STABLE_MS = 21

/** One contact. `pressed` has been reported; `open` knows when it was taken for released. */
export type ContactState =
  | { readonly kind: 'open'; readonly sinceMs: number }
  | { readonly kind: 'closing'; readonly sinceMs: number }
  | { readonly kind: 'pressed' }
  | { readonly kind: 'opening'; readonly sinceMs: number }

/** A contact that was never closed. */
export const OPEN: ContactState = { kind: 'open', sinceMs: Number.NEGATIVE_INFINITY }

export type ContactInput =
  | { readonly kind: 'edge'; readonly closed: boolean; readonly atMs: number }
  | { readonly kind: 'time'; readonly atMs: number }

export interface ContactStep {
  readonly state: ContactState
  /** Reported at most once between two releases. */
  readonly output: 'pressed' | 'released' | undefined
  /** When a `time` input is due, on the edges' own clock. */
  readonly wakeAtMs: number | undefined
}

/**
 * One step. Times are those of the edges (the hardware's stamps), so that edges which arrive late and together, after
 * the process was held up, still count as what they were. An edge that arrives after the release was told, but was
 * earlier, shows that there was no release: the key is still down, and no second press is told.
 */
export function nextContact(state: ContactState, input: ContactInput): ContactStep {
  const due = settled(state, input.atMs)
  const from = due?.state ?? state
  const output = due?.output
  if (input.kind === 'time') return step(from, output)
  switch (from.kind) {
    case 'open':
      if (!input.closed) return step(from, output)
      return step(
        input.atMs < from.sinceMs ? { kind: 'pressed' } : { kind: 'closing', sinceMs: input.atMs },
        output,
      )
    case 'closing':
      return step(input.closed ? from : OPEN, output)
    case 'pressed':
      return step(input.closed ? from : { kind: 'opening', sinceMs: input.atMs }, output)
    case 'opening':
      return step(input.closed ? { kind: 'pressed' } : from, output)
  }
}

/** What the passing of time alone has made of a state. */
function settled(
  state: ContactState,
  atMs: number,
): { state: ContactState; output: 'pressed' | 'released' } | undefined {
  if (state.kind === 'closing' && atMs - state.sinceMs >= CLOSED_STABLE_MS) {
    return { state: { kind: 'pressed' }, output: 'pressed' }
  }
  if (state.kind === 'opening' && atMs - state.sinceMs >= OPEN_STABLE_MS) {
    return { state: { kind: 'open', sinceMs: state.sinceMs + OPEN_STABLE_MS }, output: 'released' }
  }
  return undefined
}

function step(state: ContactState, output: ContactStep['output']): ContactStep {
  const wakeAtMs =
    state.kind === 'closing'
      ? state.sinceMs + CLOSED_STABLE_MS
      : state.kind === 'opening'
        ? state.sinceMs + OPEN_STABLE_MS
        : undefined
  return { state, output, wakeAtMs }
}

/** Rows of a matrix keypad; `null` where no key is. */
export type KeyMatrixWiring = readonly (readonly (Key | null)[])[]

/**
 * True where `key` may be a ghost: with three contacts of a rectangle closed, a matrix without diodes shows the fourth
 * closed too, and none of the four can be told from it. `closed` holds every contact that reads closed now.
 */
export function mayBeGhost(wiring: KeyMatrixWiring, closed: ReadonlySet<Key>, key: Key): boolean {
  const isClosed = (each: Key | null | undefined) => each !== null && each !== undefined && closed.has(each)
  for (const row of wiring) {
    const column = row.indexOf(key)
    if (column < 0) continue
    for (const other of wiring) {
      if (other === row || !isClosed(other[column])) continue
      if (row.some((each, at) => at !== column && isClosed(each) && isClosed(other[at]))) return true
    }
  }
  return false
}
