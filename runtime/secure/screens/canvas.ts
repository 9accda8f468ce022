// The canvas: rectangles, text and small pictures onto RGB565 pixels. Nothing is ever drawn outside its clip.
import type { Font } from '../../../hal/base/font/font.js'
import type { Frame, Rect } from '../../../hal/display.js'
import { createGlyphScaler, FULL_COVERAGE, type GlyphScaler } from './glyph-scaler.js'

/** RGB565 of 8-bit components. */
export function rgb(red: number, green: number, blue: number): number {
  return ((red & 0xf8) << 8) | ((green & 0xfc) << 3) | (blue >> 3)
}

/** A mix of two RGB565 colours; `part` of `whole` is `over`. */
function blend(under: number, over: number, part: number, whole: number): number {
  const mix = (a: number, b: number) => Math.round((a * (whole - part) + b * part) / whole)
  return (
    (mix(under >> 11, over >> 11) << 11) |
    (mix((under >> 5) & 63, (over >> 5) & 63) << 5) |
    mix(under & 31, over & 31)
  )
}

export interface TextStyle {
  readonly colour: number
  /** Whole multiples of the font's 16 rows, 1 to 6. */
  readonly scale?: number
  readonly bold?: boolean
  /** Columns from one narrow character to the next, unscaled, where it is not the font's own 8. */
  readonly pitch?: number
}

/** Rows of `#` and `.`: a small picture in one colour. */
export type Bitmap = readonly string[]

/** Draws on one frame. `smooth` gives large text grey edges; without it edges are cut at one half. */
export class Canvas {
  readonly width: number
  readonly height: number
  readonly pixels: Uint16Array
  readonly #font: Font
  readonly #scaler: GlyphScaler
  readonly #smooth: boolean
  readonly #onCut: ((character: string) => void) | undefined
  #clip: Rect

  /** `onCut` hears of every character that its clip cuts: layouts must not let it happen. */
  constructor(
    width: number,
    height: number,
    font: Font,
    smooth: boolean,
    scaler = createGlyphScaler(font),
    onCut?: (character: string) => void,
  ) {
    this.width = width
    this.height = height
    this.pixels = new Uint16Array(width * height)
    this.#font = font
    this.#smooth = smooth
    this.#scaler = scaler
    this.#onCut = onCut
    this.#clip = { x: 0, y: 0, width, height }
  }

  frame(): Frame {
    return { width: this.width, height: this.height, pixels: this.pixels }
  }

  /** Runs `draw` with everything outside `rect` protected; clips nest. */
  within(rect: Rect, draw: () => void): void {
    const before = this.#clip
    const x = Math.max(rect.x, before.x)
    const y = Math.max(rect.y, before.y)
    const right = Math.min(rect.x + rect.width, before.x + before.width)
    const bottom = Math.min(rect.y + rect.height, before.y + before.height)
    this.#clip = { x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y) }
    try {
      draw()
    } finally {
      this.#clip = before
    }
  }

  fill(rect: Rect, colour: number): void {
    const clip = this.#clip
    const left = Math.max(Math.round(rect.x), clip.x)
    const right = Math.min(Math.round(rect.x + rect.width), clip.x + clip.width)
    const top = Math.max(Math.round(rect.y), clip.y)
    const bottom = Math.min(Math.round(rect.y + rect.height), clip.y + clip.height)
    if (right <= left) return
    for (let y = top; y < bottom; y++) this.pixels.fill(colour, y * this.width + left, y * this.width + right)
  }

  /** A filled rectangle with round corners; the corners' edges are mixed with what lies under them. */
  roundRect(rect: Rect, radius: number, colour: number): void {
    const r = Math.max(0, Math.min(radius, Math.floor(rect.width / 2), Math.floor(rect.height / 2)))
    this.fill({ x: rect.x, y: rect.y + r, width: rect.width, height: rect.height - 2 * r }, colour)
    for (let row = 0; row < r; row++) {
      const dy = r - row - 0.5
      const inset = r - Math.sqrt(r * r - dy * dy)
      const whole = Math.ceil(inset)
      const edge = Math.round((whole - inset) * 8)
      for (const y of [rect.y + row, rect.y + rect.height - 1 - row]) {
        this.fill({ x: rect.x + whole, y, width: rect.width - 2 * whole, height: 1 }, colour)
        if (whole > 0 && edge > 0) {
          this.#mix(rect.x + whole - 1, y, colour, edge, 8)
          this.#mix(rect.x + rect.width - whole, y, colour, edge, 8)
        }
      }
    }
  }

