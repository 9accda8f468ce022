// Packs the subset of GNU Unifont that screens and receipts need: node dist/scripts/dev/font/main.js [unifont folder]
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { PosternError } from '../../../hal/base/errors.js'
import { packageRoot } from '../../../hal/base/package-root.js'

/** First and last code point of each block that is kept; ascending, without overlap. */
const BLOCKS: readonly (readonly [first: number, last: number, what: string])[] = [
  [0x0020, 0x007e, 'ASCII'],
  [0x00a0, 0x024f, 'Latin-1, Latin Extended-A and -B'],
  [0x0300, 0x036f, 'combining marks'],
  [0x0370, 0x052f, 'Greek, Cyrillic'],
  [0x0590, 0x06ff, 'Hebrew, Arabic'],
  [0x0900, 0x097f, 'Devanagari'],
  [0x0e00, 0x0e7f, 'Thai'],
  [0x1e00, 0x1eff, 'Latin Extended Additional (Vietnamese)'],
  [0x2000, 0x214f, 'punctuation, super- and subscripts, currency, letterlike'],
  [0x2190, 0x22ff, 'arrows, mathematics'],
  [0x2460, 0x27bf, 'enclosed digits, box, blocks, shapes, symbols, dingbats'],
  [0x3000, 0x30ff, 'CJK punctuation, kana'],
  [0x4e00, 0x9fff, 'CJK unified ideographs'],
  [0xac00, 0xd7a3, 'Hangul syllables'],
  [0xfb1d, 0xfdff, 'Hebrew and Arabic presentation forms A'],
  [0xfe30, 0xfe4f, 'CJK compatibility forms'],
  [0xfe70, 0xfeff, 'Arabic presentation forms B'],
  [0xff00, 0xffef, 'fullwidth and halfwidth forms'],
  [0xfffd, 0xfffd, 'replacement character'],
]

/** `XXXX:hex` lines: 32 hex digits for 8 columns, 64 for 16; 16 rows top down. */
function readGlyphs(path: string): Map<number, Uint8Array> {
  const glyphs = new Map<number, Uint8Array>()
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const match = /^([0-9A-F]{4}):((?:[0-9A-F]{32}){1,2})$/.exec(line)
    if (match !== null) glyphs.set(Number.parseInt(match[1]!, 16), Buffer.from(match[2]!, 'hex'))
  }
  return glyphs
}

/** `XXXX:offset` lines name the marks that are drawn over the character before them. */
function readCombining(path: string): Set<number> {
  const lines = readFileSync(path, 'latin1').split('\n')
  return new Set(
    lines.filter((line) => /^[0-9A-F]{4}:/.test(line)).map((line) => Number.parseInt(line.slice(0, 4), 16)),
  )
}

/** The layout is described in hal/base/font/README.md. Wide glyphs go column by column: a fifth smaller. */
function pack(glyphs: Map<number, Uint8Array>, combining: Set<number>): Uint8Array {
  const header = Buffer.alloc(6 + BLOCKS.length * 4)
  header.write('PUF1', 'latin1')
  header.writeUInt16BE(BLOCKS.length, 4)
  const classes: number[] = []
  const narrow: Uint8Array[] = []
  const wide: Uint8Array[] = []
  for (const [i, [first, last]] of BLOCKS.entries()) {
    header.writeUInt16BE(first, 6 + i * 4)
    header.writeUInt16BE(last, 8 + i * 4)
    for (let codePoint = first; codePoint <= last; codePoint++) {
      const rows = glyphs.get(codePoint)
      const mark = combining.has(codePoint) ? 4 : 0
      if (rows === undefined) classes.push(0)
      else if (rows.length === 16) {
        classes.push(1 | mark)
        narrow.push(rows)
      } else {
        classes.push(2 | mark)
        wide.push(rows.filter((_, at) => at % 2 === 0))
        wide.push(rows.filter((_, at) => at % 2 === 1))
      }
    }
  }
  return Buffer.concat([header, Uint8Array.from(classes), ...narrow, ...wide])
}

const folder = process.argv[2] ?? '/usr/share/unifont'
const glyphs = readGlyphs(join(folder, 'unifont.hex'))
if (glyphs.size < 50_000)
  throw new PosternError('FONT_SOURCE', 'unifont.hex is not whole', { glyphs: glyphs.size })
const packed = pack(glyphs, readCombining(join(folder, 'plane00-combining.txt')))
const zipped = gzipSync(packed, { level: 9 })
// The operating-system byte of the gzip header (RFC 1952, 2.3.1) would differ from machine to machine.
zipped[9] = 255
writeFileSync(join(packageRoot, 'hal/base/font/unifont.puf.gz'), zipped)
console.log(`${BLOCKS.length} blocks, ${packed.length} bytes, ${zipped.length} packed`)
