// What a screen remembers and how each key changes it: pure functions, one small machine per family of screens.
import type { KeyPress } from '../../../hal/keypad.js'
import type { Screen } from '../../api/screens.js'
import { type AmountState, nextAmount, openAmount } from './amount-state.js'
import { type ChoiceState, nextChoice, openChoice } from './choice-state.js'
import { type FormState, nextForm, openForm } from './form-state.js'
import { type Extent, type Step, scrolled } from './step.js'

/** Scrolled text: message, confirm, progress, QR, receipt. */
export interface TextState {
  readonly kind: 'text'
  /** First line shown. */
  readonly scroll: number
}
export type ScreenState = ChoiceState | FormState | AmountState | TextState

/** The state in which a screen appears. */
export function openState(screen: Screen): ScreenState {
  switch (screen.kind) {
    case 'list':
    case 'menu':
    case 'details':
      return openChoice(screen)
    case 'form':
      return openForm(screen)
    case 'amount':
      return openAmount(screen)
    case 'message':
    case 'confirm':
    case 'progress':
    case 'qr':
    case 'receipt':
      return { kind: 'text', scroll: 0 }
  }
}

/** The state after `screen` took the place of `before`: selection and typed text stay where they still fit. */
export function updateState(before: Screen, state: ScreenState, screen: Screen): ScreenState {
  const fresh = openState(screen)
  if (before.kind !== screen.kind) return fresh
  if (fresh.kind === 'choice' && state.kind === 'choice') {
    const id = 'items' in before ? before.items[state.selected]?.id : undefined
    const items = 'items' in screen ? screen.items : []
    const found = items.findIndex((item) => item.id === id)
    const explicit =
      screen.kind === 'list' &&
      before.kind === 'list' &&
      screen.selected !== before.selected &&
      screen.selected
    if (explicit) return { ...fresh, scroll: state.scroll }
    const selected = found >= 0 ? found : Math.max(0, Math.min(state.selected, items.length - 1))
    return { ...state, selected }
  }
  if (fresh.kind === 'form' && state.kind === 'form' && before.kind === 'form' && screen.kind === 'form') {
    const values = screen.fields.map((field, i) => {
      const old = before.fields.findIndex((other) => other.id === field.id && other.input === field.input)
      return old < 0 ? fresh.values[i]! : state.values[old]!.slice(0, field.maxLength ?? 40)
    })
    return { ...state, values, field: Math.min(state.field, values.length - 1), tap: undefined }
  }
  if (
    fresh.kind === 'amount' &&
    state.kind === 'amount' &&
    before.kind === 'amount' &&
    screen.kind === 'amount'
  )
    return before.currency === screen.currency ? state : fresh
  if (fresh.kind === 'text' && state.kind === 'text') return state
  return fresh
}

/** What a key does. Soft keys first, then the screen's own machine. `nowMs` is monotonic, for multi-tap. */
export function nextState(
  screen: Screen,
  state: ScreenState,
  press: KeyPress,
  extent: Extent,
  nowMs: number,
): Step<ScreenState> {
  if (press.key === 'soft1' || press.key === 'soft2') {
    const softKey = screen.softKeys?.[press.key === 'soft1' ? 0 : 1]
    return softKey === undefined
      ? { state, refused: true }
      : { state, result: { type: 'softKey', id: softKey.id } }
  }
  if (
    state.kind === 'choice' &&
    (screen.kind === 'list' || screen.kind === 'menu' || screen.kind === 'details')
  )
    return nextChoice(screen, state, press, extent)
  if (state.kind === 'form' && screen.kind === 'form') return nextForm(screen, state, press, nowMs)
  if (state.kind === 'amount' && screen.kind === 'amount') return nextAmount(screen, state, press)
  if (state.kind === 'text') return nextText(screen, state, press, extent)
  return { state, refused: true }
}

function nextText(screen: Screen, state: TextState, press: KeyPress, extent: Extent): Step<ScreenState> {
  const scroll = scrolled(state.scroll, press, extent)
  if (scroll !== undefined) return { state: { ...state, scroll }, refused: scroll === state.scroll }
  switch (press.key) {
    case 'enter':
      return screen.kind === 'progress' ? { state, refused: true } : { state, result: { type: 'confirmed' } }
    case 'cancel':
      if (screen.kind === 'progress' && screen.cancellable !== true) return { state, refused: true }
      return { state, result: { type: screen.kind === 'confirm' ? 'declined' : 'back' } }
    default:
      return { state, refused: true }
  }
}
