// Fuzz of key packages and of a host's key blocks: honest ones with a few characters changed, fields swapped, bodies of wild
// text; typed errors only, and whatever is accepted is the key that was wrapped, under its own id and check value.
import { ascii, equalBytes, fromHex, toHex } from '../../hal/base/bytes.js'
import { keyCheckValue } from '../../hal/base/ciphers.js'
import { isPosternError } from '../../hal/base/errors.js'
import { checker } from '../../runtime/api/contract.js'
import {
  KeyPackage,
  type OpenedKeyBlock,
  openKeyBlock,
  openKeyPackage,
} from '../../runtime/secure/keys/key-package.js'
import { wrapTr31 } from '../../scripts/key-room/tr31-wrap.js'

const TERMINAL = 'PST00001'
const KBPK = { cipher: 'aes', key: new Uint8Array(32).fill(9) } as const
const KEY = new Uint8Array(16).map((_, i) => i * 5 + 1)
const SCHEMES = [
  { scheme: 'aes', algorithm: 'A', block: 'IK', id: '0A0B0C0D00000001', bytes: 5, method: '01' },
  { scheme: 'tdes', algorithm: 'T', block: 'KS', id: 'FFFF9876543210E00000', bytes: 3, method: '00' },
] as const
const ALPHABET = '0123456789ABCDEFabcdefKSIPTXNB '
const isPackage = checker(KeyPackage)

const HONEST = SCHEMES.map(({ scheme, algorithm, block, id, bytes, method }) => {
  const checkValue = toHex(keyCheckValue(scheme, KEY, bytes))
  const keyBlock = wrapTr31(
    KBPK.key,
    {
      version: 'D',
      usage: 'B1',
      algorithm,
      mode: 'X',
      keyVersion: '00',
      exportability: 'N',
      optional: [
        { id: block, data: id },
        { id: 'KC', data: `${method}${checkValue}` },
      ],
    },
    KEY,
    new Uint8Array(14).fill(3),
  )
  return { terminalId: TERMINAL, sequence: 7, set: 'acquirer', keyBlock, checkValue }
})

function judge(open: () => OpenedKeyBlock): void {
  try {
    const { initial } = open()
    const honest = SCHEMES.find(({ scheme }) => scheme === initial.scheme)
    if (
      !equalBytes(initial.key, KEY) ||
      honest === undefined ||
      !equalBytes(initial.ikid, fromHex(honest.id))
    )
      throw new Error('a key was accepted that nobody wrapped')
  } catch (error) {
    if (!isPosternError(error)) throw error
  }
}

/** Changes as many characters as there are pairs of bytes. */
function changed(text: string, bytes: Uint8Array): string {
  const characters = [...text]
  for (let i = 0; i + 1 < bytes.length && characters.length > 0; i += 2)
    characters[bytes[i]! % characters.length] = ALPHABET[bytes[i + 1]! % ALPHABET.length]!
  return characters.join('')
}

export const target = {
  name: 'key-package',
  run(bytes: Uint8Array, seed: number): void {
    const honest = HONEST[seed % HONEST.length]!
    switch ((seed >> 1) % 4) {
      case 0: {
        // A whole body as a road would bring it.
        let body: unknown
        try {
          body = JSON.parse(changed(JSON.stringify(honest), bytes.subarray(0, 6)))
        } catch {
          return
        }
        if (isPackage(body) === undefined) judge(() => openKeyPackage(KBPK, TERMINAL, body as KeyPackage))
        return
      }
      case 1: {
        const field = (['keyBlock', 'checkValue', 'terminalId'] as const)[(bytes[0] ?? 0) % 3]!
        const offer = { ...honest, [field]: changed(honest[field], bytes.subarray(1, 5)) }
        if (isPackage(offer) === undefined) judge(() => openKeyPackage(KBPK, TERMINAL, offer))
        return
      }
      case 2:
        return judge(() => openKeyBlock(KBPK, changed(honest.keyBlock, bytes.subarray(0, 4))))
      default: {
        // Optional blocks of wild text in a block that holds together: only its author could make one.
        const [one = 0, two = 0] = bytes
        const wild = ascii.decode(bytes.subarray(2, 2 + (two % 24))).replace(/[^ -~]/g, '0')
        const { algorithm, block, id } = SCHEMES[seed % SCHEMES.length]!
        const optional = [
          { id: block, data: one % 3 === 0 ? wild : id },
          { id: 'KC', data: one % 3 === 1 ? wild : `0${one % 4}${wild}` },
        ]
        const made = wrapTr31(
          KBPK.key,
          { version: 'D', usage: 'B1', algorithm, mode: 'X', keyVersion: '00', exportability: 'N', optional },
          KEY,
          new Uint8Array(14),
        )
        return judge(() => openKeyBlock(KBPK, made))
      }
    }
  },
}
