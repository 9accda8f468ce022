// Command and response APDUs as a card's operating system sees them (ISO/IEC 7816-4, 5.1; EMV Book 3, 6.3).
import { concat } from '../../../../hal/base/bytes.js'

/** A command, taken apart. */
export interface Command {
  readonly cla: number
  readonly ins: number
  readonly p1: number
  readonly p2: number
  readonly data: Uint8Array
  /** Expected length, 1 to 256; undefined where the command has no Le. */
  readonly le: number | undefined
  /** CLA INS P1 P2. */
  readonly header: Uint8Array
}

/** Data and status words. */
export interface Response {
  readonly data: Uint8Array
  readonly sw: number
}

/** Status words (EMV Book 3, table 5 and the commands' own; ISO/IEC 7816-4, 5.1.3). */
export const SW = {
  ok: 0x9000,
  deactivated: 0x6283,
  authenticationFailed: 0x6300,
  tries: 0x63c0,
  wrongLength: 0x6700,
  securityNotSatisfied: 0x6982,
  blocked: 0x6983,
  invalidated: 0x6984,
  conditions: 0x6985,
  macMissing: 0x6987,
  macWrong: 0x6988,
  wrongData: 0x6a80,
  cardBlocked: 0x6a81,
  notFound: 0x6a82,
  recordNotFound: 0x6a83,
  wrongParameters: 0x6a86,
  dataNotFound: 0x6a88,
  unknownInstruction: 0x6d00,
  unknownClass: 0x6e00,
} as const

const NOTHING = new Uint8Array(0)

/** Status words alone. */
export const status = (sw: number): Response => ({ data: NOTHING, sw })

/** Data with 9000. */
export const answer = (data: Uint8Array): Response => ({ data, sw: SW.ok })

/** Takes a short command apart (cases 1 to 4), or undefined where its lengths contradict each other. */
export function parseCommand(bytes: Uint8Array): Command | undefined {
  if (bytes.length < 4 || bytes.length > 261) return undefined
  const [cla, ins, p1, p2] = [bytes[0]!, bytes[1]!, bytes[2]!, bytes[3]!]
  const head = { cla, ins, p1, p2, header: bytes.slice(0, 4) }
  if (bytes.length === 4) return { ...head, data: NOTHING, le: undefined }
  const length = bytes[4]!
  if (bytes.length === 5) return { ...head, data: NOTHING, le: length === 0 ? 256 : length }
  if (length === 0 || bytes.length < 5 + length || bytes.length > 6 + length) return undefined
  const last = bytes[5 + length]
  return {
    ...head,
    data: bytes.slice(5, 5 + length),
    le: last === undefined ? undefined : last === 0 ? 256 : last,
  }
}

/** The bytes of a response APDU. */
export function encodeResponse({ data, sw }: Response): Uint8Array {
  return concat(data, Uint8Array.of(sw >> 8, sw & 0xff))
}
