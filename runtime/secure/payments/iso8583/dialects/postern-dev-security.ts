// DE48 and DE53 of the development dialect: encrypted card data, and which DUKPT keys were used. BER-TLV, private tags.
import { concat } from '../../../../../hal/base/bytes.js'
import { PosternError } from '../../../../../hal/base/errors.js'
import { encodeTlv, findTlv, parseTlv, type Tlv } from '../../../../../hal/base/tlv.js'
import type { DukptCiphertext } from '../../../card-transaction.js'

const CARD_KSN = 0xdf01
const CARD_CIPHERTEXT = 0xdf02
const PIN_KSN = 0xdf03
const MAC_KSN = 0xdf04
const KSN_BYTES = 12

function read(path: string, bytes: Uint8Array): Tlv[] {
  try {
    return parseTlv(bytes)
  } catch (error) {
    throw new PosternError('ISO8583_INVALID', `field ${path}: is not BER-TLV`, { path }, error)
  }
}

function ksn(path: string, list: readonly Tlv[], tag: number): Uint8Array | undefined {
  const value = findTlv(list, tag)?.value
  if (value !== undefined && value.length !== KSN_BYTES) {
    throw new PosternError('ISO8583_INVALID', `field ${path}: a key serial number is 12 bytes`, { path })
  }
  return value?.slice()
}

/** DE48: KSN (DF01) and ciphertext (DF02). */
export function encodeCardData(data: DukptCiphertext): Uint8Array {
  return concat(encodeTlv(CARD_KSN, data.ksn), encodeTlv(CARD_CIPHERTEXT, data.bytes))
}

/** @throws PosternError `ISO8583_INVALID` */
export function decodeCardData(bytes: Uint8Array): DukptCiphertext {
  const list = read('48', bytes)
  const serial = ksn('48', list, CARD_KSN)
  const ciphertext = findTlv(list, CARD_CIPHERTEXT)?.value
  if (serial === undefined || ciphertext === undefined) {
    throw new PosternError('ISO8583_INVALID', 'field 48: KSN or ciphertext is missing', { path: '48' })
  }
  return { ksn: serial, bytes: ciphertext.slice() }
}

/** The key serial numbers of a message; the PIN's only where DE52 is sent. */
export interface SecurityControl {
  readonly macKsn: Uint8Array
  readonly pinKsn?: Uint8Array | undefined
}

/** DE53: KSN of the PIN block (DF03), KSN of the MAC (DF04). */
export function encodeSecurityControl(control: SecurityControl): Uint8Array {
  const pin = control.pinKsn === undefined ? new Uint8Array(0) : encodeTlv(PIN_KSN, control.pinKsn)
  return concat(pin, encodeTlv(MAC_KSN, control.macKsn))
}

/** @throws PosternError `ISO8583_INVALID` */
export function decodeSecurityControl(bytes: Uint8Array): SecurityControl {
  const list = read('53', bytes)
  const macKsn = ksn('53', list, MAC_KSN)
  if (macKsn === undefined)
    throw new PosternError('ISO8583_INVALID', 'field 53: the KSN of the MAC is missing', { path: '53' })
  const pinKsn = ksn('53', list, PIN_KSN)
  return pinKsn === undefined ? { macKsn } : { macKsn, pinKsn }
}
