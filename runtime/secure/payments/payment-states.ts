// The states of a card payment and what moves it from one to the next: data, and one pure function.
import { PosternError } from '../../../hal/base/errors.js'

/**
 * Each is durable before what it names is done.
 *
 * - `CREATED` the key is taken, the card is being asked; nothing can have been sent.
 * - `PREPARED` all that a reversal needs is on disk; nothing has been sent.
 * - `SENT` the road is open and bytes may have left.
 * - `APPROVED` the host said yes; the card has not had its last word.
 * - `CARD_FINAL` the card agreed: from here the payment stands, and may be told.
 * - `COMPLETED` told, or ready to be told again. `SETTLED` its round is closed.
 * - `DECLINED`, `CANCELLED` nothing was taken and nothing has to be taken back.
 * - `REVERSAL_PENDING` to be taken back, until the host acknowledges; `REVERSAL_STUCK` the same after too many
 *   failures, shown to the operator and still tried; `REVERSED` acknowledged.
 *
 * NOTE: an unknown host answer has no state of its own: learning that it is unknown and owing a reversal are one
 * durable step, so that no power cut can fall between the two.
 */
export const PAYMENT_STATES = [
  'CREATED',
  'PREPARED',
  'SENT',
  'APPROVED',
  'CARD_FINAL',
  'COMPLETED',
  'SETTLED',
  'DECLINED',
  'CANCELLED',
  'REVERSAL_PENDING',
  'REVERSAL_STUCK',
  'REVERSED',
] as const
export type PaymentState = (typeof PAYMENT_STATES)[number]

export const PAYMENT_INPUTS = [
  'prepared', // the card wants the host, and everything for a reversal is known
  'endedBeforeSending', // cancelled, card gone or unusable, no network: no byte has left
  'cardDeclined', // the card refused before the host was asked
  'sending', // the road is open, the first byte is next
  'hostApproved',
  'hostDeclined',
  'answerUnknown', // time-out, bad MAC, unreadable, line lost
  'cardApproved', // second cryptogram is a TC
  'cardNotFinal', // second cryptogram is an AAC, or the card left or broke before it
  'completed',
  'voided', // an approved payment is to be taken back
  'settled', // its round is closed
  'reversalFailing', // as many failures as call for the operator
  'reversalAcknowledged',
  'restart', // the terminal starts and finds the payment so
] as const
export type PaymentInput = (typeof PAYMENT_INPUTS)[number]

type Row = Readonly<Partial<Record<PaymentInput, PaymentState>>>

/** Every allowed step. What is not here is a fault of ours. */
export const TRANSITIONS: Readonly<Record<PaymentState, Row>> = {
  CREATED: {
    prepared: 'PREPARED',
    endedBeforeSending: 'CANCELLED',
    cardDeclined: 'DECLINED',
    restart: 'CANCELLED',
  },
  // Prepared again for another acquirer, as nothing has left for the first.
  PREPARED: {
    prepared: 'PREPARED',
    sending: 'SENT',
    endedBeforeSending: 'CANCELLED',
    restart: 'REVERSAL_PENDING',
  },
  SENT: {
    hostApproved: 'APPROVED',
    hostDeclined: 'DECLINED',
    answerUnknown: 'REVERSAL_PENDING',
    restart: 'REVERSAL_PENDING',
  },
  APPROVED: { cardApproved: 'CARD_FINAL', cardNotFinal: 'REVERSAL_PENDING', restart: 'REVERSAL_PENDING' },
  CARD_FINAL: { completed: 'COMPLETED', restart: 'COMPLETED' },
  COMPLETED: { voided: 'REVERSAL_PENDING', settled: 'SETTLED', restart: 'COMPLETED' },
  SETTLED: { restart: 'SETTLED' },
  DECLINED: { restart: 'DECLINED' },
  CANCELLED: { restart: 'CANCELLED' },
  REVERSAL_PENDING: {
    reversalAcknowledged: 'REVERSED',
    reversalFailing: 'REVERSAL_STUCK',
    restart: 'REVERSAL_PENDING',
  },
  REVERSAL_STUCK: { reversalAcknowledged: 'REVERSED', restart: 'REVERSAL_STUCK' },
  REVERSED: { restart: 'REVERSED' },
}

/** The state after `input`. @throws PosternError `STATE_INVALID` when the step is not in the table. */
export function next(state: PaymentState, input: PaymentInput): PaymentState {
  const to = TRANSITIONS[state][input]
  if (to === undefined)
    throw new PosternError('STATE_INVALID', `a payment in ${state} cannot take ${input}`, { state, input })
  return to
}

/** Between the first prompt and the last word: at most one payment of a terminal is in one of these. */
export const LIVE_STATES: readonly PaymentState[] = ['CREATED', 'PREPARED', 'SENT', 'APPROVED', 'CARD_FINAL']
/** The money is ours. */
export const STANDING_STATES: readonly PaymentState[] = ['CARD_FINAL', 'COMPLETED', 'SETTLED']
/** A reversal is owed to the acquirer. */
export const OWED_STATES: readonly PaymentState[] = ['REVERSAL_PENDING', 'REVERSAL_STUCK']
