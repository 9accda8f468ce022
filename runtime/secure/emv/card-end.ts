// How a step says that the transaction with this card is over: an outcome with the rule that was broken, never an exception.
import type { CardEndReason } from '../card-transaction.js'

/** The session with the card ends here. `rule` says which requirement, for logs; it holds no card data. */
export interface CardEnd {
  readonly kind: 'end'
  readonly reason: CardEndReason
  readonly rule: string
  /** The chip works, is not blocked, and shares no application with the terminal. */
  readonly noCommonApplication?: true
}

/** The card broke the protocol, or its data do not hold together. */
export function cardError(rule: string): CardEnd {
  return { kind: 'end', reason: 'cardError', rule }
}

/** Any other end: removed, mute, cancelled, timeout, blocked, notAccepted. */
export function ends(reason: CardEndReason, rule: string): CardEnd {
  return { kind: 'end', reason, rule }
}

/** True where a step ended the session instead of giving its result. */
export function isEnd(value: unknown): value is CardEnd {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'end'
}
