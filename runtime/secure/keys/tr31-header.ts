// TR-31 key block headers (ASC X9 TR-31-2018, 5 and 6; ANSI X9.143-2021): the sixteen characters and the optional blocks.
import { PosternError } from '../../../hal/base/errors.js'

/** Versions by how they bind: variants (A, C), derivation under TDES (B) and AES (D), ISO 20038 (E). */
export const TR31_VERSIONS = ['A', 'B', 'C', 'D', 'E'] as const
export type Tr31Version = (typeof TR31_VERSIONS)[number]

/** Bound on a block: four digits count its characters. */
export const MAX_TR31_CHARACTERS = 9999
const HEADER_CHARACTERS = 16
const MAX_OPTIONAL_BLOCKS = 99

export interface Tr31OptionalBlock {
  /** Two characters, as `KS` (key serial number), `IK` (initial key id), `KC` (check value), `PB` (padding). */
  readonly id: string
  /** What stands behind id and length; printable ASCII. */
  readonly data: string
}

/** A header; what it says is authenticated by the block's MAC only. */
export interface Tr31Header {
  readonly version: Tr31Version
  /** Characters of the whole block, header and MAC among them. */
  readonly length: number
  /** Key usage, table 2: `B1` initial DUKPT key, `K1` key block protection key, `P0` PIN, `M3` MAC… */
  readonly usage: string
  /** Algorithm, table 3: `A` AES, `T` TDES, `D` DES, `H` HMAC, `R` RSA, `E` elliptic curve, `S` DSA. */
  readonly algorithm: string
  /** Mode of use, table 4: `X` derive, `E` encrypt, `D` decrypt, `B` both, `C` MAC both ways, `G`, `V`, `N`, `S`, `T`, `Y`. */
  readonly mode: string
  readonly keyVersion: string
  /** `E` exportable under a trusted key, `S` by other means, `N` not (table 6). */
  readonly exportability: string
  readonly optional: readonly Tr31OptionalBlock[]
  /** Characters of the header with its optional blocks, as they stand in the block. */
  readonly characters: number
}

export const tr31Invalid = (why: string, details: Readonly<Record<string, string | number>> = {}) =>
  new PosternError('TR31_INVALID', `key block: ${why}`, details)

const FIELDS = [
  { name: 'usage', from: 5, to: 7, allowed: /^[A-Z0-9]{2}$/ },
  { name: 'algorithm', from: 7, to: 8, allowed: /^[A-Z0-9]$/ },
  { name: 'mode', from: 8, to: 9, allowed: /^[A-Z0-9]$/ },
  { name: 'keyVersion', from: 9, to: 11, allowed: /^[A-Za-z0-9]{2}$/ },
  { name: 'exportability', from: 11, to: 12, allowed: /^[A-Z0-9]$/ },
] as const

/** Two hex digits; `00` announces an extended length: two hex digits count those that follow (TR-31-2018, 5.6). */
function optionalLength(block: string, at: number): { length: number; head: number } {
  const short = hexNumber(block, at + 2, 2)
  if (short !== 0) return { length: short, head: 4 }
  const digits = hexNumber(block, at + 4, 2)
  if (digits < 2 || digits > 4) throw tr31Invalid('length of an optional block', { at })
  return { length: hexNumber(block, at + 6, digits), head: 6 + digits }
}

function hexNumber(block: string, at: number, digits: number): number {
  const text = block.slice(at, at + digits)
  if (text.length !== digits || !/^[0-9A-Fa-f]+$/.test(text))
    throw tr31Invalid('length of an optional block', { at })
  return Number.parseInt(text, 16)
}

function parseOptional(block: string, count: number): { optional: Tr31OptionalBlock[]; end: number } {
  const optional: Tr31OptionalBlock[] = []
  let at = HEADER_CHARACTERS
  for (let i = 0; i < count; i++) {
    const id = block.slice(at, at + 2)
    if (!/^[A-Z0-9]{2}$/.test(id)) throw tr31Invalid('id of an optional block', { at })
    const { length, head } = optionalLength(block, at)
    if (length < head || at + length > block.length)
      throw tr31Invalid('an optional block reaches beyond the block', { at })
    if (id === 'PB' && i !== count - 1) throw tr31Invalid('the padding block must be the last one', { at })
    if (optional.some((known) => known.id === id)) throw tr31Invalid('an optional block comes twice', { at })
    const data = block.slice(at + head, at + length)
    optional.push({ id, data })
    at += length
  }
  return { optional, end: at }
}

/** Cipher block in characters: what a block's and a header's length must be whole numbers of; 0 for ISO 20038's counter mode. */
const CHARACTERS_PER_BLOCK: Readonly<Record<Tr31Version, number>> = { A: 8, B: 8, C: 8, D: 16, E: 2 }

/**
 * Reads the header of a whole key block.
 * @throws PosternError `TR31_INVALID` with the position; nothing of it is authenticated yet
 */
export function parseTr31Header(block: string): Tr31Header {
  if (block.length < HEADER_CHARACTERS || block.length > MAX_TR31_CHARACTERS)
    throw tr31Invalid('length', { length: block.length })
  if (!/^[\x20-\x7e]*$/.test(block)) throw tr31Invalid('not printable ASCII')
  const version = TR31_VERSIONS.find((known) => known === block[0])
  if (version === undefined) throw tr31Invalid('unknown version')
  if (!/^[0-9]{4}$/.test(block.slice(1, 5))) throw tr31Invalid('length is not four digits')
  const length = Number(block.slice(1, 5))
  if (length !== block.length)
    throw tr31Invalid('says another length than it has', { said: length, length: block.length })
  if (length % CHARACTERS_PER_BLOCK[version] !== 0)
    throw tr31Invalid('length is not whole blocks', { length })
  for (const { name, from, to, allowed } of FIELDS)
    if (!allowed.test(block.slice(from, to))) throw tr31Invalid(`${name} has another form`, { at: from })
  // 14 and 15 are reserved (TR-31-2018, table 1); X9.143 lets them be a key context, so they are not looked at.
  if (!/^[0-9]{2}$/.test(block.slice(12, 14))) throw tr31Invalid('number of optional blocks', { at: 12 })
  const count = Number(block.slice(12, 14))
  if (count > MAX_OPTIONAL_BLOCKS) throw tr31Invalid('number of optional blocks', { at: 12 })
  const { optional, end } = parseOptional(block, count)
  if (count > 0 && end % CHARACTERS_PER_BLOCK[version] !== 0)
    throw tr31Invalid('optional blocks are not padded to whole blocks', { end })
  return {
    version,
    length,
    usage: block.slice(5, 7),
    algorithm: block[7]!,
    mode: block[8]!,
    keyVersion: block.slice(9, 11),
    exportability: block[11]!,
    optional,
    characters: end,
  }
}
