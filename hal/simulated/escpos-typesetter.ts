// The printer's line buffer: characters and symbols side by side, turned into rows of dots when the line is fed.
// Epson ESC/POS Command Reference: font A 12x24, font B 9x17, sizes by GS !, spacing by ESC 3.
import {
  type Bitmap,
  bitmapOfGlyph,
  blankBitmap,
  drawBitmap,
  enlarge,
  enlargeByHalf,
  packRow,
} from '../base/bitmap.js'

/** Where pictures of characters come from; GNU Unifont's 8x16 and 16x16 cells. */
export interface GlyphSource {
  glyph(codePoint: number): {
    readonly width: number
    readonly rows: Uint16Array
    readonly combining: boolean
  }
}

export interface TextStyle {
  font: 'A' | 'B'
  bold: boolean
  underline: number
  inverse: boolean
  timesX: number
  timesY: number
  align: 'left' | 'center' | 'right'
  /** Dots from one line to the next; 30 by default (ESC 2). */
  lineSpacing: number
}

export const DEFAULT_STYLE: Readonly<TextStyle> = {
  font: 'A',
  bold: false,
  underline: 0,
  inverse: false,
  timesX: 1,
  timesY: 1,
  align: 'left',
  lineSpacing: 30,
}

const FONT_CELL = { A: { width: 12, height: 24 }, B: { width: 9, height: 17 } } as const
/** Without a glyph source each character is a hollow box of its cell: widths stay true. */
const BOX_ROWS = Uint16Array.from({ length: 16 }, (_, y) =>
  y < 2 || y > 13 ? 0 : y < 4 || y > 11 ? 126 : 66,
)

/** Composes one line at a time for a head of `dots` dots. */
export class Typesetter {
  readonly #dots: number
  readonly #glyphs: GlyphSource | undefined
  readonly #cells: Bitmap[] = []
  readonly #cache = new Map<string, Bitmap>()
  #width = 0

  constructor(dots: number, glyphs: GlyphSource | undefined) {
    this.#dots = dots
    this.#glyphs = glyphs
  }

  /** Nothing is waiting to be fed. */
  get empty(): boolean {
    return this.#cells.length === 0
  }

  /** Dots used on the line. */
  get width(): number {
    return this.#width
  }

  clear(): void {
    this.#cells.length = 0
    this.#width = 0
  }

  /** True if a cell of that width still fits. */
  fits(width: number): boolean {
    return this.#width + width <= this.#dots
  }

  add(cell: Bitmap): void {
    this.#cells.push(cell)
    this.#width += cell.width
  }

  /** A character's cell in the style. */
  character(character: string, style: TextStyle): Bitmap {
    const key = `${character}${style.font}${style.bold}${style.underline}${style.inverse}${style.timesX}${style.timesY}`
    let cell = this.#cache.get(key)
    if (cell === undefined) {
      cell = this.#draw(character, style)
      if (this.#cache.size >= 2000) this.#cache.clear()
      this.#cache.set(key, cell)
    }
    return cell
  }

  /** The line's rows, packed, and at least `minimum` of them; the buffer is empty afterwards. */
  feed(minimum: number, align: TextStyle['align']): Uint8Array[] {
    const tallest = this.#cells.reduce((most, cell) => Math.max(most, cell.height), 0)
    const line = blankBitmap(this.#dots, Math.max(tallest, minimum))
    const free = this.#dots - this.#width
    let x = align === 'left' ? 0 : align === 'center' ? free >> 1 : free
    for (const cell of this.#cells) {
      drawBitmap(line, cell, x, tallest - cell.height)
      x += cell.width
    }
    this.clear()
    return Array.from({ length: line.height }, (_, y) => packRow(line, y))
  }

  #draw(character: string, style: TextStyle): Bitmap {
    const glyph = this.#glyphs?.glyph(character.codePointAt(0)!) ?? { width: 8, rows: BOX_ROWS }
    const { width, height } = FONT_CELL[style.font]
    // A firmware's own font has no wide characters: a page that names one shows its left half.
    const picture = bitmapOfGlyph(glyph)
    const cell = blankBitmap(width, height)
    drawBitmap(cell, style.font === 'A' ? enlargeByHalf(picture) : picture, 0, 0)
    if (style.bold) drawBitmap(cell, { ...cell, data: cell.data.slice() }, 1, 0)
    for (let line = 0; line < style.underline; line++)
      cell.data.fill(1, (height - 1 - line) * width, (height - line) * width)
    if (style.inverse) for (let i = 0; i < cell.data.length; i++) cell.data[i] = cell.data[i] ? 0 : 1
    return enlarge(cell, style.timesX, style.timesY)
  }
}
