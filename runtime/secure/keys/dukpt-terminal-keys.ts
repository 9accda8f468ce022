// CardKeys and MacKeys over DUKPT registers in a key store; every KSN is durably behind us before its key is used.
import { equalBytes, erase, toHex } from '../../../hal/base/bytes.js'
import { hmacSha256 } from '../../../hal/base/ciphers.js'
import type { Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import { loadRegisters } from './dukpt-registers.js'
import { type DukptSchemeName, usableCounters } from './dukpt-scheme.js'
import { encodeRecord, eraseRecord, type KeySetRecord } from './key-set-record.js'
import type { KeyStore } from './key-store.js'
import { createKsnDispenser, recordOf } from './ksn-dispenser.js'
import type { CardKeys, MacKeys } from './terminal-keys.js'
import { DEFAULT_PROFILES, type KeyProfile, type MacKeyPair, workingKeys } from './working-keys.js'

/** The key set of the acquirer; a certified module has one of its own. */
export const ACQUIRER_KEYS = 'acquirer'

/** MAC keys kept for answers that are still to come. */
const MAX_OPEN_MACS = 16
const MAC_BYTES = 8
const TOKEN_KEY_BYTES = 32

/** An initial key as it is injected: derived from a base key in the key room, unique to the terminal. */
export interface InitialKey {
  /** AES unless told. */
  readonly scheme?: DukptSchemeName
  /** 8 bytes, never used for another key; under TDES the initial KSN of 10 bytes. */
  readonly ikid: Uint8Array
  /** 16, 24 or 32 bytes, under TDES 16; erased by `loadInitialKey`. */
  readonly key: Uint8Array
  /** Of the package it came in; higher than any before. */
  readonly sequence?: number
}

export interface TerminalKeys extends CardKeys, MacKeys {
  /** Initial key id, hex: names the device to its host. Not secret. */
  readonly ikid: string
  readonly scheme: DukptSchemeName
  /** Erases every key in memory. */
  /** What of its serial numbers is used, and whether a host has answered under it. */
  standing(): KeyStanding
  /** Makes it durable that a host shares this key: the one before it is erased. Repeatable. @throws what the store throws */
  prove(): Promise<void>
  close(): void
}

/** How far a key set has been used; nothing of it is secret. */
export interface KeyStanding {
  readonly scheme: DukptSchemeName
  /** Initial key id, hex. */
  readonly ikid: string
  /** Key serial numbers that are behind the terminal, and that are left. */
  readonly used: number
  readonly left: number
  /** False from an injection over a former key until a host has answered under the new one. */
  readonly proven: boolean
}

const unavailable = (message: string, cause?: unknown) =>
  new PosternError('KEY_UNAVAILABLE', message, {}, cause)

function refuseReload(old: KeySetRecord | undefined, initial: InitialKey, set: string): void {
  if (old === undefined) return
  if (initial.sequence !== undefined && initial.sequence <= old.sequence) {
    throw new PosternError('KEY_PACKAGE_REPLAYED', 'this key package, or a later one, was imported before', {
      set,
      sequence: initial.sequence,
      last: old.sequence,
    })
  }
  const known = [old.registers.ikid, ...old.former]
  if (known.some((id) => equalBytes(id, initial.ikid)))
    throw new PosternError('KEY_ALREADY_LOADED', 'this initial key was loaded before', { set })
}

/** What a later write may go back to: the key before the first that no host has answered under yet. */
const provenOf = ({ proven, registers }: KeySetRecord) =>
  proven ?? (registers.counter === 0 ? undefined : registers)

/**
 * Fills a key set from an initial key and erases that key. A token key that is there already is kept, so that sums per
 * card survive a change of keys; so is the key before it, until a host has answered under the new one. One write: after
 * a power cut the set is the old one or the new one.
 * @throws PosternError `KEY_ALREADY_LOADED` when this very id was loaded before: its counter would start again;
 * `KEY_PACKAGE_REPLAYED` when its package is not newer than the last; `DUKPT_INVALID`; what the store throws
 */
export async function loadInitialKey(
  store: KeyStore,
  set: string,
  initial: InitialKey,
  random: Random,
): Promise<void> {
  let old: KeySetRecord | undefined
  let bytes: Uint8Array | undefined
  let next: KeySetRecord | undefined
  try {
    const stored = await store.read(set)
    old = stored && recordOf(stored)
    refuseReload(old, initial, set)
    next = {
      tokenKey: old?.tokenKey.slice() ?? random(TOKEN_KEY_BYTES),
      registers: loadRegisters(initial.key, initial.ikid, initial.scheme),
      former: old === undefined ? [] : [...old.former, old.registers.ikid],
      sequence: initial.sequence ?? old?.sequence ?? 0,
      ...(old === undefined ? {} : { proven: provenOf(old) }),
      others: old?.others ?? [],
    }
    bytes = encodeRecord(next)
    await store.write(set, bytes)
  } finally {
    erase(initial.key, bytes)
    if (next) eraseRecord(next)
    if (old) eraseRecord(old)
  }
}

/**
 * Goes back to the key before one that no host has answered under; the id of that one is never taken again. One write.
 * False where there is none to go back to. @throws what the store throws
 */
export async function revertInitialKey(store: KeyStore, set: string): Promise<boolean> {
  const stored = await store.read(set)
  const old = stored && recordOf(stored)
  if (old?.proven === undefined) {
    if (old) eraseRecord(old)
    return false
  }
  const { proven, ...rest } = old
  const bytes = encodeRecord({ ...rest, registers: proven, former: [...old.former, old.registers.ikid] })
  try {
    await store.write(set, bytes)
    return true
  } finally {
    erase(bytes)
    eraseRecord(old)
  }
}

/**
 * Opens a key set that `loadInitialKey` filled. Without a profile the set's scheme decides.
 * @throws PosternError `KEY_UNAVAILABLE` when the set is empty or of another scheme; what the store throws
 */
export async function openTerminalKeys(
  store: KeyStore,
  random: Random,
  set: string = ACQUIRER_KEYS,
  wanted?: KeyProfile,
): Promise<TerminalKeys> {
  const stored = await store.read(set)
  if (stored === undefined) throw unavailable(`no keys have been loaded for ${set}`)
  const record = recordOf(stored)
  const { scheme } = record.registers
  if (wanted !== undefined && wanted.scheme !== scheme) {
    eraseRecord(record)
    throw unavailable(`the keys of ${set} are for ${scheme.toUpperCase()} DUKPT, its document says another`)
  }
  const work = workingKeys(wanted ?? DEFAULT_PROFILES[scheme], random)
  const ikid = toHex(record.registers.ikid)
  const tokenKey = record.tokenKey.slice()
  const dispenser = createKsnDispenser(store, set, record)
  const macs = new Map<string, MacKeyPair>()

  function openMac(ksn: Uint8Array): MacKeyPair {
    const keys = macs.get(toHex(ksn))
    if (keys === undefined) throw unavailable('no MAC key is open for this key serial number')
    return keys
  }

  return {
    ikid,
    scheme,

    async encryptCardData(clear) {
      const { ksn, key } = await dispenser.take()
      try {
        return { ksn, bytes: work.encryptData(key, ksn, clear) }
      } finally {
        erase(key)
      }
    },

    async encryptPin(pin, pan) {
      const { ksn, key } = await dispenser.take()
      try {
        return { ksn, bytes: work.encryptPin(key, ksn, pin, pan) }
      } finally {
        erase(key)
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
      macs.set(toHex(ksn), work.macKeys(key, ksn))
      erase(key)
      return ksn
    },

    async macRequest(ksn, message) {
      return work.mac(openMac(ksn).request, message).slice(0, MAC_BYTES)
    },

    async verifyResponse(ksn, message, mac) {
      return equalBytes(work.mac(openMac(ksn).response, message).slice(0, MAC_BYTES), mac)
    },

    standing() {
      const { counter, proven } = dispenser.standing()
      const total = usableCounters(scheme, 0)
      const used = usableCounters(scheme, counter)
      return { scheme, ikid, used, left: total - used, proven }
    },
    prove: () => dispenser.prove(),

    close() {
      dispenser.close()
      for (const keys of macs.values()) erase(keys.request, keys.response)
      macs.clear()
      erase(tokenKey)
    },
  }
}
