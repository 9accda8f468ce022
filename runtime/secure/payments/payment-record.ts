// What the journal keeps of a payment. Everything here may be on disk for years: no PIN block, no track, no clear PAN.
import type { PaymentOutcome } from '../../api/payments.js'
import type { CardFacts, ChipFailure } from '../card-transaction.js'
import type { PaymentState } from './payment-states.js'
import type { SentOver } from './roads/road.js'

/** Why a payment is taken back. */
export type ReversalCause =
  | 'timeout' // no answer in time
  | 'badMac' // an answer that the acquirer did not make
  | 'unreadable' // an answer that does not parse, or contradicts the request
  | 'lineLost' // the road ended before an answer
  | 'cardDeclined' // host yes, card no
  | 'cardRemoved' // card gone before its last word
  | 'cardFailed' // card or reader broke before its last word
  | 'restart' // found unfinished at boot
  | 'void' // taken back by the operator
  | 'partialRefused' // the host approved less, and nobody wanted that

/** What a payment is; absent in a record: a sale. */
export type PaymentType = 'sale' | 'refund' | 'preauth' | 'increment' | 'completion'

/** A reversal that is owed, or was acknowledged. */
export interface Reversal {
  readonly cause: ReversalCause
  /** Systems trace audit number of the reversal itself; the same in every repeat. */
  readonly stan: number
  readonly atMs: number
  /** Times that bytes may have left. More than none: the repeat message type is sent. */
  readonly attempts: number
  /** Failures in a row, connecting included. */
  readonly failures: number
  readonly lastFailure?: string
  readonly acknowledgedAtMs?: number
  readonly responseCode?: string
}

/** A receipt's fiscal signature: owed from the step that begins the payment, so that no power cut forgets it. */
export type FiscalMark =
  | {
      readonly state: 'owed'
      /** Tries in vain; the receipt says so. */
      readonly failures: number
      readonly lastFailure?: string
    }
  | {
      readonly state: 'signed'
      readonly failures: number
      readonly serial: string
      readonly counter: number
      readonly signedAtMs: number
      readonly code: string
      readonly text: string
    }

/** Who took an approved payment back, and why. */
export interface VoidMark {
  readonly key: string
  readonly operator: string
  readonly supervisor: string
  readonly reason: string
  readonly receiptNumber: number
  readonly atMs: number
  readonly fiscal?: FiscalMark
}

/**
 * What the host has to hear of, or has heard of: an approval, under the payment's own trace number and time, or a decline
 * whose issuer wants to hear of it.
 */
export interface Advice {
  /** DE39 of what was decided here: `Y1`, `Y3` of the card, `00` with a voice code or for a completion. */
  readonly responseCode: string
  /** Of a decline that the host was asked about before: an advice of its own. */
  readonly own?: { readonly stan: number; readonly atMs: number }
  /** Times that bytes may have left. */
  readonly attempts: number
  /** Failures in a row, connecting included. */
  readonly failures: number
  readonly lastFailure?: string
  readonly answeredAtMs?: number
  /** DE39 of the host's answer. */
  readonly answer?: string
}

/** Card data of an unsent offline approval: ciphertext under a key of its own in the key store. */
export interface SealedCard {
  readonly keyId: string
  /** Hex; empty once the host has answered and the key is destroyed. */
  readonly sealed: string
}

/** What the cardholder drew on the pad: an SVG path on an area of that size. */
export interface SignaturePicture {
  readonly width: number
  readonly height: number
  readonly path: string
}

/** How a person ended or restarted what the host would not settle. */
export interface Resolution {
  readonly how: 'ended' | 'retried'
  readonly operator: string
  readonly supervisor: string
  readonly reason: string
  readonly atMs: number
}

/** What operators of a shift had a supervisor agree to. */
export interface Supervised {
  readonly overrides: number
  readonly refunds: number
  readonly refundsMinor: string
}

/** How a payment ended before anything was sent. */
export type EndedOutcome = Extract<
  PaymentOutcome,
  'cancelled' | 'cardRemoved' | 'cardUnusable' | 'needsNetwork'
>

