// The key sets of a terminal while it runs: opened by name, and changed under the feet of whoever uses them when new keys are injected.
import { erase } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import { loadInitialKey, openTerminalKeys, type TerminalKeys } from './dukpt-terminal-keys.js'
import { type KeyPackage, openKeyPackage } from './key-package.js'
import type { KeyStore } from './key-store.js'
import { readProtectionKey } from './protection-key.js'
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
      verifyResponse: (ksn, message, mac) => either((keys) => keys.verifyResponse(ksn, message, mac)),
    }
  }

  async function exchange(
    set: string,
    at: OpenSet,
    terminalId: string,
    offer: KeyPackage,
  ): Promise<KeyReceipt> {
    const kbpk = await readProtectionKey(store)
    const opened = (() => {
      try {
        return openKeyPackage(kbpk, terminalId, offer)
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
    const { current, former } = at
    await loadInitialKey(store, set, opened.initial, random)
    former?.close()
    // Its serial numbers end here: whoever asks from now on gets the new key's. Its open MACs serve their answers.
    at.former = current
    at.current = undefined
    await fill(set, at)
    return { set, sequence: offer.sequence, checkValue: opened.checkValue }
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
      const found = sets.get(offer.set)
      if (found === undefined)
        throw new PosternError(
          'KEY_PACKAGE_REFUSED',
          'the key package is refused: no acquirer uses its set',
          {
            set: offer.set,
          },
        )
      return inTurn(found, () => exchange(offer.set, found, terminalId, offer))
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
