// What the secure world does with keys, as narrow traits: encrypt card data, make a PIN block, MAC a message.
import type { DukptCiphertext } from '../card-transaction.js'

/**
 * For the kernel: card data and PIN under DUKPT working keys. Every call takes a new KSN, durable before use. `aid` is the
 * selected application, hex; absent where there is none. Keys that depend on the road are chosen by it.
 */
export interface CardKeys {
  /** CBC under the data-encryption key, zero IV as working keys are used once; padded by ISO/IEC 9797-1 method 2. */
  encryptCardData(clear: Uint8Array, aid?: string): Promise<DukptCiphertext>
  /** ISO 9564-1 block under the PIN key: format 4 (16 bytes) under AES, 0 or 3 (8 bytes) under TDES. `pin` and `pan` are ASCII digits and are left to the caller to erase. */
  encryptPin(pin: Uint8Array, pan: Uint8Array, aid?: string): Promise<DukptCiphertext>
  /** HMAC-SHA-256 of a PAN under a key that never leaves the terminal. */
  cardToken(pan: Uint8Array): Promise<string>
}

/** For the payment service: CMAC or retail MAC under the DUKPT MAC keys (X9.24-3, X9.24-1), 8 bytes as sent in DE64/128. */
export interface MacKeys {
  /** Takes a new KSN; the answer is checked under the same one. */
  nextRequestKsn(): Promise<Uint8Array>
  macRequest(ksn: Uint8Array, message: Uint8Array): Promise<Uint8Array>
  /** True if `mac` is right for the answer to the request of that KSN. Constant time. */
  verifyResponse(ksn: Uint8Array, message: Uint8Array, mac: Uint8Array): Promise<boolean>
}
