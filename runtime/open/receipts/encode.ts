// A print document as ESC/POS bytes for one printer: a code page per line, and a picture of what no page can say.
import ReceiptPrinterEncoder from '@point-of-sale/receipt-printer-encoder'
import { type Bitmap, packRow, shrinkToFit } from '../../../hal/base/bitmap.js'
import { concat } from '../../../hal/base/bytes.js'
import { code128Data } from '../../../hal/base/code128.js'
import type { Font } from '../../../hal/base/font/font.js'
import { measureShaped } from '../../../hal/base/font/visual-order.js'
import type { PrinterCapabilities } from '../../../hal/printer.js'
import type { PrintDocument } from '../../api/print-document.js'
import { type LayoutLine, layOut } from './layout.js'
import {
  BARCODE_DOTS,
  barcodeModule,
  barcodePicture,
  LEADING_DOTS,
  QUIET_DOTS,
  qrPicture,
  qrPlan,
  textPicture,
} from './line-picture.js'

type CodePage = Exclude<Parameters<ReceiptPrinterEncoder['codepage']>[0], 'auto'>

const ESC = 0x1b
const GS = 0x1d
const ALIGN = { left: 0, center: 1, right: 2 } as const
const align = (how: keyof typeof ALIGN) => Uint8Array.of(ESC, 0x61, ALIGN[how])
/** Paper fed above and below a code. */
const QUIET = Uint8Array.of(ESC, 0x4a, QUIET_DOTS)
/** Rows of one raster command: small enough that a driver can interrupt between two. */
const BAND_ROWS = 24

function plainEncoder(capabilities: PrinterCapabilities): ReceiptPrinterEncoder {
  return new ReceiptPrinterEncoder({
    language: 'esc-pos',
    columns: capabilities.columns,
    codepageMapping: { ...capabilities.codePages },
    newline: '\n',
    autoFlush: false,
    feedBeforeCut: 0,
  })
}

const questionMarks = (bytes: Uint8Array | string) => {
  let count = 0
  for (const byte of bytes) if (byte === 0x3f || byte === '?') count++
  return count
}

/** The line in one page of the printer, or undefined where the page lacks a character (the library writes `?`). */
function textInPage(
  line: LayoutLine & { kind: 'text' },
  page: CodePage,
  capabilities: PrinterCapabilities,
): Uint8Array | undefined {
  const encoder = plainEncoder(capabilities).codepage(page)
  // Alignment is the printer's: the library would fill with spaces and break lines by itself.
  if (line.bold) encoder.bold(true)
  if (line.large) encoder.size(2, 2)
  encoder.text(line.text)
  if (line.large) encoder.size(1, 1)
  if (line.bold) encoder.bold(false)
  const bytes = encoder.newline().encode()
  return questionMarks(bytes) === questionMarks(line.text) ? bytes : undefined
}

/**
 * NOTE: within a picture, DLE EOT, DLE ENQ and DLE DC4 act as real-time commands (ESC/POS reference, DLE EOT): one dot
 * is added where a picture would spell one.
 */
function disarm(rows: Uint8Array): Uint8Array {
  for (let i = 0; i + 1 < rows.length; i++) {
    if (rows[i] === 0x10 && (rows[i + 1] === 0x04 || rows[i + 1] === 0x05 || rows[i + 1] === 0x14))
      rows[i] = 0x11
  }
  return rows
}

/** A picture by GS v 0, in bands. */
function raster(picture: Bitmap): Uint8Array {
  const width = Math.ceil(picture.width / 8)
  const parts: Uint8Array[] = []
  for (let y = 0; y < picture.height; y += BAND_ROWS) {
    const rows = Math.min(BAND_ROWS, picture.height - y)
    parts.push(Uint8Array.of(GS, 0x76, 0x30, 0, width & 0xff, width >> 8, rows, 0))
    const band = Array.from({ length: rows }, (_, r) => packRow(picture, y + r, width))
    parts.push(disarm(concat(...band)))
  }
  return concat(...parts)
}

/** Blank space at the end of a picture costs wire time: aligned left it is not sent. */
function trimmed(picture: Bitmap): Bitmap {
  let used = 8
  for (let i = 0; i < picture.data.length; i++) {
    if (picture.data[i]) used = Math.max(used, (i % picture.width) + 1)
  }
  const data = new Uint8Array(used * picture.height)
  for (let y = 0; y < picture.height; y++)
    data.set(picture.data.subarray(y * picture.width, y * picture.width + used), y * used)
  return { width: used, height: picture.height, data }
}

function textLine(
  line: LayoutLine & { kind: 'text' },
  capabilities: PrinterCapabilities,
  font: Font,
): Uint8Array {
  if (line.text.trim() === '') return Uint8Array.of(0x0a)
  for (const page of Object.keys(capabilities.codePages)) {
    const bytes = textInPage(line, page as CodePage, capabilities)
    if (bytes !== undefined) return concat(align(line.align), bytes)
  }
  const picture = textPicture(line, font)
  return concat(
    align(line.align),
    raster(line.align === 'left' ? trimmed(picture) : picture),
    Uint8Array.of(ESC, 0x4a, line.large ? LEADING_DOTS * 2 : LEADING_DOTS),
  )
}

