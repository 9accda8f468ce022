// Certification authority public keys: which one, its checksum, its end (EMV Book 2 v4.4, 5.2, 10.2 and table 23).
import { equalBytes } from '../../../hal/base/bytes.js'
import { dateNumber } from './dates.js'

/** A scheme's public key; its checksum was verified when the configuration was read. */
export interface CaKey {
  /** Registered application provider identifier, 5 bytes: the AID's first. */
  readonly rid: Uint8Array
  readonly index: number
  /** Up to 248 bytes. */
  readonly modulus: Uint8Array
  readonly exponent: Uint8Array
  /** YYMMDD. */
  readonly expires: Uint8Array | undefined
}

/** What the key's SHA-1 covers (Book 2, table 23). */
export function caKeyChecksum(key: Pick<CaKey, 'rid' | 'index' | 'modulus' | 'exponent'>): Uint8Array[] {
  return [key.rid, Uint8Array.of(key.index), key.modulus, key.exponent]
}

/** The key of that application provider and index, unless it has ended by `today` (9A). */
export function findCaKey(
  keys: readonly CaKey[],
  rid: Uint8Array,
  index: number,
  today: Uint8Array | undefined,
): CaKey | undefined {
  const key = keys.find((candidate) => candidate.index === index && equalBytes(candidate.rid, rid))
  if (!key?.expires) return key
  const now = dateNumber(today)
  const end = dateNumber(key.expires)
  return now !== undefined && end !== undefined && now <= end ? key : undefined
}
