// Commands of the PN532 that a card reader needs, their answers, and its status codes. NXP UM0701-02, 7.
import { concat } from '../../base/bytes.js'
import { PosternError } from '../../base/errors.js'

/** Command codes; an answer has the code plus one. */
export const COMMAND = {
  diagnose: 0x00,
  getFirmwareVersion: 0x02,
  samConfiguration: 0x14,
  rfConfiguration: 0x32,
  inDataExchange: 0x40,
  inListPassiveTarget: 0x4a,
} as const

/** Normal mode, no SAM; the time-out byte counts for the virtual card only, IRQ stays used. 7.2.10 */
export const SAM_NORMAL = Uint8Array.of(COMMAND.samConfiguration, 0x01, 0x00, 0x01)
export const FIRMWARE = Uint8Array.of(COMMAND.getFirmwareVersion)
/** Item 1: the field alone, without automatic collision avoidance of other fields. 7.3.1 */
export const rfField = (on: boolean) => Uint8Array.of(COMMAND.rfConfiguration, 0x01, on ? 1 : 0)
/** Item 5: how often activation is tried: once more and then told, so that a poll can be ended. 7.3.1 */
export const FEW_RETRIES = Uint8Array.of(COMMAND.rfConfiguration, 0x05, 0xff, 0x01, 0x01)
/** Test 6: is the ISO/IEC 14443-4 card still there? 7.2.1 */
export const PRESENCE = Uint8Array.of(COMMAND.diagnose, 0x06)

/** BrTy 00 is type A at 106 kbit/s, up to two cards of it; 03 is type B with AFI 00 (every application). 7.3.5 */
export const LIST_A = Uint8Array.of(COMMAND.inListPassiveTarget, 0x02, 0x00)
export const LIST_B = Uint8Array.of(COMMAND.inListPassiveTarget, 0x01, 0x03, 0x00)

/** A piece of a command to target 1; bit 6 of the target says that more follows. 7.3.8 */
export function dataExchange(piece: Uint8Array, more: boolean): Uint8Array {
  return concat(Uint8Array.of(COMMAND.inDataExchange, more ? 0x41 : 0x01), piece)
}
/** Longest piece that a frame of the short form holds: TFI, code and target besides. */
export const MAX_PIECE = 252

/** What became of an exchange. 7.1, status byte, bits 0 to 5 */
const STATUS = {
  0: 'ok',
  1: 'silent', // the card did not answer in its time
  2: 'broken', // CRC
  3: 'broken', // parity
  4: 'broken', // bit count in anticollision
  5: 'broken', // framing
  6: 'broken', // bits that collide
  7: 'broken', // answer longer than the buffer
  10: 'gone', // field not switched on in time
  11: 'broken', // ISO/IEC 14443-4 protocol
  19: 'broken', // format of the answer
  39: 'gone', // nothing is active that this could go to
  41: 'gone', // released
  42: 'gone', // another card in its place
  43: 'gone', // card disappeared
} as const satisfies Record<number, string>
export type ExchangeStatus = (typeof STATUS)[keyof typeof STATUS]

/** The status byte of an answer, and whether more data wait (bit 6). */
export function readStatus(byte: number): { readonly status: ExchangeStatus; readonly more: boolean } {
  const code = byte & 0x3f
  return { status: STATUS[code as keyof typeof STATUS] ?? 'broken', more: (byte & 0x40) !== 0 }
}

/** A card in the field. */
export interface Target {
  readonly technology: 'A' | 'B'
  /** Type A: the identifier (NFCID1); type B: PUPI. */
  readonly uid: Uint8Array
  /** What the reader makes of its answer, as PC/SC part 3 does; undefined for a tag without ISO/IEC 14443-4. */
  readonly atr: Uint8Array | undefined
}

/** SEL_RES bit 6: the card speaks ISO/IEC 14443-4. ISO/IEC 14443-3, 6.5.3.4 */
const SAK_PART4 = 0x20

const invalid = (what: string) => new PosternError('DEVICE_PROTOCOL', `the PN532 answered a wrong ${what}`)

/** Bytes one after the other; each taking is checked. */
function takerOf(bytes: Uint8Array): (length: number) => Uint8Array {
  let at = 0
  return (length) => {
    if (at + length > bytes.length) throw invalid('list of targets')
    at += length
    return bytes.subarray(at - length, at)
  }
}

/** `3B 8n 80 01`, n historical bytes and the check byte. PC/SC part 3, 3.1.3.2.3.1 */
function atrOf(historical: Uint8Array): Uint8Array {
  const head = Uint8Array.of(0x3b, 0x80 | historical.length, 0x80, 0x01, ...historical)
  return concat(head, Uint8Array.of(head.slice(1).reduce((sum, byte) => sum ^ byte, 0)))
}

/** Historical bytes of an answer to select (TL T0 [TA TB TC] T1…Tk), at most 15. ISO/IEC 14443-4, 5.2 */
function historicalOf(ats: Uint8Array): Uint8Array {
  const t0 = ats[1]
  if (t0 === undefined) return new Uint8Array(0)
  const interfaceBytes = ((t0 >> 4) & 1) + ((t0 >> 5) & 1) + ((t0 >> 6) & 1)
  return ats.slice(2 + interfaceBytes, 2 + interfaceBytes + 15)
}

/**
 * The targets of an answer to InListPassiveTarget (without its code), 7.3.5.
 * @throws PosternError `DEVICE_PROTOCOL` where lengths don't hold
 */
export function readTargets(answer: Uint8Array, technology: 'A' | 'B'): readonly Target[] {
  const take = takerOf(answer)
  const count = take(1)[0]!
  if (count > 2) throw invalid('number of targets')
  return Array.from({ length: count }, () => {
    take(1)
    if (technology === 'B') {
      const atqb = take(12)
      const attrib = take(take(1)[0]!)
      // Application data, protocol information and, in the upper half of the last, the card's buffer (MBLI).
      const historical = concat(atqb.subarray(5, 12), Uint8Array.of((attrib[0] ?? 0) & 0xf0))
      return { technology, uid: atqb.slice(1, 5), atr: atrOf(historical) }
    }
    take(2)
    const sak = take(1)[0]!
    const uid = take(take(1)[0]!).slice()
    if ((sak & SAK_PART4) === 0) return { technology, uid, atr: undefined }
    const length = take(1)[0]!
    if (length < 1) throw invalid('ATS')
    return { technology, uid, atr: atrOf(historicalOf(concat(Uint8Array.of(length), take(length - 1)))) }
  })
}
