// SDA: the signed static application data (EMV Book 2 v4.4, 5.4 and table 7), and the static data that all methods sign (Book 3, 10.3).
import { concat } from '../../../hal/base/bytes.js'
import { HASH_SHA1, hashMatches, type Recovered, type RsaKey, recover } from './rsa-recovery.js'

const SDA_FORMAT = 0x03
/** Format, hash algorithm, data authentication code. */
const FIXED = 4

export interface SignedStaticData {
  readonly recovered: Recovered
  readonly hashAlgorithm: number
  /** 9F45, 2 bytes. */
  readonly dataAuthenticationCode: Uint8Array
}

/** Steps 1 to 4 of 5.4. */
export function recoverSignedStaticData(issuerKey: RsaKey, signed: Uint8Array): SignedStaticData | undefined {
  const recovered = recover(issuerKey, signed, SDA_FORMAT)
  if (!recovered || recovered.body.length < FIXED) return undefined
  return {
    recovered,
    hashAlgorithm: recovered.body[1]!,
    dataAuthenticationCode: recovered.body.slice(2, FIXED),
  }
}

/** Steps 5 to 7 of 5.4. */
export function verifySignedStaticData(from: SignedStaticData, staticData: Uint8Array): boolean {
  return from.hashAlgorithm === HASH_SHA1 && hashMatches(from.recovered, staticData)
}

/**
 * The records' input and what the SDA tag list (9F4A) adds: only the AIP may stand there (Book 3, 10.3).
 * Undefined where the list holds anything else, or the records were unusable: authentication fails.
 */
export function staticDataToAuthenticate(
  odaRecords: Uint8Array | undefined,
  tagList: Uint8Array | undefined,
  aip: Uint8Array,
): Uint8Array | undefined {
  if (!odaRecords) return undefined
  if (!tagList || tagList.length === 0) return odaRecords
  if (tagList.length !== 1 || tagList[0] !== 0x82) return undefined
  return concat(odaRecords, aip)
}
