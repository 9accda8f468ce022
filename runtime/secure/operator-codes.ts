// Operators' codes: scrypt (RFC 7914) with a salt each; never stored, never compared in clear.
import { scrypt } from 'node:crypto'
import { equalBytes, fromHex, toHex } from '../../hal/base/bytes.js'

/** scrypt's cost as kept with each hash: 2^14 takes a handheld about 0.1 s and 16 MiB. */
const COST = { N: 16_384, r: 8, p: 1 } as const

/** A code as the operators document holds it; hex. */
export interface CodeHash {
  readonly salt: string
  readonly hash: string
}

function derive(code: Uint8Array, salt: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    scrypt(code, salt, 32, { ...COST, maxmem: 64 * 1024 * 1024 }, (error, key) =>
      error === null ? resolve(new Uint8Array(key)) : reject(error),
    )
  })
}

/** Hashes a code of 4 to 12 ASCII digits under a salt of 16 bytes. */
export async function hashCode(code: Uint8Array, salt: Uint8Array): Promise<CodeHash> {
  return { salt: toHex(salt), hash: toHex(await derive(code, salt)) }
}

/** True if `code` is the one. Without a hash (nobody of that number) it takes as long and is false. */
export async function codeMatches(expected: CodeHash | undefined, code: Uint8Array): Promise<boolean> {
  const { salt, hash } = expected ?? { salt: '00'.repeat(16), hash: '00'.repeat(32) }
  const right = equalBytes(await derive(code, fromHex(salt)), fromHex(hash))
  return right && expected !== undefined
}