function qrCode(data: string, capabilities: PrinterCapabilities): Uint8Array {
  if (!capabilities.qr)
    return concat(QUIET, align('center'), raster(qrPicture(data, capabilities.dots)), align('left'), QUIET)
  const { size } = qrPlan(data, capabilities.dots)
  const bytes = new TextEncoder().encode(data)
  const store = bytes.length + 3
  // Model, module size, error correction M, store, print: functions 165, 167, 169, 180, 181.
  return concat(
    QUIET,
    align('center'),
    Uint8Array.of(GS, 0x28, 0x6b, 4, 0, 49, 65, 50, 0),
    Uint8Array.of(GS, 0x28, 0x6b, 3, 0, 49, 67, size),
    Uint8Array.of(GS, 0x28, 0x6b, 3, 0, 49, 69, 49),
    Uint8Array.of(GS, 0x28, 0x6b, store & 0xff, store >> 8, 49, 80, 48),
    bytes,
    Uint8Array.of(GS, 0x28, 0x6b, 3, 0, 49, 81, 48),
    align('left'),
    QUIET,
  )
}

/** What a symbol says, for eyes. */
function textUnder(data: string, capabilities: PrinterCapabilities, font: Font): Uint8Array[] {
  const block = { kind: 'text', text: data, align: 'center' } as const
  return layOut({ blocks: [block] }, capabilities.columns, (text) => text.length).map((line) =>
    encodeLine(line, capabilities, font),
  )
}

/** Written here, not by the library: its module width is one more than asked, which does not fit small paper. */
function barcode(data: string, capabilities: PrinterCapabilities, font: Font): Uint8Array {
  const module = barcodeModule(data, capabilities.dots)
  if (module === undefined) {
    // Too long for the paper in bars: a QR code of the same data, with the text under it.
    return concat(qrCode(data, capabilities), ...textUnder(data, capabilities, font))
  }
  if (!capabilities.barcodes)
    return concat(
      QUIET,
      align('center'),
      raster(barcodePicture(data, module)),
      Uint8Array.of(ESC, 0x4a, LEADING_DOTS),
      ...textUnder(data, capabilities, font),
      align('left'),
      QUIET,
    )
  const symbol = code128Data(data)
  return concat(
    QUIET,
    align('center'),
    Uint8Array.of(GS, 0x68, BARCODE_DOTS, GS, 0x77, module, GS, 0x48, 2, GS, 0x66, 0),
    Uint8Array.of(GS, 0x6b, 73, symbol.length),
    symbol,
    align('left'),
    QUIET,
  )
}

function encodeLine(line: LayoutLine, capabilities: PrinterCapabilities, font: Font): Uint8Array {
  switch (line.kind) {
    case 'text':
      return textLine(line, capabilities, font)
    case 'feed':
      return Uint8Array.of(ESC, 0x64, line.lines)
    case 'qr':
      return qrCode(line.data, capabilities)
    case 'barcode':
      return barcode(line.data, capabilities, font)
    case 'picture':
      return concat(align('center'), raster(shrinkToFit(line.picture, capabilities.dots)), align('left'))
  }
}

/** Lines fed at the end, so that the last one is above the tear bar of a 58 mm mechanism. */
const FEED_AT_END = 4

/** A document as a job, and where each of its lines ends in it. */
export interface EncodedDocument {
  readonly bytes: Uint8Array
  readonly lineEnds: readonly number[]
}

/** Where a job goes on: lines of the document that are on paper, and what is written above the rest. */
export interface Continuation {
  readonly lines: number
  /** Absent where the paper is still the same, so that nobody sees a seam. */
  readonly mark?: string
}

/** The job: set up, every line (from a continuation on), feed, cut where there is a cutter. */
export function encodeJob(
  document: PrintDocument,
  capabilities: PrinterCapabilities,
  font: Font,
  from: Continuation = { lines: 0 },
): EncodedDocument {
  const measure = (text: string) => measureShaped(font, text) / 8
  const mark: PrintDocument['blocks'] =
    from.mark === undefined
      ? []
      : [{ kind: 'text', text: `*** ${from.mark} ***`, align: 'center', bold: true }]
  const head = [
    plainEncoder(capabilities).initialize().encode(),
    Uint8Array.from(capabilities.setUp ?? []),
    ...layOut({ blocks: mark }, capabilities.columns, measure).map((line) =>
      encodeLine(line, capabilities, font),
    ),
  ]
  const lines = layOut(document, capabilities.columns, measure)
    .slice(from.lines)
    .map((line) => encodeLine(line, capabilities, font))
  let end = head.reduce((sum, part) => sum + part.length, 0)
  const lineEnds = lines.map((line) => {
    end += line.length
    return end
  })
  const tail = [
    align('left'),
    Uint8Array.of(ESC, 0x64, FEED_AT_END),
    capabilities.cutter ? Uint8Array.of(GS, 0x56, 1) : new Uint8Array(0),
  ]
  return { bytes: concat(...head, ...lines, ...tail), lineEnds }
}

/** The whole job from its first line. */
export function encodeDocument(
  document: PrintDocument,
  capabilities: PrinterCapabilities,
  font: Font,
): Uint8Array {
  return encodeJob(document, capabilities, font).bytes
}
