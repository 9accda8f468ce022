// The terminal's key block protection key (KBPK) in its key store: what cipher it is for, and the key.
import { concat, erase } from '../../../hal/base/bytes.js'
import type { BlockCipher } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { KeyStore } from './key-store.js'

/** The record's name. */
const RECORD = 'kbpk'
const ALGORITHM: Readonly<Record<BlockCipher, number>> = { aes: 0x41, tdes: 0x54 }
const LENGTHS: Readonly<Record<BlockCipher, readonly number[]>> = { aes: [16, 24, 32], tdes: [16, 24] }

/** A key that protects key blocks of one version only: D under AES, B under TDES. */
export interface ProtectionKey {
  readonly cipher: BlockCipher
  /** Owned and erased by the caller. */
  readonly key: Uint8Array
}

/** Puts the key into the store, in the key room; the key is the caller's to erase. @throws PosternError `KEY_INVALID` and what the store throws */
export async function storeProtectionKey(store: KeyStore, { cipher, key }: ProtectionKey): Promise<void> {
  if (!LENGTHS[cipher].includes(key.length))
    throw new PosternError('KEY_INVALID', 'a protection key of another length than its cipher takes', {
      cipher,
      length: key.length,
    })
  const record = concat(Uint8Array.of(ALGORITHM[cipher]), key)
  try {
    await store.write(RECORD, record)
  } finally {
    erase(record)
  }
}

/** @throws PosternError `KEY_UNAVAILABLE` where the terminal was given none, and what the store throws */
export async function readProtectionKey(store: KeyStore): Promise<ProtectionKey> {
  const stored = await store.read(RECORD)
  if (stored === undefined)
    throw new PosternError(
      'KEY_UNAVAILABLE',
      'this terminal has no key block protection key: it must be given one in the key room',
    )
  const { secret } = stored
  const cipher = secret[0] === ALGORITHM.aes ? 'aes' : secret[0] === ALGORITHM.tdes ? 'tdes' : undefined
  const key = secret.slice(1)
  erase(secret)
  if (cipher === undefined || !LENGTHS[cipher].includes(key.length)) {
    erase(key)
    throw new PosternError(
      'KEY_STORE_REFUSED',
      'the protection key was written by a release that this one cannot follow',
    )
  }
  return { cipher, key }
}
