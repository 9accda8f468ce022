// Key components: what custodians hold. A key is the exclusive-or of its components; each alone says nothing of it.
import { equalBytes, erase, xor } from '../../hal/base/bytes.js'
import { type BlockCipher, keyCheckValue, oddParity } from '../../hal/base/ciphers.js'
import type { Random } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'

/** What a component or key is of. TDES keys have two parts, AES keys are 128 or 256 bits here. */
export type KeyKind = { readonly cipher: BlockCipher; readonly bytes: 16 | 32 }

/** Bytes of a check value as it is shown: 3 for TDES (X9.24-1), 5 for AES (X9.24-1:2017, annex A). */
const CHECK_BYTES: Readonly<Record<BlockCipher, number>> = { tdes: 3, aes: 5 }

const invalid = (why: string) => new PosternError('COMPONENT_INVALID', why)

/** Check value of a key or component, hex. */
export function checkValue(cipher: BlockCipher, key: Uint8Array): string {
  return Buffer.from(keyCheckValue(cipher, key, CHECK_BYTES[cipher]))
    .toString('hex')
    .toUpperCase()
}

/** A new random component; TDES ones have odd parity, as other rooms' machines expect. */
export function makeComponent({ cipher, bytes }: KeyKind, random: Random): Uint8Array {
  const raw = random(bytes)
  if (cipher === 'aes') return raw
  const component = oddParity(raw)
  erase(raw)
  return component
}

/** Reads a component as typed: hex digits, blanks between them. `typed` is erased. @throws PosternError `COMPONENT_INVALID` */
export function readComponent({ bytes }: KeyKind, typed: Uint8Array): Uint8Array {
  const component = new Uint8Array(bytes)
  let digits = 0
  try {
    for (const byte of typed) {
      if (byte === 0x20 || byte === 0x2d) continue
      const digit = '0123456789ABCDEF'.indexOf(String.fromCharCode(byte).toUpperCase())
      if (digit < 0) throw invalid('a component is hex digits')
      if (digits >= bytes * 2) throw invalid(`a component of this key has ${bytes * 2} hex digits`)
      component[digits >> 1]! |= digits % 2 === 0 ? digit << 4 : digit
      digits++
    }
    if (digits !== bytes * 2) throw invalid(`a component of this key has ${bytes * 2} hex digits`)
    if (component.every((byte) => byte === 0))
      throw invalid('a component of zeros leaves the key to the other')
    return component
  } catch (error) {
    erase(component)
    throw error
  } finally {
    erase(typed)
  }
}

/** The key of two components, which are erased. @throws PosternError `COMPONENT_INVALID` where they are the same */
export function combineComponents(kind: KeyKind, first: Uint8Array, second: Uint8Array): Uint8Array {
  try {
    if (first.length !== kind.bytes || second.length !== kind.bytes)
      throw invalid('components of unequal lengths')
    if (equalBytes(first, second)) throw invalid('both custodians have the same component')
    const mixed = xor(first, second)
    if (kind.cipher === 'aes') return mixed
    const key = oddParity(mixed)
    erase(mixed)
    if (equalBytes(key.subarray(0, 8), key.subarray(8))) {
      erase(key)
      throw invalid('both parts of the key are equal: it would be a single DES key')
    }
    return key
  } finally {
    erase(first, second)
  }
}
