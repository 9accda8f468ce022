// The CVM list (8E), its rules, codes and conditions as tables (EMV Book 3 v4.4, 10.5 and annex C3).
import { fromUint } from './transaction-data.js'
import { CAPABILITY, type ResultBit } from './verification-results.js'

/** One cardholder verification rule. */
export interface CvmRule {
  /** Byte 1 as the card has it: code in bits 1-6, bit 7 says to go on where it fails. */
  readonly code: number
  readonly condition: number
}

export interface CvmList {
  /** Amounts in the application currency's minor units. */
  readonly amountX: number
  readonly amountY: number
  readonly rules: readonly CvmRule[]
}

/** Amounts X and Y, four bytes each. */
const AMOUNTS = 8

/** Reads tag 8E. `malformed`: shorter than its amounts, or a last rule of one byte (10.5: the transaction ends, 7.5). */
export function parseCvmList(list: Uint8Array): CvmList | 'malformed' {
  if (list.length < AMOUNTS || list.length % 2 !== 0) return 'malformed'
  const rules: CvmRule[] = []
  for (let at = AMOUNTS; at < list.length; at += 2) rules.push({ code: list[at]!, condition: list[at + 1]! })
  return { amountX: fromUint(list.subarray(0, 4)), amountY: fromUint(list.subarray(4, AMOUNTS)), rules }
}

/** How a CVM is performed. */
export type CvmMethod =
  | 'fail'
  | 'plaintextPin'
  | 'onlinePin'
  | 'plaintextPinAndSignature'
  | 'encipheredPin'
  | 'encipheredPinAndSignature'
  | 'signature'
  | 'noCvm'

export interface CvmRow {
  readonly method: CvmMethod
  readonly name: string
  /** Bits of 9F33 that must all be set (Book 4, annex A2). */
  readonly needs: readonly ResultBit[]
  /** The bit that a PIN pad of this kind sets; undefined where no PIN is entered. */
  readonly pin: ResultBit | undefined
}

/**
 * Annex C3, codes by bits 1-6.
 * NOTE: v4.4's biometric codes 06 to 0F are not recognised here; no terminal of this kind has the sensors.
 */
export const CVM_CODES: Readonly<Record<number, CvmRow>> = {
  0: { method: 'fail', name: 'Fail CVM processing', needs: [], pin: undefined },
  1: {
    method: 'plaintextPin',
    name: 'Plaintext PIN by ICC',
    needs: [CAPABILITY.plaintextPin],
    pin: CAPABILITY.plaintextPin,
  },
  2: {
    method: 'onlinePin',
    name: 'Enciphered PIN online',
    needs: [CAPABILITY.onlinePin],
    pin: CAPABILITY.onlinePin,
  },
  3: {
    method: 'plaintextPinAndSignature',
    name: 'Plaintext PIN by ICC and signature',
    needs: [CAPABILITY.plaintextPin, CAPABILITY.signature],
    pin: CAPABILITY.plaintextPin,
  },
  4: {
    method: 'encipheredPin',
    name: 'Enciphered PIN by ICC',
    needs: [CAPABILITY.encipheredPin],
    pin: CAPABILITY.encipheredPin,
  },
  5: {
    method: 'encipheredPinAndSignature',
    name: 'Enciphered PIN by ICC and signature',
    needs: [CAPABILITY.encipheredPin, CAPABILITY.signature],
    pin: CAPABILITY.encipheredPin,
  },
  30: { method: 'signature', name: 'Signature', needs: [CAPABILITY.signature], pin: undefined },
  31: { method: 'noCvm', name: 'No CVM required', needs: [CAPABILITY.noCvm], pin: undefined },
}

/** Bit 7 of the code: apply the succeeding rule if this CVM is unsuccessful. */
export const CVM_NEXT_IF_FAILED = 0x40
export const CVM_CODE_MASK = 0x3f

/** What a condition looks at. */
export interface ConditionInput {
  readonly cash: 'none' | 'unattended' | 'manual'
  readonly cashback: boolean
  readonly supported: boolean
  /** True if the transaction is in the application's currency (9F42). */
  readonly sameCurrency: boolean
  /** 9F02 in minor units. */
  readonly amount: bigint
  readonly amountX: bigint
  readonly amountY: bigint
}

/** Annex C3, condition codes; one that is not listed is not understood and its rule is passed over. */
export const CVM_CONDITIONS: Readonly<Record<number, (input: ConditionInput) => boolean>> = {
  0: () => true,
  1: (input) => input.cash === 'unattended',
  2: (input) => input.cash === 'none' && !input.cashback,
  3: (input) => input.supported,
  4: (input) => input.cash === 'manual',
  5: (input) => input.cashback,
  6: (input) => input.sameCurrency && input.amount < input.amountX,
  7: (input) => input.sameCurrency && input.amount > input.amountX,
  8: (input) => input.sameCurrency && input.amount < input.amountY,
  9: (input) => input.sameCurrency && input.amount > input.amountY,
}
