// Unwrapping of TR-31 key blocks (ASC X9 TR-31-2018, 5.3; ANSI X9.143; ISO 20038 for E). Making them is the key room's.
import { ascii, concat, equalBytes, erase, fromHex, xor } from '../../../hal/base/bytes.js'
import { type BlockCipher, cbcMac, cmac, decryptCbc, encryptEcb } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import { parseTr31Header, type Tr31Header, type Tr31Version, tr31Invalid } from './tr31-header.js'

/** How each version protects a key. */
export interface Tr31Method {
  readonly cipher: BlockCipher
  readonly block: number
  readonly macBytes: number
  /** Lengths of a key block protection key, in bytes. */
  readonly kbpkBytes: readonly number[]
  /** `header`: MAC over header and ciphertext, the header's first bytes are the IV. `clear`: MAC over header and clear key, and it is the IV. */
  readonly binding: 'header' | 'clear'
  readonly mode: 'cbc' | 'ctr'
}

export const TR31_METHODS: Readonly<Record<Tr31Version, Tr31Method>> = {
  // NOTE: A and C with a single-length key are read because such blocks exist; an attribute check can refuse them.
  A: { cipher: 'tdes', block: 8, macBytes: 4, kbpkBytes: [8, 16, 24], binding: 'header', mode: 'cbc' },
  B: { cipher: 'tdes', block: 8, macBytes: 8, kbpkBytes: [16, 24], binding: 'clear', mode: 'cbc' },
  C: { cipher: 'tdes', block: 8, macBytes: 4, kbpkBytes: [8, 16, 24], binding: 'header', mode: 'cbc' },
  D: { cipher: 'aes', block: 16, macBytes: 16, kbpkBytes: [16, 24, 32], binding: 'clear', mode: 'cbc' },
  E: { cipher: 'aes', block: 16, macBytes: 16, kbpkBytes: [16, 24, 32], binding: 'clear', mode: 'ctr' },
}

/** Encryption and MAC key of a key block; both erased by whoever took them. */
export interface Tr31Keys {
  readonly encryption: Uint8Array
  readonly mac: Uint8Array
}

/** Algorithm indicators of derived keys by cipher and length (TR-31-2018, tables 9 and 10). */
const DERIVED_ALGORITHM: Readonly<Record<string, number>> = {
  tdes16: 0,
  tdes24: 1,
  aes16: 2,
  aes24: 3,
  aes32: 4,
}
/** Key usage indicators of derived keys; 2 is ISO 20038's counter mode. */
const DERIVED_USAGE = { cbc: 0, mac: 1, ctr: 2 } as const

/** Derivation by CMAC over counter, usage, separator, algorithm and length in bits (TR-31-2018, 5.3.2.1). */
function derive(cipher: BlockCipher, kbpk: Uint8Array, usage: number): Uint8Array {
  const data = new Uint8Array(8)
  const view = new DataView(data.buffer)
  view.setUint16(1, usage)
  view.setUint16(4, DERIVED_ALGORITHM[`${cipher}${kbpk.length}`]!)
  view.setUint16(6, kbpk.length * 8)
  const parts: Uint8Array[] = []
  for (let made = 0; made < kbpk.length; made += parts.at(-1)!.length) {
    data[0] = parts.length + 1
    parts.push(cmac(cipher, kbpk, data))
  }
  const whole = concat(...parts)
  const key = whole.slice(0, kbpk.length)
  erase(whole, ...parts)
  return key
}

/** Keys of a block from its protection key. @throws PosternError `TR31_INVALID` for a key of another length */
export function tr31Keys(version: Tr31Version, kbpk: Uint8Array): Tr31Keys {
  const method = TR31_METHODS[version]
  if (!method.kbpkBytes.includes(kbpk.length))
    throw tr31Invalid('the protection key has another length than the version takes', { length: kbpk.length })
  if (method.binding === 'header') {
    // Variants: every byte exclusive-or `E` and `M` (TR-31-2018, 5.3.1).
    return { encryption: kbpk.map((byte) => byte ^ 0x45), mac: kbpk.map((byte) => byte ^ 0x4d) }
  }
  return {
    encryption: derive(method.cipher, kbpk, DERIVED_USAGE[method.mode]),
    mac: derive(method.cipher, kbpk, DERIVED_USAGE.mac),
  }
}

/** Counter mode over whole blocks of key stream; its own inverse (ISO 20038, 5.2; SP 800-38A, 6.5). */
export function counterMode(key: Uint8Array, first: Uint8Array, data: Uint8Array): Uint8Array {
  const counters = new Uint8Array(Math.ceil(data.length / 16) * 16)
  const counter = first.slice()
  for (let at = 0; at < counters.length; at += 16) {
    counters.set(counter, at)
    for (let i = 15; i >= 0; i--) {
      counter[i] = (counter[i]! + 1) & 0xff
      if (counter[i] !== 0) break
    }
  }
  const stream = encryptEcb('aes', key, counters)
  const out = xor(data, stream.subarray(0, data.length))
  erase(stream)
  return out
}

