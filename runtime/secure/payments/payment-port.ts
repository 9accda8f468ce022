// What the payment service offers the bridge, and the narrow things that it is made of.
import type { Clock } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import type { FiscalSigner } from '../../../hal/fiscal-signer.js'
import type { SignaturePad } from '../../../hal/signature-pad.js'
import type {
  CollectRequest,
  HoldRequest,
  Operator,
  PaymentView,
  PreauthoriseRequest,
  ReceiptFacts,
  RefundRequest,
  RoundClose,
  RoundTotals,
  StuckPayments,
  VoidRequest,
} from '../../api/payments.js'
import type { Screen, ScreenResult } from '../../api/screens.js'
import type { CardPrompts, CardTransactionFactory } from '../card-transaction.js'
import type { Texts } from '../texts.js'
import type { TypedCardFactory } from '../typed-card.js'
import type { Acquirers, AuthorisedKind } from './acquirer-port.js'
import type { Owing } from './background.js'
import type { Journal } from './journal.js'
import type { MerchantDocument } from './merchant-document.js'
import type { KeyChange, NetworkManagement } from './network-management.js'
import type { CardVault } from './sealed-cards.js'

/** Who asks: set by the world that carries the request, shown in the top row. */
export interface Owner {
  readonly app: string
  readonly name: string
}

/** The signed-in operator, and the supervisor's word, as the payment service needs them. */
export interface PaymentSession {
  readonly operator: Operator | null
  /** Asks for a supervisor's number and code on a secure screen; their id, or undefined. */
  authorise(action: 'refund' | 'override', reason: string, signal: AbortSignal): Promise<string | undefined>
}

export interface PaymentDependencies {
  readonly journal: Journal
  readonly acquirers: Acquirers
  readonly merchant: MerchantDocument
  readonly cards: CardTransactionFactory
  /** Absent where cards are a certified module's affair: then no number is typed. */
  readonly typedCards?: TypedCardFactory | undefined
  /** The prompts of the payment that is about to start; closed when it is over, whatever became of it. */
  readonly prompts: (payment: {
    readonly owner: Owner
    readonly request: Pick<CollectRequest, 'key' | 'amount' | 'reference'>
    /** What the host will be asked for. */
    readonly kind: AuthorisedKind
  }) => CardPrompts & { close(): void }
  readonly session: PaymentSession
  /** A question of the secure world's own to whoever holds the terminal, in the operator's language. */
  readonly ask: (screen: Screen, signal: AbortSignal) => Promise<ScreenResult>
  readonly vault: CardVault
  /** Network management; absent: no acquirer wants any. */
  readonly management?: Owing & Pick<NetworkManagement, 'changeKeys'>
  /** The board's; absent: where the merchant's document wants signatures, receipts say that they failed. */
  readonly fiscalSigner?: FiscalSigner | undefined
  /** The board's; absent: cardholders sign on paper. */
  readonly signaturePad?: SignaturePad | undefined
  /** True for the token of a card that the issuer is to be asked about in any case; absent: no file. */
  readonly exceptionFile?: (cardToken: string) => boolean
  readonly texts: Texts
  readonly clock: Clock
  readonly log: Log
  /** Is there a network, as far as the open world knows? Only a hint: a wrong yes costs a failed connection. */
  readonly isOnline: () => boolean
  /** `payments.unacknowledged` has something new. */
  readonly onChanged: () => void
  /** Something that a person should know and do: shown by the secure world until it is read. */
  readonly onNotice: (text: string) => void
  /** The journal cannot be written: nothing more is done until the process has been started anew. */
  readonly onFatal: (error: unknown) => void
}

export interface UnacknowledgedPayment {
  readonly app: string
  readonly sequence: number
  readonly view: PaymentView
}

/**
 * Payments that are on disk before they act. What can happen to a payment is an outcome; these throw only
 * `KEY_REUSED` (same key, other payment), `NO_OPERATOR`, `BUSY` (a round cannot close over a live payment),
 * `MONEY_INVALID` and `JOURNAL_FAILED`.
 */
export interface PaymentService {
  /** Takes a payment. Again with the same key: the same result, or the payment under way. Resolves with the card out. */
  collect(request: CollectRequest, owner: Owner, signal?: AbortSignal): Promise<PaymentView>
  /** With `app`, here and below: only of that app's payments; another's key is as good as none. */
  status(key: string, app?: string): PaymentView
  /** Ends the payment of that key as `cancelled` if its card has not been read yet. */
  cancel(key: string, app?: string): { cancelled: boolean }
  /** Takes an approved payment of the open round back, after a supervisor's code. */
  voidPayment(request: VoidRequest, owner: Owner, signal?: AbortSignal): Promise<PaymentView>
  receipt(key: string, app?: string): ReceiptFacts | null
  /** Gives money back, after a supervisor's code. */
  refund(request: RefundRequest, owner: Owner, signal?: AbortSignal): Promise<PaymentView>
  preauthorise(request: PreauthoriseRequest, owner: Owner, signal?: AbortSignal): Promise<PaymentView>
  /** More is reserved under a pre-authorisation, which the host decides. */
  increment(request: HoldRequest, owner: Owner, signal?: AbortSignal): Promise<PaymentView>
  /** Takes what was reserved, or less: decided here, and told to the host until it answers. */
  complete(request: HoldRequest, owner: Owner, signal?: AbortSignal): Promise<PaymentView>
  /** What is owed to an acquirer, or refused by it: nothing of this is over. */
  stuck(): StuckPayments
  /** Shows the same on secure screens; a supervisor may end there what the host will not settle. */
  review(signal?: AbortSignal): Promise<void>
  unacknowledged(): UnacknowledgedPayment[]
  acknowledge(sequence: number): void
  /** Asks an acquirer for a new key and proves it. @throws PosternError `BUSY` while a payment is under way */
  changeKeys(acquirer: string, signal?: AbortSignal): Promise<KeyChange>
  /** Opens or resumes a round for who has just signed in; why not, in words, where another's round is still open. */
  beginRound(operator: Operator): string | undefined
  totals(): RoundTotals
  closeRound(signal?: AbortSignal): Promise<RoundClose>
  /** Is a payment being taken? Nothing else may use display, reader or network meanwhile. */
  readonly live: boolean
  /** Applies the power-cut table to what the journal holds, then keeps sending what is owed. Once, before anything else. */
  recover(): void
  /** The network is back: pending reversals are tried at once. */
  roadChanged(): void
  /** The fiscal signer is back: receipts without a signature get theirs. */
  signerReady(): void
  /** Ends the work in the background; what is owed stays in the journal. */
  stop(): Promise<void>
}
