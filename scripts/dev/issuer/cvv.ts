// Card verification values: of the stripe and its chip image (CVV, iCVV), and of contactless stripe mode (CVC3).
import { concat, fromHex, toHex, xor } from '../../../hal/base/bytes.js'
import { encryptEcb, retailMac } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import { checkDoubleKey } from './key-derivation.js'
import { decimalise } from './pin.js'

/**
 * Card verification value, three digits, over PAN, expiry (four digits in the issuer's order) and service code; `999` as
 * service code makes the one of the chip's track 2. @throws PosternError `ISSUER_INVALID`
 */
export function cardVerificationValue(
  key: Uint8Array,
  pan: string,
  expiry: string,
  serviceCode: string,
): string {
  checkDoubleKey(key, 'card verification key')
  if (!/^\d{1,19}$/.test(pan) || !/^\d{4}$/.test(expiry) || !/^\d{3}$/.test(serviceCode))
    throw new PosternError('ISSUER_INVALID', 'PAN up to 19 digits, expiry 4, service code 3')
  const data = fromHex((pan + expiry + serviceCode).padEnd(32, '0'))
  const first = encryptEcb('tdes', key.subarray(0, 8), data.subarray(0, 8))
  return decimalise(toHex(encryptEcb('tdes', key, xor(first, data.subarray(8)))), 3)
}

/**
 * CVC3 over the track template's MAC, unpredictable number (4 bytes) and ATC (2 bytes): five digits, of which a track
 * carries the last ones. @throws PosternError `ISSUER_INVALID`
 */
export function dynamicVerificationCode(
  key: Uint8Array,
  trackTemplate: Uint8Array,
  unpredictable: Uint8Array,
  atc: Uint8Array,
): string {
  checkDoubleKey(key, 'CVC3 key')
  if (unpredictable.length !== 4 || atc.length !== 2)
    throw new PosternError('ISSUER_INVALID', 'the unpredictable number is 4 bytes and the ATC 2')
  const start = retailMac(key, trackTemplate).subarray(6)
  const code = encryptEcb('tdes', key, concat(start, unpredictable, atc)).subarray(6)
  return `${code[0]! * 256 + code[1]!}`.padStart(5, '0')
}
