// DE48 and DE53 of the terminal's dialects: encrypted card data, and which DUKPT keys were used. BER-TLV, private tags.
import { concat } from '../../../../hal/base/bytes.js'
import { PosternError } from '../../../../hal/base/errors.js'
import { encodeTlv, findTlv, parseTlv, type Tlv } from '../../../../hal/base/tlv.js'
import type { ChipFailure } from '../../card-transaction.js'
import type { CardData } from '../acquirer-port.js'

const CARD_KSN = 0xdf01
const CARD_CIPHERTEXT = 0xdf02
const PIN_KSN = 0xdf03
const MAC_KSN = 0xdf04
const FALLBACK = 0xdf05
/** Of AES DUKPT (X9.24-3) and of TDES DUKPT (X9.24-1). */
const KSN_BYTES: readonly number[] = [12, 10]

/** DF05: why the stripe was read of a card with a chip (DE22 80), one byte. */
const FALLBACK_CODES: Readonly<Record<ChipFailure, number>> = { chipMute: 1, chipError: 2, noApplication: 3 }

function read(path: string, bytes: Uint8Array): Tlv[] {
  try {
    return parseTlv(bytes)
  } catch (error) {
    throw new PosternError('ISO8583_INVALID', `field ${path}: is not BER-TLV`, { path }, error)
  }
}

function ksn(path: string, list: readonly Tlv[], tag: number): Uint8Array | undefined {
  const value = findTlv(list, tag)?.value
  if (value !== undefined && !KSN_BYTES.includes(value.length)) {
    throw new PosternError('ISO8583_INVALID', `field ${path}: a key serial number is 12 or 10 bytes`, {
      path,
    })
  }
  return value?.slice()
}

/** DE48: KSN (DF01), ciphertext (DF02), and of a fallback its reason (DF05). */
export function encodeCardData({ ksn, bytes, fallback }: CardData): Uint8Array {
  const reason =
    fallback === undefined ? new Uint8Array(0) : encodeTlv(FALLBACK, Uint8Array.of(FALLBACK_CODES[fallback]))
  return concat(encodeTlv(CARD_KSN, ksn), encodeTlv(CARD_CIPHERTEXT, bytes), reason)
}

/** @throws PosternError `ISO8583_INVALID` */
export function decodeCardData(bytes: Uint8Array): CardData {
  const list = read('48', bytes)
  const serial = ksn('48', list, CARD_KSN)
  const ciphertext = findTlv(list, CARD_CIPHERTEXT)?.value
  if (serial === undefined || ciphertext === undefined) {
    throw new PosternError('ISO8583_INVALID', 'field 48: KSN or ciphertext is missing', { path: '48' })
  }
  return { ksn: serial, bytes: ciphertext.slice(), ...readFallback(findTlv(list, FALLBACK)?.value) }
}

function readFallback(code: Uint8Array | undefined): Pick<CardData, 'fallback'> {
  if (code === undefined) return {}
  for (const [fallback, value] of Object.entries(FALLBACK_CODES) as [ChipFailure, number][])
    if (code.length === 1 && code[0] === value) return { fallback }
  throw new PosternError('ISO8583_INVALID', 'field 48: there is no such reason for a fallback', {
    path: '48',
  })
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
