// What the payment service needs of acquirers, whatever their dialects and roads: ask, advise, reverse, compare, upload.
import type { Money } from '../../../hal/base/money.js'
import type { ChipFailure, DukptCiphertext } from '../card-transaction.js'
import type { OfflineLimits } from './offline-limits.js'
import type { BatchTotals, ReversalCause } from './payment-record.js'
import type { SentOver } from './roads/road.js'

/** Asked of the host before anything is promised; each may be reversed. */
export const AUTHORISED_KINDS = ['sale', 'refund', 'preauth', 'increment'] as const
export type AuthorisedKind = (typeof AUTHORISED_KINDS)[number]

/** Told to the host after the fact and repeated until it acknowledges: never declined, at most refused. */
export const ADVISED_KINDS = ['completion', 'offlineSale', 'offlineDecline'] as const
export type AdvisedKind = (typeof ADVISED_KINDS)[number]

export type MoneyKind = AuthorisedKind | AdvisedKind

/** The facts of a request that a later message about it repeats. */
export interface OriginalFacts {
  /** What it was; a reversal, a completion or an upload names it by its type. */
  readonly kind: MoneyKind
  /** DE41 and DE42 under which it was sent: the document may have changed since. */
  readonly terminalId: string
  readonly merchantId: string
  readonly stan: number
  readonly preparedAtMs: number
  readonly utcOffsetMin: number
  /** What was asked for, tip and cashback included. */
  readonly amount: Money
  /** Of `amount`, in minor units: handed out in cash, and given as a tip. */
  readonly cashbackMinor?: bigint
  readonly tipMinor?: bigint
  readonly batch: number
  readonly receiptNumber: number
  readonly panSequence: string | undefined
  readonly entryMode: 'chip' | 'contactless' | 'stripe' | 'fallback' | 'manual'
  readonly authorisationCode: string | undefined
  readonly retrievalReference: string | undefined
  /** Known of what was sent. */
  readonly sentOver?: SentOver
}

/** Track 2 under the data key, and why it is of the stripe where the card has a chip. */
export interface CardData extends DukptCiphertext {
  readonly fallback?: ChipFailure
}

/** What the card gave; an increment and a linked refund go without. */
export interface RequestCard {
  /** Empty where there is no chip. */
  readonly de55: Uint8Array
  readonly cardData: CardData
  readonly pinBlock: DukptCiphertext | undefined
}

export interface AuthoriseRequest {
  readonly facts: OriginalFacts & { readonly kind: AuthorisedKind }
  readonly card: RequestCard | undefined
  /** The pre-authorisation of an increment, the sale of a linked refund. */
  readonly original?: OriginalFacts
  /** True where less than `amount` may be approved (response code 10). */
  readonly partialAllowed?: boolean
}

/** Why an answer is not known although the request may have arrived. */
export type UnknownCause = Extract<ReversalCause, 'timeout' | 'badMac' | 'unreadable' | 'lineLost'>

export type AuthoriseAnswer =
  /** No byte has left. */
  | { readonly kind: 'notSent'; readonly reason: string }
  | {
      readonly kind: 'answered'
      readonly approved: boolean
      /** ISO 8583:1987 codes whatever the dialect; `10` is a partial approval. */
      readonly responseCode: string
      /** What was approved, where that is less than what was asked for. */
      readonly approvedMinor?: bigint
      readonly authorisationCode: string | undefined
      readonly retrievalReference: string | undefined
      readonly issuerAuthenticationData: Uint8Array | undefined
      readonly scripts: readonly Uint8Array[]
    }
  | { readonly kind: 'unknown'; readonly cause: UnknownCause }

export interface AdviceRequest {
  readonly facts: OriginalFacts & { readonly kind: AdvisedKind }
  /** DE39 of what was decided here: `00` with a voice code or a pre-authorisation, `Y1`, `Y3`, `Z1`, `Z3` of the card. */
  readonly responseCode: string
  /** Absent for a completion and a decline. */
  readonly card: Omit<RequestCard, 'pinBlock'> | undefined
  /** DE55 of a decline: by the seam's contract nothing else of its card is known. */
  readonly de55?: Uint8Array
  /** The pre-authorisation of a completion. */
  readonly original?: OriginalFacts
  /** True once bytes of an earlier attempt may have left. */
  readonly repeat: boolean
}

export type AdviceAnswer =
  | { readonly kind: 'notSent'; readonly reason: string }
  | {
      readonly kind: 'acknowledged'
      readonly responseCode: string
      readonly retrievalReference: string | undefined
    }
  /** The host has it and will not take it: for an operator. */
  | { readonly kind: 'refused'; readonly responseCode: string }
  | { readonly kind: 'failed'; readonly reason: string }

export interface ReversalRequest {
  readonly original: OriginalFacts
  readonly stan: number
  readonly atMs: number
  readonly cause: ReversalCause
  /** True once bytes of an earlier attempt may have left. */
  readonly repeat: boolean
}

