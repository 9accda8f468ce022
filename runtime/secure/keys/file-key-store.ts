// The development backend of the key store: files sealed under a passphrase (scrypt, RFC 7914; AES-256-GCM, SP 800-38D).
import { createCipheriv, createDecipheriv, scrypt } from 'node:crypto'
import { join } from 'node:path'
import { ascii, concat, erase, fromHex, toHex } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { readDurable, writeDurable } from '../../../hal/base/durable-file.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import { checkRecordName, checkSecret, type KeyStore } from './key-store.js'

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + 4 + NONCE_BYTES
/** RFC 7914 parameters: 2^15 blocks of 8, about 32 MiB and 80 ms on a laptop. */
const DEFAULT_COST = { N: 2 ** 15, r: 8, p: 1 } as const
const HEADER = 'key-store'
const CHECK = 'check'

export interface FileKeyStoreOptions {
  /** Made where it doesn't exist, readable by its owner only. */
  readonly folder: string
  /** Erased once the sealing key is made of it. */
  readonly passphrase: Uint8Array
  readonly random: Random
  /** For tests: cheaper scrypt for a store that is made now. An existing store keeps its own. */
  readonly cost?: { readonly N: number; readonly r: number; readonly p: number }
}

interface Header {
  readonly version: number
  readonly N: number
  readonly r: number
  readonly p: number
  readonly salt: string
}

const refused = (why: string, name: string, cause?: unknown) =>
  new PosternError('KEY_STORE_REFUSED', `key store: ${why}`, { record: name }, cause)

function damaged(name: string, cause?: unknown): PosternError {
  return new PosternError('KEY_STORE_DAMAGED', 'key store: a record is damaged', { record: name }, cause)
}

function readHeader(text: string): Header {
  try {
    const header = JSON.parse(text) as Header
    const { version, N, r, p, salt } = header
    // A bound on what a forged header may make us compute.
    if (version === VERSION && N <= 2 ** 20 && r <= 32 && p <= 16 && /^[0-9A-F]{64}$/.test(salt))
      return header
  } catch (error) {
    throw damaged(HEADER, error)
  }
  throw refused('a version or cost that this release does not know', HEADER)
}

function stretch(passphrase: Uint8Array, { N, r, p, salt }: Header): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase, fromHex(salt), 32, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
      if (error) reject(new PosternError('KEY_STORE_FAILED', 'key store: scrypt failed', {}, error))
      else resolve(new Uint8Array(key.buffer, key.byteOffset, key.length))
    })
  })
}

const boundTo = (name: string, generation: number): Uint8Array =>
  ascii.encode(`postern-key-store ${VERSION} ${name} ${generation}`)

/** version | generation (4) | nonce (12) | ciphertext | tag (16); name and generation are authenticated with it. */
function seal(
  key: Uint8Array,
  name: string,
  generation: number,
  secret: Uint8Array,
  random: Random,
): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES)
  head[0] = VERSION
  new DataView(head.buffer).setUint32(1, generation)
  head.set(random(NONCE_BYTES), 5)
  const cipher = createCipheriv('aes-256-gcm', key, head.subarray(5)).setAAD(boundTo(name, generation))
  return concat(head, cipher.update(secret), cipher.final(), cipher.getAuthTag())
}

function unseal(
  key: Uint8Array,
  name: string,
  sealed: Uint8Array,
): { secret: Uint8Array; generation: number } {
  if (sealed.length < HEAD_BYTES + TAG_BYTES || sealed[0] !== VERSION) throw damaged(name)
  const generation = new DataView(sealed.buffer, sealed.byteOffset).getUint32(1)
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(5, HEAD_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(boundTo(name, generation))
    .setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const clear = decipher.update(sealed.subarray(HEAD_BYTES, sealed.length - TAG_BYTES))
  try {
    decipher.final()
  } catch (error) {
    erase(clear)
    throw refused('another passphrase, or a record that was altered', name, error)
  }
  const secret = new Uint8Array(clear)
  erase(clear)
  return { secret, generation }
}

/**
 * Opens the store under `folder`, or makes an empty one.
 * @throws PosternError `KEY_STORE_REFUSED` for another passphrase, `KEY_STORE_DAMAGED`, `KEY_STORE_FAILED`
 */
export async function openFileKeyStore(options: FileKeyStoreOptions): Promise<KeyStore> {
  const { folder, passphrase, random } = options
  const pathOf = (name: string): string => {
    checkRecordName(name)
    if (name === HEADER) throw refused('no name of a record', name)
    return join(folder, `${name}.sealed`)
  }
  const load = (path: string, name: string) => {
    try {
      return readDurable(path)
    } catch (error) {
      if (isPosternError(error, 'FILE_CORRUPT')) throw damaged(name, error)
      throw new PosternError('KEY_STORE_FAILED', 'key store: cannot be read', { record: name }, error)
    }
  }
  const save = (path: string, name: string, bytes: Uint8Array) => {
    try {
      writeDurable(path, bytes)
    } catch (error) {
      throw new PosternError('KEY_STORE_FAILED', 'key store: cannot be written', { record: name }, error)
    }
  }

  const headerPath = join(folder, HEADER)
  const stored = load(headerPath, HEADER)
  const header = stored
    ? readHeader(ascii.decode(stored.content))
    : { version: VERSION, ...(options.cost ?? DEFAULT_COST), salt: toHex(random(32)) }
  const key = await stretch(passphrase, header)
  erase(passphrase)
  if (stored === undefined) save(headerPath, HEADER, ascii.encode(JSON.stringify(header)))
  const check = load(pathOf(CHECK), CHECK)
  // A header without its check is a store whose making was cut short: there is nothing in it yet.
  if (check === undefined) save(pathOf(CHECK), CHECK, seal(key, CHECK, 1, new Uint8Array(0), random))
  else unseal(key, CHECK, check.content)

  const generations = new Map<string, number>()
  const read: KeyStore['read'] = async (name) => {
    const found = load(pathOf(name), name)
    if (found === undefined) return undefined
    const { secret, generation } = unseal(key, name, found.content)
    const behind = found.generation === 'previous'
    generations.set(name, generation + (behind ? 1 : 0))
    return { secret, generation, behind }
  }
  return {
    read,
    async write(name, secret) {
      checkSecret(name, secret)
      if (!generations.has(name)) erase((await read(name))?.secret)
      const generation = (generations.get(name) ?? 0) + 1
      save(pathOf(name), name, seal(key, name, generation, secret, random))
      generations.set(name, generation)
    },
    close: () => erase(key),
  }
}
