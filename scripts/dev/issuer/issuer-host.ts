// The issuer's authorisation: what a host asks of the card's bank (EMV Book 2, 8; Book 3, 10.9 and 10.10).

/** One authorisation request, as the acquirer read it out of its message. PIN and track are clear: this side is the HSM. */
export interface IssuerRequest {
  /** Digits. */
  readonly pan: string
  /** Two digits, `00` where the message carried none. */
  readonly panSequence: string
  /** Track 2 equivalent data as of tag 57; empty where absent. */
  readonly track2: Uint8Array
  /** ASCII digits, or undefined where the message carried no PIN block. */
  readonly pin: Uint8Array | undefined
  /** BER-TLV of field 55. */
  readonly de55: Uint8Array
  /** The message's own amount; it must be the one that the card signed. */
  readonly amountMinor: bigint
  /** ISO 4217 numeric, three digits. */
  readonly currencyNumeric: string
}

/** The issuer's answer. */
export interface IssuerDecision {
  /** ISO 8583 field 39. */
  readonly responseCode: string
  /** Value of tag 91 without its tag, 8 bytes; absent where the cryptogram or the card is unknown. */
  readonly issuerAuthenticationData?: Uint8Array
  /** Whole templates 71 and 72. */
  readonly scripts: readonly Uint8Array[]
  readonly cryptogramOk: boolean
  /** Undefined where no PIN came. */
  readonly pinOk: boolean | undefined
}

/** The card's bank. Synchronous; keeps the last ATC and the PIN tries of each card. */
export interface IssuerHost {
  authorise(request: IssuerRequest): IssuerDecision
}
