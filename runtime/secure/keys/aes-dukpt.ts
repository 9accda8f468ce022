// AES DUKPT (ANSI X9.24-3:2017, 6): derivation data, initial keys, transaction keys from the host's side, working keys.
import { concat, erase } from '../../../hal/base/bytes.js'
import { encryptEcb } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'

/** Length of an initial key id, of a transaction counter and of the KSN that joins them, in bytes (X9.24-3, 6.1). */
export const IKID_BYTES = 8
export const KSN_BYTES = 12
/** The last counter: sixteen ones at the top; behind it the device must get a new initial key (X9.24-3, 6.3.3). */
export const LAST_COUNTER = 0xffff0000
/** Counters with more ones than this are skipped, so that a host derives a key in at most 16 steps. */
const MAX_ONES = 16

/** Key usage indicators (X9.24-3, table 2). */
export const KEY_USAGE = {
  keyEncryption: 0x0002,
  pin: 0x1000,
  macRequest: 0x2000,
  macResponse: 0x2001,
  macBothWays: 0x2002,
  dataRequest: 0x3000,
  dataResponse: 0x3001,
  dataBothWays: 0x3002,
  derivation: 0x8000,
  initialKey: 0x8001,
} as const
export type KeyUsage = keyof typeof KEY_USAGE

/** Algorithm indicators and key lengths in bits (X9.24-3, tables 3 and 4). */
const KEY_TYPES = {
  AES128: { algorithm: 0x0002, bits: 128 },
  AES192: { algorithm: 0x0003, bits: 192 },
  AES256: { algorithm: 0x0004, bits: 256 },
  HMAC128: { algorithm: 0x0005, bits: 128 },
  HMAC192: { algorithm: 0x0005, bits: 192 },
  HMAC256: { algorithm: 0x0005, bits: 256 },
} as const
export type KeyType = keyof typeof KEY_TYPES

/** The AES key type of a key's length in bytes. @throws PosternError `DUKPT_INVALID` */
export function aesKeyType(length: number): KeyType {
  if (length === 16) return 'AES128'
  if (length === 24) return 'AES192'
  if (length === 32) return 'AES256'
  throw new PosternError('DUKPT_INVALID', 'an AES key is 16, 24 or 32 bytes', { length })
}

/** Derives a key of `type` from `key` over `context`, 8 bytes (X9.24-3, 6.2: derivation data and function). */
function derive(key: Uint8Array, usage: KeyUsage, type: KeyType, context: Uint8Array): Uint8Array {
  const { algorithm, bits } = KEY_TYPES[type]
  const length = bits / 8
  const blocks: Uint8Array[] = []
  for (let counter = 1; blocks.length * 16 < length; counter++) {
    const data = new Uint8Array(16)
    const view = new DataView(data.buffer)
    view.setUint8(0, 0x01)
    view.setUint8(1, counter)
    view.setUint16(2, KEY_USAGE[usage])
    view.setUint16(4, algorithm)
    view.setUint16(6, bits)
    data.set(context, 8)
    blocks.push(encryptEcb('aes', key, data))
  }
  const whole = concat(...blocks)
  const out = whole.slice(0, length)
  erase(whole, ...blocks)
  return out
}

/** Derivation context of a transaction: the last four bytes of the IKID and the counter (X9.24-3, 6.2). */
function transactionContext(ikid: Uint8Array, counter: number): Uint8Array {
  const context = new Uint8Array(8)
  context.set(ikid.subarray(4, 8))
  new DataView(context.buffer).setUint32(4, counter)
  return context
}

function checkIkid(ikid: Uint8Array): void {
  if (ikid.length !== IKID_BYTES)
    throw new PosternError('DUKPT_INVALID', 'an initial key id is 8 bytes', { length: ikid.length })
}

/** Joins IKID and counter, 12 bytes. @throws PosternError `DUKPT_INVALID` */
export function makeKsn(ikid: Uint8Array, counter: number): Uint8Array {
  checkIkid(ikid)
  const ksn = new Uint8Array(KSN_BYTES)
  ksn.set(ikid)
  new DataView(ksn.buffer).setUint32(8, counter)
  return ksn
}

