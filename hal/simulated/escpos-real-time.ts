// Real-time commands of a printer: heard byte by byte as they arrive, even out of the middle of a picture.
// Epson ESC/POS Command Reference: DLE EOT n (1 to 4) with its status bytes, DLE DC4 fn 8.

/** Answer to DLE DC4 fn 8: header, identifier, status, end. */
export const BUFFER_CLEARED = Uint8Array.of(0x37, 0x25, 0x00)
const CLEAR_BUFFER = [0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8]

export interface PrinterCondition {
  readonly coverOpen: boolean
  readonly headHot: boolean
  readonly jam: boolean
  readonly paperOut: boolean
  readonly paperLow: boolean
  /** It does not print now, for whatever reason. */
  readonly stopped: boolean
}

/** The status byte of DLE EOT n. Reference, tables of n = 1 to 4; bits 1 and 4 are fixed to 1. */
export function statusByte(n: 1 | 2 | 3 | 4, is: PrinterCondition): number {
  const bit = (on: boolean, mask: number) => (on ? mask : 0)
  switch (n) {
    case 1:
      return 0x12 | bit(is.stopped, 0x08)
    case 2:
      return 0x12 | bit(is.coverOpen, 0x04) | bit(is.paperOut, 0x20) | bit(is.headHot || is.jam, 0x40)
    case 3:
      return 0x12 | bit(is.jam, 0x08) | bit(is.headHot, 0x40)
    case 4:
      return 0x12 | bit(is.paperLow, 0x0c) | bit(is.paperOut, 0x60)
  }
}

/** Listens to the stream of bytes for real-time commands. */
export class RealTimeListener {
  #seen: number[] = []

  /** What the byte completed, if anything: a question by its number, or the order to clear the buffer. */
  heard(byte: number): 1 | 2 | 3 | 4 | 'clear' | undefined {
    const seen = this.#seen
    seen.push(byte)
    if (seen.length > CLEAR_BUFFER.length) seen.shift()
    const [dle, eot] = seen.slice(-3)
    if (seen.length >= 3 && dle === 0x10 && eot === 0x04 && byte >= 1 && byte <= 4)
      return byte as 1 | 2 | 3 | 4
    const clears =
      seen.length === CLEAR_BUFFER.length && seen.every((value, at) => value === CLEAR_BUFFER[at])
    return clears ? 'clear' : undefined
  }

  forget(): void {
    this.#seen = []
  }
}
