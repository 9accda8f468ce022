// CardKeys and MacKeys over AES DUKPT registers in a key store; every KSN is durably behind us before its key is used.
import { concat, equalBytes, erase, toHex } from '../../../hal/base/bytes.js'
import { cmac, encryptCbc, hmacSha256, padMethod2 } from '../../../hal/base/ciphers.js'
import type { Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import { deriveWorkingKey } from './aes-dukpt.js'
import {
  type DukptRegisters,
  decodeRegisters,
  encodeRegisters,
  loadRegisters,
  skipTransactionKeys,
  takeTransactionKey,
} from './dukpt-registers.js'
import type { KeyStore } from './key-store.js'
import { encipherFormat4 } from './pin-block.js'
import type { CardKeys, MacKeys } from './terminal-keys.js'

/** The key set of the acquirer; a certified module has one of its own. */
export const ACQUIRER_KEYS = 'acquirer'

/**
 * Key serial numbers that one durable write takes at once: a payment uses two or three, and each write costs two flushes.
 * What a power cut leaves unused of them is lost, which X9.24-3 allows.
 */
const RESERVED = 8
/** MAC keys kept for answers that are still to come. */
const MAX_OPEN_MACS = 16
const MAC_BYTES = 8
const TOKEN_KEY_BYTES = 32

/** An initial key as it is injected: derived from a base key in the key room, unique to the terminal. */
export interface InitialKey {
  /** 8 bytes, never used for another key. */
  readonly ikid: Uint8Array
  /** 16, 24 or 32 bytes; erased by `loadInitialKey`. */
  readonly key: Uint8Array
}

export interface TerminalKeys extends CardKeys, MacKeys {
  /** Initial key id, hex: names the device to its host. Not secret. */
  readonly ikid: string
  /** Erases every key in memory. */
  close(): void
}

const unavailable = (message: string, cause?: unknown) =>
  new PosternError('KEY_UNAVAILABLE', message, {}, cause)

function encodeRecord(tokenKey: Uint8Array, registers: DukptRegisters): Uint8Array {
  const inner = encodeRegisters(registers)
  const whole = concat(tokenKey, inner)
  erase(inner)
  return whole
}

/**
 * Fills a key set from an initial key and erases that key. A token key that is there already is kept, so that sums per
 * card survive a change of keys.
 * @throws PosternError `KEY_ALREADY_LOADED` when this very id was loaded before: its counter would start again
 */
export async function loadInitialKey(
  store: KeyStore,
  set: string,
  initial: InitialKey,
  random: Random,
): Promise<void> {
  const old = await store.read(set)
  if (old !== undefined) {
    const registers = decodeRegisters(old.secret.subarray(TOKEN_KEY_BYTES))
    if (equalBytes(registers.ikid, initial.ikid)) {
      erase(old.secret, initial.key, ...registers.keys)
      throw new PosternError('KEY_ALREADY_LOADED', 'this initial key was loaded before', { set })
    }
    erase(...registers.keys)
  }
  const tokenKey = old === undefined ? random(TOKEN_KEY_BYTES) : old.secret.slice(0, TOKEN_KEY_BYTES)
  const registers = loadRegisters(initial.key, initial.ikid)
  const record = encodeRecord(tokenKey, registers)
  await store.write(set, record)
  erase(record, tokenKey, old?.secret, ...registers.keys)
}

/** Transaction keys one by one, in order, each taken from a reserve that the store has already put behind it. */
function createDispenser(store: KeyStore, set: string, registers: DukptRegisters, tokenKey: Uint8Array) {
  const reserve: { ksn: Uint8Array; key: Uint8Array }[] = []
  let turn: Promise<unknown> = Promise.resolve()
  let broken: unknown

  async function refill(): Promise<void> {
    if (broken !== undefined) throw unavailable('the key store failed before', broken)
    const taken: typeof reserve = []
    try {
      for (let i = 0; i < RESERVED && (i === 0 || registers.counter !== 0); i++)
        taken.push(takeTransactionKey(registers))
      const record = encodeRecord(tokenKey, registers)
      await store.write(set, record)
      erase(record)
      reserve.push(...taken)
    } catch (error) {
      // Memory is now ahead of the disk; taking on from here could hand out keys that are not durably behind us.
      broken = error
      for (const { key } of taken) erase(key)
      throw unavailable('no key serial number can be taken', error)
    }
  }

  return {
    take(): Promise<{ ksn: Uint8Array; key: Uint8Array }> {
      const mine = turn.then(async () => {
        if (reserve.length === 0) await refill()
        return reserve.shift()!
      })
      turn = mine.catch(() => undefined)
      return mine
    },
    close() {
      broken ??= new PosternError('KEY_UNAVAILABLE', 'closed')
      for (const { key } of reserve.splice(0)) erase(key)
      erase(...registers.keys)
    },
  }
}

/**
 * Opens a key set that `loadInitialKey` filled.
 * @throws PosternError `KEY_UNAVAILABLE` when the set is empty; what the store throws
 */
export async function openTerminalKeys(
  store: KeyStore,
  random: Random,
  set: string = ACQUIRER_KEYS,
): Promise<TerminalKeys> {
  const stored = await store.read(set)
  if (stored === undefined) throw unavailable(`no keys have been loaded for ${set}`)
  const tokenKey = stored.secret.slice(0, TOKEN_KEY_BYTES)
  const registers = decodeRegisters(stored.secret.subarray(TOKEN_KEY_BYTES))
  erase(stored.secret)
  // The lost generation reserved at most this many; its keys may be out in the world.
  if (stored.behind) skipTransactionKeys(registers, RESERVED)
  const dispenser = createDispenser(store, set, registers, tokenKey)
  const macs = new Map<string, { request: Uint8Array; response: Uint8Array }>()

  function openMac(ksn: Uint8Array) {
    const keys = macs.get(toHex(ksn))
    if (keys === undefined) throw unavailable('no MAC key is open for this key serial number')
    return keys
  }

  return {
    ikid: toHex(registers.ikid),

    async encryptCardData(clear) {
      const { ksn, key } = await dispenser.take()
      const working = deriveWorkingKey(key, ksn, 'dataRequest')
      const padded = padMethod2(clear, 16)
      const bytes = encryptCbc('aes', working, new Uint8Array(16), padded)
      erase(key, working, padded)
      return { ksn, bytes }
    },

    async encryptPin(pin, pan) {
      const { ksn, key } = await dispenser.take()
      const working = deriveWorkingKey(key, ksn, 'pin')
      try {
        return { ksn, bytes: encipherFormat4(working, pin, pan, random) }
      } finally {
        erase(key, working)
      }
    },

    async cardToken(pan) {
      return toHex(hmacSha256(tokenKey, pan))
    },

    async nextRequestKsn() {
      const { ksn, key } = await dispenser.take()
      if (macs.size >= MAX_OPEN_MACS) {
        const [oldest, keys] = macs.entries().next().value!
        erase(keys.request, keys.response)
        macs.delete(oldest)
      }
      macs.set(toHex(ksn), {
        request: deriveWorkingKey(key, ksn, 'macRequest'),
        response: deriveWorkingKey(key, ksn, 'macResponse'),
      })
      erase(key)
      return ksn
    },

    async macRequest(ksn, message) {
      return cmac('aes', openMac(ksn).request, message).slice(0, MAC_BYTES)
    },

    async verifyResponse(ksn, message, mac) {
      return equalBytes(cmac('aes', openMac(ksn).response, message).slice(0, MAC_BYTES), mac)
    },

    close() {
      dispenser.close()
      for (const keys of macs.values()) erase(keys.request, keys.response)
      macs.clear()
      erase(tokenKey)
    },
  }
}
