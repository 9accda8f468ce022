// The certified seam: one card payment as start, hostAnswer, finish. Nothing above it needs a clear PAN.
import type { Money } from '../../hal/base/money.js'

/**
 * What is asked of the card; 9C 00, 01, 09, 20. A pre-authorisation is a `sale` to the card, for the amount that is
 * reserved; its completion, a void and a reversal need no card.
 */
export type CardRequestType = 'sale' | 'cash' | 'cashback' | 'refund'

/** What is asked of the card. EMV Book 3, 5.4 and Book 4, annex A: transaction type 9C. */
export interface CardRequest {
  readonly type: CardRequestType
  /** 9F02: everything that is charged, cashback included; of a refund what is given back. */
  readonly amount: Money
  /** 9F03: the part of `amount` that is paid out in cash. `cashback` has it, nothing else does; same currency. */
  readonly otherAmount?: Money
  /** The issuer is to be asked whatever the limits say (Book 4, 6.3.5: merchant forced the transaction online). */
  readonly forceOnline?: boolean
  /** Transaction sequence counter 9F41, 1 to 99,999,999; durably reserved, never reused. */
  readonly sequence: number
  /** The terminal's local time; date 9A and time 9F21 are taken from it. */
  readonly at: Date
  /** Two-letter language of the cardholder's prompts until the card says another (5F2D). */
  readonly locale: string
}

/** Ciphertext under a DUKPT working key, with the key serial number that names it (ANSI X9.24-3, X9.24-1). */
export interface DukptCiphertext {
  /** 12 bytes for AES DUKPT, 10 for TDES. */
  readonly ksn: Uint8Array
  readonly bytes: Uint8Array
}

/** Facts about the card for screens, receipts, routing; no PAN but masked. */
export interface CardFacts {
  readonly aid: string
  /** Application label or preferred name, printable. */
  readonly label: string
  /** First six and last four (PCI DSS 3.4.1). */
  readonly maskedPan: string
  /** First six to eight digits, for routing. */
  readonly bin: string
  readonly panLast4: string
  readonly panSequence: string | undefined
  readonly entryMode: 'chip' | 'contactless' | 'stripe' | 'manual'
  readonly cvm: 'pin' | 'signature' | 'none' | 'failed'
  /** Hex, as on receipts: TVR 95, TSI 9B, ATC 9F36, cryptogram 9F26 and its type. Of a stripe empty, as the AID, and `none`. */
  readonly tvr: string
  readonly tsi: string
  readonly atc: string
  readonly cryptogram: string
  readonly cryptogramType: 'ARQC' | 'TC' | 'AAC' | 'none'
}

/** What an authorisation request carries of the card. */
export interface CardAuthorisation {
  readonly facts: CardFacts
  /** BER-TLV for DE55: cryptogram and its inputs; never 57, 5A, 5F20 or 5F24. */
  readonly de55: Uint8Array
  /** Track 2 equivalent data under the data key. Lives in memory until the answer, in no store. */
  readonly cardData: DukptCiphertext
  /** ISO 9564 block, format 4 under AES, 0 or 3 under TDES; absent where the cardholder was not asked for an online PIN. Never stored. */
  readonly pinBlock: DukptCiphertext | undefined
  /** A keyed one-way token of the PAN (HMAC under a terminal key), for sums per card. Hex, 32 bytes. */
  readonly cardToken: string
}

/** Why a stripe was read. All but `noChip` are fallbacks, and the host is told so. */
export type FallbackReason =
  | 'noChip' // the service code says that the card has none: no fallback at all
  | 'chipMute' // no answer to reset, or none that EMV allows
  | 'chipError' // the chip broke the protocol before its first cryptogram
  | 'noApplication' // a chip without an application in common, where the configuration allows it

/** Why the stripe took the chip's place. */
export type ChipFailure = Exclude<FallbackReason, 'noChip'>

/** A card's stripe instead of its chip; `de55` is empty. */
export interface StripeAuthorisation extends CardAuthorisation {
  /** Three digits (ISO/IEC 7813): the first 2 or 6 means a chip. */
  readonly serviceCode: string
  readonly reason: FallbackReason
}

