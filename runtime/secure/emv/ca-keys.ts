// Certification authority public keys, RSA and ECC: which one, its checksum, its end (EMV Book 2 v4.4, 5.2, 11.2 and 12.2, tables 29 to 31).
import { equalBytes } from '../../../hal/base/bytes.js'
import { dateNumber } from './dates.js'
import type { EcKey } from './ec-sdsa.js'
import type { RsaKey } from './rsa-recovery.js'

interface KeyName {
  /** Registered application provider identifier, 5 bytes: the AID's first. */
  readonly rid: Uint8Array
  readonly index: number
  /** YYMMDD. */
  readonly expires: Uint8Array | undefined
}

/** A scheme's RSA key, up to 248 bytes; its checksum was verified when the configuration was read (table 30). */
export interface RsaCaKey extends KeyName, RsaKey {}

/** A scheme's ECC key; its self-signed certificate was verified when the configuration was read (table 29). */
export interface EccCaKey extends KeyName, EcKey {}

/** Within a RID an index names one key, of whatever algorithm (11.2.2). */
export type CaKey = RsaCaKey | EccCaKey

export function isEccKey(key: CaKey): key is EccCaKey {
  return 'suite' in key
}

/** What an RSA key's SHA-1 covers (table 30). */
export function caKeyChecksum(key: Pick<RsaCaKey, 'rid' | 'index' | 'modulus' | 'exponent'>): Uint8Array[] {
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
