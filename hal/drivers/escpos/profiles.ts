// What kinds of ESC/POS printers are fitted to handhelds: paper, head, code pages, buffer. One row a kind.
import type { PrinterCapabilities } from '../../printer.js'

export interface PrinterProfile {
  readonly capabilities: PrinterCapabilities
  /** Bytes that may be unconfirmed at the printer: less than its receive buffer, so that queries always get through. */
  readonly windowBytes: number
}

/** Epson's numbering of ESC t, which clones of both widths follow; names are the encoder's. */
const CODE_PAGES = {
  cp437: 0,
  cp850: 2,
  windows1252: 16,
  cp866: 17,
  cp852: 18,
  cp858: 19,
  windows1250: 45,
  windows1251: 46,
  windows1253: 47,
  windows1254: 48,
} as const

export const PRINTER_PROFILES = {
  '58mm': {
    capabilities: {
      language: 'escpos',
      dots: 384,
      columns: 32,
      codePages: CODE_PAGES,
      cutter: false,
      qr: true,
    },
    windowBytes: 2048,
  },
  '80mm': {
    capabilities: {
      language: 'escpos',
      dots: 576,
      columns: 48,
      codePages: CODE_PAGES,
      cutter: true,
      qr: true,
    },
    windowBytes: 4096,
  },
  /** No fonts that can be relied on: all text is sent as pictures. */
  '58mm-raster': {
    capabilities: { language: 'escpos', dots: 384, columns: 32, codePages: {}, cutter: false, qr: false },
    windowBytes: 2048,
  },
} as const satisfies Record<string, PrinterProfile>
export type PrinterProfileName = keyof typeof PRINTER_PROFILES