/** Splits a KSN. @throws PosternError `DUKPT_INVALID` on another length or a counter that no device ever uses. */
export function splitKsn(ksn: Uint8Array): { ikid: Uint8Array; counter: number } {
  if (ksn.length !== KSN_BYTES)
    throw new PosternError('DUKPT_INVALID', 'a key serial number is 12 bytes', { length: ksn.length })
  const counter = new DataView(ksn.buffer, ksn.byteOffset).getUint32(8)
  if (countOnes(counter) > MAX_ONES)
    throw new PosternError('DUKPT_INVALID', 'a counter of more than 16 ones is never used', { counter })
  return { ikid: ksn.slice(0, IKID_BYTES), counter }
}

function countOnes(value: number): number {
  let ones = 0
  for (let rest = value; rest !== 0; rest = (rest & (rest - 1)) >>> 0) ones++
  return ones
}

/** True if a device may use this counter. */
export function isUsableCounter(counter: number): boolean {
  return countOnes(counter) <= MAX_ONES
}

/** The next counter, those of more than 16 ones skipped (X9.24-3, 6.3.3). @throws PosternError `KSN_EXHAUSTED` */
export function nextCounter(counter: number): number {
  if (counter >= LAST_COUNTER) throw new PosternError('KSN_EXHAUSTED', 'the key serial numbers are used up')
  let next = counter + 1
  while (!isUsableCounter(next)) next += (next & -next) >>> 0
  return next
}

/** Initial key of a device from the base derivation key; host and key room only (X9.24-3, 6.3.1). @throws PosternError `DUKPT_INVALID` */
export function deriveInitialKey(bdk: Uint8Array, ikid: Uint8Array): Uint8Array {
  checkIkid(ikid)
  return derive(bdk, 'initialKey', aesKeyType(bdk.length), ikid)
}

/** One step down the tree: the derivation key of `counter` from the one whose counter lacks its lowest one. */
export function deriveStep(parent: Uint8Array, ikid: Uint8Array, counter: number): Uint8Array {
  return derive(parent, 'derivation', aesKeyType(parent.length), transactionContext(ikid, counter))
}

/** Walks the tree from the initial key to a counter, one step for each of its ones. */
function walkTree(initialKey: Uint8Array, ikid: Uint8Array, counter: number): Uint8Array {
  let key: Uint8Array = initialKey.slice()
  let reached = 0
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((counter & bit) === 0) continue
    reached = (reached | bit) >>> 0
    const next = deriveStep(key, ikid, reached)
    erase(key)
    key = next
  }
  return key
}

/** Transaction key of a KSN from the initial key, as a host does it in at most 16 steps (X9.24-3, 6.3.2). @throws PosternError `DUKPT_INVALID` */
export function deriveTransactionKey(initialKey: Uint8Array, ksn: Uint8Array): Uint8Array {
  const { ikid, counter } = splitKsn(ksn)
  return walkTree(initialKey, ikid, counter)
}

/** Working key of a transaction (X9.24-3, 6.3.2). `type` defaults to AES of the transaction key's length. @throws PosternError `DUKPT_INVALID` */
export function deriveWorkingKey(
  transactionKey: Uint8Array,
  ksn: Uint8Array,
  usage: KeyUsage,
  type: KeyType = aesKeyType(transactionKey.length),
): Uint8Array {
  const { ikid, counter } = splitKsn(ksn)
  return derive(transactionKey, usage, type, transactionContext(ikid, counter))
}

/** Key that encrypts the next initial key: that of the counter FFFFFFFF, which no transaction has (X9.24-3, 6.4). */
export function deriveUpdateKey(initialKey: Uint8Array, ikid: Uint8Array, type: KeyType): Uint8Array {
  checkIkid(ikid)
  const counter = 0xffffffff
  const top = walkTree(initialKey, ikid, counter)
  const key = derive(top, 'keyEncryption', type, transactionContext(ikid, counter))
  erase(top)
  return key
}
