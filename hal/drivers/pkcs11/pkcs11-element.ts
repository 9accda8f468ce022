// A PKCS#11 token as secure element (OASIS PKCS #11 v2.40): an AES key that never leaves it, counters as its private objects.
import { readFileSync } from 'node:fs'
import type * as pkcs11 from 'pkcs11js'
import { ascii, concat, erase } from '../../base/bytes.js'
import { isPosternError } from '../../base/errors.js'
import type { DriverContext } from '../../board.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import type { SecureElement } from '../../secure-element.js'
import { checkElementName, checkSecretLength, MAX_SEALED_BYTES, refusedSeal } from '../sealed-box.js'

export interface Pkcs11Options {
  /** The token's library, an absolute path. */
  readonly library: string
  readonly tokenLabel: string
  /** File with the user PIN, for the secure world's eyes only. */
  readonly pinFile: string
}

type Binding = typeof pkcs11
type Handle = pkcs11.Handle

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_LABEL = 'postern seal'
const APPLICATION = 'postern'
const RETRY_MS = 5000
const MAX_SLOTS = 64
/** A power cut leaves at most one count more than there should be. */
const MAX_COUNTS = 16

/** @throws DeviceError `DEVICE_UNSUPPORTED` saying what to install, where it was not built */
async function loadBinding(): Promise<Binding> {
  try {
    return ((await import('pkcs11js')) as unknown as { default: Binding }).default
  } catch (cause) {
    throw deviceError(
      'DEVICE_UNSUPPORTED',
      'the PKCS#11 library is not built here: install a C++ compiler, then npm rebuild pkcs11js',
      { package: 'pkcs11js' },
      cause,
    )
  }
}

const trimmed = (text: string) => text.replace(/[\0 ]+$/, '')

