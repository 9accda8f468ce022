// ECC certificates of CA, issuer and card: layout and every check in the book's order (EMV Book 2 v4.4: 11.2.1 with table 29,
// 12.3 with table 35, 12.4 with table 36). They carry their text in clear with a signature behind it; nothing is recovered.
import { equalBytes, toHex } from '../../../hal/base/bytes.js'
import type { EccCaKey } from './ca-keys.js'
import { dateNumber, dateTimeNumber } from './dates.js'
import { type EcKey, verifyEcSdsa } from './ec-sdsa.js'
import { ECC_HASHES, ENCIPHERMENT_SUITES, pointAt, SIGNATURE_SUITES } from './ecc-suites.js'

const FORMAT = { issuer: 0x12, icc: 0x14, ca: 0x20 } as const
/** Values one after the other, without tags or lengths: the only encoding there is. */
const ENCODING = 0x00

/** Bytes before the variable part (tables 29, 35, 36). */
const FIXED = { ca: 9, issuer: 21, icc: 17 } as const

/**
 * A CA's self-signed certificate (table 29): the key that it names, or the rule that it breaks.
 * Its own signature is what keeps key, RID and index together on the way to the terminal.
 */
export function readCaCertificate(
  certificate: Uint8Array,
): Omit<EccCaKey, 'expires'> | 'format' | 'encoding' | 'algorithm suite' | 'length' | 'signature' {
  if (certificate.length < FIXED.ca) return 'length'
  if (certificate[0] !== FORMAT.ca) return 'format'
  if (certificate[1] !== ENCODING) return 'encoding'
  const suite = SIGNATURE_SUITES[certificate[8]!]
  if (!suite) return 'algorithm suite'
  const end = FIXED.ca + suite.curve.fieldBytes
  if (certificate.length !== end + suite.signatureBytes) return 'length'
  const key = { suite: certificate[8]!, x: certificate.slice(FIXED.ca, end) }
  if (!verifyEcSdsa(key, certificate.subarray(end), certificate.subarray(0, end))) return 'signature'
  return { rid: certificate.slice(2, 7), index: certificate[7]!, ...key }
}

/** What an issuer's certificate is checked against. */
export interface EccIssuerContext {
  readonly caKey: EccCaKey
  readonly pan: Uint8Array | undefined
  /** 9A. */
  readonly today: Uint8Array | undefined
  readonly isRevoked: (serial: Uint8Array) => boolean
}

/** Steps 1 to 12 of 12.3: the issuer's key, or the name of the check that failed. */
export function verifyEccIssuerCertificate(
  certificate: Uint8Array,
  { caKey, pan, today, isRevoked }: EccIssuerContext,
): EcKey | string {
  if (certificate.length < FIXED.issuer) return 'issuer certificate length'
  if (certificate[0] !== FORMAT.issuer) return 'issuer certificate format'
  if (certificate[1] !== ENCODING) return 'issuer certificate encoding'
  if (!pan || !issuerMatchesPan(certificate.subarray(2, 7), pan)) return 'issuer identifier'
  const now = dateNumber(today)
  const end = dateTimeNumber(certificate.subarray(8, 12))
  if (now === undefined || end === undefined || end < now) return 'issuer certificate expired'
  if (!equalBytes(certificate.subarray(15, 20), caKey.rid) || certificate[20] !== caKey.index)
    return 'issuer certificate: RID and CA public key index'
  if (isRevoked(certificate.subarray(12, 15))) return 'issuer certificate revoked'
  const suite = SIGNATURE_SUITES[certificate[7]!]
  if (!suite) return 'issuer public key algorithm suite'
  const signed = FIXED.issuer + suite.curve.fieldBytes
  const authority = SIGNATURE_SUITES[caKey.suite]
  if (certificate.length !== signed + (authority?.signatureBytes ?? 0)) return 'issuer certificate length'
  if (!verifyEcSdsa(caKey, certificate.subarray(signed), certificate.subarray(0, signed)))
    return 'issuer certificate signature'
  const x = certificate.slice(FIXED.issuer, signed)
  return pointAt(suite.curve, x) ? { suite: certificate[7]!, x } : 'issuer public key point'
}

/** What a card's certificate is checked against. */
export interface EccIccContext {
  readonly issuerKey: EcKey
  /** 9F46 holds a key for signatures, 9F2D one for encipherment: the suite keeps them apart. */
  readonly use: 'signature' | 'encipherment'
  /** 9A and 9F21. NOTE: the certificate's time is UTC, the terminal's data objects are local; no card lives by the hour. */
  readonly today: Uint8Array | undefined
  readonly time: Uint8Array | undefined
  /** Issuer certified card data (Book 3, 10.3). */
  readonly certifiedData: Uint8Array
}

/** Steps 1 to 11 of 12.4: the card's key, or the name of the check that failed. */
export function verifyEccIccCertificate(
  certificate: Uint8Array,
  { issuerKey, use, today, time, certifiedData }: EccIccContext,
): EcKey | string {
  if (certificate.length < FIXED.icc) return 'ICC certificate length'
  if (certificate[0] !== FORMAT.icc) return 'ICC certificate format'
  if (certificate[1] !== ENCODING) return 'ICC certificate encoding'
  const now = dateNumber(today)
  const end = dateTimeNumber(certificate.subarray(3, 9))
  const minute = now === undefined ? undefined : now * 10_000 + clock(time)
  if (minute === undefined || end === undefined || end <= minute) return 'ICC certificate expired'
  const suite = (use === 'signature' ? SIGNATURE_SUITES : ENCIPHERMENT_SUITES)[certificate[2]!]
  if (!suite) return 'ICC public key algorithm suite'
  // NOTE: table 36 fixes the ICCD hash encoding at 00; the steps do not name it. Another one is another hash input.
  const hash = certificate[15] === ENCODING ? ECC_HASHES[certificate[16]!] : undefined
  if (!hash) return 'ICCD hash algorithm'
  const hashed = FIXED.icc + hash.bytes
  const signed = hashed + suite.curve.fieldBytes
  const issuerSuite = SIGNATURE_SUITES[issuerKey.suite]
  if (certificate.length !== signed + (issuerSuite?.signatureBytes ?? 0)) return 'ICC certificate length'
  if (!equalBytes(certificate.subarray(FIXED.icc, hashed), hash.digest(certifiedData))) return 'ICCD hash'
  if (!verifyEcSdsa(issuerKey, certificate.subarray(signed), certificate.subarray(0, signed)))
    return 'ICC certificate signature'
  const x = certificate.slice(hashed, signed)
  return pointAt(suite.curve, x) ? { suite: certificate[2]!, x } : 'ICC public key point'
}

/** Leftmost 3 to 10 digits of the PAN, padded with F (table 35). */
function issuerMatchesPan(issuer: Uint8Array, pan: Uint8Array): boolean {
  const digits = toHex(issuer).replace(/F+$/, '')
  return digits.length >= 3 && /^[0-9]+$/.test(digits) && toHex(pan).startsWith(digits)
}

/** Hours and minutes of 9F21 as HHMM; without a time the day's first minute. */
function clock(time: Uint8Array | undefined): number {
  return time?.length === 3 ? Number.parseInt(toHex(time.subarray(0, 2)), 10) : 0
}
