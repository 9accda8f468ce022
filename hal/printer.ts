// Receipt printer: jobs of bytes in the printer's own language, done when the printer itself says so.
import type { Device } from './device.js'

export type PrinterState =
  | 'ready'
  | 'busy'
  | 'coverOpen'
  | 'paperOut'
  | 'headHot'
  | 'jam'
  | 'undervoltage'
  | 'offline'
  | 'unknown'

/** Paper is near its end. Raised beside the state, which stays `ready`. */
export type PrinterEvent =
  | { readonly type: 'paperLow'; readonly low: boolean }
  | {
      readonly type: 'job'
      readonly jobId: string
      readonly phase: 'queued' | 'sending' | 'fenced' | 'done' | 'interrupted'
      readonly bytesAcked: number
    }

export interface PrinterCapabilities {
  readonly language: 'escpos'
  /** Dots per line: 384 for 58 mm, 576 (203 dpi) or 512 (180 dpi) for 80 mm paper. */
  readonly dots: number
  /** Characters of font A per line: 32, 42 or 48. */
  readonly columns: number
  /** Code pages by ESC t number, as names that the encoder knows; empty where all text is sent as raster. */
  readonly codePages: Readonly<Record<string, number>>
  readonly cutter: boolean
  readonly qr: boolean
  /** CODE128 by its own firmware (GS k 73); where it has none, bars are sent as pictures. */
  readonly barcodes: boolean
  /** Sent after each ESC @, such as the heat of the head; only commands of the printer's own reference. */
  readonly setUp?: readonly number[]
}

/** A document, encoded for this printer, at most 1 MiB. */
export interface PrintJob {
  readonly id: string
  readonly bytes: Uint8Array
}

export type PrintOutcome =
  | { readonly kind: 'done' }
  /** What the printer had confirmed when it stopped; printing again from the start is always safe. */
  | {
      readonly kind: 'interrupted'
      readonly cause: Exclude<PrinterState, 'ready' | 'busy'> | 'aborted'
      readonly bytesAcked: number
      /** What had been sent to it: all that can be on paper. 0 where the job never began. */
      readonly bytesSent: number
    }

/**
 * `done` means that the printer answered an in-sequence query behind the last byte (ESC/POS GS r 1), not that bytes
 * were written: a drained port has printed nothing yet. A job is bounded by its wire time plus 15 s without progress.
 *
 * Unlike in other classes, abort and loss are outcomes here, because `bytesAcked` matters: after abort `print` resolves
 * as `interrupted` by `aborted` within 250 ms, when the printer goes as `interrupted` by `offline` within 1 s. A job
 * that is given to a printer that is lost, open or out of paper is interrupted at once with 0 bytes. It rejects only
 * with `DEVICE_BUSY` (a job is under way) and `DEVICE_CLOSED`. What an interrupted job left in the printer's buffer is
 * discarded by the driver before the next job.
 */
export interface Printer extends Device<PrinterState, PrinterEvent> {
  readonly deviceClass: 'printer'
  readonly capabilities: PrinterCapabilities
  /** True while the near-end sensor is covered. */
  paperLow(): boolean
  print(job: PrintJob, signal?: AbortSignal): Promise<PrintOutcome>
}
