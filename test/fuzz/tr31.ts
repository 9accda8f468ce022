// Fuzz of TR-31 key blocks: wild text, and honest blocks with a few characters changed; typed errors only, no altered key.
import { ascii, equalBytes } from '../../hal/base/bytes.js'
import { isPosternError } from '../../hal/base/errors.js'
import { checkKeyBlock, unwrapTr31 } from '../../runtime/secure/keys/tr31.js'
import { TR31_VERSIONS } from '../../runtime/secure/keys/tr31-header.js'
import { wrapTr31 } from '../../scripts/key-room/tr31-wrap.js'

const KEY = new Uint8Array(16).fill(7)
const KBPK = new Uint8Array(16).fill(9)
const BLOCKS = TR31_VERSIONS.map((version) =>
  wrapTr31(
    KBPK,
    {
      version,
      usage: 'B1',
      algorithm: 'T',
      mode: 'X',
      keyVersion: '00',
      exportability: 'N',
      optional: [{ id: 'KS', data: 'FFFF9876543210E00000' }],
    },
    KEY,
    new Uint8Array(14).fill(3),
  ),
)
const ALPHABET = '0123456789ABCDEFabcdefKSPTX '

function attempt(block: string): void {
  try {
    const unwrapped = unwrapTr31(KBPK, block)
    if (!equalBytes(unwrapped.key, KEY)) throw new Error(`another key came out of ${block}`)
    checkKeyBlock(unwrapped, {
      usage: 'B1',
      algorithms: ['T'],
      modes: ['X'],
      exportability: ['N'],
      versions: ['B', 'D'],
    })
  } catch (error) {
    if (!isPosternError(error)) throw error
  }
}

export const target = {
  name: 'tr31',
  run(bytes: Uint8Array, seed: number): void {
    const version = TR31_VERSIONS[seed % TR31_VERSIONS.length]!
    if (seed % 4 === 0) return attempt(ascii.decode(bytes))
    if (seed % 4 === 1) {
      // A header that holds together over wild content reaches deeper than chance does.
      const wild = [...bytes].map((byte) => ALPHABET[byte % ALPHABET.length]).join('')
      const body = wild.slice(0, wild.length - (wild.length % 16))
      return attempt(`${version}${String(16 + body.length).padStart(4, '0')}B1TX00N0${seed % 10}00${body}`)
    }
    const block = [...BLOCKS[seed % BLOCKS.length]!]
    const length = block.length
    for (let i = 0; i + 1 < Math.min(bytes.length, 6); i += 2)
      block[bytes[i]! % length] = ALPHABET[bytes[i + 1]! % ALPHABET.length]!
    attempt(block.join('').slice(0, seed % 4 === 2 ? length : length - ((bytes[0] ?? 0) % 40)))
  },
}
