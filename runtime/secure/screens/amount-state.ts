// Typing an amount: digits fill minor units from the right; bounds are checked at enter.
import type { Static } from 'typebox'
import type { KeyPress } from '../../../hal/keypad.js'
import type { AmountScreen } from '../../api/screens.js'
import type { Step } from './step.js'

type Amount = Static<typeof AmountScreen>

export interface AmountState {
  readonly kind: 'amount'
  /** Minor units as typed, without leading zeros; empty is zero. */
  readonly digits: string
  /** The initial amount is still untouched: the first digit replaces it. */
  readonly preset: boolean
  /** The bound that enter ran into. */
  readonly notice: 'tooLow' | 'tooHigh' | undefined
}

/** Digits of ISO 8583 field 4 and EMV tag 9F02 (n12). */
const MAX_DIGITS = 12

export function openAmount(screen: Amount): AmountState {
  const initial = screen.initial?.currency === screen.currency ? screen.initial.minor : '0'
  return {
    kind: 'amount',
    digits: initial === '0' ? '' : initial,
    preset: initial !== '0',
    notice: undefined,
  }
}

/** NOTE: where a screen names no lower bound it is one minor unit; nobody collects nothing. */
export function lowerBound(screen: Amount): bigint {
  return screen.min?.currency === screen.currency ? BigInt(screen.min.minor) : 1n
}

export function nextAmount(screen: Amount, state: AmountState, press: KeyPress): Step<AmountState> {
  const type = (digits: string): Step<AmountState> => {
    const before = state.preset ? '' : state.digits
    const typed = (before + digits).replace(/^0+/, '')
    if (typed.length > MAX_DIGITS) return { state, refused: true }
    return { state: { ...state, digits: typed, preset: false, notice: undefined } }
  }
  switch (press.key) {
    case 'enter': {
      const minor = BigInt(state.digits === '' ? '0' : state.digits)
      if (minor < lowerBound(screen)) return { state: { ...state, notice: 'tooLow' }, refused: true }
      if (screen.max?.currency === screen.currency && minor > BigInt(screen.max.minor))
        return { state: { ...state, notice: 'tooHigh' }, refused: true }
      return {
        state,
        result: { type: 'amount', amount: { minor: minor.toString(), currency: screen.currency } },
      }
    }
    case 'cancel':
      return { state, result: { type: 'back' } }
    case 'clear':
      return {
        state: { ...state, digits: state.digits.slice(0, -1), preset: false, notice: undefined },
        refused: state.digits === '',
      }
    default:
      return /^[0-9]{1,2}$/.test(press.key) ? type(press.key) : { state, refused: true }
  }
}
