// The key store of a device: one file under a key that a secure element (TPM 2.0, PKCS#11) seals, its age proved by the element's counter.
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { join } from 'node:path'
import { ascii, concat, erase } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { readDurable, writeDurable } from '../../../hal/base/durable-file.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import type { SecureElement } from '../../../hal/secure-element.js'
import { checkRecordName, checkSecret, type KeyStore } from './key-store.js'

const VERSION = 1
const SEAL_LABEL = 'keys/store'
const COUNTER = 'keys/store'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + 8 + NONCE_BYTES
const MAX_RECORDS = 32

export interface ElementKeyStoreOptions {
  /** Made where it doesn't exist, readable by its owner only. */
  readonly folder: string
  readonly element: Pick<SecureElement, 'seal' | 'unseal' | 'counter' | 'increment'>
  readonly random: Random
}

const fault = (code: string, message: string, cause?: unknown) =>
  new PosternError(code, `key store: ${message}`, {}, cause)
const damaged = (cause?: unknown) => fault('KEY_STORE_DAMAGED', 'its file is damaged', cause)

interface Entry {
  readonly secret: Uint8Array
  readonly generation: number
  /** A later generation of the file was lost; kept until this record is written again. */
  readonly behind: boolean
}
type Entries = Map<string, Entry>

const bound = (count: bigint) => ascii.encode(`postern element key store ${VERSION} ${count}`)

/** name length (1), name, generation (4), behind (1), length (2), secret, for each record. */
function encodeEntries(entries: Entries): Uint8Array {
  const parts = [...entries].flatMap(([name, { secret, generation, behind }]) => {
    const head = new Uint8Array(7)
    new DataView(head.buffer).setUint32(0, generation)
    new DataView(head.buffer).setUint16(5, secret.length)
    head[4] = behind ? 1 : 0
    return [Uint8Array.of(name.length), ascii.encode(name), head, secret]
  })
  return concat(...parts)
}

function decodeEntries(bytes: Uint8Array): Entries {
  const entries: Entries = new Map()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length; ) {
    const nameEnd = at + 1 + bytes[at]!
    if (nameEnd + 7 > bytes.length) throw damaged()
    const end = nameEnd + 7 + view.getUint16(nameEnd + 5)
    if (end > bytes.length || entries.size >= MAX_RECORDS) throw damaged()
    entries.set(ascii.decode(bytes.subarray(at + 1, nameEnd)), {
      generation: view.getUint32(nameEnd),
      behind: bytes[nameEnd + 4] !== 0,
      secret: bytes.slice(nameEnd + 7, end),
    })
    at = end
  }
  return entries
}

/** version | count (8) | nonce (12) | ciphertext | tag (16): AES-256-GCM, the count authenticated with it. */
function seal(key: Uint8Array, count: bigint, entries: Entries, random: Random): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES)
  head[0] = VERSION
  new DataView(head.buffer).setBigUint64(1, count)
  head.set(random(NONCE_BYTES), 9)
  const clear = encodeEntries(entries)
  const cipher = createCipheriv('aes-256-gcm', key, head.subarray(9)).setAAD(bound(count))
  const out = concat(head, cipher.update(clear), cipher.final(), cipher.getAuthTag())
  erase(clear)
  return out
}

