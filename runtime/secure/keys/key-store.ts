// Where keys lie when the power is off: one interface for its backends, a record a key set.
import { PosternError } from '../../../hal/base/errors.js'

/** A record as it was read. */
export interface StoredSecret {
  /** Owned and erased by the caller. */
  readonly secret: Uint8Array
  /** Counts the writes of this record, from 1. */
  readonly generation: number
  /**
   * True where the newest generation was lost (power cut, damaged file) and this is the one before it. Whoever keeps a
   * counter here must then skip what the lost generation may have used.
   */
  readonly behind: boolean
}

/**
 * Keeps secrets sealed. For the backend's author: `write` is durable when it resolves and replaces the record whole or
 * not at all; a record is bound to its name; whatever was altered or is sealed under another secret is refused, never
 * returned. Names are 1 to 32 of `a-z`, `0-9` and `-`; a secret has at most 4 KiB.
 */
export interface KeyStore {
  /** Undefined where the record was never written. @throws PosternError `KEY_STORE_REFUSED`, `KEY_STORE_DAMAGED` */
  read(name: string): Promise<StoredSecret | undefined>
  /** @throws PosternError `KEY_STORE_FAILED` with the system's error as its cause; the record is then as it was */
  write(name: string, secret: Uint8Array): Promise<void>
  /** Erases what is held in memory; the store is not usable after. */
  close(): void
}

/** A secret's bound, in bytes. */
export const MAX_SECRET_BYTES = 4096

/** @throws PosternError `KEY_STORE_REFUSED` */
export function checkRecordName(name: string): void {
  if (!/^[a-z0-9-]{1,32}$/.test(name))
    throw new PosternError('KEY_STORE_REFUSED', 'key store: no name of a record', {
      record: name.slice(0, 32),
    })
}

/** @throws PosternError `KEY_STORE_REFUSED` */
export function checkSecret(name: string, secret: Uint8Array): void {
  if (secret.length > MAX_SECRET_BYTES)
    throw new PosternError('KEY_STORE_REFUSED', 'key store: a secret has at most 4 KiB', { record: name })
}
