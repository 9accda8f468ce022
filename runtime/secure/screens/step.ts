// The vocabulary of the screens' state machines: what is in view, and what a key led to.
import type { KeyPress } from '../../../hal/keypad.js'
import type { ScreenResult } from '../../api/screens.js'

/** What the layout found: how many rows of a list and lines of text are seen at once, of how many lines. */
export interface Extent {
  readonly visibleItems: number
  readonly visibleLines: number
  readonly totalLines: number
}

/** The state after a key; `result` ends the screen; `refused` sounds the low tone. */
export interface Step<State> {
  readonly state: State
  readonly result?: ScreenResult
  readonly refused?: boolean
}

/** The scroll position after a key that scrolls text, or undefined where the key does not. */
export function scrolled(scroll: number, press: KeyPress, extent: Extent): number | undefined {
  const end = Math.max(0, extent.totalLines - extent.visibleLines)
  const page = Math.max(1, extent.visibleLines - 1)
  const steps: Partial<Record<KeyPress['key'], number>> = { up: -1, down: 1, left: -page, right: page }
  const by = steps[press.key]
  return by === undefined ? undefined : Math.max(0, Math.min(end, scroll + by))
}
