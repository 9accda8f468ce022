// Application cryptograms and the issuer's answer to them (EMV Book 2 v4.4, 8.1 and 8.2), TDES.
import { concat, xor } from '../../../hal/base/bytes.js'
import { encryptEcb, retailMac } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import { checkDoubleKey } from './key-derivation.js'

/**
 * Application cryptogram (8.1.2): retail MAC over terminal's and card's data. Padding 2 is the book's; version 10 pads
 * with zeros (1). 8 bytes. @throws PosternError `ISSUER_INVALID`
 */
export function applicationCryptogram(key: Uint8Array, data: Uint8Array, padding: 1 | 2 = 2): Uint8Array {
  checkDoubleKey(key, 'session key')
  return retailMac(key, data, padding)
}

function checkCryptogram(key: Uint8Array, arqc: Uint8Array): void {
  checkDoubleKey(key, 'session key')
  if (arqc.length !== 8)
    throw new PosternError('ISSUER_INVALID', 'a cryptogram is 8 bytes', { length: arqc.length })
}

/** ARPC by method 1 (8.2.1): the ARQC mixed with the two bytes of the response code. 8 bytes. @throws PosternError `ISSUER_INVALID` */
export function arpcMethod1(key: Uint8Array, arqc: Uint8Array, responseCode: Uint8Array): Uint8Array {
  checkCryptogram(key, arqc)
  if (responseCode.length !== 2) throw new PosternError('ISSUER_INVALID', 'a response code is 2 bytes')
  return encryptEcb('tdes', key, xor(arqc, concat(responseCode, new Uint8Array(6))))
}

/**
 * ARPC by method 2 (8.2.2): MAC over ARQC, card status update (4 bytes) and 0 to 8 proprietary bytes. 4 bytes.
 * @throws PosternError `ISSUER_INVALID`
 */
export function arpcMethod2(
  key: Uint8Array,
  arqc: Uint8Array,
  statusUpdate: Uint8Array,
  proprietary: Uint8Array = new Uint8Array(0),
): Uint8Array {
  checkCryptogram(key, arqc)
  if (statusUpdate.length !== 4) throw new PosternError('ISSUER_INVALID', 'a card status update is 4 bytes')
  if (proprietary.length > 8)
    throw new PosternError('ISSUER_INVALID', 'proprietary authentication data are at most 8 bytes')
  return retailMac(key, concat(arqc, statusUpdate, proprietary)).slice(0, 4)
}