/** MAC over what the version binds. */
export function tr31Mac(
  method: Tr31Method,
  key: Uint8Array,
  header: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  const data = concat(header, payload)
  const mac =
    method.binding === 'header' ? cbcMac(method.cipher, key, data, 1) : cmac(method.cipher, key, data)
  erase(data)
  return mac.slice(0, method.macBytes)
}

function hexPart(text: string, what: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9A-Fa-f]*$/.test(text)) throw tr31Invalid(`${what} is not hex`)
  return fromHex(text)
}

/** Two bytes of length in bits, the key, random padding (TR-31-2018, 5.1). */
function keyOf(clear: Uint8Array): Uint8Array {
  const bits = new DataView(clear.buffer, clear.byteOffset).getUint16(0)
  if (bits % 8 !== 0 || bits / 8 > clear.length - 2)
    throw tr31Invalid('the length of the key inside does not fit')
  return clear.slice(2, 2 + bits / 8)
}

/** A key out of its block, with what the block allows. */
export interface UnwrappedKey {
  readonly header: Tr31Header
  /** Owned and erased by the caller. */
  readonly key: Uint8Array
  /** Padding behind the key, as the block has it. */
  readonly padding: Uint8Array
}

/**
 * Authenticates a key block and takes its key out. What it may be used for is `checkKeyBlock`'s to judge.
 * @throws PosternError `TR31_INVALID` for a block of another form, `TR31_REFUSED` where its MAC is not by this key
 */
export function unwrapTr31(kbpk: Uint8Array, block: string): UnwrappedKey {
  const header = parseTr31Header(block)
  const method = TR31_METHODS[header.version]
  const macAt = block.length - method.macBytes * 2
  if (macAt - header.characters < 2) throw tr31Invalid('there is no key in it', { length: block.length })
  const received = hexPart(block.slice(macAt), 'the MAC')
  const ciphertext = hexPart(block.slice(header.characters, macAt), 'the key')
  if (method.mode === 'cbc' && ciphertext.length % method.block !== 0)
    throw tr31Invalid('the key is not whole blocks', { length: ciphertext.length })
  if (ciphertext.length < 3) throw tr31Invalid('there is no key in it', { length: ciphertext.length })
  const head = ascii.encode(block.slice(0, header.characters))
  const keys = tr31Keys(header.version, kbpk)
  let clear: Uint8Array | undefined
  try {
    const iv = method.binding === 'header' ? head.slice(0, method.block) : received
    const check = (payload: Uint8Array) => {
      if (!equalBytes(tr31Mac(method, keys.mac, head, payload), received))
        throw new PosternError('TR31_REFUSED', 'key block: not made under this protection key, or altered', {
          version: header.version,
        })
    }
    if (method.binding === 'header') check(ciphertext)
    clear =
      method.mode === 'cbc'
        ? decryptCbc(method.cipher, keys.encryption, iv, ciphertext)
        : counterMode(keys.encryption, iv, ciphertext)
    if (method.binding === 'clear') check(clear)
    const key = keyOf(clear)
    return { header, key, padding: clear.slice(2 + key.length) }
  } finally {
    erase(keys.encryption, keys.mac, clear)
  }
}

/** What a place that takes a key demands of its block. */
export interface KeyBlockDemand {
  readonly usage: string
  readonly algorithms: readonly string[]
  readonly modes: readonly string[]
  /** `N`: a terminal takes no key that may leave it. */
  readonly exportability: readonly string[]
  /** A and C are for keys that come from older rooms; a place may refuse them. */
  readonly versions: readonly Tr31Version[]
}

/** Length of a symmetric key by algorithm, in bytes (TR-31-2018, table 3). */
const KEY_BYTES: Readonly<Record<string, readonly number[]>> = { A: [16, 24, 32], T: [16, 24], D: [8] }

/**
 * Checks that a block's key is for this place.
 * @throws PosternError `TR31_ATTRIBUTE` naming the attribute and what the block says; never the key
 */
export function checkKeyBlock({ header, key }: UnwrappedKey, demand: KeyBlockDemand): void {
  const rows = [
    ['version', header.version, demand.versions],
    ['usage', header.usage, [demand.usage]],
    ['algorithm', header.algorithm, demand.algorithms],
    ['mode', header.mode, demand.modes],
    ['exportability', header.exportability, demand.exportability],
  ] as const
  for (const [attribute, said, allowed] of rows) {
    if (!(allowed as readonly string[]).includes(said))
      throw new PosternError(
        'TR31_ATTRIBUTE',
        `key block: its ${attribute} is ${said}, this place takes ${allowed.join(', ')}`,
        { attribute, said },
      )
  }
  const lengths = KEY_BYTES[header.algorithm]
  if (key.length === 0 || (lengths !== undefined && !lengths.includes(key.length)))
    throw new PosternError(
      'TR31_ATTRIBUTE',
      'key block: the key has another length than its algorithm takes',
      {
        attribute: 'length',
        said: key.length,
      },
    )
}

/** Data of an optional block, undefined where it is not there. */
export function optionalData(header: Tr31Header, id: string): string | undefined {
  return header.optional.find((block) => block.id === id)?.data
}
