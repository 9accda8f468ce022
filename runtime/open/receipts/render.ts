// A print document for eyes other than a printer's: plain lines for screens and the CLI, packed rows and PNG for people.
import { type Bitmap, blankBitmap, drawBitmap, packRow, shrinkToFit } from '../../../hal/base/bitmap.js'
import type { Font } from '../../../hal/base/font/font.js'
import { measureShaped } from '../../../hal/base/font/visual-order.js'
import { pngOfRows } from '../../../hal/base/png.js'
import type { PrintDocument } from '../../api/print-document.js'
import { type LayoutLine, layOut, plainMeasure } from './layout.js'
import {
  barcodeModule,
  barcodePicture,
  CELL_DOTS,
  LEADING_DOTS,
  QUIET_DOTS,
  qrPicture,
  TEXT_DOTS,
  textPicture,
} from './line-picture.js'

function plainLine(line: LayoutLine, columns: number): string[] {
  switch (line.kind) {
    case 'text': {
      const free = Math.max(0, columns - plainMeasure(line.text))
      const pad = line.align === 'center' ? free >> 1 : line.align === 'right' ? free : 0
      return [`${' '.repeat(pad)}${line.text}`]
    }
    case 'feed':
      return Array.from({ length: line.lines }, () => '')
    case 'picture':
      return []
    case 'qr':
    case 'barcode':
      return [`[${line.data}]`.slice(0, columns)]
  }
}

/** The document as lines of at most `columns` columns; codes as their data in brackets. */
export function plainLines(document: PrintDocument, columns = 32): string[] {
  return layOut(document, columns, plainMeasure).flatMap((line) => plainLine(line, columns))
}

function picture(line: LayoutLine, dots: number, font: Font): Bitmap {
  const place = (
    source: Bitmap,
    align: 'left' | 'center' | 'right',
    above: number,
    below: number,
  ): Bitmap => {
    const out = blankBitmap(dots, above + source.height + below)
    const free = dots - source.width
    drawBitmap(out, source, align === 'left' ? 0 : align === 'center' ? free >> 1 : free, above)
    return out
  }
  switch (line.kind) {
    case 'text':
      return place(textPicture(line, font), line.align, 0, line.large ? LEADING_DOTS * 2 : LEADING_DOTS)
    case 'feed':
      return blankBitmap(dots, line.lines * (TEXT_DOTS + LEADING_DOTS))
    case 'picture':
      return place(shrinkToFit(line.picture, dots), 'center', 0, 0)
    case 'qr':
      return place(qrPicture(line.data, dots), 'center', QUIET_DOTS, QUIET_DOTS)
    case 'barcode': {
      const module = barcodeModule(line.data, dots)
      return place(
        module === undefined ? qrPicture(line.data, dots) : barcodePicture(line.data, module),
        'center',
        QUIET_DOTS,
        QUIET_DOTS,
      )
    }
  }
}

/** The document as packed rows of `dots` dots, eight a byte: the same layout as on a printer of that width. */
export function documentRows(document: PrintDocument, dots: number, font: Font): Uint8Array[] {
  const lines = layOut(document, Math.floor(dots / CELL_DOTS), (text) => measureShaped(font, text) / 8)
  return lines.flatMap((line) => {
    const drawn = picture(line, dots, font)
    return Array.from({ length: drawn.height }, (_, y) => packRow(drawn, y))
  })
}

/** The document as a PNG with a white margin. */
export function documentPng(document: PrintDocument, dots: number, font: Font): Uint8Array {
  return pngOfRows(documentRows(document, dots, font), dots, 16)
}
