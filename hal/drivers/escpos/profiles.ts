// What kinds of ESC/POS printers are fitted to handhelds and counters: paper, head, code pages, buffer, status. One row a kind.
import type { PrinterCapabilities } from '../../printer.js'
import type { StatusDialect } from './answers.js'
import {
  BIXOLON_PAGES,
  CITIZEN_PAGES,
  EPSON_LEGACY_PAGES,
  EPSON_PAGES,
  MECHANISM_PAGES,
  POS5890_PAGES,
  SUNMI_PAGES,
  XPRINTER_PAGES,
} from './code-pages.js'

export type Density = 'light' | 'normal' | 'dark'

export interface PrinterProfile {
  readonly capabilities: PrinterCapabilities
  /** Bytes that may be unconfirmed at the printer: less than its receive buffer, so that queries always get through. */
  readonly windowBytes: number
  /** `real-time` where absent. */
  readonly dialect?: StatusDialect
  /** The serial line's speed as shipped. */
  readonly baudRate: number
  /** Commands that set the heat of the head, where the reference has them. */
  readonly density?: Readonly<Record<Density, readonly number[]>>
}

/** 58 mm paper, 203 dpi, font A of 12 dots. */
const NARROW = { language: 'escpos', dots: 384, columns: 32, cutter: false } as const
/** 80 mm paper, 203 dpi. */
const WIDE = { language: 'escpos', dots: 576, columns: 48, cutter: true } as const
/** 80 mm paper, 180 dpi: the older counter printers. */
const WIDE_180 = { language: 'escpos', dots: 512, columns: 42, cutter: true } as const
const OWN_CODES = { qr: true, barcodes: true } as const
const NO_CODES = { qr: false, barcodes: false } as const

/** GS ( K, function 49: density in steps, FD is -3, 03 is +3. Epson ESC/POS Command Reference (K) */
const EPSON_DENSITY = {
  light: [0x1d, 0x28, 0x4b, 2, 0, 49, 0xfd],
  normal: [0x1d, 0x28, 0x4b, 2, 0, 49, 0],
  dark: [0x1d, 0x28, 0x4b, 2, 0, 49, 3],
} as const
/** ESC 7: dots heated at once (units of 8, less 1), heat and pause in 10 µs. CSN-A2 manual, as Adafruit's library has it */
const MECHANISM_DENSITY = {
  light: [0x1b, 0x37, 11, 80, 40],
  normal: [0x1b, 0x37, 11, 120, 40],
  dark: [0x1b, 0x37, 11, 180, 40],
} as const

export const PRINTER_PROFILES = {
  /** Any 58 mm printer that follows Epson's numbers. */
  '58mm': {
    capabilities: { ...NARROW, ...OWN_CODES, codePages: EPSON_PAGES },
    windowBytes: 2048,
    baudRate: 115_200,
  },
  '80mm': {
    capabilities: { ...WIDE, ...OWN_CODES, codePages: EPSON_PAGES },
    windowBytes: 4096,
    baudRate: 115_200,
  },
  /** No fonts and codes that can be relied on: all is sent as pictures. */
  '58mm-raster': {
    capabilities: { ...NARROW, ...NO_CODES, codePages: {} },
    windowBytes: 2048,
    baudRate: 115_200,
  },
  'epson-tm-p20': {
    capabilities: { ...NARROW, ...OWN_CODES, codePages: EPSON_PAGES },
    windowBytes: 2048,
    baudRate: 115_200,
    density: EPSON_DENSITY,
  },
  'epson-tm-m30': {
    capabilities: { ...WIDE, ...OWN_CODES, codePages: EPSON_PAGES },
    windowBytes: 2048,
    baudRate: 38_400,
    density: EPSON_DENSITY,
  },
  'epson-tm-t88v': {
    capabilities: { ...WIDE_180, ...OWN_CODES, codePages: EPSON_PAGES },
    windowBytes: 2048,
    baudRate: 38_400,
    density: EPSON_DENSITY,
  },
  /** Before QR was in the firmware. */
  'epson-tm-t88iv': {
    capabilities: { ...WIDE_180, qr: false, barcodes: true, codePages: EPSON_LEGACY_PAGES },
    windowBytes: 2048,
    baudRate: 38_400,
  },
  'citizen-ct-s310': {
    capabilities: { ...WIDE, ...OWN_CODES, codePages: CITIZEN_PAGES },
    windowBytes: 2048,
    baudRate: 9600,
  },
  'star-escpos': {
    capabilities: { ...WIDE, qr: false, barcodes: true, codePages: EPSON_LEGACY_PAGES },
    windowBytes: 2048,
    baudRate: 9600,
  },
  'bixolon-srp350': {
    capabilities: { ...WIDE_180, ...OWN_CODES, codePages: BIXOLON_PAGES },
    windowBytes: 2048,
    baudRate: 115_200,
  },
  'pos-5890': {
    capabilities: { ...NARROW, qr: false, barcodes: true, codePages: POS5890_PAGES },
    windowBytes: 1024,
    baudRate: 9600,
  },
  'xprinter-80': {
    capabilities: { ...WIDE, ...OWN_CODES, codePages: XPRINTER_PAGES },
    windowBytes: 2048,
    baudRate: 19_200,
  },
  'sunmi-58': {
    capabilities: { ...NARROW, ...OWN_CODES, codePages: SUNMI_PAGES },
    windowBytes: 2048,
    baudRate: 115_200,
  },
  /** The bare mechanism with a CSN-A2 controller, as sold to makers. */
  'mechanism-58': {
    capabilities: { ...NARROW, ...NO_CODES, codePages: MECHANISM_PAGES },
    windowBytes: 1024,
    dialect: 'in-sequence',
    baudRate: 19_200,
    density: MECHANISM_DENSITY,
  },
} as const satisfies Record<string, PrinterProfile>
export type PrinterProfileName = keyof typeof PRINTER_PROFILES
