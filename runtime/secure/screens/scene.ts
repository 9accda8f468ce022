// What one frame shows: an app's screen or one of the secure world's own, its state, and the facts of the top row.

import type { Screen } from '../../api/screens.js'
import type { OpenStatus } from '../../bridge/contract.js'
import type { ScreenState } from './screen-state.js'

export type Tone = 'info' | 'success' | 'warning' | 'error'

/** Screens that no app can ask for. */
export type SystemScreen =
  /** Nothing is shown: the terminal's name, the time, and lines that say how it stands. */
  | {
      readonly kind: 'home'
      readonly title: string
      readonly lines: readonly string[]
      readonly busy: boolean
    }
  /** The card in the slot, as a picture. */
  | {
      readonly kind: 'card'
      readonly title: string
      readonly picture: 'insert' | 'reading' | 'online' | 'unreadable' | 'remove'
      readonly amount: string
      readonly text: string
      readonly tone: Tone
      readonly cancellable: boolean
    }
  /** A PIN or a code, as bullets, or an operator's number. */
  | {
      readonly kind: 'secret'
      readonly title: string
      readonly amount?: string
      readonly text: string
      /** Why it is asked again. */
      readonly notice?: string
      readonly entered: number
      /** An operator's number is shown as typed; nothing else is. */
      readonly typed?: string
      /** True for operators' numbers and codes: a cardholder must not take it for their PIN prompt. */
      readonly notForPin?: boolean
      /** Keys are not taken yet. */
      readonly waiting?: boolean
    }

/** The facts that the top row shows; `battery` undefined where the board has none. */
export interface StatusFacts extends OpenStatus {
  readonly battery: { readonly percent: number; readonly charging: boolean } | undefined
}

export interface Scene {
  readonly content: Screen | SystemScreen
  /** Of an app's kind of screen. */
  readonly state?: ScreenState
  /** True while the secure world itself asks: lock, colour and light. */
  readonly secure: boolean
  /** Named in the top row. */
  readonly owner: string
  readonly language: string
  readonly status: StatusFacts
  /** `HH:MM`, local. */
  readonly time: string
  /** Counts up while something moves. */
  readonly phase: number
}
