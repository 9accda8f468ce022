// The exception file: cards about which the issuer is to be asked in any case (EMV Book 4 v4.4, 6.3.5), as tokens in memory.
// NOTE: the document travels through the open world, and a hash of a PAN is as good as the PAN: so the list is sealed
// under a key of the fleet's key room (AES-256-GCM), and here only tokens under the terminal's own key are kept of it.
import { createDecipheriv } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { ascii, erase } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import type { KeyStore } from './keys/key-store.js'
import type { CardKeys } from './keys/terminal-keys.js'

/** The list's key in the key store, 32 bytes. */
export const EXCEPTION_KEY = 'exceptions'
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Bounds memory and the time that tokens take. */
const MAX_CARDS = 10_000

export const ExceptionsDocument = Type.Object(
  {
    /** Nonce, ciphertext, tag in base64; in it PANs of 12 to 19 digits, a line each. */
    sealed: Type.String({ maxLength: 400_000, pattern: '^[A-Za-z0-9+/]+={0,2}$' }),
  },
  { additionalProperties: false },
)
export type ExceptionsDocument = Static<typeof ExceptionsDocument>

/** Bound to what it is, so that no other list under the same key takes its place. */
export const EXCEPTION_CONTEXT: Uint8Array = ascii.encode('postern-exceptions-1')

/**
 * Opens the list: the tokens of its cards.
 * @throws PosternError `EXCEPTIONS_INVALID` (no key, not sealed under it, not a list), `KEY_UNAVAILABLE`
 */
export async function exceptionTokens(
  document: ExceptionsDocument,
  store: Pick<KeyStore, 'read'>,
  keys: Pick<CardKeys, 'cardToken'>,
): Promise<ReadonlySet<string>> {
  const key = await store.read(EXCEPTION_KEY)
  if (key?.secret.length !== 32) throw invalid('the terminal has no key for it')
  const list = unseal(Buffer.from(document.sealed, 'base64'), key.secret)
  erase(key.secret)
  try {
    const tokens = new Set<string>()
    for (const pan of lines(list)) {
      if (pan.length < 12 || pan.length > 19 || pan.some((byte) => byte < 0x30 || byte > 0x39))
        throw invalid('a line is no card number')
      if (tokens.size >= MAX_CARDS) throw invalid(`it has more than ${MAX_CARDS} cards`)
      tokens.add(await keys.cardToken(pan))
    }
    return tokens
  } finally {
    erase(list)
  }
}

const invalid = (why: string) =>
  new PosternError('EXCEPTIONS_INVALID', `the exception file is refused: ${why}`, { rule: why })

function unseal(sealed: Uint8Array, key: Uint8Array): Uint8Array {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw invalid('it is cut short')
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(EXCEPTION_CONTEXT).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
    const list = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES))
    decipher.final()
    return list
  } catch {
    throw invalid("it is not sealed under the terminal's key")
  }
}

/** Views on the bytes between line feeds; empty lines are none. */
function* lines(list: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < list.length; ) {
    const feed = list.indexOf(0x0a, from)
    const to = feed < 0 ? list.length : feed
    if (to > from) yield list.subarray(from, to)
    from = to + 1
  }
}
