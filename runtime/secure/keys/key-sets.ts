// The key sets of a terminal while it runs: opened by name, and changed under the feet of whoever uses them when new keys are injected.
import { erase } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import {
  type KeyStanding,
  loadInitialKey,
  openTerminalKeys,
  revertInitialKey,
  type TerminalKeys,
} from './dukpt-terminal-keys.js'
import { type KeyPackage, type OpenedKeyBlock, openKeyBlock, openKeyPackage } from './key-package.js'
import type { KeyStore } from './key-store.js'
import { type ProtectionKey, readProtectionKey } from './protection-key.js'
import type { CardKeys, MacKeys } from './terminal-keys.js'
import type { KeyProfile } from './working-keys.js'

/** What a terminal answers the key room: the set holds the key of this check value. */
export interface KeyReceipt {
  readonly set: string
  readonly sequence: number
  readonly checkValue: string
}

export interface KeySets {
  /**
   * The keys of a set; opened now, and again after an injection. A set that is empty, or in trouble, answers
   * `KEY_UNAVAILABLE` when it is used, so that a terminal without keys starts and can be given them.
   * @throws PosternError `KEY_UNAVAILABLE` where two users want one set by different profiles
   */
  open(set: string, profile: KeyProfile): Promise<CardKeys & MacKeys>
  /**
   * Imports a key package: after it, or after a power cut within it, the set holds the old key or the new one, whole.
   * @throws PosternError `KEY_PACKAGE_REFUSED`, `KEY_PACKAGE_REPLAYED`, `KEY_ALREADY_LOADED`, `TR31_INVALID`,
   * `TR31_REFUSED`, `TR31_ATTRIBUTE`, `KEY_UNAVAILABLE` without a protection key, and what the store throws
   */
  inject(terminalId: string, offer: KeyPackage): Promise<KeyReceipt>
  /**
   * Imports a key block that a host answered with, under the MAC of this set's own keys; else as `inject`. The key
   * before it is kept until a host has answered under the new one.
   * @throws PosternError as `inject`
   */
  exchange(set: string, keyBlock: string): Promise<{ readonly checkValue: string }>
  /** How far a set has been used; undefined where it cannot be opened. */
  standing(set: string): Promise<KeyStanding | undefined>
  /** Goes back to the key before one that no host has answered under. False where there is none. @throws what the store throws */
  revert(set: string): Promise<boolean>
  close(): void
}

const unavailable = (message: string, cause?: unknown) =>
  new PosternError('KEY_UNAVAILABLE', message, {}, cause)

interface OpenSet {
  readonly profile: KeyProfile
  current: TerminalKeys | undefined
  /** Whose answers may still come. */
  former: TerminalKeys | undefined
  /** Why there is no current one. */
  why: unknown
  /** Everything that takes a key, and an injection, one after the other. */
  turn: Promise<unknown>
}

