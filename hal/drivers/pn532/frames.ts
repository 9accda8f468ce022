// Frames of the PN532: information, extended information, ACK, NACK and error frames. NXP UM0701-02, 6.2.1.
import { PosternError } from '../../base/errors.js'

/** Direction byte (TFI) of what the host sends and of what the chip answers. 6.2.1.1 */
export const TFI = { host: 0xd4, chip: 0xd5, error: 0x7f } as const

/** Most bytes behind the TFI of an extended frame: 264, of which a command code takes one. 6.2.1.2 */
const MAX_DATA = 264

export const ACK = Uint8Array.of(0x00, 0x00, 0xff, 0x00, 0xff, 0x00)
export const NACK = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0x00, 0x00)

/** What a stream of bytes holds. `broken` is a frame whose sums don't hold, to be asked for again. */
export type Pn532Frame =
  | { readonly kind: 'ack' | 'nack' | 'error' | 'broken' }
  | { readonly kind: 'data'; readonly tfi: number; readonly data: Uint8Array }

/** Two's complement of a sum: what makes it zero. */
const complement = (...bytes: readonly number[]) => -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff

/**
 * One information frame with `data` (1 to 264 bytes) behind `tfi`; extended where the short length can't say it.
 * @throws PosternError `DEVICE_PROTOCOL` for other lengths
 */
export function encodeFrame(data: Uint8Array, tfi: number = TFI.host): Uint8Array {
  if (data.length < 1 || data.length > MAX_DATA)
    throw new PosternError('DEVICE_PROTOCOL', 'a frame has 1 to 264 bytes', { length: data.length })
  const length = data.length + 1
  const [high, low] = [length >> 8, length & 0xff]
  const head = length <= 0xff ? [length, complement(length)] : [0xff, 0xff, high, low, complement(high, low)]
  return Uint8Array.of(0x00, 0x00, 0xff, ...head, tfi, ...data, complement(tfi, ...data), 0x00)
}

/** Head of a frame behind its start code: where its TFI is and how many bytes from there on, or what it is without any. */
type Head =
  | { readonly kind: 'short' } // more bytes are needed
  | { readonly kind: 'none' } // no frame begins here
  | { readonly kind: 'ack' | 'nack' }
  | { readonly kind: 'body'; readonly at: number; readonly length: number }

function readHead(bytes: Uint8Array, start: number): Head {
  const [a, b, high, low, sum] = bytes.subarray(start, start + 5)
  if (a === undefined || b === undefined) return { kind: 'short' }
  if (a === 0x00 && b === 0xff) return { kind: 'ack' }
  if (a === 0xff && b === 0x00) return { kind: 'nack' }
  if (a !== 0xff || b !== 0xff)
    return a > 0 && complement(a) === b ? { kind: 'body', at: start + 2, length: a } : { kind: 'none' }
  if (high === undefined || low === undefined || sum === undefined) return { kind: 'short' }
  const length = high * 256 + low
  if (complement(high, low) !== sum || length < 1 || length > MAX_DATA + 1) return { kind: 'none' }
  return { kind: 'body', at: start + 5, length }
}

/** Reads frames out of bytes that come in pieces of any size; what is between frames is passed over. Never throws. */
export function createFrameReader(): { push(bytes: Uint8Array): Pn532Frame[] } {
  let rest = new Uint8Array(0)
  return {
    push(bytes) {
      const joined = new Uint8Array(rest.length + bytes.length)
      joined.set(rest)
      joined.set(bytes, rest.length)
      const frames: Pn532Frame[] = []
      let at = 0
      for (;;) {
        let start = at
        while (start + 1 < joined.length && !(joined[start] === 0x00 && joined[start + 1] === 0xff)) start++
        if (start + 1 >= joined.length) {
          // A start code may be cut in two.
          at = joined.at(-1) === 0x00 ? Math.max(at, joined.length - 1) : joined.length
          break
        }
        at = start
        const head = readHead(joined, start + 2)
        if (head.kind === 'short') break
        if (head.kind === 'none') {
          at = start + 2
          continue
        }
        if (head.kind !== 'body') {
          frames.push({ kind: head.kind })
          at = start + 4
          continue
        }
        const end = head.at + head.length
        if (joined.length < end + 1) break
        const body = joined.subarray(head.at, end)
        if (complement(...body) !== joined[end]) frames.push({ kind: 'broken' })
        else if (body[0] === TFI.error && body.length === 1) frames.push({ kind: 'error' })
        else frames.push({ kind: 'data', tfi: body[0]!, data: body.slice(1) })
        at = end + 1
      }
      rest = joined.slice(at)
      return frames
    },
  }
}
