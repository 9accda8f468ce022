// Filling a form from the keypad: digits as they are, text by multi-tap.
import type { Static } from 'typebox'
import type { KeyPress } from '../../../hal/keypad.js'
import type { FormScreen } from '../../api/screens.js'
import type { Step } from './step.js'

type Form = Static<typeof FormScreen>

export const LETTER_CASES = ['lower', 'upper', 'digits'] as const
export type LetterCase = (typeof LETTER_CASES)[number]

export interface FormState {
  readonly kind: 'form'
  readonly values: readonly string[]
  /** Index of the field being typed into. */
  readonly field: number
  readonly letters: LetterCase
  /** The key whose letters are being cycled through, and when it was last pressed. */
  readonly tap: { readonly key: string; readonly index: number; readonly atMs: number } | undefined
  /** True after an enter that found the field too short. */
  readonly tooShort: boolean
}

/** Letters per key, as on telephones (ITU-T E.161), with the digit last. */
const LETTERS: Readonly<Record<string, string>> = {
  '0': ' 0',
  '1': '.,-@/:#&+1',
  '2': 'abc2',
  '3': 'def3',
  '4': 'ghi4',
  '5': 'jkl5',
  '6': 'mno6',
  '7': 'pqrs7',
  '8': 'tuv8',
  '9': 'wxyz9',
}
/** The same key pressed again within this time takes the next letter. */
const TAP_MS = 1000

export function openForm(screen: Form): FormState {
  return {
    kind: 'form',
    values: screen.fields.map((field) => {
      const value = field.value ?? ''
      return (field.input === 'digits' ? value.replace(/\D/g, '') : value).slice(0, field.maxLength ?? 40)
    }),
    field: 0,
    letters: 'lower',
    tap: undefined,
    tooShort: false,
  }
}

export function nextForm(screen: Form, state: FormState, press: KeyPress, nowMs: number): Step<FormState> {
  const field = screen.fields[state.field]!
  const value = state.values[state.field]!
  const maxLength = field.maxLength ?? 40
  const set = (next: string, tap: FormState['tap'] = undefined): Step<FormState> =>
    next.length > maxLength
      ? { state: { ...state, tap: undefined }, refused: true }
      : { state: { ...state, values: state.values.with(state.field, next), tap, tooShort: false } }
  const go = (to: number): Step<FormState> =>
    to < 0 || to >= screen.fields.length
      ? { state: { ...state, tap: undefined }, refused: true }
      : { state: { ...state, field: to, tap: undefined, tooShort: false } }

  switch (press.key) {
    case 'cancel':
      return { state, result: { type: 'back' } }
    case 'clear':
      return value === '' ? { state: { ...state, tap: undefined }, refused: true } : set(value.slice(0, -1))
    case 'up':
      return go(state.field - 1)
    case 'down':
      return go(state.field + 1)
    case 'right':
      return { state: { ...state, tap: undefined } }
    case 'menu':
      if (field.input === 'digits') return { state, refused: true }
      return {
        state: {
          ...state,
          letters: LETTER_CASES[(LETTER_CASES.indexOf(state.letters) + 1) % LETTER_CASES.length]!,
          tap: undefined,
        },
      }
    case 'enter': {
      if (value.length < (field.minLength ?? 0))
        return { state: { ...state, tap: undefined, tooShort: true }, refused: true }
      if (state.field < screen.fields.length - 1) return go(state.field + 1)
      const short = screen.fields.findIndex((other, i) => state.values[i]!.length < (other.minLength ?? 0))
      if (short >= 0)
        return { state: { ...state, field: short, tap: undefined, tooShort: true }, refused: true }
      const values = Object.fromEntries(screen.fields.map((other, i) => [other.id, state.values[i]!]))
      return { state, result: { type: 'submitted', values } }
    }
    default:
      break
  }
  if (!/^[0-9]{1,2}$/.test(press.key)) return { state, refused: true }
  if (field.input === 'digits' || state.letters === 'digits' || press.key === '00')
    return set(value + press.key)
  const letters = state.letters === 'upper' ? LETTERS[press.key]!.toUpperCase() : LETTERS[press.key]!
  const again = state.tap?.key === press.key && nowMs - state.tap.atMs < TAP_MS
  const index = again ? (state.tap.index + 1) % letters.length : 0
  const kept = again ? value.slice(0, -1) : value
  return set(kept + letters[index]!, { key: press.key, index, atMs: nowMs })
}
