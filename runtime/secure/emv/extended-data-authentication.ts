// XDA: key recovery, the signature of GENERATE AC, what follows where it fails (EMV Book 2 v4.4, 12; Book 3, 10.3; Book 4, 6.3.2.2).
import { concat } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import { type CaKey, findCaKey, isEccKey } from './ca-keys.js'
import { revocationEntry } from './configuration.js'
import { type EcKey, verifyEcSdsa } from './ec-sdsa.js'
import { verifyEccIccCertificate, verifyEccIssuerCertificate } from './ecc-certificates.js'
import { SIGNATURE_SUITES } from './ecc-suites.js'
import type { TransactionData } from './transaction-data.js'

/** Where the way to the card's key ended: at the CA key, or behind it. */
export interface EccKeyFailure {
  readonly kind: 'caKeyMissing' | 'recoveryFailed'
  readonly check: string
}

/**
 * Issuer certified card data: signed records, then AIP, AID of the terminal and PDOL with tag and length (Book 3, 10.3).
 * Undefined where a signed record was unusable.
 */
export function issuerCertifiedData(
  data: TransactionData,
  odaRecords: Uint8Array | undefined,
): Uint8Array | undefined {
  if (!odaRecords) return undefined
  const pdol = data.card(TAG.PDOL)
  return concat(
    odaRecords,
    encodeTlv(TAG.AIP, data.need(TAG.AIP)),
    encodeTlv(TAG.AID, data.need(TAG.AID)),
    ...(pdol ? [encodeTlv(TAG.PDOL, pdol)] : []),
  )
}

/** The card's ECC key through CA key and certificates (12.2 to 12.4): of 9F46 for signatures, of 9F2D for encipherment. */
export function recoverEccKey(
  data: TransactionData,
  odaRecords: Uint8Array | undefined,
  configuration: { readonly caKeys: readonly CaKey[]; readonly revoked: ReadonlySet<string> },
  use: 'signature' | 'encipherment',
): EcKey | EccKeyFailure {
  const index = data.card(TAG.CA_KEY_INDEX)
  if (index?.length === 1) data.set(TAG.TERMINAL_CA_KEY_INDEX, index)
  return data.judge(`ECC key for ${use}`, () => eccKey(data, odaRecords, configuration, use))
}

function eccKey(
  data: TransactionData,
  odaRecords: Uint8Array | undefined,
  configuration: { readonly caKeys: readonly CaKey[]; readonly revoked: ReadonlySet<string> },
  use: 'signature' | 'encipherment',
): EcKey | EccKeyFailure {
  const failed = (check: string): EccKeyFailure => ({ kind: 'recoveryFailed', check })
  const index = data.card(TAG.CA_KEY_INDEX)
  const rid = data.need(TAG.AID).subarray(0, 5)
  const today = data.get(TAG.TRANSACTION_DATE)
  const caKey = index?.length === 1 ? findCaKey(configuration.caKeys, rid, index[0]!, today) : undefined
  if (!caKey || !isEccKey(caKey)) return { kind: 'caKeyMissing', check: 'no CA key' }
  const issuerCertificate = data.card(TAG.ISSUER_CERTIFICATE)
  if (!issuerCertificate) return failed('no issuer certificate')
  const issuerKey = verifyEccIssuerCertificate(issuerCertificate, {
    caKey,
    pan: data.card(TAG.PAN),
    today,
    isRevoked: (serial) => configuration.revoked.has(revocationEntry(rid, caKey.index, serial)),
  })
  if (typeof issuerKey === 'string') return failed(issuerKey)
  const certificate = data.card(use === 'signature' ? TAG.ICC_CERTIFICATE : TAG.PIN_CERTIFICATE)
  if (!certificate) return failed('no ICC certificate')
  const certifiedData = issuerCertifiedData(data, odaRecords)
  if (!certifiedData) return failed('static data')
  const time = data.get(TAG.TRANSACTION_TIME)
  const key = verifyEccIccCertificate(certificate, { issuerKey, use, today, time, certifiedData })
  return typeof key === 'string' ? failed(key) : key
}

const SIGNED_DATA_FORMAT = 0x15

/**
 * 12.5.3: `signature` is tag 9F4B; `dolData` what table 37 names: PDOL and CDOL1 at the first GENERATE AC, CDOL2 alone at
 * the second; `responseObjects` the answer's data objects as received, without 9F4B.
 */
export function verifyXdaSignature(
  key: EcKey,
  signature: Uint8Array,
  dolData: readonly Uint8Array[],
  responseObjects: Uint8Array,
): boolean {
  if (signature.length !== 1 + (SIGNATURE_SUITES[key.suite]?.signatureBytes ?? 0)) return false
  if (signature[0] !== SIGNED_DATA_FORMAT) return false
  return verifyEcSdsa(key, signature.subarray(1), signature.subarray(0, 1), ...dolData, responseObjects)
}

/** True once any of the three ways to fail was met: then no signature of this transaction is verified any more (12.5.1). */
export function xdaHasFailed(data: TransactionData): boolean {
  return data.has('caEccKeyMissing') || data.has('eccKeyRecoveryFailed') || data.has('xdaFailed')
}
