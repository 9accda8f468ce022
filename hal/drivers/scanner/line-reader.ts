// Codes out of a serial engine's raw output: what stands before a terminator, or before a pause.
import { erase } from '../../base/bytes.js'

/** Longest code. hal/scanner.ts */
export const MAX_CODE_BYTES = 4096

/** What ends a code; `none`: the engine sends nothing behind it, a pause ends it. */
export const TERMINATORS = {
  cr: [0x0d],
  lf: [0x0a],
  crlf: [0x0d, 0x0a],
  tab: [0x09],
  none: [],
} as const satisfies Record<string, readonly number[]>
export type Terminator = keyof typeof TERMINATORS

export interface LineReader {
  take(bytes: Uint8Array): void
  /** Nothing came for the pause: ends a code where nothing else does, and drops the rest of a broken one elsewhere. */
  pause(): void
  /** Bytes of a code that has not ended. */
  pending(): number
}

/**
 * Cuts bytes into codes. Empty ones are no codes; one that is too long is dropped up to its end and told by `dropped`.
 * @example lineReader('crlf', heard, () => {}).take(Buffer.from('123\r\n')) // heard '123'
 */
export function lineReader(
  terminator: Terminator,
  code: (raw: Uint8Array) => void,
  dropped: () => void,
): LineReader {
  const end: readonly number[] = TERMINATORS[terminator]
  const buffer = new Uint8Array(MAX_CODE_BYTES + end.length)
  let used = 0
  let tooLong = false

  const finish = (length: number) => {
    if (tooLong) dropped()
    else if (length > 0) code(buffer.slice(0, length))
    erase(buffer.subarray(0, used))
    used = 0
    tooLong = false
  }
  const ends = () =>
    end.length > 0 && used >= end.length && end.every((byte, at) => buffer[used - end.length + at] === byte)

  return {
    take(bytes) {
      for (const byte of bytes) {
        if (used === buffer.length) {
          // Only as much is kept as the terminator needs to be seen.
          buffer.copyWithin(0, 1, used)
          used--
          tooLong = true
        }
        buffer[used++] = byte
        if (ends()) finish(used - end.length)
      }
      if (end.length === 0 && used > MAX_CODE_BYTES) tooLong = true
    },
    pause() {
      if (used === 0) return
      if (end.length === 0) return finish(used)
      dropped()
      erase(buffer.subarray(0, used))
      used = 0
      tooLong = false
    },
    pending: () => used,
  }
}
