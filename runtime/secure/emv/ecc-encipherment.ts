// Offline encipherment with ECC: keys by Diffie-Hellman, AES in counter mode, CMAC (EMV Book 2 v4.4, 13.2 and A2.3).
import { concat, erase, xor } from '../../../hal/base/bytes.js'
import { cmac, encryptEcb } from '../../../hal/base/ciphers.js'
import type { Random } from '../../../hal/base/clock.js'
import { type Curve, ENCIPHERMENT_SUITES, pointAt } from './ecc-suites.js'
import { toInteger, toOctets } from './integers.js'

const BLOCK = 16
const MAC_BYTES = 8
/** SKD_VERSION and what follows it, before and after the unpredictable number; 0200 is the output's length in bits (A2.3.2 g). */
const DERIVATION_HEAD = [0x01, 0x00] as const
const DERIVATION_TAIL = [0xa5, 0xa5, 0xa5, 0x02, 0x00] as const

interface SessionKeys {
  /** The terminal's ephemeral public key, x-coordinate. */
  readonly ephemeral: Uint8Array
  readonly encipher: Uint8Array
  readonly authenticate: Uint8Array
}

/**
 * Enciphers to a card's ODE key; PIN tries are bounded far below the counter's 65535 messages. Keys are derived at the first message of a transaction and kept for the others
 * (13.2, step 3); `erase` ends that.
 */
export class EccEncipherment {
  readonly #suite: number
  readonly #cardX: Uint8Array
  #keys: SessionKeys | undefined
  #messages = 0

  /** `suite` of table 49, `cardX` from the certificate 9F2D. */
  constructor(suite: number, cardX: Uint8Array) {
    this.#suite = suite
    this.#cardX = cardX
  }

  /** Ephemeral key, ciphertext and MAC; `challenge` is the card's, 8 bytes. Undefined where the card's key is none. */
  encipher(message: Uint8Array, challenge: Uint8Array, random: Random): Uint8Array | undefined {
    this.#keys ??= deriveKeys(this.#suite, this.#cardX, challenge, random)
    if (!this.#keys) return undefined
    const { ephemeral, encipher, authenticate } = this.#keys
    const start = new Uint8Array(BLOCK)
    start.set(toOctets(BigInt(this.#messages), 2))
    const stream = encryptEcb('aes', encipher, counterBlocks(start, Math.ceil(message.length / BLOCK)))
    const ciphertext = xor(message, stream.subarray(0, message.length))
    erase(stream)
    // No additional data: their length, eight zero bytes, stands alone (A2.3.3 j).
    const mac = cmac('aes', authenticate, concat(new Uint8Array(8), start, ciphertext)).subarray(0, MAC_BYTES)
    this.#messages++
    return concat(ephemeral, ciphertext, mac)
  }

  erase(): void {
    erase(this.#keys?.encipher, this.#keys?.authenticate)
    this.#keys = undefined
  }
}

/** A2.3.2 with an ephemeral pair of B2.2.4; K3 and K4, for the other direction, are not used. */
function deriveKeys(
  indicator: number,
  cardX: Uint8Array,
  challenge: Uint8Array,
  random: Random,
): SessionKeys | undefined {
  const suite = ENCIPHERMENT_SUITES[indicator]
  const card = suite && pointAt(suite.curve, cardX)
  if (!suite || !card) return undefined
  const { curve, sharedBytes } = suite
  const secret = randomScalar(curve, random)
  const shared = toOctets(card.multiply(secret).toAffine().x, sharedBytes)
  const derivation = cmac('aes', new Uint8Array(BLOCK), shared)
  const key = (number: number) =>
    encryptEcb('aes', derivation, Uint8Array.of(number, ...DERIVATION_HEAD, ...challenge, ...DERIVATION_TAIL))
  const keys = {
    ephemeral: toOctets(curve.Point.BASE.multiply(secret).toAffine().x, curve.fieldBytes),
    encipher: key(1),
    authenticate: key(2),
  }
  erase(shared, derivation)
  return keys
}

/** 1 < d < n-1: sixty-four bits more than the order has, so that the remainder is as good as even (B2.2.4, B2.5). */
function randomScalar(curve: Curve, random: Random): bigint {
  const bytes = random(curve.fieldBytes + 8)
  const scalar = 2n + (toInteger(bytes) % (curve.Point.Fn.ORDER - 3n))
  erase(bytes)
  return scalar
}

/** SV, SV+1… with the counter in the right 14 bytes, of which a short message needs the last alone (A2.3.3 g). */
function counterBlocks(start: Uint8Array, count: number): Uint8Array {
  const out = new Uint8Array(count * BLOCK)
  for (let i = 0; i < count; i++) {
    out.set(start, i * BLOCK)
    out[i * BLOCK + BLOCK - 1] = i
  }
  return out
}
