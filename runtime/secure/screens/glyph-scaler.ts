// Large text from a 16-row font: Scale2x and Scale3x keep diagonals, half-size averaging gives soft edges.
import { type Font, GLYPH_HEIGHT } from '../../../hal/base/font/font.js'

/** Coverage of a pixel that lies wholly inside the glyph. */
export const FULL_COVERAGE = 4

/** A glyph as coverage 0 to `FULL_COVERAGE` per pixel, row by row. */
export interface GlyphPicture {
  readonly width: number
  readonly height: number
  readonly coverage: Uint8Array
}

/** The picture of a code point at a whole multiple 1 to 6 of the font's size. */
export type GlyphScaler = (codePoint: number, scale: number, bold: boolean) => GlyphPicture

interface Bits {
  readonly width: number
  readonly height: number
  readonly on: Uint8Array
}

/** The largest number of pictures kept; a screen needs some fifty different ones. */
const CACHE_LIMIT = 600

/** Makes a scaler with a bounded cache. */
export function createGlyphScaler(font: Font): GlyphScaler {
  const cache = new Map<number, GlyphPicture>()
  return (codePoint, scale, bold) => {
    const factor = Math.max(1, Math.min(6, Math.floor(scale)))
    const key = codePoint * 16 + factor * 2 + (bold ? 1 : 0)
    const known = cache.get(key)
    if (known !== undefined) return known
    const glyph = font.glyph(codePoint)
    const on = new Uint8Array(glyph.width * GLYPH_HEIGHT)
    for (let y = 0; y < GLYPH_HEIGHT; y++) {
      const row = bold ? glyph.rows[y]! | (glyph.rows[y]! >> 1) : glyph.rows[y]!
      for (let x = 0; x < glyph.width; x++) on[y * glyph.width + x] = (row >> (glyph.width - 1 - x)) & 1
    }
    const picture = enlarge({ width: glyph.width, height: GLYPH_HEIGHT, on }, factor)
    if (cache.size >= CACHE_LIMIT) cache.clear()
    cache.set(key, picture)
    return picture
  }
}

/** To twice the wanted size by steps of 2 and 3, then down by averaging squares of four. */
function enlarge(bits: Bits, factor: number): GlyphPicture {
  if (factor === 1)
    return {
      width: bits.width,
      height: bits.height,
      coverage: bits.on.map((bit) => bit * FULL_COVERAGE),
    }
  let large = bits
  if (factor === 2) large = scale2x(scale2x(bits))
  else if (factor === 3) large = scale2x(scale3x(bits))
  else if (factor === 4) large = scale2x(scale2x(scale2x(bits)))
  else if (factor === 5) large = nearest(scale2x(scale2x(scale2x(bits))), bits.width * 10, bits.height * 10)
  else large = scale2x(scale2x(scale3x(bits)))
  const width = bits.width * factor
  const height = bits.height * factor
  const coverage = new Uint8Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 2 * y * large.width + 2 * x
      coverage[y * width + x] =
        large.on[at]! + large.on[at + 1]! + large.on[at + large.width]! + large.on[at + large.width + 1]!
    }
  }
  return { width, height, coverage }
}

function nearest(bits: Bits, width: number, height: number): Bits {
  const on = new Uint8Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = Math.floor((y * bits.height) / height) * bits.width + Math.floor((x * bits.width) / width)
      on[y * width + x] = bits.on[from]!
    }
  }
  return { width, height, on }
}

const reader = (bits: Bits) => (x: number, y: number) =>
  x < 0 || y < 0 || x >= bits.width || y >= bits.height ? 0 : bits.on[y * bits.width + x]!

/** Scale2x (Mazzoleni, the EPX rule): a corner takes its neighbours' colour where they agree. */
function scale2x(bits: Bits): Bits {
  const width = bits.width * 2
  const on = new Uint8Array(width * bits.height * 2)
  const at = reader(bits)
  for (let y = 0; y < bits.height; y++) {
    for (let x = 0; x < bits.width; x++) {
      const self = at(x, y)
      const up = at(x, y - 1)
      const left = at(x - 1, y)
      const right = at(x + 1, y)
      const down = at(x, y + 1)
      const edge = up !== down && left !== right
      const to = 2 * y * width + 2 * x
      on[to] = edge && left === up ? left : self
      on[to + 1] = edge && up === right ? right : self
      on[to + width] = edge && left === down ? left : self
      on[to + width + 1] = edge && down === right ? right : self
    }
  }
  return { width, height: bits.height * 2, on }
}

/** Scale3x, the same idea on nine pixels. */
function scale3x(bits: Bits): Bits {
  const width = bits.width * 3
  const on = new Uint8Array(width * bits.height * 3)
  const at = reader(bits)
  for (let y = 0; y < bits.height; y++) {
    for (let x = 0; x < bits.width; x++) {
      const [a, b, c] = [at(x - 1, y - 1), at(x, y - 1), at(x + 1, y - 1)]
      const [d, e, f] = [at(x - 1, y), at(x, y), at(x + 1, y)]
      const [g, h, i] = [at(x - 1, y + 1), at(x, y + 1), at(x + 1, y + 1)]
      const edge = b !== h && d !== f
      const to = 3 * y * width + 3 * x
      on[to] = edge && d === b ? d : e
      on[to + 1] = edge && ((d === b && e !== c) || (b === f && e !== a)) ? b : e
      on[to + 2] = edge && b === f ? f : e
      on[to + width] = edge && ((d === b && e !== g) || (d === h && e !== a)) ? d : e
      on[to + width + 1] = e
      on[to + width + 2] = edge && ((b === f && e !== i) || (h === f && e !== c)) ? f : e
      on[to + 2 * width] = edge && d === h ? d : e
      on[to + 2 * width + 1] = edge && ((d === h && e !== i) || (h === f && e !== g)) ? h : e
      on[to + 2 * width + 2] = edge && h === f ? f : e
    }
  }
  return { width, height: bits.height * 3, on }
}
