// Algorithm suites of ECC by their indicators: curves, hashes, signatures, encipherment (EMV Book 2 v4.4, B2.2 to B2.4).
import { p256, p521 } from '@noble/curves/nist.js'
import { sha256, sha512 } from '../../../hal/base/ciphers.js'
import { toInteger } from './integers.js'

/** A curve of B2.2.2; points travel as their x-coordinate alone. */
export interface Curve {
  readonly name: 'P-256' | 'P-521'
  /** N_FIELD: bytes of a coordinate. */
  readonly fieldBytes: number
  readonly Point: typeof p256.Point
}

const P256: Curve = { name: 'P-256', fieldBytes: 32, Point: p256.Point }
/** Supported for contingency purposes (B2.2.1). */
const P521: Curve = { name: 'P-521', fieldBytes: 66, Point: p521.Point }

/** A hash function and its length N_HASH. */
export interface EccHash {
  readonly bytes: number
  readonly digest: (...parts: readonly Uint8Array[]) => Uint8Array
}

const SHA256: EccHash = { bytes: 32, digest: sha256 }
const SHA512: EccHash = { bytes: 64, digest: sha512 }

/** Table 47, without the assigned and regional ones; SHA-1 (01) is not used with ECC. */
export const ECC_HASHES: Readonly<Record<number, EccHash>> = { 2: SHA256, 3: SHA512 }

/** A way to sign: EC-SDSA over a curve with a hash (table 48). */
export interface SignatureSuite {
  readonly curve: Curve
  readonly hash: EccHash
  /** N_SIG: N_HASH and N_FIELD. */
  readonly signatureBytes: number
}

/** Table 48; `12` and `13` (SHA-3) are assigned for the future, `80` (SM2) is regional: neither is known here. */
export const SIGNATURE_SUITES: Readonly<Record<number, SignatureSuite>> = {
  16: { curve: P256, hash: SHA256, signatureBytes: 64 },
  17: { curve: P521, hash: SHA512, signatureBytes: 130 },
}

/** A way to encipher offline data: Diffie-Hellman over a curve, then AES (table 49). */
export interface EnciphermentSuite {
  readonly curve: Curve
  /** Length of the shared x-coordinate as key derivation takes it: whole AES blocks (A2.3.2 c). */
  readonly sharedBytes: number
}

/** Table 49; `88` (SM2, SM4) is regional and not known here. */
export const ENCIPHERMENT_SUITES: Readonly<Record<number, EnciphermentSuite>> = {
  0: { curve: P256, sharedBytes: 32 },
  1: { curve: P521, sharedBytes: 80 },
}

/** A point of a curve. */
export type CurvePoint = InstanceType<Curve['Point']>

/** Point4x() (B2.2.1 e): the point with that x-coordinate and the lesser y; undefined where the curve has none. */
export function pointAt(curve: Curve, x: Uint8Array): CurvePoint | undefined {
  const { Fp, CURVE, fromAffine } = curve.Point
  if (x.length !== curve.fieldBytes) return undefined
  const at = toInteger(x)
  if (at >= Fp.ORDER) return undefined
  const { a, b } = CURVE()
  const square = Fp.add(Fp.mul(Fp.sqr(at), at), Fp.add(Fp.mul(a, at), b))
  let root: bigint
  try {
    root = Fp.sqrt(square)
  } catch {
    return undefined
  }
  const other = Fp.neg(root)
  return fromAffine.call(curve.Point, { x: at, y: root < other ? root : other })
}