export type ReversalAnswer =
  | { readonly kind: 'notSent'; readonly reason: string }
  /** Taken back, or never known to the host; `responseCode` tells which. */
  | { readonly kind: 'acknowledged'; readonly responseCode: string }
  | { readonly kind: 'failed'; readonly reason: string }

export interface TotalsRequest {
  readonly batch: number
  readonly stan: number
  readonly atMs: number
  readonly utcOffsetMin: number
  readonly currency: string
  readonly totals: BatchTotals
  /** `afterUpload` closes the batch with whatever was uploaded; `advice` tells totals that nobody waits for. */
  readonly phase?: 'first' | 'afterUpload' | 'advice'
}

export type TotalsAnswer =
  | { readonly kind: 'notSent'; readonly reason: string }
  | { readonly kind: 'agrees' }
  | {
      readonly kind: 'differs'
      readonly host: BatchTotals | undefined
      readonly responseCode: string
      /** The host wants every payment of the batch (95), then the totals again. */
      readonly uploadWanted: boolean
    }
  | { readonly kind: 'failed'; readonly reason: string }

/** One standing payment of a batch that differs. */
export interface UploadRequest {
  readonly original: OriginalFacts
  /** The amount that counts, less than asked for after a partial approval. */
  readonly minor: bigint
  readonly responseCode: string
  readonly stan: number
  readonly atMs: number
  /** From 1; `count` is the batch's last. */
  readonly number: number
  readonly count: number
  readonly repeat: boolean
}

export type UploadAnswer =
  | { readonly kind: 'notSent'; readonly reason: string }
  | { readonly kind: 'acknowledged'; readonly responseCode: string }
  | { readonly kind: 'refused'; readonly responseCode: string }
  | { readonly kind: 'failed'; readonly reason: string }

export type ManagementKind = 'signOn' | 'signOff' | 'echo' | 'keyExchange'

export type ManagementAnswer =
  | { readonly kind: 'notSent'; readonly reason: string }
  /** `keyBlock`: a TR-31 block, ASCII, of a key exchange. */
  | { readonly kind: 'done'; readonly keyBlock: string | undefined }
  | { readonly kind: 'refused'; readonly responseCode: string }
  | { readonly kind: 'failed'; readonly reason: string }

/** Told between an open road and the first byte; what it writes is durable when it returns. A throw sends nothing. */
export type BeforeSend = (over?: SentOver) => void

/** What an acquirer takes, as its document says. */
export interface AcquirerCapabilities {
  readonly refund: boolean
  readonly preauth: boolean
  readonly partial: boolean
  readonly tip: boolean
  readonly cashback: boolean
  readonly manualEntry: boolean
  /** Asks for the security code of a typed card. */
  readonly manualCvv2?: boolean
  /** Takes advices of declines where the card's issuer wants them (EMV Book 4, 6.3.7). */
  readonly declineAdvices?: boolean
  readonly upload: boolean
  /** Offline approvals up to this, in minor units; absent: none at all. */
  readonly offlineFloorMinor?: bigint
  readonly offlineLimits?: OfflineLimits
}

export interface Acquirer {
  readonly id: string
  readonly terminalId: string
  readonly merchantId: string
  readonly currency: string
  readonly capabilities: AcquirerCapabilities
  authorise(request: AuthoriseRequest, beforeSend: BeforeSend, signal: AbortSignal): Promise<AuthoriseAnswer>
  advise(request: AdviceRequest, beforeSend: BeforeSend, signal: AbortSignal): Promise<AdviceAnswer>
  reverse(request: ReversalRequest, beforeSend: BeforeSend, signal: AbortSignal): Promise<ReversalAnswer>
  compareTotals(request: TotalsRequest, signal: AbortSignal): Promise<TotalsAnswer>
  upload(request: UploadRequest, signal: AbortSignal): Promise<UploadAnswer>
  /** `stan` and `atMs` are reserved by the caller, as for every message. */
  manage(
    request: { readonly kind: ManagementKind; readonly stan: number; readonly atMs: number },
    signal: AbortSignal,
  ): Promise<ManagementAnswer>
}

/** What a payment is routed by. Before the card is read, `bin` and `aid` are not known. */
export interface RouteQuestion {
  readonly kind: MoneyKind
  readonly amount: Money
  readonly bin?: string
  readonly aid?: string
}

/** The acquirers of this terminal. Records name theirs by `id`, and only that one hears of them again. */
export interface Acquirers {
  readonly all: readonly Acquirer[]
  /** Undefined when the document no longer has it: what is owed to it waits, and is shown. */
  byId(id: string): Acquirer | undefined
  /**
   * Those that may take the payment, the best first; empty where none may. The next one is tried only while nothing has
   * been sent (`notSent`).
   */
  route(question: RouteQuestion): readonly Acquirer[]
}
