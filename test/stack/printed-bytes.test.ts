// What is printed, read by others: text by Python's codecs, QR codes and barcodes by zbar from the dots on paper.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../hal/base/clock.js'
import { loadFont } from '../../hal/base/font/font.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { PRINTER_PROFILES } from '../../hal/drivers/escpos/profiles.js'
import { EscposMachine } from '../../hal/simulated/escpos-machine.js'
import type { PrintBlock } from '../../runtime/api/print-document.js'
import { encodeDocument } from '../../runtime/open/receipts/encode.js'

t.setTimeout(120_000)
const font = loadFont()
const folder = mkdtempSync(join(tmpdir(), 'printed-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const has = (program: string) => spawnSync(program, ['--version']).error === undefined
const noPython = has('python3') ? false : 'python3 is missing: apt-get install python3'
const noZbar = noPython || (has('zbarimg') ? false : 'zbarimg is missing: apt-get install zbar-tools')

interface Decoded {
  readonly lines: readonly { readonly text: string; readonly page: string }[]
  readonly symbols: readonly { readonly kind: string; readonly data: string }[]
  readonly rows: number
}

/** The independent reading of a job; pictures go to `picture`. */
function decoded(bytes: Uint8Array, dots: number, picture: string): Decoded {
  const script = join(packageRoot, 'test/stack/decode-escpos.py')
  const run = spawnSync('python3', [script, String(dots), picture], { input: bytes, encoding: 'utf8' })
  if (run.status !== 0) throw new Error(run.stderr)
  return JSON.parse(run.stdout) as Decoded
}

/** What zbar sees in a picture, one `KIND:data` a symbol, in alphabetical order. */
function seen(picture: string): readonly string[] {
  const { stdout } = spawnSync('zbarimg', ['-q', picture], { encoding: 'utf8' })
  return stdout.split('\n').filter(Boolean).sort()
}

const TEXTS = {
  'Café Müller ½ °C': 'cp437',
  '12,50 € “cash” – paid': 'cp1252',
  'Zażółć gęślą jaźń': 'cp852',
  'Привет, мир! Оплачено': 'cp866',
  'Şişli İğne ağacı': 'cp857',
  'Καλημέρα κόσμε': 'cp737',
  'Ačiū, sąskaita įvykdyta ž': 'cp1257',
} as const

t.test("each line in its own code page, as Python's codecs read it", { skip: noPython }, (t) => {
  const { capabilities } = PRINTER_PROFILES['epson-tm-m30']
  const blocks: PrintBlock[] = Object.keys(TEXTS).map((text) => ({ kind: 'text', text }))
  const bytes = encodeDocument({ blocks: [...blocks, ...blocks.toReversed()] }, capabilities, font)
  const { lines, rows } = decoded(bytes, capabilities.dots, join(folder, 'text.pbm'))
  t.same(
    lines.map(({ text }) => text),
    [...Object.keys(TEXTS), ...Object.keys(TEXTS).reverse()],
  )
  t.same(
    lines.slice(0, blocks.length).map(({ page }) => page),
    Object.values(TEXTS),
  )
  t.equal(rows, 0, 'no picture was needed')
  // Beside them what no page holds: only that line is drawn.
  const mixed = encodeDocument(
    { blocks: [blocks[1]!, { kind: 'text', text: '顺达快递' }, { kind: 'text', text: 'مقبول' }, blocks[3]!] },
    capabilities,
    font,
  )
  const both = decoded(mixed, capabilities.dots, join(folder, 'mixed.pbm'))
  t.same(
    both.lines.map(({ text }) => text),
    [Object.keys(TEXTS)[1], Object.keys(TEXTS)[3]],
  )
  t.equal(both.rows, 2 * (24 + 6), 'two lines of dots')
  t.end()
})

const CODES = [
  { kind: 'barcode', data: 'PX-2026-000183' },
  { kind: 'barcode', data: '12345678901234567890123456789012' },
  { kind: 'barcode', data: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.+~!' },
  { kind: 'qr', data: 'https://receipts.example/r/8f2c0b7e' },
  // ASCII: without ECI zbar guesses a page, and takes short UTF-8 for Shift JIS.
  { kind: 'qr', data: `receipt ${'x'.repeat(300)}` },
] as const satisfies readonly PrintBlock[]
/** The third is too wide for narrow paper in bars, and goes as QR. */
const KINDS = (dots: number) => [
  'CODE-128',
  'CODE-128',
  dots < 500 ? 'QR-Code' : 'CODE-128',
  'QR-Code',
  'QR-Code',
]
const expected = (dots: number) => CODES.map(({ data }, at) => `${KINDS(dots)[at]}:${data}`).sort()

t.test('codes that we draw are read by zbar from the dots that are sent', { skip: noZbar }, (t) => {
  const { capabilities } = PRINTER_PROFILES['58mm-raster']
  const picture = join(folder, 'raster.pbm')
  const found = CODES.flatMap((block) => {
    decoded(encodeDocument({ blocks: [block] }, capabilities, font), capabilities.dots, picture)
    return seen(picture)
  })
  t.same(found.sort(), expected(capabilities.dots))
  t.end()
})

for (const profile of ['58mm', '80mm'] as const) {
  t.test(`codes that the printer draws say what was meant, ${profile}`, { skip: noZbar }, async (t) => {
    const { capabilities } = PRINTER_PROFILES[profile]
    const { dots } = capabilities
    const job = encodeDocument({ blocks: [...CODES] }, capabilities, font)
    const { symbols } = decoded(job, dots, join(folder, 'unused.pbm'))
    t.same(symbols.map(({ kind, data }) => `${kind}:${data}`).sort(), expected(dots), 'in the bytes')

    const found: string[] = []
    for (const block of CODES) {
      const machine = new EscposMachine({
        clock: systemClock,
        glyphs: font,
        dots,
        rowsPerSecond: 1e9,
        bufferBytes: 1 << 16,
      })
      const done = new Promise<void>((resolve) => {
        machine.on(({ type }) => type === 'transmit' && resolve())
      })
      machine.receive(encodeDocument({ blocks: [block] }, capabilities, font))
      machine.receive(Uint8Array.of(0x1d, 0x72, 1))
      await done
      machine.close()
      const rows = machine.paper()
      const picture = join(folder, 'paper.pbm')
      writeFileSync(picture, Buffer.concat([Buffer.from(`P4\n${dots} ${rows.length}\n`), ...rows]))
      found.push(...seen(picture))
    }
    t.same(found.sort(), expected(dots), 'on the paper')
  })
}
