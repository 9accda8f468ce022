// The key for an enciphered offline PIN: with RSA the card's PIN key or else its ICC key, with ECC its ODE key (EMV Book 2 v4.4, 7.1 and 13.1).
import { TAG } from '../../../hal/base/tags.js'
import { recoverIccCertificate, verifyIccCertificate } from './certificates.js'
import { EccEncipherment } from './ecc-encipherment.js'
import { recoverEccKey } from './extended-data-authentication.js'
import { type OdaConfiguration, retrieveIccKey, retrieveIssuerKey } from './offline-data-authentication.js'
import type { RsaKey } from './rsa-recovery.js'
import { staticDataToAuthenticate } from './static-data-authentication.js'
import type { TransactionData } from './transaction-data.js'
import { CAPABILITY, hasBit } from './verification-results.js'

/** An RSA key, or what enciphers to an ECC key; the latter keeps session keys until it is erased. */
export type PinKey = RsaKey | EccEncipherment

/**
 * The key, by the kind of CA key that the card names, as far as the terminal's capabilities (9F33) have that kind.
 * Undefined where no certificate leads to one: the CVM is then unsuccessful.
 */
export function pinEnciphermentKey(
  data: TransactionData,
  odaRecords: Uint8Array | undefined,
  configuration: Pick<OdaConfiguration, 'caKeys' | 'revoked'>,
): PinKey | undefined {
  const capabilities = data.get(TAG.TERMINAL_CAPABILITIES)
  if (hasBit(capabilities, CAPABILITY.encipheredPinEcc)) {
    const key = recoverEccKey(data, odaRecords, configuration, 'encipherment')
    if ('suite' in key) return new EccEncipherment(key.suite, key.x)
  }
  return hasBit(capabilities, CAPABILITY.encipheredPin)
    ? rsaPinKey(data, odaRecords, configuration)
    : undefined
}

/** Book 2, 7.1. */
function rsaPinKey(
  data: TransactionData,
  odaRecords: Uint8Array | undefined,
  configuration: Pick<OdaConfiguration, 'caKeys' | 'revoked'>,
): RsaKey | undefined {
  const issuerKey = retrieveIssuerKey(data, configuration)
  if (typeof issuerKey === 'string') return undefined
  const certificate = data.card(TAG.PIN_CERTIFICATE)
  if (certificate) {
    return data.judge('PIN key', () => {
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
    })
  }
  const aip = data.need(TAG.AIP)
  const staticData = staticDataToAuthenticate(odaRecords, data.card(TAG.SDA_TAG_LIST), aip)
  const key = staticData && retrieveIccKey(data, issuerKey, staticData)
  return typeof key === 'object' ? key : undefined
}
