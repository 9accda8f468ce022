// The packed font against pictures that a person can read.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { type Glyph, loadFont } from '../../../../hal/base/font/font.js'

const font = loadFont()
const picture = (glyph: Glyph) =>
  [...glyph.rows].map((row) =>
    row.toString(2).padStart(glyph.width, '0').replaceAll('0', '.').replaceAll('1', '#'),
  )

t.test('a narrow and a wide glyph are as Unifont draws them', async (t) => {
  t.strictSame(picture(font.glyph(0x41)).slice(3, 15), [
    '........',
    '...##...',
    '..#..#..',
    '..#..#..',
    '.#....#.',
    '.#....#.',
    '.######.',
    '.#....#.',
    '.#....#.',
    '.#....#.',
    '.#....#.',
    '........',
  ])
  t.strictSame(picture(font.glyph(0x4e2d)).slice(0, 6), [
    '.......#........',
    '.......#........',
    '.......#........',
    '.......#........',
    '..###########...',
    '..#....#....#...',
  ])
})

t.test('every script that the terminal promises is there', async (t) => {
  for (const text of [
    'Ünïçødé Ğłő',
    'Ελληνικά',
    'Русский ў',
    'שלום',
    'ﻣﺮﺣﺒﺎ',
    'हिन्दी',
    'ภาษาไทย',
    '收款成功。，：',
    '안녕',
    '€¥₩₹฿£',
    '←↑→↓─│┌•…✓✗',
  ])
    for (const character of text) t.ok(font.has(character.codePointAt(0)!), character)
})

t.test('width counts wide characters twice and marks not at all', async (t) => {
  t.equal(font.measure('ab'), 16)
  t.equal(font.measure('中a'), 24)
  t.equal(font.measure('กิ'), 8)
  t.equal(font.measure(''), 0)
})

t.test('what is not there is the replacement character', async (t) => {
  t.equal(font.has(0x1f600), false)
  t.equal(font.glyph(0x1f600), font.glyph(0xfffd))
  t.equal(font.glyph(0x7), font.glyph(0xfffd))
})

t.test('a file that is no font or cut short is refused', async (t) => {
  const folder = mkdtempSync(join(t.testdir(), 'font-'))
  const cases = {
    empty: '',
    magic: 'XXXX00',
    short: 'PUF1\0\x02\0\x20',
    classes: 'PUF1\0\x01\0\x20\0\x21\x01',
  }
  for (const [name, content] of Object.entries(cases)) {
    const path = join(folder, name)
    writeFileSync(path, gzipSync(Buffer.from(content, 'latin1')))
    t.throws(() => loadFont(path), { code: 'FONT_INVALID' }, name)
  }
  t.throws(() => loadFont(join(folder, 'absent')), { code: 'FONT_INVALID' })
})