export type CardEndReason =
  | 'cancelled' // courier or cardholder pressed cancel
  | 'timeout' // nobody inserted a card, or typed
  | 'removed' // pulled out too early
  | 'mute' // no usable chip
  | 'notAccepted' // no application in common
  | 'blocked' // card or every application blocked
  | 'cardError' // the card broke the protocol or its data do not hold together
  | 'expired' // of a stripe: its expiry date is past
  | 'stripeNotAllowed' // the configuration takes no stripe of this card
  | 'stripeUnreadable' // no swipe could be read

/**
 * `adviceRequired`, here and in `FinalOutcome`: bit 4 of the cryptogram information data (Book 3, 10.8): the issuer
 * wants an advice of this transaction, whatever became of it, where the terminal sends advices (Book 4, 6.3.7).
 */
export type StartOutcome =
  | { readonly kind: 'online'; readonly authorisation: CardAuthorisation }
  /** The host is asked, and then told to `hostAnswer`, as for a chip; nothing is ever approved without it. */
  | { readonly kind: 'stripe'; readonly authorisation: StripeAuthorisation }
  /** The number was typed. As of a stripe the host alone decides. */
  | { readonly kind: 'typed'; readonly authorisation: CardAuthorisation }
  /** A TC at the first cryptogram: money, once the payment service has stored it. There is no `hostAnswer`. */
  | {
      readonly kind: 'approvedOffline'
      readonly authorisation: CardAuthorisation
      readonly signatureRequired: boolean
      readonly adviceRequired: boolean
    }
  | {
      readonly kind: 'declinedOffline'
      readonly facts: CardFacts
      readonly de55: Uint8Array
      readonly reason: string
      readonly adviceRequired: boolean
    }
  | { readonly kind: 'ended'; readonly reason: CardEndReason; readonly facts?: CardFacts }

/**
 * The issuer's answer, as the host carried it.
 *
 * A referral (`01`, `02`) is settled above while the card waits: the code stays as it came, and `approved` is what the
 * telephone said (Book 4, 6.3.6: the terminal asks for a TC or an AAC by it and does not change the code).
 */
export type HostAnswer =
  | {
      readonly kind: 'answered'
      /** DE39: `00`, `51`… Tag 8A is made of it (EMV Book 4, annex A6). */
      readonly responseCode: string
      readonly approved: boolean
      /** Tag 91, 8 to 16 bytes. */
      readonly issuerAuthenticationData: Uint8Array | undefined
      /** Tags 71 and 72 as received, in order, whole templates. */
      readonly scripts: readonly Uint8Array[]
    }
  /** `decline`: an offline approval would not be honoured, so that the card is asked for an AAC at once. */
  | { readonly kind: 'unableToGoOnline'; readonly decline?: boolean }

export type FinalOutcome =
  /** Host and card said yes; of a stripe the host alone. */
  | {
      readonly kind: 'approved'
      readonly facts: CardFacts
      readonly de55: Uint8Array
      readonly signatureRequired: boolean
      readonly adviceRequired: boolean
    }
  /** `unableToGoOnline`, and card and default action codes say yes (ARC Y3): no host knows of it yet. */
  | {
      readonly kind: 'approvedOffline'
      readonly facts: CardFacts
      readonly de55: Uint8Array
      readonly signatureRequired: boolean
      readonly adviceRequired: boolean
    }
  /** The host or the card refused. `cardSaidNo`: the host approved and the card answered AAC, so the host must be told. */
  | {
      readonly kind: 'declined'
      readonly facts: CardFacts
      readonly de55: Uint8Array
      readonly cardSaidNo: boolean
      readonly adviceRequired: boolean
    }
  /** The card left or broke before its final answer: an approved authorisation must be reversed. */
  | { readonly kind: 'ended'; readonly reason: CardEndReason; readonly facts: CardFacts }

