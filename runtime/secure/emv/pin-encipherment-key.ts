// The key for an enciphered offline PIN: the card's PIN key, or else its ICC key (EMV Book 2 v4.4, 7.1).
import { TAG } from '../../../hal/base/tags.js'
import { recoverIccCertificate, verifyIccCertificate } from './certificates.js'
import { type OdaConfiguration, retrieveIccKey, retrieveIssuerKey } from './offline-data-authentication.js'
import type { RsaKey } from './rsa-recovery.js'
import { staticDataToAuthenticate } from './static-data-authentication.js'
import type { TransactionData } from './transaction-data.js'

/** Undefined where neither certificate leads to a key: the CVM is then unsuccessful. */
export function pinEnciphermentKey(
  data: TransactionData,
  odaRecords: Uint8Array | undefined,
  configuration: Pick<OdaConfiguration, 'caKeys' | 'revoked'>,
): RsaKey | undefined {
  const issuerKey = retrieveIssuerKey(data, configuration)
  if (typeof issuerKey === 'string') return undefined
  const certificate = data.card(TAG.PIN_CERTIFICATE)
  if (certificate) {
    const fields = recoverIccCertificate(issuerKey, certificate)
    const key =
      fields &&
      verifyIccCertificate(fields, {
        remainder: data.card(TAG.PIN_REMAINDER),
        exponent: data.card(TAG.PIN_EXPONENT),
        pan: data.card(TAG.PAN),
        today: data.get(TAG.TRANSACTION_DATE),
        // 7.1: this certificate's hash covers no static application data.
        staticData: new Uint8Array(),
      })
    return typeof key === 'object' ? key : undefined
  }
  const aip = data.need(TAG.AIP)
  const staticData = staticDataToAuthenticate(odaRecords, data.card(TAG.SDA_TAG_LIST), aip)
  const key = staticData && retrieveIccKey(data, issuerKey, staticData)
  return typeof key === 'object' ? key : undefined
}
