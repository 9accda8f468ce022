// ECC key pairs of CA, issuer and card, EC-SDSA signatures, and the card's side of encipherment (EMV Book 2 v4.4, A2.2, A2.3, B2.2.4).
import { p256, p521 } from '@noble/curves/nist.js'
import { concat, equalBytes, fromHex, toHex } from '../../../hal/base/bytes.js'
import { cmac, encryptEcb, sha256, sha512 } from '../../../hal/base/ciphers.js'
import { systemRandom } from '../../../hal/base/clock.js'

/** `P-256` with SHA-256 or `P-521` with SHA-512. */
export type EcCurve = 'P-256' | 'P-521'

const CURVES = {
  'P-256': { Point: p256.Point, bytes: 32, hash: sha256, sharedBytes: 32 },
  'P-521': { Point: p521.Point, bytes: 66, hash: sha512, sharedBytes: 80 },
} as const

/** A pair whose public point has the lesser y, so that `x` says it all. */
export interface EcKeyPair {
  readonly curve: EcCurve
  readonly secret: bigint
  readonly x: Uint8Array
}

const number = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`)
const octets = (value: bigint, length: number): Uint8Array =>
  fromHex(value.toString(16).padStart(length * 2, '0'))

function randomScalar(curve: EcCurve): bigint {
  const { Point, bytes } = CURVES[curve]
  return 2n + (number(systemRandom(bytes + 8)) % (Point.Fn.ORDER - 3n))
}

function pairOf(curve: EcCurve, candidate: bigint): EcKeyPair {
  const { Point, bytes } = CURVES[curve]
  const { x, y } = Point.BASE.multiply(candidate).toAffine()
  // B2.2.4, approach 2.
  const secret = y < (Point.Fp.ORDER + 1n) / 2n ? candidate : Point.Fn.ORDER - candidate
  return { curve, secret, x: octets(x, bytes) }
}

export const generateEcKey = (curve: EcCurve): EcKeyPair => pairOf(curve, randomScalar(curve))

/** For the key files. */
export const ecToHex = (key: EcKeyPair): string => toHex(octets(key.secret, CURVES[key.curve].bytes))
export const ecFromHex = (curve: EcCurve, hex: string): EcKeyPair => pairOf(curve, number(fromHex(hex)))

/** Signature r, s over the message (A2.2.2). */
export function ecSign(key: EcKeyPair, message: Uint8Array): Uint8Array {
  const { Point, bytes, hash } = CURVES[key.curve]
  const nonce = randomScalar(key.curve)
  const r = hash(octets(Point.BASE.multiply(nonce).toAffine().x, bytes), message)
  const s = (nonce + (number(r) % Point.Fn.ORDER) * key.secret) % Point.Fn.ORDER
  return concat(r, octets(s, bytes))
}

/** Keys K1 and K2 of encipherment to the card (A2.3.2) from the terminal's ephemeral x and the card's challenge. */
function sessionKeys(
  key: EcKeyPair,
  ephemeral: Uint8Array,
  challenge: Uint8Array,
): [Uint8Array, Uint8Array] | undefined {
  const { Point, sharedBytes } = CURVES[key.curve]
  let shared: Uint8Array
  try {
    // Either root serves: the product's x is the same.
    const point = Point.fromBytes(concat(Uint8Array.of(2), ephemeral))
    shared = octets(point.multiply(key.secret).toAffine().x, sharedBytes)
  } catch {
    return undefined
  }
  const master = cmac('aes', new Uint8Array(16), shared)
  const derive = (i: number) =>
    encryptEcb('aes', master, concat(Uint8Array.of(i, 1, 0), challenge, fromHex('A5A5A50200')))
  return [derive(1), derive(2)]
}

/** What a terminal enciphered to the card, as the card's session has it. */
export interface EcSession {
  readonly cipher: Uint8Array
  readonly mac: Uint8Array
  count: number
}

/** Derives the session at the first message of a transaction (13.3). */
export function ecSession(key: EcKeyPair, data: Uint8Array, challenge: Uint8Array): EcSession | undefined {
  const keys = sessionKeys(key, data.subarray(0, CURVES[key.curve].bytes), challenge)
  return keys && { cipher: keys[0], mac: keys[1], count: 0 }
}

/** Checks the MAC and deciphers (A2.3.4); undefined where it does not hold. Messages of up to 255 blocks. */
export function ecDecipher(key: EcKeyPair, session: EcSession, data: Uint8Array): Uint8Array | undefined {
  const body = data.subarray(CURVES[key.curve].bytes)
  if (body.length < 8) return undefined
  const text = body.subarray(0, -8)
  const start = concat(Uint8Array.of(session.count >> 8, session.count & 0xff), new Uint8Array(14))
  const mac = cmac('aes', session.mac, concat(new Uint8Array(8), start, text)).subarray(0, 8)
  if (!equalBytes(mac, body.subarray(-8))) return undefined
  session.count++
  const blocks = Array.from({ length: Math.ceil(text.length / 16) }, (_, i) =>
    encryptEcb('aes', session.cipher, concat(start.subarray(0, 15), Uint8Array.of(i))),
  )
  const stream = concat(...blocks)
  return text.map((byte, i) => byte ^ stream[i]!)
}
