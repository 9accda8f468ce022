// What an ESC/POS printer says: bytes told apart by their fixed bits, and the meaning of the status bits.
// Epson ESC/POS Command Reference: DLE EOT, GS r, DLE DC4 (clear response).
import type { PrinterState } from '../../printer.js'

/** Real-time queries that a driver asks. */
export const DLE_EOT = (n: 2 | 3 | 4) => Uint8Array.of(0x10, 0x04, n)
/** In-sequence query of the paper sensor: its answer says that all before it is done. */
export const FENCE = Uint8Array.of(0x1d, 0x72, 0x01)
/** DLE DC4 fn 8: drops what is in the buffers. Answered by 37 25 00. */
export const CLEAR_BUFFER = Uint8Array.of(0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8)

/**
 * How a kind of printer tells its state. `real-time`: DLE EOT at any time, GS r 1 as a fence. `in-sequence`: bare
 * mechanisms answer ESC v where they are in their buffer, one byte with bit 2 for no paper, and nothing else.
 * CSN-A2 manual, ESC v; Adafruit Thermal Printer Library, hasPaper
 */
export type StatusDialect = 'real-time' | 'in-sequence'
export const MECHANISM_FENCE = Uint8Array.of(0x1b, 0x76)

export type Answer =
  | { readonly kind: 'status'; readonly byte: number } // of DLE EOT n
  | { readonly kind: 'fence'; readonly paperLow: boolean; readonly paperOut: boolean } // of GS r 1 or ESC v
  | { readonly kind: 'cleared' }

/**
 * Tells answers apart: DLE EOT has bits 0, 1, 4, 7 fixed to 0, 1, 1, 0; GS r has bits 4 and 7 fixed to 0.
 * Whatever else comes (XON, XOFF, automatic status) is dropped.
 */
export function answerReader(
  heard: (answer: Answer) => void,
  dialect: StatusDialect = 'real-time',
): (bytes: Uint8Array) => void {
  if (dialect === 'in-sequence')
    return (bytes) => {
      for (const byte of bytes) heard({ kind: 'fence', paperLow: false, paperOut: (byte & 0x04) !== 0 })
    }
  let block: number[] | undefined
  return (bytes) => {
    for (const byte of bytes) {
      if (block !== undefined) {
        block.push(byte)
        // A block is 37, identifier, data, 00.
        if (byte === 0x00 || block.length > 16) {
          if (block[0] === 0x25) heard({ kind: 'cleared' })
          block = undefined
        }
      } else if (byte === 0x37) block = []
      else if ((byte & 0x93) === 0x12) heard({ kind: 'status', byte })
      else if ((byte & 0x90) === 0x00)
        heard({ kind: 'fence', paperLow: (byte & 0x03) !== 0, paperOut: false })
    }
  }
}

/** The three status bytes; the third only where the second told of an error. */
export interface StatusBytes {
  readonly offlineCause: number // DLE EOT 2
  readonly error: number // DLE EOT 3
  readonly paper: number // DLE EOT 4
}

interface StatusBit {
  readonly of: keyof StatusBytes
  readonly mask: number
  readonly state: Exclude<PrinterState, 'ready' | 'busy'>
  readonly detail: string
}

/** In order of what a person should mend first. (K) in the reference of small printers: bits of n = 3. */
const STATUS_BITS: readonly StatusBit[] = [
  { of: 'offlineCause', mask: 0x04, state: 'coverOpen', detail: 'the cover is open' },
  { of: 'paper', mask: 0x60, state: 'paperOut', detail: 'the paper is out' },
  { of: 'offlineCause', mask: 0x20, state: 'paperOut', detail: 'printing stopped at the end of the paper' },
  { of: 'error', mask: 0x08, state: 'jam', detail: 'the cutter is blocked' },
  { of: 'error', mask: 0x40, state: 'headHot', detail: 'the print head is too hot and is cooling' },
  { of: 'error', mask: 0x20, state: 'unknown', detail: 'the printer reports a fault: switch it off and on' },
  { of: 'offlineCause', mask: 0x40, state: 'unknown', detail: 'the printer reports an error' },
]

export interface Condition {
  /** Undefined where the printer can print. */
  readonly problem: { readonly state: StatusBit['state']; readonly detail: string } | undefined
  readonly paperLow: boolean
}

/** What an in-sequence answer says. */
export function conditionOfPaper(paperOut: boolean): Condition {
  return {
    problem: paperOut ? { state: 'paperOut', detail: 'the paper is out' } : undefined,
    paperLow: false,
  }
}

/** What the status bytes say together. */
export function conditionOf(bytes: StatusBytes): Condition {
  const row = STATUS_BITS.find(({ of, mask }) => (bytes[of] & mask) !== 0)
  return {
    problem: row && { state: row.state, detail: row.detail },
    paperLow: (bytes.paper & 0x0c) !== 0,
  }
}
