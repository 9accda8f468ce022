// Fiscal signer: a country's device or service that signs each receipt before it is printed, and counts them.
import type { Device } from './device.js'

/** What of a receipt is signed: the facts that fiscal laws have in common. No card number, no customer. */
export interface FiscalReceipt {
  /** Names the receipt for ever, 1 to 96 printable ASCII characters without `;`: the same id is the same receipt. */
  readonly id: string
  readonly kind: 'sale' | 'refund' | 'void'
  /** Milliseconds since 1970. */
  readonly atMs: number
  readonly amountMinor: bigint
  /** ISO 4217, alphabetic. */
  readonly currency: string
  readonly terminalId: string
  readonly receiptNumber: number
  readonly operator: string
}

/** What the receipt then carries. */
export interface FiscalSignature {
  /** Serial number of the signer, printable ASCII, at most 80 characters. */
  readonly serial: string
  /** Grows by one with each receipt of this signer. */
  readonly counter: number
  /** The signer's own clock. */
  readonly signedAtMs: number
  /** What an inspector's app reads from the QR code, printable ASCII, at most 600 characters. */
  readonly code: string
  /** The same for people, at most 40 characters: enough to find the entry in the signer's export. */
  readonly text: string
}

/**
 * `sign` is durable before it resolves and idempotent: asked again with an id, after a power cut or a lost answer, it gives
 * the signature that it gave before and takes no further number. A driver whose device cannot do that looks the id up in
 * the device's own log first. It ends within 30 s. A receipt that contradicts what was signed under its id is refused
 * (`DEVICE_PROTOCOL`).
 */
export interface FiscalSigner extends Device<'ready' | 'failed'> {
  readonly deviceClass: 'fiscal-signer'
  /** `scheme` names the law or the format; `certified` is false for anything that only plays it. */
  readonly capabilities: { readonly scheme: string; readonly certified: boolean }
  sign(receipt: FiscalReceipt, signal?: AbortSignal): Promise<FiscalSignature>
}
