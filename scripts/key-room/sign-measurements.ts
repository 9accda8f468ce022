// Signs the measurements of a release, so that a TPM opens what it sealed under any release that was signed.
import { type KeyObject, sign } from 'node:crypto'
import { toHex } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import { type Measurements, pcrPolicy } from '../../hal/drivers/tpm2/measurements.js'

/**
 * One row of the signed list. `values` are the PCRs' values (SHA-256 bank, 32 bytes) after a boot of the release, in
 * order of the PCRs' numbers. The key is ECDSA P-256; the signature covers the policy with an empty policyRef
 * (TPM 2.0 Library, Part 3, 23.16).
 * @throws PosternError `MEASUREMENT_INVALID`
 */
export function signMeasurement(
  key: KeyObject,
  release: string,
  pcrs: readonly number[],
  values: readonly Uint8Array[],
): Measurements['approved'][number] {
  const ordered = pcrs.every(
    (pcr, i) => Number.isInteger(pcr) && pcr >= 0 && pcr < 24 && pcr > (pcrs[i - 1] ?? -1),
  )
  if (
    !ordered ||
    pcrs.length === 0 ||
    values.length !== pcrs.length ||
    values.some((value) => value.length !== 32)
  )
    throw new PosternError('MEASUREMENT_INVALID', 'PCRs 0 to 23 in order, each with its value of 32 bytes')
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new PosternError('MEASUREMENT_INVALID', 'the release key for measurements is ECDSA P-256')
  const policy = pcrPolicy(pcrs, values)
  return { release, policy: toHex(policy), signature: sign('sha256', policy, key).toString('base64') }
}
