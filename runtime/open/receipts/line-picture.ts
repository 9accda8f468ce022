// One line of a document as a picture: what a code page can't say, and the preview of everything.
import {
  type Bitmap,
  bitmapOfGlyph,
  blankBitmap,
  drawBitmap,
  enlarge,
  enlargeByHalf,
} from '../../../hal/base/bitmap.js'
import { code128Data, code128Modules } from '../../../hal/base/code128.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { Font } from '../../../hal/base/font/font.js'
import { measureShaped, visualOrder } from '../../../hal/base/font/visual-order.js'
import { qrModules } from '../../../hal/base/qr-modules.js'
import type { LayoutLine } from './layout.js'

/** Dots of a half-width cell and of a line: font A of the printers, which Unifont is brought to. */
export const CELL_DOTS = 12
export const TEXT_DOTS = 24
/** Blank dots under a line of text, as printers feed them by default. */
export const LEADING_DOTS = 6

/** The text's picture in visual order, exactly as wide as its cells. */
export function textPicture(line: LayoutLine & { kind: 'text' }, font: Font): Bitmap {
  const width = (measureShaped(font, line.text) / 8) * CELL_DOTS
  const picture = blankBitmap(Math.max(width, CELL_DOTS), TEXT_DOTS)
  let x = 0
  let last = 0
  for (const character of visualOrder(line.text, line.rtl)) {
    const glyph = font.glyph(character.codePointAt(0)!)
    const cell = enlargeByHalf(bitmapOfGlyph(glyph))
    const at = glyph.combining ? last : x
    drawBitmap(picture, cell, at, 0)
    if (line.bold) drawBitmap(picture, cell, at + 1, 0)
    if (glyph.combining) continue
    last = x
    x += cell.width
  }
  return line.large ? enlarge(picture, 2, 2) : picture
}

/**
 * The modules of a QR code (error correction M) and the dots a module may take on paper of `dots`.
 * @throws PosternError `QR_TOO_LONG`; 600 characters always fit
 */
export function qrPlan(data: string, dots: number): { readonly modules: boolean[][]; readonly size: number } {
  const modules = qrModules(data, 'medium')
  if (modules === undefined)
    throw new PosternError('QR_TOO_LONG', 'too long for a QR code', { length: data.length })
  // Four modules of quiet zone on both sides; about two thirds of the paper, more where modules would be below 3 dots.
  const most = Math.floor(dots / (modules.length + 8))
  const pleasant = Math.min(8, Math.floor((dots * 2) / 3 / modules.length))
  return { modules, size: Math.max(1, Math.min(most, Math.max(pleasant, 3))) }
}

/** Blank dots above and below a code: its quiet zone. */
export const QUIET_DOTS = 30

export function qrPicture(data: string, dots: number): Bitmap {
  const { modules, size } = qrPlan(data, dots)
  const picture = blankBitmap(modules.length, modules.length)
  for (const [y, row] of modules.entries())
    for (const [x, black] of row.entries()) picture.data[y * modules.length + x] = black ? 1 : 0
  return enlarge(picture, size, size)
}

export const BARCODE_DOTS = 64

/** Dots a module may take so that the symbol and its quiet zones fit; undefined where none does. */
export function barcodeModule(data: string, dots: number): number | undefined {
  const modules = code128Modules(code128Data(data))?.length
  if (modules === undefined) return undefined
  const most = Math.min(3, Math.floor(dots / (modules + 20)))
  if (most >= 1) return most
  return modules <= dots ? 1 : undefined
}

export function barcodePicture(data: string, module: number): Bitmap {
  const modules = code128Modules(code128Data(data))!
  const picture = blankBitmap(modules.length, 1)
  picture.data.set(modules)
  return enlarge(picture, module, BARCODE_DOTS)
}
