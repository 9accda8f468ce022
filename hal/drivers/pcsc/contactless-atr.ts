// What a PC/SC reader tells of a card in its field: ATR and pseudo commands of PC/SC part 3 (2.01), 3.1.3.2.3 and 3.2.2.1.
import { toHex } from '../../base/bytes.js'

/** Registered identifier of the PC/SC workgroup, which marks the ATR of a card that only stores: part 3, 3.1.3.2.3.2. */
const STORAGE_RID = 'A000000306'

/** GET DATA, answered by the reader itself: P1 00 the UID, P1 01 the historical bytes of a type A card's ATS. */
export const GET_UID = Uint8Array.of(0xff, 0xca, 0x00, 0x00, 0x00)
export const GET_ATS = Uint8Array.of(0xff, 0xca, 0x01, 0x00, 0x00)

/**
 * What the ATR says about a card in the field. An ISO/IEC 14443-4 card has `3B 8n 80 01`, n historical bytes and TCK; with
 * the workgroup's RID in an application identifier object (4F) it is a card without part 4.
 */
export function contactlessKind(atr: Uint8Array): 'iso14443-4' | 'storage' | 'unknown' {
  const historical = (atr[1] ?? 0) & 0x0f
  const isPart3 = atr[0] === 0x3b && atr[1]! >> 4 === 8 && atr[2] === 0x80 && atr[3] === 0x01
  if (!isPart3 || atr.length !== 5 + historical) return 'unknown'
  const bytes = toHex(atr.subarray(4, 4 + historical))
  return bytes.startsWith('804F') && bytes.slice(6, 16) === STORAGE_RID ? 'storage' : 'iso14443-4'
}

/** A type A identifier of four bytes that begins with 08 is drawn anew each time, as phones do. ISO/IEC 14443-3, 6.5.4 */
export function isRandomUid(uid: Uint8Array): boolean {
  return uid.length === 4 && uid[0] === 0x08
}
