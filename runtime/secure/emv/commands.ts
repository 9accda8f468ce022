// Command APDUs of a payment application (EMV Book 1 v4.4, 11.2-11.3; Book 3, 6.5) as bytes, and the status words that have a meaning.
import { concat } from '../../../hal/base/bytes.js'

/** Status words that some step decides on (Book 1, 11.2-11.3; Book 3, 6.3.5 and 6.5). */
export const SW = {
  OK: 0x9000,
  /** SELECT: selected file or application is invalidated (Book 1, 12.3.3; Book 3, table 4). */
  BLOCKED: 0x6283,
  /** VERIFY, EXTERNAL AUTHENTICATE: failed, no counter told. */
  FAILED: 0x6300,
  /** VERIFY: authentication method blocked (Book 3, 6.5.12). */
  METHOD_BLOCKED: 0x6983,
  /** VERIFY: reference data invalidated; no more PIN entry. */
  REFERENCE_INVALIDATED: 0x6984,
  /** GET PROCESSING OPTIONS: conditions of use not satisfied: back to selection (Book 3, 10.1). */
  CONDITIONS_NOT_SATISFIED: 0x6985,
  /** SELECT: function not supported: the card is blocked (Book 1, 12.3). */
  NOT_SUPPORTED: 0x6a81,
  NOT_FOUND: 0x6a82,
  RECORD_NOT_FOUND: 0x6a83,
  /** GET DATA: referenced data not found (Book 3, 6.5.7). */
  DATA_NOT_FOUND: 0x6a88,
} as const

const header = (cla: number, ins: number, p1: number, p2: number) => Uint8Array.of(cla, ins, p1, p2)

/** Case 4: data, and an answer of whatever length. `data` holds at most 255 bytes. */
function withData(cla: number, ins: number, p1: number, p2: number, data: Uint8Array, answer: boolean) {
  const parts = [header(cla, ins, p1, p2), Uint8Array.of(data.length), data]
  if (answer) parts.push(Uint8Array.of(0))
  return concat(...parts)
}

/** SELECT by DF name, first or next occurrence (Book 1, 11.3). */
export function select(dfName: Uint8Array, next = false): Uint8Array {
  return withData(0x00, 0xa4, 0x04, next ? 0x02 : 0x00, dfName, true)
}

/** READ RECORD, absolute number (Book 1, 11.2). `sfi` 1-30, `record` 1-255. */
export function readRecord(sfi: number, record: number): Uint8Array {
  return Uint8Array.of(0x00, 0xb2, record, (sfi << 3) | 0x04, 0x00)
}

/** GET PROCESSING OPTIONS with the command template 83 (Book 3, 6.5.8). */
export function getProcessingOptions(template: Uint8Array): Uint8Array {
  return withData(0x80, 0xa8, 0x00, 0x00, template, true)
}

/** GET DATA: 9F36, 9F13, 9F17 or 9F4F (Book 3, 6.5.7). */
export function getData(tag: number): Uint8Array {
  return Uint8Array.of(0x80, 0xca, tag >> 8, tag & 0xff, 0x00)
}

/** GET CHALLENGE: eight random bytes of the card (Book 3, 6.5.6). */
export function getChallenge(): Uint8Array {
  return Uint8Array.of(0x00, 0x84, 0x00, 0x00, 0x00)
}

/** Qualifier of the reference data (Book 3, table 24): a PIN in clear, enciphered with RSA or with ECC. */
export const PIN_QUALIFIER = { plaintext: 0x80, rsa: 0x88, ecc: 0x8a } as const

/** VERIFY with a PIN block (Book 3, 6.5.12). */
export function verifyPin(block: Uint8Array, qualifier: keyof typeof PIN_QUALIFIER): Uint8Array {
  return withData(0x00, 0x20, 0x00, PIN_QUALIFIER[qualifier], block, false)
}

/** INTERNAL AUTHENTICATE with the DDOL's data (Book 3, 6.5.9). */
export function internalAuthenticate(data: Uint8Array): Uint8Array {
  return withData(0x00, 0x88, 0x00, 0x00, data, true)
}

/** EXTERNAL AUTHENTICATE with tag 91, 8 to 16 bytes (Book 3, 6.5.4). */
export function externalAuthenticate(data: Uint8Array): Uint8Array {
  return withData(0x00, 0x82, 0x00, 0x00, data, false)
}

/** GENERATE AC's reference control parameter (Book 3, table 12): the cryptogram asked for, and in bits 5-4 the signature. */
export const CRYPTOGRAM = { AAC: 0x00, TC: 0x40, ARQC: 0x80 } as const
export type CryptogramType = keyof typeof CRYPTOGRAM
const SIGNATURE = { none: 0x00, CDA: 0x10, XDA: 0x08 } as const

/** GENERATE AC with the CDOL's data (Book 3, 6.5.5). */
export function generateAc(
  type: CryptogramType,
  signature: keyof typeof SIGNATURE,
  data: Uint8Array,
): Uint8Array {
  return withData(0x80, 0xae, CRYPTOGRAM[type] | SIGNATURE[signature], 0x00, data, true)
}
