// The bitmap font of screens and receipts: a packed subset of GNU Unifont, 16 rows of 8 or 16 columns.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { PosternError } from '../errors.js'
import { packageRoot } from '../package-root.js'

/** Rows of every glyph. */
export const GLYPH_HEIGHT = 16

/** One character's picture. */
export interface Glyph {
  readonly width: 8 | 16
  /** 16 rows, top down; the leftmost column is bit `width - 1`, the rightmost bit 0. */
  readonly rows: Uint16Array
  /** Drawn over the character before it, and takes no room of its own. */
  readonly combining: boolean
}

export interface Font {
  /** The glyph of a Unicode code point; what the font lacks is the replacement character U+FFFD. */
  glyph(codePoint: number): Glyph
  /** True if the font has a picture of its own for it. */
  has(codePoint: number): boolean
  /** Columns that a text takes in one line, unscaled; combining marks take none. */
  measure(text: string): number
}

/**
 * Reads the packed font (about 20 ms and 1.3 MB); call it once a process and pass the font on.
 * @throws PosternError `FONT_INVALID` when the file is not whole
 */
export function loadFont(path = join(packageRoot, 'hal/base/font/unifont.puf.gz')): Font {
  let data: Buffer
  try {
    data = gunzipSync(readFileSync(path), { maxOutputLength: 4_000_000 })
  } catch (cause) {
    throw new PosternError('FONT_INVALID', 'the packed font can not be read', { path }, cause)
  }
  return unpack(data)
}

/** Reads the layout that hal/base/font/README.md describes. @throws PosternError `FONT_INVALID` */
function unpack(data: Buffer): Font {
  const invalid = (why: string) => new PosternError('FONT_INVALID', `packed font: ${why}`)
  if (data.length < 6 || data.toString('latin1', 0, 4) !== 'PUF1') throw invalid('wrong magic')
  const blocks = data.readUInt16BE(4)
  let at = 6 + blocks * 4
  if (data.length < at) throw invalid('cut short in its blocks')
  const narrow: number[] = []
  const wide: number[] = []
  const combining = new Set<number>()
  for (let block = 0; block < blocks; block++) {
    const last = data.readUInt16BE(8 + block * 4)
    for (let codePoint = data.readUInt16BE(6 + block * 4); codePoint <= last; codePoint++) {
      const kind = data[at++]
      if (kind === undefined) throw invalid('cut short in its classes')
      if ((kind & 3) === 1) narrow.push(codePoint)
      else if ((kind & 3) === 2) wide.push(codePoint)
      if ((kind & 4) !== 0) combining.add(codePoint)
    }
  }
  if (data.length !== at + narrow.length * 16 + wide.length * 32) throw invalid('glyphs are missing')

  // One array of rows for all; index 0 means "not there", so that code points map by a plain table.
  const count = narrow.length + wide.length
  const rows = new Uint16Array((count + 1) * GLYPH_HEIGHT)
  const index = new Uint16Array(0x1_0000)
  let next = 1
  for (const codePoint of narrow) {
    for (let row = 0; row < 16; row++) rows[next * 16 + row] = data[at + row]!
    at += 16
    index[codePoint] = next++
  }
  for (const codePoint of wide) {
    for (let row = 0; row < 16; row++) rows[next * 16 + row] = (data[at + row]! << 8) | data[at + 16 + row]!
    at += 32
    index[codePoint] = next++
  }
  const replacement = index[0xfffd]!
  if (replacement === 0) throw invalid('no replacement character')

  const glyphs = new Map<number, Glyph>()
  const glyph = (codePoint: number): Glyph => {
    const known = glyphs.get(codePoint)
    if (known !== undefined) return known
    const own = index[codePoint] ?? 0
    if (own === 0 && codePoint !== 0xfffd) return glyph(0xfffd)
    const made: Glyph = {
      width: own > narrow.length ? 16 : 8,
      rows: rows.subarray(own * GLYPH_HEIGHT, (own + 1) * GLYPH_HEIGHT),
      combining: combining.has(codePoint),
    }
    glyphs.set(codePoint, made)
    return made
  }
  return {
    glyph,
    has: (codePoint) => (index[codePoint] ?? 0) !== 0,
    measure(text) {
      let width = 0
      for (const character of text) {
        const { combining: over, width: own } = glyph(character.codePointAt(0)!)
        if (!over) width += own
      }
      return width
    },
  }
}
