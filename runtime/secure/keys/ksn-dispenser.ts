// Transaction keys one by one, each from a reserve that the store has already put behind it; a failed write is recovered from.
import { equalBytes, erase } from '../../../hal/base/bytes.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import { skipTransactionKeys, takeTransactionKey } from './dukpt-registers.js'
import { decodeRecord, encodeRecord, eraseRecord, type KeySetRecord } from './key-set-record.js'
import type { KeyStore, StoredSecret } from './key-store.js'

/**
 * Key serial numbers that one durable write takes at once: a payment uses two or three, and each write costs two flushes.
 * What a power cut leaves unused of them is lost, which X9.24 allows.
 */
const RESERVED = 8
/** Numbers skipped after a lost generation: more than any release reserves, so that releases may differ in it. */
const SKIPPED_BEHIND = 64
/** Writes tried for one request; the next request tries as often again. */
const ATTEMPTS = 3

export interface TransactionKey {
  readonly ksn: Uint8Array
  /** Erased by whoever took it. */
  readonly key: Uint8Array
}

export interface KsnDispenser {
  /** @throws PosternError `KEY_UNAVAILABLE` with the store's error as its cause; the next call tries anew */
  take(): Promise<TransactionKey>
  /** The next counter that is not behind us (0: none), and whether a host is known to share the key. */
  standing(): { readonly counter: number; readonly proven: boolean }
  /** Durably forgets the key before this one. Repeatable. @throws what the store throws; the next call tries anew */
  prove(): Promise<void>
  close(): void
}

const unavailable = (message: string, cause?: unknown) =>
  new PosternError('KEY_UNAVAILABLE', message, {}, cause)

/** The record of a read; where a generation was lost, past all that it may have used. */
export function recordOf(stored: StoredSecret): KeySetRecord {
  try {
    const record = decodeRecord(stored.secret)
    if (stored.behind) skipTransactionKeys(record.registers, SKIPPED_BEHIND)
    return record
  } finally {
    erase(stored.secret)
  }
}

/** `first` is the dispenser's from here on. */
export function createKsnDispenser(store: KeyStore, set: string, first: KeySetRecord): KsnDispenser {
  const reserve: TransactionKey[] = []
  let record = first
  /** The counter that is durable: no record that lies behind it is believed. */
  let durable = first.registers.counter
  let stale = false
  let closed = false
  let turn: Promise<unknown> = Promise.resolve()

  /** After a failed write memory and disk may differ either way: what the disk says is the truth. */
  async function reload(): Promise<void> {
    const stored = await store.read(set)
    if (stored === undefined) throw unavailable('the key set is gone from its store')
    const found = recordOf(stored)
    const { ikid, counter } = found.registers
    if (!equalBytes(ikid, record.registers.ikid) || (counter !== 0 && (durable === 0 || counter < durable))) {
      eraseRecord(found)
      throw new PosternError(
        'KEY_STORE_ROLLED_BACK',
        'the key set on disk is older than what this terminal has used. It must be given a new initial key.',
        { set },
      )
    }
    eraseRecord(record)
    record = found
    stale = false
  }

  async function attempt(): Promise<void> {
    if (stale) await reload()
    const { registers } = record
    const taken: TransactionKey[] = []
    try {
      for (let i = 0; i < RESERVED && (i === 0 || registers.counter !== 0); i++)
        taken.push(takeTransactionKey(registers))
      const bytes = encodeRecord(record)
      try {
        await store.write(set, bytes)
      } finally {
        erase(bytes)
      }
    } catch (error) {
      stale = true
      for (const { key } of taken) erase(key)
      throw error
    }
    durable = registers.counter
    reserve.push(...taken)
  }

  async function refill(): Promise<void> {
    for (let tried = 1; ; tried++) {
      if (closed) throw unavailable('the keys are closed')
      try {
        return await attempt()
      } catch (error) {
        const final = isPosternError(error, 'KSN_EXHAUSTED') || isPosternError(error, 'KEY_STORE_ROLLED_BACK')
        if (final || tried === ATTEMPTS) throw unavailable('no key serial number can be taken', error)
      }
    }
  }

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work)
    turn = mine.catch(() => undefined)
    return mine
  }

  return {
    standing: () => ({ counter: record.registers.counter, proven: record.proven === undefined }),
    prove: () =>
      inTurn(async () => {
        if (closed) throw unavailable('the keys are closed')
        if (stale) await reload()
        const { proven, ...rest } = record
        if (proven === undefined) return
        const bytes = encodeRecord(rest)
        try {
          await store.write(set, bytes)
        } catch (error) {
          stale = true
          throw error
        } finally {
          erase(bytes)
        }
        record = rest
        erase(...proven.keys)
      }),
    take() {
      return inTurn(async () => {
        if (reserve.length === 0) await refill()
        if (closed) throw unavailable('the keys are closed')
        return reserve.shift()!
      })
    },
    close() {
      closed = true
      for (const { key } of reserve.splice(0)) erase(key)
      eraseRecord(record)
    },
  }
}
