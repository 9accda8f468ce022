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
 * - `COMPLETED` told, or ready to be told again. `SETTLED` its round is closed. `CAPTURED` a pre-authorisation whose
 *   amount a completion has taken.
 * - `REFERRED` the host wants to be called; nothing is booked there.
 * - `OFFLINE_APPROVED` card and limits, or the bank's voice, said yes: the payment stands without the host's word.
 *   `ADVICE_PENDING` the host is told of it until it answers; `ADVISED` it has booked it; `ADVICE_REFUSED` it will not,
 *   and a person decides.
 * - `DECLINED`, `CANCELLED` nothing was taken and nothing has to be taken back.
 * - `DECLINE_PENDING` declined, and the card's issuer wants to hear of it: told until the host answers, then `DECLINED`;
 *   `DECLINE_REFUSED` the host will not take it, and a person sees it. No money hangs on either.
 * - `REVERSAL_PENDING` to be taken back, until the host acknowledges; `REVERSAL_STUCK` the same after too many
 *   failures, shown to the operator and still tried; `REVERSED` acknowledged.
 * - `ENDED_BY_OPERATOR` what the host would not answer, ended by a person with a reason; the rest is paper.
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
  'CAPTURED',
  'REFERRED',
  'OFFLINE_APPROVED',
  'ADVICE_PENDING',
  'ADVISED',
  'ADVICE_REFUSED',
  'DECLINED',
  'DECLINE_PENDING',
  'DECLINE_REFUSED',
  'CANCELLED',
  'REVERSAL_PENDING',
  'REVERSAL_STUCK',
  'REVERSED',
  'ENDED_BY_OPERATOR',
] as const
export type PaymentState = (typeof PAYMENT_STATES)[number]

export const PAYMENT_INPUTS = [
  'prepared', // the card wants the host, and everything for a reversal is known
  'endedBeforeSending', // cancelled, card gone or unusable, no network: no byte has left
  'cardDeclined', // the card refused before the host was asked
  'sending', // the road is open, the first byte is next
  'hostApproved',
  'hostDeclined',
  'hostReferred', // call the bank
  'voiceApproved', // the bank gave a code by voice
  'voiceRefused', // it did not, or nobody called
  'offlineApproved', // the card's TC without a host, within the limits
  'answerUnknown', // time-out, bad MAC, unreadable, line lost
  'cardApproved', // second cryptogram is a TC
  'cardNotFinal', // second cryptogram is an AAC, or the card left or broke before it
  'completed',
  'voided', // an approved payment is to be taken back
  'voidedUnsent', // an offline approval that the host was never told of is taken back
  'captured', // a completion took a pre-authorisation's amount
  'settled', // its round is closed
  'declineToAdvise', // the card's issuer wants an advice of a decline
  'adviceAcknowledged',
  'adviceRefused', // the host answers, and will not book it
  'adviceRetried', // a person wants it sent again
  'endedByOperator', // with a reason and a supervisor's code
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
    offlineApproved: 'OFFLINE_APPROVED',
    endedBeforeSending: 'CANCELLED',
    cardDeclined: 'DECLINED',
    restart: 'CANCELLED',
  },
  // Prepared again for another acquirer, as nothing has left for the first.
  PREPARED: {
    prepared: 'PREPARED',
    sending: 'SENT',
    offlineApproved: 'OFFLINE_APPROVED',
    endedBeforeSending: 'CANCELLED',
    cardDeclined: 'DECLINED',
    restart: 'REVERSAL_PENDING',
  },
  SENT: {
    hostApproved: 'APPROVED',
    hostDeclined: 'DECLINED',
    hostReferred: 'REFERRED',
    answerUnknown: 'REVERSAL_PENDING',
    restart: 'REVERSAL_PENDING',
  },
  APPROVED: { cardApproved: 'CARD_FINAL', cardNotFinal: 'REVERSAL_PENDING', restart: 'REVERSAL_PENDING' },
  CARD_FINAL: { completed: 'COMPLETED', restart: 'COMPLETED' },
  COMPLETED: {
    voided: 'REVERSAL_PENDING',
    captured: 'CAPTURED',
    settled: 'SETTLED',
    restart: 'COMPLETED',
  },
  SETTLED: { restart: 'SETTLED' },
  CAPTURED: { restart: 'CAPTURED' },
  REFERRED: { voiceApproved: 'OFFLINE_APPROVED', voiceRefused: 'DECLINED', restart: 'DECLINED' },
  OFFLINE_APPROVED: { completed: 'ADVICE_PENDING', restart: 'ADVICE_PENDING' },
  ADVICE_PENDING: {
    adviceAcknowledged: 'ADVISED',
    adviceRefused: 'ADVICE_REFUSED',
    voidedUnsent: 'CANCELLED',
    restart: 'ADVICE_PENDING',
  },
  ADVISED: { voided: 'REVERSAL_PENDING', settled: 'SETTLED', restart: 'ADVISED' },
  ADVICE_REFUSED: {
    adviceRetried: 'ADVICE_PENDING',
    endedByOperator: 'ENDED_BY_OPERATOR',
    restart: 'ADVICE_REFUSED',
  },
  DECLINED: { declineToAdvise: 'DECLINE_PENDING', restart: 'DECLINED' },
  DECLINE_PENDING: {
    adviceAcknowledged: 'DECLINED',
    adviceRefused: 'DECLINE_REFUSED',
    restart: 'DECLINE_PENDING',
  },
  DECLINE_REFUSED: {
    adviceRetried: 'DECLINE_PENDING',
    endedByOperator: 'DECLINED',
    restart: 'DECLINE_REFUSED',
  },
  CANCELLED: { restart: 'CANCELLED' },
  REVERSAL_PENDING: {
    reversalAcknowledged: 'REVERSED',
    reversalFailing: 'REVERSAL_STUCK',
    restart: 'REVERSAL_PENDING',
  },
  REVERSAL_STUCK: {
    reversalAcknowledged: 'REVERSED',
    endedByOperator: 'ENDED_BY_OPERATOR',
    restart: 'REVERSAL_STUCK',
  },
  REVERSED: { restart: 'REVERSED' },
  ENDED_BY_OPERATOR: { restart: 'ENDED_BY_OPERATOR' },
}

