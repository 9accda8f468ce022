// What an SSI engine reads, put together: packets of one code, repeated ones recognised. SSI Programmer's Guide, DECODE_DATA.
import { concat, equalBytes } from '../../base/bytes.js'
import { MAX_CODE_BYTES } from './line-reader.js'
import { SSI_STATUS, type SsiPacket } from './ssi-packet.js'

/** What was read so far. */
export interface SsiDecoding {
  readonly parts: readonly Uint8Array[]
  readonly type: number | undefined
  readonly length: number
  readonly tooLong: boolean
  /** The packet that was taken last: the engine sends it again where our ACK got lost. */
  readonly last: SsiPacket | undefined
}

export const NOTHING_DECODED: SsiDecoding = {
  parts: [],
  type: undefined,
  length: 0,
  tooLong: false,
  last: undefined,
}

export type SsiDecoded =
  | { readonly kind: 'more' }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'dropped' }
  | { readonly kind: 'code'; readonly type: number; readonly raw: Uint8Array }

/** Takes one DECODE_DATA packet: a code type byte, then data; bit 1 of the status says that more follows. */
export function takeDecodeData(
  before: SsiDecoding,
  packet: SsiPacket,
): { readonly next: SsiDecoding; readonly result: SsiDecoded } {
  const { last } = before
  const repeated =
    (packet.status & SSI_STATUS.retransmit) !== 0 &&
    last !== undefined &&
    (last.status | SSI_STATUS.retransmit) === packet.status &&
    equalBytes(last.data, packet.data)
  if (repeated) return { next: before, result: { kind: 'repeated' } }
  if (packet.data.length === 0)
    return { next: { ...NOTHING_DECODED, last: packet }, result: { kind: 'dropped' } }
  const type = packet.data[0]!
  const piece = packet.data.subarray(1)
  // Another type in the middle: the end of the one before it never came.
  const start = before.type === type ? before : NOTHING_DECODED
  const length = start.length + piece.length
  const tooLong = start.tooLong || length > MAX_CODE_BYTES
  const parts = tooLong ? [] : [...start.parts, piece]
  if ((packet.status & SSI_STATUS.continues) !== 0)
    return { next: { parts, type, length, tooLong, last: packet }, result: { kind: 'more' } }
  const next = { ...NOTHING_DECODED, last: packet }
  return tooLong
    ? { next, result: { kind: 'dropped' } }
    : { next, result: { kind: 'code', type, raw: concat(...parts) } }
}