/** What the cardholder answers to a PIN prompt. `digits` are ASCII, 4 to 12, owned and zeroised by the receiver. */
export type PinEntry =
  | { readonly kind: 'entered'; readonly digits: Uint8Array }
  | { readonly kind: 'bypassed' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'timeout' }

/** The prompts that a card payment needs; the secure world's screens serve them. Each ends early on abort. */
export interface CardPrompts {
  /** "Insert card" with the amount; stays until the next prompt. Resolves only if the person cancels or time is over. */
  presentCard(amount: Money, signal: AbortSignal): Promise<'cancelled' | 'timeout'>
  /**
   * Turn the card round, or wipe it: shown after a mute card, until it is taken out (abort). Resolves if the person
   * gives up, lets time pass, or wants the same card tried again as it is.
   */
  cardUnreadable(signal: AbortSignal): Promise<'cancelled' | 'timeout' | 'acknowledged'>
  /**
   * "Swipe the card", because its chip can't be read, or `again` after a swipe that gave nothing; stays until the next
   * prompt. Resolves only if the person cancels or time is over.
   */
  useStripe(amount: Money, again: boolean, signal: AbortSignal): Promise<'cancelled' | 'timeout'>
  /** "This card has a chip: insert it", after a swipe whose service code says so. Resolves as `presentCard`. */
  useChip(amount: Money, signal: AbortSignal): Promise<'cancelled' | 'timeout'>
  /** More than one application in common, in priority order. Resolves with the index, or undefined on cancel. */
  chooseApplication(labels: readonly string[], signal: AbortSignal): Promise<number | undefined>
  /** "Use <label>?" where the card asks for confirmation. */
  confirmApplication(label: string, signal: AbortSignal): Promise<boolean>
  enterPin(
    prompt: {
      amount: Money
      online: boolean
      triesLeft: number | undefined
      wrong: boolean
      bypassAllowed: boolean
    },
    signal: AbortSignal,
  ): Promise<PinEntry>
  /** The card's language preference (5F2D), two-letter codes in order: later prompts use the first supported. */
  preferLanguages(languages: readonly string[]): void
  /** Card is being read, host is being asked; `asking`: about a card that is not in the slot. */
  busy(what: 'reading' | 'authorising' | 'finishing' | 'asking'): void
  /** "Remove card", until it is out or 60 s have passed. */
  removeCard(amount: Money, approved: boolean): void
}

/** What the terminal remembers of a card, by its token. Served by the payment service from journal and documents. */
export interface CardHistory {
  /** The latest approved amount with this card in the open batch, against split sales (Book 3, 10.6.1); undefined: none. */
  lastAmount(cardToken: string): Promise<Money | undefined>
  /** The card stands on the exception file (Book 4, 6.3.5). */
  onExceptionFile(cardToken: string): Promise<boolean>
}

/**
 * One payment with one card. Order: `start`, then `hostAnswer` if it went online or a stripe was read, then always
 * `finish`.
 *
 * - `start` prompts for the card and runs it to the first cryptogram.
 * - `hostAnswer` gives the issuer's answer to the card (issuer authentication, scripts, second cryptogram).
 * - `finish` releases reader and card, erases card data and keys' remains, and resolves when the card is out of the slot
 *   or after 60 s. Idempotent; the only call that is allowed after a fault.
 *
 * Each rejects only with a typed fault (`DEVICE_LOST`, `ABORTED`, `KEY_UNAVAILABLE`, and of a certified module
 * `DEVICE_PROTOCOL`, `MODULE_REFUSED`); what a card does is an outcome.
 */
export interface CardTransaction {
  start(request: CardRequest, signal: AbortSignal): Promise<StartOutcome>
  hostAnswer(answer: HostAnswer, signal: AbortSignal): Promise<FinalOutcome>
  finish(result: { approved: boolean }): Promise<void>
}

/** Makes the transaction object for one payment. Two implementations: the EMV kernel here, and a certified module. */
export type CardTransactionFactory = (prompts: CardPrompts, history: CardHistory) => CardTransaction
