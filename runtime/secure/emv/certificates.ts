// Issuer, ICC and ICC PIN encipherment public key certificates: recovered fields and every check in the book's order
// (EMV Book 2 v4.4: 5.3 with table 6, 6.4 with table 14, 7.1).
import { concat, toHex } from '../../../hal/base/bytes.js'
import { isCertificateExpired } from './dates.js'
import {
  ALGORITHM_RSA,
  HASH_SHA1,
  hashMatches,
  isExponent,
  type Recovered,
  type RsaKey,
  recover,
} from './rsa-recovery.js'

/** Fields of a recovered certificate; nothing but its format is sure until it is verified. */
export interface CertificateFields {
  readonly recovered: Recovered
  /** Issuer identifier (4 bytes) or PAN (10 bytes), F padded. */
  readonly subject: Uint8Array
  /** MMYY. */
  readonly expires: Uint8Array
  readonly serial: Uint8Array
  readonly hashAlgorithm: number
  readonly keyAlgorithm: number
  readonly modulusLength: number
  readonly exponentLength: number
  /** Leftmost bytes of the key, padded with BB where the key is shorter. */
  readonly leftmost: Uint8Array
}

const ISSUER_FORMAT = 0x02
const ICC_FORMAT = 0x04

function fields(key: RsaKey, certificate: Uint8Array, format: number, subjectLength: number) {
  const recovered = recover(key, certificate, format)
  const fixed = 1 + subjectLength + 9
  if (!recovered || recovered.body.length < fixed) return undefined
  const at = 1 + subjectLength
  const { body } = recovered
  return {
    recovered,
    subject: body.subarray(1, at),
    expires: body.subarray(at, at + 2),
    serial: body.subarray(at + 2, at + 5),
    hashAlgorithm: body[at + 5]!,
    keyAlgorithm: body[at + 6]!,
    modulusLength: body[at + 7]!,
    exponentLength: body[at + 8]!,
    leftmost: body.subarray(fixed),
  }
}

/** Steps 1 to 4 of 5.3: the issuer's certificate under the CA key. */
export function recoverIssuerCertificate(
  caKey: RsaKey,
  certificate: Uint8Array,
): CertificateFields | undefined {
  return fields(caKey, certificate, ISSUER_FORMAT, 4)
}

/** Steps 1 to 4 of 6.4: the card's certificate under the issuer's key. */
export function recoverIccCertificate(
  issuerKey: RsaKey,
  certificate: Uint8Array,
): CertificateFields | undefined {
  return fields(issuerKey, certificate, ICC_FORMAT, 10)
}

/** What the terminal checks a certificate against. */
export interface CertificateContext {
  readonly remainder: Uint8Array | undefined
  readonly exponent: Uint8Array | undefined
  readonly pan: Uint8Array | undefined
  /** 9A. */
  readonly today: Uint8Array | undefined
}

/** True where the key is longer than the certificate had room for: its rest is in a data object of its own. */
export function lacksRemainder(from: CertificateFields): boolean {
  return from.modulusLength > from.leftmost.length
}

/** Step 12 (issuer) and 11 (ICC): leftmost digits and remainder make the modulus; undefined where they don't fit. */
function assembleModulus(from: CertificateFields, remainder: Uint8Array | undefined): Uint8Array | undefined {
  const rest = remainder ?? new Uint8Array()
  const missing = from.modulusLength - from.leftmost.length
  if (missing <= 0) return from.leftmost.slice(0, from.modulusLength)
  return missing === rest.length ? concat(from.leftmost, rest) : undefined
}

/** Steps 5 to 12 of 5.3; the key, or the name of the check that failed. */
export function verifyIssuerCertificate(
  from: CertificateFields,
  context: CertificateContext & { isRevoked: (serial: Uint8Array) => boolean },
): RsaKey | string {
  const { remainder, exponent, pan, today } = context
  if (!isExponent(exponent)) return 'issuer public key exponent'
  if (from.hashAlgorithm !== HASH_SHA1) return 'hash algorithm'
  if (!hashMatches(from.recovered, remainder ?? new Uint8Array(), exponent)) return 'hash'
  if (!pan || !issuerMatchesPan(from.subject, pan)) return 'issuer identifier'
  if (isCertificateExpired(today, from.expires)) return 'certificate expired'
  if (context.isRevoked(from.serial)) return 'certificate revoked'
  if (from.keyAlgorithm !== ALGORITHM_RSA) return 'public key algorithm'
  const modulus = assembleModulus(from, remainder)
  if (!modulus || from.exponentLength !== exponent.length) return 'public key length'
  return { modulus, exponent }
}

/** Steps 5 to 11 of 6.4 (and 7.1 for the PIN key, whose hash covers no static data). */
export function verifyIccCertificate(
  from: CertificateFields,
  context: CertificateContext & { staticData: Uint8Array },
): RsaKey | string {
  const { remainder, exponent, pan, today } = context
  if (!isExponent(exponent)) return 'ICC public key exponent'
  if (from.hashAlgorithm !== HASH_SHA1) return 'hash algorithm'
  if (!hashMatches(from.recovered, remainder ?? new Uint8Array(), exponent, context.staticData)) return 'hash'
  if (!pan || stripped(from.subject) !== stripped(pan)) return 'PAN'
  if (isCertificateExpired(today, from.expires)) return 'certificate expired'
  if (from.keyAlgorithm !== ALGORITHM_RSA) return 'public key algorithm'
  const modulus = assembleModulus(from, remainder)
  if (!modulus || from.exponentLength !== exponent.length) return 'public key length'
  return { modulus, exponent }
}

/** Leftmost 3 to 8 digits of the PAN, padded with F (table 6). */
function issuerMatchesPan(issuer: Uint8Array, pan: Uint8Array): boolean {
  const digits = stripped(issuer)
  return digits.length >= 3 && /^[0-9]+$/.test(digits) && toHex(pan).startsWith(digits)
}

function stripped(digits: Uint8Array): string {
  return toHex(digits).replace(/F+$/, '')
}
