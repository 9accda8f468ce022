// DDA and CDA: the signed dynamic application data (EMV Book 2 v4.4, 6.5 with table 17, 6.6 with tables 18 to 22).
import { equalBytes } from '../../../hal/base/bytes.js'
import { sha1 } from '../../../hal/base/ciphers.js'
import { HASH_SHA1, hashMatches, type Recovered, type RsaKey, recover } from './rsa-recovery.js'

const DYNAMIC_FORMAT = 0x05
/** Format, hash algorithm, length of the ICC dynamic data. */
const FIXED = 3

export interface SignedDynamicData {
  readonly recovered: Recovered
  readonly hashAlgorithm: number
  /** Length, ICC dynamic number, and for CDA the cryptogram's fields. */
  readonly iccDynamicData: Uint8Array
  /** 9F4C, 2 to 8 bytes. */
  readonly iccDynamicNumber: Uint8Array
}

/** Steps 1 to 4 of 6.5.2 and 6.6.2, and the layout of the ICC dynamic data. */
export function recoverSignedDynamicData(iccKey: RsaKey, signed: Uint8Array): SignedDynamicData | undefined {
  const recovered = recover(iccKey, signed, DYNAMIC_FORMAT)
  if (!recovered || recovered.body.length < FIXED) return undefined
  const length = recovered.body[2]!
  if (length < 1 || FIXED + length > recovered.body.length) return undefined
  const iccDynamicData = recovered.body.slice(FIXED, FIXED + length)
  const numberLength = iccDynamicData[0]!
  if (numberLength < 2 || numberLength > 8 || 1 + numberLength > length) return undefined
  return {
    recovered,
    hashAlgorithm: recovered.body[1]!,
    iccDynamicData,
    iccDynamicNumber: iccDynamicData.slice(1, 1 + numberLength),
  }
}

/** Steps 5 to 7: `tail` is the DDOL's data for DDA, the unpredictable number for CDA. */
export function verifySignedDynamicData(from: SignedDynamicData, tail: Uint8Array): boolean {
  return from.hashAlgorithm === HASH_SHA1 && hashMatches(from.recovered, tail)
}

/** What CDA signs beside the dynamic number (table 19). */
export interface CombinedFields {
  readonly cid: number
  readonly cryptogram: Uint8Array
  readonly transactionDataHash: Uint8Array
}

/** The CDA fields; undefined where the ICC dynamic data are too short for them. */
export function combinedFields(from: SignedDynamicData): CombinedFields | undefined {
  const at = 1 + from.iccDynamicNumber.length
  const { iccDynamicData } = from
  if (iccDynamicData.length < at + 29) return undefined
  return {
    cid: iccDynamicData[at]!,
    cryptogram: iccDynamicData.slice(at + 1, at + 9),
    transactionDataHash: iccDynamicData.slice(at + 9, at + 29),
  }
}

/** A GENERATE AC's parts that a CDA signature vouches for. */
export interface CombinedInput {
  readonly unpredictableNumber: Uint8Array
  /** Data of PDOL, CDOL1 and, at the second GENERATE AC, CDOL2. */
  readonly dolData: readonly Uint8Array[]
  /** The answer's data objects as received, in the card's order, without 9F4B. */
  readonly responseObjects: Uint8Array
  readonly cid: number
}

/** Steps 5 to 12 of 6.6.2: the cryptogram, or the name of the check that failed. */
export function verifyCombined(from: SignedDynamicData, input: CombinedInput): CombinedFields | string {
  const signed = combinedFields(from)
  if (!signed) return 'ICC dynamic data'
  if (signed.cid !== input.cid) return 'cryptogram information data'
  if (!verifySignedDynamicData(from, input.unpredictableNumber)) return 'hash'
  if (!equalBytes(signed.transactionDataHash, sha1(...input.dolData, input.responseObjects)))
    return 'transaction data hash code'
  return signed
}
