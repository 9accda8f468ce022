// What the payment service needs of an acquirer, whatever its dialect and road: authorise, reverse, compare totals.
import type { Money } from '../../../hal/base/money.js'
import type { DukptCiphertext } from '../card-transaction.js'
import type { BatchTotals, ReversalCause } from './payment-record.js'

/** The facts of a request that a later reversal repeats. */
export interface OriginalFacts {
  readonly stan: number
  readonly preparedAtMs: number
  readonly utcOffsetMin: number
  readonly amount: Money
  readonly batch: number
  readonly receiptNumber: number
  readonly panSequence: string | undefined
  readonly entryMode: 'chip' | 'contactless' | 'stripe'
  readonly authorisationCode: string | undefined
  readonly retrievalReference: string | undefined
}

export interface SaleRequest {
  readonly facts: OriginalFacts
  readonly de55: Uint8Array
  readonly cardData: DukptCiphertext
  readonly pinBlock: DukptCiphertext | undefined
}

/** Why an answer is not known although the request may have arrived. */
export type UnknownCause = Extract<ReversalCause, 'timeout' | 'badMac' | 'unreadable' | 'lineLost'>

export type SaleAnswer =
  /** No byte has left. */
  | { readonly kind: 'notSent'; readonly reason: string }
  | {
      readonly kind: 'answered'
      readonly approved: boolean
      readonly responseCode: string
      readonly authorisationCode: string | undefined
      readonly retrievalReference: string | undefined
      readonly issuerAuthenticationData: Uint8Array | undefined
      readonly scripts: readonly Uint8Array[]
    }
  | { readonly kind: 'unknown'; readonly cause: UnknownCause }

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
}

export type TotalsAnswer =
  | { readonly kind: 'notSent'; readonly reason: string }
  | { readonly kind: 'agrees' }
  | { readonly kind: 'differs'; readonly host: BatchTotals | undefined; readonly responseCode: string }
  | { readonly kind: 'failed'; readonly reason: string }

/** Told between an open road and the first byte; what it writes is durable when it returns. A throw sends nothing. */
export type BeforeSend = () => void

export interface Acquirer {
  readonly id: string
  readonly terminalId: string
  readonly merchantId: string
  sale(request: SaleRequest, beforeSend: BeforeSend, signal: AbortSignal): Promise<SaleAnswer>
  reverse(request: ReversalRequest, beforeSend: BeforeSend, signal: AbortSignal): Promise<ReversalAnswer>
  compareTotals(request: TotalsRequest, signal: AbortSignal): Promise<TotalsAnswer>
}
