// Lists, menus and details: one selected item, a window of visible rows, text that scrolls beside them.
import type { Static } from 'typebox'
import type { KeyPress } from '../../../hal/keypad.js'
import type { DetailsScreen, ListScreen, MenuScreen } from '../../api/screens.js'
import { type Extent, type Step, scrolled } from './step.js'

export interface ChoiceState {
  readonly kind: 'choice'
  /** Index of the selected item. */
  readonly selected: number
  /** First item shown; the renderer shows `selected` whatever this says. */
  readonly top: number
  /** First line shown of the text above the items. */
  readonly scroll: number
}
type ChoiceScreen = Static<typeof ListScreen> | Static<typeof MenuScreen> | Static<typeof DetailsScreen>

export function openChoice(screen: ChoiceScreen): ChoiceState {
  const wanted = screen.kind === 'list' ? screen.items.findIndex((item) => item.id === screen.selected) : 0
  return { kind: 'choice', selected: Math.max(0, wanted), top: 0, scroll: 0 }
}

/** The first item to show so that the selected one is seen among `visible` rows and no row stays empty. */
export function windowTop(state: ChoiceState, count: number, visible: number): number {
  const rows = Math.max(1, visible)
  const top = Math.max(Math.min(state.top, state.selected), state.selected - rows + 1)
  return Math.max(0, Math.min(top, count - rows))
}

/**
 * Up and down move the selection and turn round at the ends (not while a key is held); left and right page;
 * digits 1 to 9 choose a visible row at once.
 */
export function nextChoice(
  screen: ChoiceScreen,
  state: ChoiceState,
  press: KeyPress,
  extent: Extent,
): Step<ChoiceState> {
  const count = screen.items.length
  const top = windowTop(state, count, extent.visibleItems)
  const move = (selected: number): Step<ChoiceState> => {
    const moved = { ...state, selected, top }
    const placed = { ...moved, top: windowTop(moved, count, extent.visibleItems) }
    return { state: placed, refused: selected === state.selected }
  }
  if (screen.kind === 'details' && (count === 0 || press.key === 'left' || press.key === 'right')) {
    const scroll = scrolled(state.scroll, press, extent)
    if (scroll !== undefined) return { state: { ...state, scroll }, refused: scroll === state.scroll }
  }
  if (press.key === 'cancel') return { state, result: { type: 'back' } }
  if (count === 0)
    return press.key === 'enter' && screen.kind === 'details'
      ? { state, result: { type: 'confirmed' } }
      : { state, refused: true }
  const page = Math.max(1, extent.visibleItems)
  switch (press.key) {
    case 'up':
      return move(state.selected > 0 ? state.selected - 1 : press.repeat ? 0 : count - 1)
    case 'down':
      return move(state.selected < count - 1 ? state.selected + 1 : press.repeat ? count - 1 : 0)
    case 'left':
      return move(Math.max(0, state.selected - page))
    case 'right':
      return move(Math.min(count - 1, state.selected + page))
    case 'enter':
      return { state, result: { type: 'selected', id: screen.items[state.selected]!.id } }
    default: {
      const row = /^[1-9]$/.test(press.key) ? Number(press.key) - 1 : -1
      const item = row >= 0 && row < extent.visibleItems ? screen.items[top + row] : undefined
      return item === undefined
        ? { state, refused: true }
        : { state: { ...state, selected: top + row, top }, result: { type: 'selected', id: item.id } }
    }
  }
}