export function createKeySets(store: KeyStore, random: Random): KeySets {
  const sets = new Map<string, OpenSet>()

  function inTurn<T>(at: OpenSet, work: () => Promise<T>): Promise<T> {
    const mine = at.turn.then(work)
    at.turn = mine.catch(() => undefined)
    return mine
  }

  async function fill(name: string, at: OpenSet): Promise<void> {
    try {
      at.current = await openTerminalKeys(store, random, name, at.profile)
      at.why = undefined
    } catch (error) {
      at.why = error
    }
  }

  function facade(name: string, at: OpenSet): CardKeys & MacKeys {
    const take = <T>(work: (keys: TerminalKeys) => Promise<T>): Promise<T> =>
      inTurn(at, async () => {
        if (at.current === undefined) await fill(name, at)
        if (at.current === undefined)
          throw isPosternError(at.why, 'KEY_UNAVAILABLE')
            ? at.why
            : unavailable(`the keys of ${name} cannot be opened`, at.why)
        return work(at.current)
      })
    /** The exchange began under one of the two; only that one has its MAC keys. */
    const either = async <T>(work: (keys: TerminalKeys) => Promise<T>): Promise<T> => {
      const { current, former } = at
      if (current === undefined) throw unavailable(`the keys of ${name} are closed`)
      try {
        return await work(current)
      } catch (error) {
        if (former === undefined || !isPosternError(error, 'KEY_UNAVAILABLE')) throw error
        return work(former)
      }
    }
    return {
      encryptCardData: (clear) => take((keys) => keys.encryptCardData(clear)),
      encryptPin: (pin, pan) => take((keys) => keys.encryptPin(pin, pan)),
      cardToken: (pan) => take((keys) => keys.cardToken(pan)),
      nextRequestKsn: () => take((keys) => keys.nextRequestKsn()),
      macRequest: (ksn, message) => either((keys) => keys.macRequest(ksn, message)),
      async verifyResponse(ksn, message, mac) {
        let by: TerminalKeys | undefined
        const right = await either((keys) => {
          by = keys
          return keys.verifyResponse(ksn, message, mac)
        })
        // The first good answer under a new key: the one before it goes. If that cannot be written, the next answer does.
        if (right && by?.standing().proven === false)
          await inTurn(at, async () => {
            if (by !== undefined && by === at.current) await by.prove()
          }).catch(() => undefined)
        return right
      },
    }
  }

  /** What asks from now on gets the new keys; open MACs of the old ones serve their answers. */
  async function change(name: string, at: OpenSet, write: () => Promise<void>): Promise<void> {
    const { current, former } = at
    await write()
    former?.close()
    at.former = current
    at.current = undefined
    await fill(name, at)
  }

  async function load(
    set: string,
    at: OpenSet,
    open: (kbpk: ProtectionKey) => OpenedKeyBlock,
  ): Promise<{ readonly checkValue: string }> {
    const kbpk = await readProtectionKey(store)
    const opened = (() => {
      try {
        return open(kbpk)
      } finally {
        erase(kbpk.key)
      }
    })()
    if (opened.initial.scheme !== at.profile.scheme) {
      erase(opened.initial.key)
      throw new PosternError(
        'KEY_PACKAGE_REFUSED',
        'the key package is refused: its set runs another DUKPT',
        { set },
      )
    }
    await change(set, at, () => loadInitialKey(store, set, opened.initial, random))
    return { checkValue: opened.checkValue }
  }

  function known(set: string): OpenSet {
    const found = sets.get(set)
    if (found !== undefined) return found
    throw new PosternError('KEY_PACKAGE_REFUSED', 'the key package is refused: no acquirer uses its set', {
      set,
    })
  }

  const at = (set: string, profile: KeyProfile): OpenSet => {
    const known = sets.get(set)
    if (known !== undefined) return known
    const made: OpenSet = {
      profile,
      current: undefined,
      former: undefined,
      why: undefined,
      turn: Promise.resolve(),
    }
    sets.set(set, made)
    return made
  }

  return {
    async open(set, profile) {
      const found = at(set, profile)
      if (JSON.stringify(found.profile) !== JSON.stringify(profile))
        throw unavailable(`two acquirers want the keys of ${set} in different ways`)
      if (found.current === undefined) await inTurn(found, () => fill(set, found))
      return facade(set, found)
    },
    async inject(terminalId, offer) {
      const { set, sequence } = offer
      const found = known(set)
      const open = (kbpk: ProtectionKey) => openKeyPackage(kbpk, terminalId, offer)
      const { checkValue } = await inTurn(found, () => load(set, found, open))
      return { set, sequence, checkValue }
    },
    async exchange(set, keyBlock) {
      const found = known(set)
      return inTurn(found, () => load(set, found, (kbpk) => openKeyBlock(kbpk, keyBlock)))
    },
    async standing(set) {
      const found = known(set)
      return inTurn(found, async () => {
        if (found.current === undefined) await fill(set, found)
        return found.current?.standing()
      })
    },
    async revert(set) {
      const found = known(set)
      return inTurn(found, async () => {
        let done = false
        await change(set, found, async () => {
          done = await revertInitialKey(store, set)
        })
        return done
      })
    },
    close() {
      for (const { current, former } of sets.values()) {
        current?.close()
        former?.close()
      }
      sets.clear()
      store.close()
    },
  }
}