/** A logged-in session with one token. */
interface Token {
  encrypt(aad: Uint8Array, nonce: Uint8Array, clear: Uint8Array): Uint8Array
  decrypt(aad: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array
  counter(name: string): bigint
  setCounter(name: string, value: bigint): void
  randomBytes(length: number): Uint8Array
  close(): void
}

function openToken(binding: Binding, options: Pkcs11Options): Token {
  const library = new binding.PKCS11()
  library.load(options.library)
  try {
    library.C_Initialize()
  } catch (error) {
    // A process has one library of a kind: another device of ours may have started it. It ends with the process.
    if ((error as { code?: number }).code !== binding.CKR_CRYPTOKI_ALREADY_INITIALIZED) throw error
  }
  const slot = library
    .C_GetSlotList(true)
    .slice(0, MAX_SLOTS)
    .find((each) => trimmed(library.C_GetTokenInfo(each).label) === options.tokenLabel)
  if (slot === undefined)
    throw deviceError('DEVICE_LOST', 'no token of this label', { tokenLabel: options.tokenLabel })
  const session = library.C_OpenSession(slot, binding.CKF_SERIAL_SESSION | binding.CKF_RW_SESSION)
  const pin = readFileSync(options.pinFile)
  try {
    library.C_Login(session, binding.CKU_USER, trimmed(pin.toString('latin1')).replace(/\n$/, ''))
  } catch (error) {
    if ((error as { code?: number }).code !== binding.CKR_USER_ALREADY_LOGGED_IN) throw error
  } finally {
    pin.fill(0)
  }

  const find = (template: pkcs11.Template, most: number): Handle[] => {
    library.C_FindObjectsInit(session, template)
    try {
      return library.C_FindObjects(session, most)
    } finally {
      library.C_FindObjectsFinal(session)
    }
  }
  const keyTemplate: pkcs11.Template = [
    { type: binding.CKA_CLASS, value: binding.CKO_SECRET_KEY },
    { type: binding.CKA_LABEL, value: KEY_LABEL },
  ]
  const key =
    find(keyTemplate, 1)[0] ??
    library.C_GenerateKey(session, { mechanism: binding.CKM_AES_KEY_GEN }, [
      ...keyTemplate,
      { type: binding.CKA_KEY_TYPE, value: binding.CKK_AES },
      { type: binding.CKA_VALUE_LEN, value: 32 },
      { type: binding.CKA_TOKEN, value: true },
      { type: binding.CKA_PRIVATE, value: true },
      { type: binding.CKA_SENSITIVE, value: true },
      { type: binding.CKA_EXTRACTABLE, value: false },
      { type: binding.CKA_ENCRYPT, value: true },
      { type: binding.CKA_DECRYPT, value: true },
    ])
  const gcm = (aad: Uint8Array, nonce: Uint8Array): pkcs11.Mechanism => ({
    mechanism: binding.CKM_AES_GCM,
    parameter: {
      type: binding.CK_PARAMS_AES_GCM_v240,
      iv: Buffer.from(nonce),
      ivBits: nonce.length * 8,
      aad: Buffer.from(aad),
      tagBits: TAG_BYTES * 8,
    } as pkcs11.IParams,
  })
  const counterTemplate = (name: string): pkcs11.Template => [
    { type: binding.CKA_CLASS, value: binding.CKO_DATA },
    { type: binding.CKA_APPLICATION, value: APPLICATION },
    { type: binding.CKA_LABEL, value: `counter ${name}` },
  ]
  const counterBytes = (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64BE(value)
    return bytes
  }
  const counts = (name: string) =>
    find(counterTemplate(name), MAX_COUNTS).map((object) => {
      const attribute = library.C_GetAttributeValue(session, object, [{ type: binding.CKA_VALUE }])[0]
      const value = attribute?.value as Buffer
      if (value.length !== 8)
        throw deviceError('DEVICE_PROTOCOL', 'a counter is 8 bytes', { length: value.length })
      return { object, value: value.readBigUInt64BE() }
    })
  return {
    encrypt(aad, nonce, clear) {
      library.C_EncryptInit(session, gcm(aad, nonce), key)
      const room = Buffer.alloc(clear.length + TAG_BYTES)
      return new Uint8Array(library.C_Encrypt(session, Buffer.from(clear), room))
    },
    decrypt(aad, nonce, sealed) {
      library.C_DecryptInit(session, gcm(aad, nonce), key)
      // Some tokens ask for room for the tag as well.
      const room = Buffer.alloc(sealed.length)
      try {
        return new Uint8Array(library.C_Decrypt(session, Buffer.from(sealed), room))
      } finally {
        room.fill(0)
      }
    },
    counter: (name) => counts(name).reduce((highest, { value }) => (value > highest ? value : highest), 0n),
    setCounter(name, value) {
      // Objects' values are read-only on some tokens: the new one is made before the old ones go, the highest counts.
      const old = counts(name)
      library.C_CreateObject(session, [
        ...counterTemplate(name),
        { type: binding.CKA_TOKEN, value: true },
        { type: binding.CKA_PRIVATE, value: true },
        { type: binding.CKA_VALUE, value: counterBytes(value) },
      ])
      for (const { object } of old) library.C_DestroyObject(session, object)
    },
    randomBytes: (length) => new Uint8Array(library.C_GenerateRandom(session, Buffer.alloc(length))),
    close: () => library.C_CloseSession(session),
  }
}

const bound = (name: string) => ascii.encode(`postern pkcs11 seal ${VERSION} ${name}`)

export async function openPkcs11Element(
  driver: string,
  options: Pkcs11Options,
  context: DriverContext,
): Promise<SecureElement> {
  const base = createDeviceBase<'secure-element', 'ready' | 'locked'>(
    context,
    'secure-element',
    driver,
    'ready',
  )
  const binding = await loadBinding()
  let token: Token | undefined
  base.onClose(() => token?.close())

  const attempt = (): boolean => {
    try {
      token = openToken(binding, options)
      base.update({ presence: 'ready', detail: undefined })
      return true
    } catch (error) {
      const detail = isPosternError(error) ? error.message : 'the token cannot be opened'
      base.update({ presence: 'lost', detail })
      return false
    }
  }
  const untilThere = async () => {
    while (!base.closing.aborted && !attempt()) await context.clock.sleep(RETRY_MS, base.closing)
  }
  if (!attempt()) void untilThere().catch(() => undefined)

  /** The token's own errors name a code; nothing of data. */
  const withToken = <T>(work: (token: Token) => T): Promise<T> =>
    base.operation({}, async () => {
      if (token === undefined) throw deviceError('DEVICE_LOST', 'the token is not there')
      try {
        return work(token)
      } catch (error) {
        if (isPosternError(error)) throw error
        throw deviceError('DEVICE_PROTOCOL', 'the token refused', {
          code: Number((error as { code?: number }).code ?? -1),
        })
      }
    })

  return {
    ...base.device,
    capabilities: { hardware: true },
    seal: (name, secret) =>
      withToken((at) => {
        checkElementName('a label', name)
        checkSecretLength(secret)
        const nonce = at.randomBytes(NONCE_BYTES)
        // Tokens refuse to encrypt nothing at all, and a secret may be empty: a byte goes before it.
        const marked = concat(Uint8Array.of(VERSION), secret)
        const body = at.encrypt(bound(name), nonce, marked)
        erase(marked)
        base.count('SealCount')
        return concat(Uint8Array.of(VERSION), nonce, body)
      }),
    unseal: (name, sealed) =>
      withToken((at) => {
        checkElementName('a label', name)
        const head = 1 + NONCE_BYTES
        const least = head + 1 + TAG_BYTES
        try {
          if (sealed.length < least || sealed.length > least + MAX_SEALED_BYTES || sealed[0] !== VERSION)
            throw refusedSeal()
          const marked = at.decrypt(bound(name), sealed.subarray(1, head), sealed.subarray(head))
          const secret = marked.slice(1)
          erase(marked)
          base.count('UnsealCount')
          return secret
        } catch (error) {
          base.count('RefusedUnsealCount')
          throw isPosternError(error) ? error : refusedSeal()
        }
      }),
    counter: (name) =>
      withToken((at) => {
        checkElementName('a counter', name)
        return at.counter(name)
      }),
    increment: (name) =>
      withToken((at) => {
        checkElementName('a counter', name)
        const next = at.counter(name) + 1n
        at.setCounter(name, next)
        base.count('IncrementCount')
        return next
      }),
  }
}
