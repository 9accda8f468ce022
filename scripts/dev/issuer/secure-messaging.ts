// Secure messaging of issuer scripts (EMV Book 2 v4.4, 9): command MACs, enciphered data, the blocks of a new PIN.
import { concat, fromHex, toHex, xor } from '../../../hal/base/bytes.js'
import { encryptCbc, encryptEcb, padMethod2, retailMac } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import { checkDoubleKey } from './key-derivation.js'

/** MAC of a script command (9.2.3): over header, ATC, cryptogram and data; 4 to 8 bytes. @throws PosternError `ISSUER_INVALID` */
export function commandMac(key: Uint8Array, message: Uint8Array, length = 8): Uint8Array {
  checkDoubleKey(key, 'session key')
  if (length < 4 || length > 8)
    throw new PosternError('ISSUER_INVALID', 'a command MAC is 4 to 8 bytes', { length })
  return retailMac(key, message).slice(0, length)
}

/**
 * How command data are enciphered: `ecb-length` puts their length first and works block by block; `cbc` always pads
 * (9.3.1.1); `cbc-short` pads only what is not whole blocks.
 */
export type DataCipher = 'ecb-length' | 'cbc' | 'cbc-short'

/** Enciphers the data of a script command (9.3). @throws PosternError `ISSUER_INVALID` */
export function encipherCommandData(key: Uint8Array, data: Uint8Array, cipher: DataCipher): Uint8Array {
  checkDoubleKey(key, 'session key')
  const clear = cipher === 'ecb-length' ? concat(Uint8Array.of(data.length), data) : data
  const padded = cipher !== 'cbc' && clear.length % 8 === 0 ? clear : padMethod2(clear, 8)
  return cipher === 'ecb-length'
    ? encryptEcb('tdes', key, padded)
    : encryptCbc('tdes', key, new Uint8Array(8), padded)
}

function checkPin(pin: string): void {
  if (!/^\d{4,12}$/.test(pin)) throw new PosternError('ISSUER_INVALID', 'a PIN has 4 to 12 digits')
}

const pinField = (control: number, pin: string): Uint8Array =>
  fromHex(`${control}${pin.length.toString(16)}${pin}`.padEnd(16, 'F'))

/** ISO 9564-1 format 2 block: 8 bytes, for VERIFY and for PIN change. @throws PosternError `ISSUER_INVALID` */
export function pinBlockFormat2(pin: string): Uint8Array {
  checkPin(pin)
  return pinField(2, pin)
}

/** Reads a format 2 block: the digits, or undefined where it is not one. */
export function readPinBlockFormat2(block: Uint8Array): string | undefined {
  const hex = toHex(block)
  const length = Number.parseInt(hex[1] ?? '', 16)
  if (block.length !== 8 || hex[0] !== '2' || length < 4 || length > 12) return undefined
  const pin = hex.slice(2, 2 + length)
  return /^\d+$/.test(pin) && /^F*$/.test(hex.slice(2 + length)) ? pin : undefined
}

/**
 * New-PIN block of cryptogram version 10: the PIN mixed with part of the card's own key and, where the old one is asked
 * for, with the old PIN. 8 bytes. @throws PosternError `ISSUER_INVALID`
 */
export function newPinBlock(cardKey: Uint8Array, pin: string, currentPin?: string): Uint8Array {
  checkDoubleKey(cardKey, 'card master key')
  checkPin(pin)
  const block = xor(pinField(0, pin), concat(new Uint8Array(4), cardKey.subarray(4, 8)))
  if (currentPin === undefined) return block
  checkPin(currentPin)
  return xor(block, fromHex(currentPin.padEnd(16, '0')))
}