export interface PaymentRecord {
  readonly key: string
  readonly state: PaymentState
  readonly type?: PaymentType
  /** Key of the payment that a refund gives back, or of the pre-authorisation that this increments or completes. */
  readonly original?: string
  /** The app that asked, and the name under which the top row shows it. */
  readonly app: string
  readonly appName: string
  readonly operator: string
  readonly round: string
  readonly batch: number
  readonly reference: string
  readonly description?: string
  /** Minor units, decimal: what is asked of the host, tip and cashback included. */
  readonly minor: string
  readonly currency: string
  /** Of `minor`: given as a tip, and paid out in cash. */
  readonly tipMinor?: string
  readonly cashbackMinor?: string
  /** The host may approve less; `approvedMinor` is then what counts. */
  readonly partialAllowed?: boolean
  readonly approvedMinor?: string
  /** What the whole order comes to, where it is paid in parts. */
  readonly dueMinor?: string
  /** Of the operator: messages are in it. */
  readonly locale: string
  /** First language of the card's preference that we have texts in: the receipt's reason is in it. */
  readonly cardLocale?: string
  readonly createdAtMs: number
  /** Minutes east of UTC when it was made: receipts and DE12/13 are in local time. */
  readonly utcOffsetMin: number
  /** Transaction sequence counter, 9F41. */
  readonly sequence: number
  readonly acquirer: string
  readonly terminalId: string
  readonly merchantId: string
  readonly receiptNumber: number
  /** Systems trace audit number, DE11, 1 to 999,999. */
  readonly stan?: number
  /** The time in DE7, DE12 and DE13 of the request. */
  readonly preparedAtMs?: number
  /** The road that the request left by: a reversal may find that its original can still arrive. */
  readonly sentOver?: SentOver
  readonly card?: CardFacts
  /** Its card's number is typed. */
  readonly manual?: boolean
  /** Why the stripe was read of a card with a chip. */
  readonly fallback?: ChipFailure
  /** Keyed one-way token of the PAN. */
  readonly cardToken?: string
  /** Hex of the BER-TLV sent in DE55; the seam guarantees that it holds no card number. */
  readonly de55?: string
  readonly response?: {
    readonly code: string
    readonly authorisationCode?: string
    readonly retrievalReference?: string
  }
  readonly signatureRequired?: boolean
  /** Given on the pad; else it is on the merchant's copy. */
  readonly signature?: SignaturePicture
  /** For CANCELLED: how it ended. */
  readonly ended?: EndedOutcome
  /** A literal for programs: `RESPONSE_51`, `CARD_AAC`, `TIMEOUT`. */
  readonly code?: string
  readonly reversal?: Reversal
  readonly void?: VoidMark
  /** Approved here and not by the host: by the card alone, or by the bank's voice. */
  readonly offline?: 'card' | 'voice'
  readonly advice?: Advice
  readonly sealedCard?: SealedCard
  /** Who agreed to a refund, a typed card or a voice code. */
  readonly supervisor?: string
  readonly reason?: string
  readonly resolution?: Resolution
  /** Absent where receipts of its kind are not signed. */
  readonly fiscal?: FiscalMark
  /** Answers that came when nothing waited for them; they change nothing. */
  readonly lateAnswers?: number
}

/**
 * Totals as they are sent to the acquirer and kept with the round. Minor units, decimal. Refunds are credits (DE74 and
 * DE86 of ISO 8583:1987); absent where there are none.
 */
export interface BatchTotals {
  readonly sales: number
  readonly salesMinor: string
  readonly voids: number
  readonly voidsMinor: string
  /** Absent in what a release without refunds wrote: none. */
  readonly refunds?: number
  readonly refundsMinor?: string
  readonly refundVoids?: number
  readonly refundVoidsMinor?: string
}

/** Totals sent to one acquirer: fixed when they are first sent; every comparison of this batch sends the same. */
export interface BatchClosing {
  readonly stan: number
  readonly atMs: number
  readonly totals: BatchTotals
  readonly attempts: number
  readonly agreement?: 'agrees' | 'differs'
  readonly differences?: readonly string[]
  /** The host asked for every payment (95): how far that went, and each that it has otherwise. */
  readonly upload?: BatchUpload
  /** The totals after the upload (96). */
  readonly after?: { readonly stan: number; readonly atMs: number }
}

export interface BatchUpload {
  /** Payments that the host has answered, in the order of the batch. */
  readonly done: number
  /** The message that may be on its way. */
  readonly sending?: { readonly stan: number; readonly atMs: number }
  /** Keys of payments that the host refused, with its code. */
  readonly refused: readonly { readonly key: string; readonly code: string }[]
}

/** A round: from the sign-in of an operator to the hand-in; one batch of every acquirer. */
export interface RoundRecord {
  readonly id: string
  readonly state: 'OPEN' | 'CLOSING' | 'CLOSED'
  readonly batch: number
  readonly operator: string
  readonly operatorName: string
  readonly currency: string
  readonly openedAtMs: number
  readonly utcOffsetMin: number
  /** By acquirer id: its part of the batch, once totals were sent. */
  readonly closings?: Readonly<Record<string, BatchClosing>>
  /** The closing of a release with one acquirer; still written for its sake: the first acquirer's. */
  readonly closing?: BatchClosing
  readonly agreement?: 'agrees' | 'differs' | 'notCompared'
  readonly differences?: readonly string[]
  /** The round was closed without the acquirer's word: its totals are still sent. */
  readonly comparisonOwed?: boolean
  readonly supervised?: Supervised
  readonly closedAtMs?: number
}
