// TDES DUKPT (ANSI X9.24-1:2009, annex A): initial keys, the one-way derivation, transaction keys, working keys.
import { concat, erase, xor } from '../../../hal/base/bytes.js'
import { encryptEcb } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'

/** Length of a key serial number: 59 bits that name the device's key, 21 that count (X9.24-1, A.2). */
export const TDES_KSN_BYTES = 10
const COUNTER_BITS = 21
const COUNTER_MASK = 0x1f_ffff
/** Counters of more ones are skipped, so that a host derives a key in at most 10 steps (X9.24-1, A.1). */
const MAX_ONES = 10
/** The last counter a device may use: ten ones at the top. */
export const LAST_TDES_COUNTER = 0x1f_f800

/** Turns the left and right half of a key into the one for its other use (X9.24-1, A.2 and A.3). */
const HALVES_MASK = Uint8Array.of(0xc0, 0xc0, 0xc0, 0xc0, 0, 0, 0, 0, 0xc0, 0xc0, 0xc0, 0xc0, 0, 0, 0, 0)

/** What a working key is for; a data key of its own way for each direction (X9.24-1, A.4.1, table A-1). */
export type TdesKeyUsage = 'pin' | 'macRequest' | 'macResponse' | 'dataRequest' | 'dataResponse'

/** Variant masks by the byte of each half that they change (X9.24-1, table A-1). */
const VARIANT_BYTE: Readonly<Record<TdesKeyUsage, number>> = {
  pin: 7,
  macRequest: 6,
  dataRequest: 5,
  macResponse: 4,
  dataResponse: 3,
}

const invalid = (message: string, details = {}) => new PosternError('DUKPT_INVALID', message, details)

function checkKey(key: Uint8Array): void {
  if (key.length !== 16) throw invalid('a TDES DUKPT key is 16 bytes', { length: key.length })
}

function countOnes(value: number): number {
  let ones = 0
  for (let rest = value; rest !== 0; rest &= rest - 1) ones++
  return ones
}

/** True if a device may use this counter. */
export function isUsableTdesCounter(counter: number): boolean {
  return countOnes(counter) <= MAX_ONES
}

/** The next counter, those of more than 10 ones skipped (X9.24-1, A.3 "New Key"). @throws PosternError `KSN_EXHAUSTED` */
export function nextTdesCounter(counter: number): number {
  if (counter >= LAST_TDES_COUNTER)
    throw new PosternError('KSN_EXHAUSTED', 'the key serial numbers are used up')
  let next = counter + 1
  while (!isUsableTdesCounter(next)) next += next & -next
  return next
}

/** Puts a counter into the 21 lowest bits of an initial KSN. @throws PosternError `DUKPT_INVALID` */
export function makeTdesKsn(initialKsn: Uint8Array, counter: number): Uint8Array {
  if (initialKsn.length !== TDES_KSN_BYTES)
    throw invalid('a TDES key serial number is 10 bytes', { length: initialKsn.length })
  const ksn = initialKsn.slice()
  const view = new DataView(ksn.buffer)
  const kept = view.getUint32(6) & ~COUNTER_MASK
  view.setUint32(6, (kept | (counter & COUNTER_MASK)) >>> 0)
  return ksn
}

/** Splits a KSN into the initial KSN (counter zero) and the counter. @throws PosternError `DUKPT_INVALID` */
export function splitTdesKsn(ksn: Uint8Array): { initialKsn: Uint8Array; counter: number } {
  const initialKsn = makeTdesKsn(ksn, 0)
  const counter = new DataView(ksn.buffer, ksn.byteOffset).getUint32(6) & COUNTER_MASK
  if (!isUsableTdesCounter(counter))
    throw invalid('a counter of more than 10 ones is never used', { counter })
  return { initialKsn, counter }
}

/** Initial key (IPEK) of a device from the base derivation key; host and key room only (X9.24-1, A.6). @throws PosternError `DUKPT_INVALID` */
export function deriveTdesInitialKey(bdk: Uint8Array, ksn: Uint8Array): Uint8Array {
  checkKey(bdk)
  const id = makeTdesKsn(ksn, 0).subarray(0, 8)
  const masked = xor(bdk, HALVES_MASK)
  const left = encryptEcb('tdes', bdk, id)
  const right = encryptEcb('tdes', masked, id)
  const key = concat(left, right)
  erase(masked, left, right)
  return key
}

function half(key: Uint8Array, data: Uint8Array): Uint8Array {
  const mixed = xor(data, key.subarray(8))
  const enciphered = encryptEcb('tdes', key.subarray(0, 8), mixed)
  const out = xor(enciphered, key.subarray(8))
  erase(mixed, enciphered)
  return out
}

/** One step down the tree: the key of `counter` from the one whose counter lacks its lowest one (X9.24-1, A.2 "Non-reversible Key Generation"). */
export function deriveTdesStep(parent: Uint8Array, initialKsn: Uint8Array, counter: number): Uint8Array {
  checkKey(parent)
  const data = makeTdesKsn(initialKsn, counter).subarray(2)
  const masked = xor(parent, HALVES_MASK)
  const right = half(parent, data)
  const left = half(masked, data)
  const key = concat(left, right)
  erase(masked, left, right)
  return key
}

/** Transaction key of a KSN from the initial key, as a host does it in at most 10 steps (X9.24-1, A.3). @throws PosternError `DUKPT_INVALID` */
export function deriveTdesTransactionKey(initialKey: Uint8Array, ksn: Uint8Array): Uint8Array {
  checkKey(initialKey)
  const { initialKsn, counter } = splitTdesKsn(ksn)
  let key: Uint8Array = initialKey.slice()
  let reached = 0
  for (let bit = 1 << (COUNTER_BITS - 1); bit !== 0; bit >>>= 1) {
    if ((counter & bit) === 0) continue
    reached |= bit
    const next = deriveTdesStep(key, initialKsn, reached)
    erase(key)
    key = next
  }
  return key
}

/**
 * Working key of a transaction: a variant of its key (X9.24-1, A.4.1); a data key is further sent through its own
 * variant, each half enciphered under the whole (X9.24-1, A.4.1 "one way function"). 16 bytes.
 * @throws PosternError `DUKPT_INVALID`
 */
export function deriveTdesWorkingKey(transactionKey: Uint8Array, usage: TdesKeyUsage): Uint8Array {
  checkKey(transactionKey)
  const variant = transactionKey.slice()
  const at = VARIANT_BYTE[usage]
  variant[at]! ^= 0xff
  variant[at + 8]! ^= 0xff
  if (usage !== 'dataRequest' && usage !== 'dataResponse') return variant
  const key = encryptEcb('tdes', variant, variant)
  erase(variant)
  return key
}