/** True for a state that this release knows: a newer one may have left others, which are kept as they are. */
export const isKnownState = (state: string): state is PaymentState => Object.hasOwn(TRANSITIONS, state)

/** The state after `input`. @throws PosternError `STATE_INVALID` when the step is not in the table. */
export function next(state: PaymentState, input: PaymentInput): PaymentState {
  const to = isKnownState(state) ? TRANSITIONS[state][input] : undefined
  if (to === undefined)
    throw new PosternError('STATE_INVALID', `a payment in ${state} cannot take ${input}`, { state, input })
  return to
}

/** Between the first prompt and the last word: at most one payment of a terminal is in one of these. */
export const LIVE_STATES: readonly PaymentState[] = [
  'CREATED',
  'PREPARED',
  'SENT',
  'REFERRED',
  'APPROVED',
  'CARD_FINAL',
  'OFFLINE_APPROVED',
]
/** The host has booked it: the money is ours, and counted in the totals. */
export const BOOKED_STATES: readonly PaymentState[] = ['CARD_FINAL', 'COMPLETED', 'SETTLED', 'ADVISED']
/** The customer has paid, whatever the host has heard of it. */
export const STANDING_STATES: readonly PaymentState[] = [
  ...BOOKED_STATES,
  'OFFLINE_APPROVED',
  'ADVICE_PENDING',
  'ADVICE_REFUSED',
  'CAPTURED',
]
/** A reversal is owed to the acquirer. */
export const OWED_STATES: readonly PaymentState[] = ['REVERSAL_PENDING', 'REVERSAL_STUCK']
/** Not final: something is still to come, from the host or from a person. */
export const UNRESOLVED_STATES: readonly PaymentState[] = [
  ...LIVE_STATES,
  ...OWED_STATES,
  'ADVICE_PENDING',
  'ADVICE_REFUSED',
  'DECLINE_PENDING',
  'DECLINE_REFUSED',
]
