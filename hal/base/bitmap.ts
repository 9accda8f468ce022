// One-bit pictures for paper: a byte a pixel while they are composed, packed rows when they are printed.

/** Pixels row by row, 1 = black. */
export interface Bitmap {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** A white picture. */
export function blankBitmap(width: number, height: number): Bitmap {
  return { width, height, data: new Uint8Array(width * height) }
}

/** Draws `source` with its corner at x, y; what falls outside is clipped; black wins. */
export function drawBitmap(target: Bitmap, source: Bitmap, x: number, y: number): void {
  for (let r = Math.max(0, -y); r < source.height && y + r < target.height; r++) {
    for (let c = Math.max(0, -x); c < source.width && x + c < target.width; c++) {
      if (source.data[r * source.width + c]) target.data[(y + r) * target.width + x + c] = 1
    }
  }
}

/** Whole-number enlargement. */
export function enlarge(source: Bitmap, timesX: number, timesY: number): Bitmap {
  if (timesX === 1 && timesY === 1) return source
  const out = blankBitmap(source.width * timesX, source.height * timesY)
  for (let y = 0; y < out.height; y++) {
    const row = Math.floor(y / timesY) * source.width
    for (let x = 0; x < out.width; x++)
      out.data[y * out.width + x] = source.data[row + Math.floor(x / timesX)]!
  }
  return out
}

/** Scale3x (Mazzoleni): enlarges by three and rounds the stairs of diagonals. */
function scale3x(source: Bitmap): Bitmap {
  const { width, height } = source
  const out = blankBitmap(width * 3, height * 3)
  const at = (x: number, y: number) =>
    source.data[Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))]!
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [a, b, c] = [at(x - 1, y - 1), at(x, y - 1), at(x + 1, y - 1)]
      const [d, e, f] = [at(x - 1, y), at(x, y), at(x + 1, y)]
      const [g, h, i] = [at(x - 1, y + 1), at(x, y + 1), at(x + 1, y + 1)]
      const cell = new Array<number>(9).fill(e)
      if (b !== h && d !== f) {
        if (d === b) cell[0] = d
        if ((d === b && e !== c) || (b === f && e !== a)) cell[1] = b
        if (b === f) cell[2] = f
        if ((d === b && e !== g) || (d === h && e !== a)) cell[3] = d
        if ((b === f && e !== i) || (h === f && e !== c)) cell[5] = f
        if (d === h) cell[6] = d
        if ((d === h && e !== i) || (h === f && e !== g)) cell[7] = h
        if (h === f) cell[8] = f
      }
      for (let k = 0; k < 9; k++)
        out.data[(y * 3 + Math.floor(k / 3)) * out.width + x * 3 + (k % 3)] = cell[k]!
    }
  }
  return out
}

/** Half as large again, strokes kept: 8x16 becomes font A's 12x24, 16x16 becomes 24x24. Even sizes only. */
export function enlargeByHalf(source: Bitmap): Bitmap {
  const big = scale3x(source)
  const out = blankBitmap(big.width >> 1, big.height >> 1)
  for (let y = 0; y < out.height; y++) {
    for (let x = 0; x < out.width; x++) {
      const at = y * 2 * big.width + x * 2
      const black =
        big.data[at]! + big.data[at + 1]! + big.data[at + big.width]! + big.data[at + big.width + 1]!
      out.data[y * out.width + x] = black >= 2 ? 1 : 0
    }
  }
  return out
}

/** One row as printers and PNG take it: eight dots a byte, leftmost highest, padded with white. */
export function packRow(source: Bitmap, y: number, bytes = Math.ceil(source.width / 8)): Uint8Array {
  const out = new Uint8Array(bytes)
  const start = y * source.width
  for (let x = 0; x < source.width && x < bytes * 8; x++) {
    if (source.data[start + x]) out[x >> 3]! |= 0x80 >> (x & 7)
  }
  return out
}

/** The picture of packed rows of `width` dots, a multiple of eight; a last row that is not whole is left out. */
export function unpackBitmap(width: number, rows: Uint8Array): Bitmap {
  const bytes = width >> 3
  const out = blankBitmap(width, Math.floor(rows.length / bytes))
  for (let at = 0; at < out.data.length; at++) out.data[at] = (rows[at >> 3]! >> (7 - (at & 7))) & 1
  return out
}

/** As it is where it fits `dots`, else every n-th dot of every n-th row. */
export function shrinkToFit(source: Bitmap, dots: number): Bitmap {
  const by = Math.ceil(source.width / dots)
  if (by <= 1) return source
  const out = blankBitmap(Math.floor(source.width / by), Math.floor(source.height / by))
  for (let y = 0; y < out.height; y++)
    for (let x = 0; x < out.width; x++)
      out.data[y * out.width + x] = source.data[y * by * source.width + x * by]!
  return out
}

/** The picture of a font's glyph: rows top down, leftmost column in bit `width - 1`. */
export function bitmapOfGlyph(glyph: { readonly width: number; readonly rows: Uint16Array }): Bitmap {
  const out = blankBitmap(glyph.width, glyph.rows.length)
  for (let y = 0; y < out.height; y++) {
    const bits = glyph.rows[y]!
    for (let x = 0; x < glyph.width; x++) out.data[y * glyph.width + x] = (bits >> (glyph.width - 1 - x)) & 1
  }
  return out
}
