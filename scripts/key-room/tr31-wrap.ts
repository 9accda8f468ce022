// Making of TR-31 key blocks (ASC X9 TR-31-2018, 5; ANSI X9.143): the key room's part. Terminal code unwraps only.
import { ascii, concat, erase, toHex } from '../../hal/base/bytes.js'
import { encryptCbc } from '../../hal/base/ciphers.js'
import { PosternError } from '../../hal/base/errors.js'
import { counterMode, TR31_METHODS, tr31Keys, tr31Mac } from '../../runtime/secure/keys/tr31.js'
import {
  MAX_TR31_CHARACTERS,
  type Tr31OptionalBlock,
  type Tr31Version,
} from '../../runtime/secure/keys/tr31-header.js'

export interface KeyBlockAttributes {
  /** Postern's key room makes B and D; the others are here to be checked against other rooms' blocks. */
  readonly version: Tr31Version
  readonly usage: string
  readonly algorithm: string
  readonly mode: string
  readonly keyVersion: string
  readonly exportability: string
  /** `PB` is added where the blocks need it. */
  readonly optional: readonly Tr31OptionalBlock[]
}

const refused = (why: string) => new PosternError('TR31_INVALID', `key block: ${why}`)

/** Id, length and data; a length above 255 is written in its extended form with four digits (TR-31-2018, 5.6). */
function optionalBlock({ id, data }: Tr31OptionalBlock): string {
  const short = 4 + data.length
  if (short <= 0xff) return `${id}${short.toString(16).toUpperCase().padStart(2, '0')}${data}`
  return `${id}0004${(10 + data.length).toString(16).toUpperCase().padStart(4, '0')}${data}`
}

/** Optional blocks, filled up to whole cipher blocks by a padding block. */
function optionalPart(blocks: readonly Tr31OptionalBlock[], unit: number): { text: string; count: number } {
  const text = blocks.map(optionalBlock).join('')
  const rest = text.length % unit
  if (rest === 0 || blocks.some(({ id }) => id === 'PB')) return { text, count: blocks.length }
  const missing = unit - rest < 4 ? 2 * unit - rest : unit - rest
  return { text: text + optionalBlock({ id: 'PB', data: '0'.repeat(missing - 4) }), count: blocks.length + 1 }
}

/**
 * Wraps a key. `padding` hides its length and fills whole blocks; it is random.
 * @throws PosternError `TR31_INVALID` for attributes or lengths that no block can have
 */
export function wrapTr31(
  kbpk: Uint8Array,
  attributes: KeyBlockAttributes,
  key: Uint8Array,
  padding: Uint8Array,
): string {
  const { version, usage, algorithm, mode, keyVersion, exportability } = attributes
  const method = TR31_METHODS[version]
  const clear = concat(Uint8Array.of((key.length * 8) >> 8, (key.length * 8) & 0xff), key, padding)
  if (key.length > 8191) throw refused('no key of this length')
  if (method.mode === 'cbc' && clear.length % method.block !== 0)
    throw refused('key and padding are not whole blocks')
  // The characters of a header must fill whole cipher blocks where the MAC runs over them in CBC.
  const { text, count } = optionalPart(attributes.optional, method.block)
  const length = 16 + text.length + clear.length * 2 + method.macBytes * 2
  if (length > MAX_TR31_CHARACTERS) throw refused('longer than four digits can say')
  const digits = (value: number, width: number) => String(value).padStart(width, '0')
  const header = `${version}${digits(length, 4)}${usage}${algorithm}${mode}${keyVersion}${exportability}${digits(count, 2)}00${text}`
  const head = ascii.encode(header)
  const keys = tr31Keys(version, kbpk)
  try {
    if (method.binding === 'header') {
      const ciphertext = encryptCbc(method.cipher, keys.encryption, head.slice(0, method.block), clear)
      return header + toHex(ciphertext) + toHex(tr31Mac(method, keys.mac, head, ciphertext))
    }
    const mac = tr31Mac(method, keys.mac, head, clear)
    const ciphertext =
      method.mode === 'cbc'
        ? encryptCbc(method.cipher, keys.encryption, mac, clear)
        : counterMode(keys.encryption, mac, clear)
    return header + toHex(ciphertext) + toHex(mac)
  } finally {
    erase(keys.encryption, keys.mac, clear)
  }
}

/** Random padding that makes a key of `length` bytes as long as the longest of its algorithm (TR-31-2018, 5.1). */
export function paddingLength(version: Tr31Version, length: number, longest: number): number {
  const { block } = TR31_METHODS[version]
  const least = 2 + Math.max(length, longest)
  return Math.ceil(least / block) * block - 2 - length
}
