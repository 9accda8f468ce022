// Card data of unsent offline approvals: each under a key of its own, and gone for good when that key is destroyed.
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { ascii, concat, erase, fromHex, toHex } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { DukptCiphertext } from '../card-transaction.js'
import type { KeyStore } from '../keys/key-store.js'
import type { SealedCard } from './payment-record.js'

const RECORD = 'offline-cards'
const ID_BYTES = 8
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** What a record of the key store has room for. */
const MAX_KEYS = 100

/**
 * Seals what the host needs of a card until it has heard of the approval. What comes in is ciphertext for the host
 * already; here it gets a key that only this terminal has. Names of payments are bound in: a seal opens only for its own.
 */
export interface CardVault {
  /** How many more approvals there is room for. */
  room(): number
  /** The key is durable when it resolves. @throws PosternError `VAULT_FULL`, what the key store throws */
  seal(payment: string, card: DukptCiphertext): Promise<SealedCard>
  /** Owned by the caller. @throws PosternError `SEAL_BROKEN` where the key is gone or the seal was altered */
  open(payment: string, sealed: SealedCard): DukptCiphertext
  /** Ids of the keys that it holds. */
  ids(): string[]
  /** Destroys these keys for good: the store keeps no former generation of them. */
  destroy(ids: readonly string[]): Promise<void>
  close(): void
}

const broken = (why: string, cause?: unknown) =>
  new PosternError('SEAL_BROKEN', `sealed card data: ${why}`, {}, cause)

/** Opens the vault in the key store's record. */
export async function openCardVault(store: KeyStore, random: Random): Promise<CardVault> {
  const keys = new Map<string, Uint8Array>()
  const stored = await store.read(RECORD)
  if (stored !== undefined) {
    for (let at = 0; at + ID_BYTES + KEY_BYTES <= stored.secret.length; at += ID_BYTES + KEY_BYTES) {
      const id = toHex(stored.secret.subarray(at, at + ID_BYTES))
      keys.set(id, stored.secret.slice(at + ID_BYTES, at + ID_BYTES + KEY_BYTES))
    }
    erase(stored.secret)
  }
  let turn: Promise<unknown> = Promise.resolve()

  async function write(): Promise<void> {
    const record = concat(...[...keys].flatMap(([id, key]) => [fromHex(id), key]))
    try {
      await store.write(RECORD, record)
    } finally {
      erase(record)
    }
  }
  /** One change of the record at a time. */
  function alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work, work)
    turn = mine.catch(() => undefined)
    return mine
  }

  return {
    room: () => MAX_KEYS - keys.size,
    seal: (payment, card) =>
      alone(async () => {
        if (keys.size >= MAX_KEYS) throw new PosternError('VAULT_FULL', 'too many unsent approvals')
        const keyId = toHex(random(ID_BYTES))
        const key = random(KEY_BYTES)
        keys.set(keyId, key)
        try {
          await write()
        } catch (error) {
          keys.delete(keyId)
          erase(key)
          throw error
        }
        const nonce = random(NONCE_BYTES)
        const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(ascii.encode(payment))
        const clear = concat(Uint8Array.of(card.ksn.length), card.ksn, card.bytes)
        const sealed = concat(nonce, cipher.update(clear), cipher.final(), cipher.getAuthTag())
        erase(clear)
        return { keyId, sealed: toHex(sealed) }
      }),
    open(payment, { keyId, sealed }) {
      const key = keys.get(keyId)
      if (key === undefined) throw broken('its key is gone')
      const bytes = fromHex(sealed)
      if (bytes.length < NONCE_BYTES + TAG_BYTES) throw broken('too short')
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
        .setAAD(ascii.encode(payment))
        .setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
      try {
        const clear = concat(
          decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)),
          decipher.final(),
        )
        const end = 1 + (clear[0] ?? 0)
        const card = { ksn: clear.slice(1, end), bytes: clear.slice(end) }
        erase(clear)
        return card
      } catch (error) {
        throw broken('altered, or of another payment', error)
      }
    },
    ids: () => [...keys.keys()],
    destroy: (ids) =>
      alone(async () => {
        const gone = [...keys].filter(([id]) => ids.includes(id))
        if (gone.length === 0) return
        for (const [id, key] of gone) {
          keys.delete(id)
          erase(key)
        }
        await write()
        await write() // a store may keep the former generation beside the new one
      }),
    close() {
      for (const key of keys.values()) erase(key)
      keys.clear()
    },
  }
}
