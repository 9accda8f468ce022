// EC-SDSA, the Schnorr signature of ISO/IEC 14888-3 in its optimised form: verification (EMV Book 2 v4.4, A2.2.3).
import { equalBytes } from '../../../hal/base/bytes.js'
import { pointAt, SIGNATURE_SUITES } from './ecc-suites.js'
import { toInteger, toOctets } from './integers.js'

/** A public key that verifies signatures: its algorithm suite (table 48) and x-coordinate. */
export interface EcKey {
  readonly suite: number
  readonly x: Uint8Array
}

/** True if `signature` (r and s, N_SIG bytes) is the key's over the message; false for whatever does not hold together. */
export function verifyEcSdsa(key: EcKey, signature: Uint8Array, ...message: readonly Uint8Array[]): boolean {
  const suite = SIGNATURE_SUITES[key.suite]
  if (!suite || signature.length !== suite.signatureBytes) return false
  const { curve, hash } = suite
  const { BASE, Fn } = curve.Point
  const r = signature.subarray(0, hash.bytes)
  const s = toInteger(signature.subarray(hash.bytes))
  const reduced = toInteger(r) % Fn.ORDER
  if (s === 0n || s >= Fn.ORDER || reduced === 0n) return false
  const signer = pointAt(curve, key.x)
  if (!signer) return false
  // Everything here is public, so that the faster, variable-time multiplication will do.
  const point = BASE.mulAddUnsafe(s, signer.negate(), reduced)
  if (point.is0()) return false
  return equalBytes(hash.digest(toOctets(point.toAffine().x, curve.fieldBytes), ...message), r)
}