  /** A disc inside a square box. */
  disc(x: number, y: number, diameter: number, colour: number): void {
    this.roundRect({ x, y, width: diameter, height: diameter }, diameter / 2, colour)
  }

  /** A straight stroke with round ends. */
  stroke(fromX: number, fromY: number, toX: number, toY: number, thickness: number, colour: number): void {
    const reach = thickness / 2 + 1
    const length2 = (toX - fromX) ** 2 + (toY - fromY) ** 2
    for (let y = Math.floor(Math.min(fromY, toY) - reach); y <= Math.max(fromY, toY) + reach; y++) {
      for (let x = Math.floor(Math.min(fromX, toX) - reach); x <= Math.max(fromX, toX) + reach; x++) {
        const px = x + 0.5
        const py = y + 0.5
        const along =
          length2 === 0
            ? 0
            : Math.max(
                0,
                Math.min(1, ((px - fromX) * (toX - fromX) + (py - fromY) * (toY - fromY)) / length2),
              )
        const distance = Math.hypot(px - fromX - along * (toX - fromX), py - fromY - along * (toY - fromY))
        const part = Math.round(Math.max(0, Math.min(1, thickness / 2 + 0.5 - distance)) * 8)
        if (part > 0) this.#mix(x, y, colour, part, 8)
      }
    }
  }

  /** One line of text with its top left corner at x, y; returns the columns it took. */
  text(x: number, y: number, text: string, style: TextStyle): number {
    const scale = style.scale ?? 1
    let pen = Math.round(x)
    const top = Math.round(y)
    for (const character of text) {
      const codePoint = character.codePointAt(0)!
      const glyph = this.#font.glyph(codePoint)
      const picture = this.#scaler(codePoint, scale, style.bold === true && glyph.width === 8)
      const at = glyph.combining ? Math.max(Math.round(x), pen - picture.width) : pen
      if (this.#onCut !== undefined && !glyph.combining && this.#cuts(at, top, picture.width, picture.height))
        this.#onCut(character)
      for (let row = 0; row < picture.height; row++) {
        for (let column = 0; column < picture.width; column++) {
          const part = picture.coverage[row * picture.width + column]!
          if (part > 0) this.#mix(at + column, top + row, style.colour, part, FULL_COVERAGE)
        }
      }
      if (!glyph.combining) pen += (glyph.width === 8 ? (style.pitch ?? 8) : 2 * (style.pitch ?? 8)) * scale
    }
    return pen - Math.round(x)
  }

  bitmap(x: number, y: number, bitmap: Bitmap, colour: number, scale = 1): void {
    for (const [row, line] of bitmap.entries()) {
      for (let column = 0; column < line.length; column++) {
        if (line[column] === '#')
          this.fill({ x: x + column * scale, y: y + row * scale, width: scale, height: scale }, colour)
      }
    }
  }

  #cuts(x: number, y: number, width: number, height: number): boolean {
    const clip = this.#clip
    return x < clip.x || y < clip.y || x + width > clip.x + clip.width || y + height > clip.y + clip.height
  }

  #mix(x: number, y: number, colour: number, part: number, whole: number): void {
    const clip = this.#clip
    if (x < clip.x || y < clip.y || x >= clip.x + clip.width || y >= clip.y + clip.height) return
    const at = y * this.width + x
    if (part >= whole || (!this.#smooth && part * 2 >= whole)) this.pixels[at] = colour
    else if (this.#smooth) this.pixels[at] = blend(this.pixels[at]!, colour, part, whole)
  }
}