function unseal(key: Uint8Array, sealed: Uint8Array): { count: bigint; entries: Entries } {
  if (sealed.length < HEAD_BYTES + TAG_BYTES) throw damaged()
  if (sealed[0] !== VERSION)
    throw fault('KEY_STORE_REFUSED', 'it was written by a release that this one cannot follow')
  const count = new DataView(sealed.buffer, sealed.byteOffset).getBigUint64(1)
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(9, HEAD_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(bound(count))
    .setAuthTag(sealed.subarray(-TAG_BYTES))
  const clear = decipher.update(sealed.subarray(HEAD_BYTES, -TAG_BYTES))
  try {
    decipher.final()
    return { count, entries: decodeEntries(new Uint8Array(clear.buffer, clear.byteOffset, clear.length)) }
  } catch (error) {
    if (isPosternError(error)) throw error
    throw fault('KEY_STORE_REFUSED', 'its file was altered, or is of another terminal', error)
  } finally {
    erase(clear)
  }
}

/**
 * Opens the store under `folder`, or makes an empty one. A write first makes the file durable, then counts up; so a file
 * is honest when its count is the element's, or one more after a power cut between the two.
 * @throws PosternError `KEY_STORE_ROLLED_BACK` for an older copy, `KEY_STORE_REFUSED` for another element's,
 * `KEY_STORE_DAMAGED`, `KEY_STORE_FAILED`, and what the element throws
 */
export async function openElementKeyStore(options: ElementKeyStoreOptions): Promise<KeyStore> {
  const { folder, element, random } = options
  const keyPath = join(folder, 'element-key')
  const filePath = join(folder, 'element-keys.sealed')
  const load = (path: string) => {
    try {
      return readDurable(path)
    } catch (error) {
      throw isPosternError(error, 'FILE_CORRUPT')
        ? damaged(error)
        : fault('KEY_STORE_FAILED', 'cannot be read', error)
    }
  }
  const save = (path: string, bytes: Uint8Array) => {
    try {
      writeDurable(path, bytes)
    } catch (error) {
      throw fault('KEY_STORE_FAILED', 'cannot be written', error)
    }
  }
  const rolledBack = () =>
    fault(
      'KEY_STORE_ROLLED_BACK',
      'this is an older copy than the secure element has counted. Its keys may be used up: bring the newest copy back, or give the terminal a new initial key in an empty store.',
    )

  const sealedKey = load(keyPath)?.content
  let key: Uint8Array
  try {
    key = sealedKey === undefined ? random(KEY_BYTES) : await element.unseal(SEAL_LABEL, sealedKey)
  } catch (error) {
    if (!isPosternError(error, 'DEVICE_PROTOCOL')) throw error
    throw fault('KEY_STORE_REFUSED', `the secure element does not open it: ${error.message}`, error)
  }
  const found = load(filePath)
  if (sealedKey === undefined) {
    if (found !== undefined) throw fault('KEY_STORE_REFUSED', 'its sealed key is gone')
    save(keyPath, await element.seal(SEAL_LABEL, key))
  }

  let count = await element.counter(COUNTER)
  let entries: Entries = new Map()
  if (found !== undefined) {
    const opened = unseal(key, found.content)
    entries = opened.entries
    if (opened.count === count + 1n && found.generation === 'current')
      count = await element.increment(COUNTER)
    else if (opened.count === count - 1n && found.generation === 'previous')
      entries = new Map([...entries].map(([name, entry]) => [name, { ...entry, behind: true }]))
    else if (opened.count !== count) throw rolledBack()
    // The newest was lost before it was counted: nobody has used what it took.
  }
  // An empty store on an element that has counted for one before: its files were taken away.
  // NOTE: allowed, as that is how a terminal gets a new start; its old initial keys stay refused by the host.

  /** Fails for good where it is not known any more whether a write was counted. */
  let lost: unknown
  let turn: Promise<unknown> = Promise.resolve()
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work)
    turn = mine.catch(() => undefined)
    return mine
  }

  /** After a write whose counting failed: looks at what the element and the disk say now. */
  async function settle(): Promise<void> {
    if (lost === undefined) return
    const file = load(filePath)
    const opened = file && unseal(key, file.content)
    count = await element.counter(COUNTER)
    if (opened !== undefined && opened.count === count + 1n) count = await element.increment(COUNTER)
    if (opened !== undefined && opened.count !== count) throw rolledBack()
    entries = opened?.entries ?? new Map()
    lost = undefined
  }

  return {
    read: (name) =>
      alone(async () => {
        checkRecordName(name)
        await settle()
        const entry = entries.get(name)
        return entry && { secret: entry.secret.slice(), generation: entry.generation, behind: entry.behind }
      }),
    write: (name, secret) =>
      alone(async () => {
        checkRecordName(name)
        checkSecret(name, secret)
        await settle()
        if (!entries.has(name) && entries.size >= MAX_RECORDS)
          throw fault('KEY_STORE_REFUSED', `it holds at most ${MAX_RECORDS} records`)
        const old = entries.get(name)
        const next: Entries = new Map(entries).set(name, {
          secret: secret.slice(),
          generation: (old?.generation ?? 0) + 1,
          behind: false,
        })
        try {
          save(filePath, seal(key, count + 1n, next, random))
          count = await element.increment(COUNTER)
        } catch (error) {
          lost = error
          throw isPosternError(error, 'KEY_STORE_FAILED')
            ? error
            : fault('KEY_STORE_FAILED', 'the secure element did not count', error)
        }
        erase(old?.secret)
        entries = next
      }),
    close() {
      erase(key, ...[...entries.values()].map(({ secret }) => secret))
    },
  }
}
