// The printer machine: its physics and its firmware, and the pictures it makes.
import { spawnSync } from 'node:child_process'
import { inflateSync } from 'node:zlib'
import t from 'tap'
import { enlargeByHalf } from '../../../hal/base/bitmap.js'
import { systemClock } from '../../../hal/base/clock.js'
import { code128Data, code128Modules, code128Text } from '../../../hal/base/code128.js'
import { pieceAt } from '../../../hal/base/escpos.js'
import { loadFont } from '../../../hal/base/font/font.js'
import { pngOfRows } from '../../../hal/base/png.js'
import { codePageUpperHalf } from '../../../hal/simulated/escpos-code-pages.js'
import { EscposMachine, type EscposMachineOptions } from '../../../hal/simulated/escpos-machine.js'
import { pacedWire } from '../../../hal/simulated/paced-wire.js'

const font = loadFont()
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))

/** A machine, and what it says. */
function machineWith(options: Partial<EscposMachineOptions> = {}) {
  const machine = new EscposMachine({ clock: systemClock, glyphs: font, rowsPerSecond: 1e6, ...options })
  const said: number[] = []
  machine.on((event) => {
    if (event.type === 'transmit') said.push(...event.bytes)
  })
  const fenced = async (text: string) => {
    const before = said.length
    machine.receive(bytes(`${text}\x1dr\x01`))
    while (said.length === before) await systemClock.sleep(1)
    return machine.tearOff()
  }
  return { machine, said, fenced }
}

/** First and last black dot of rows, or undefined where they are white. */
function inkSpan(rows: readonly Uint8Array[]): [number, number] | undefined {
  let first = Number.POSITIVE_INFINITY
  let last = -1
  for (const row of rows) {
    for (let x = 0; x < row.length * 8; x++) {
      if (!(row[x >> 3]! & (0x80 >> (x & 7)))) continue
      first = Math.min(first, x)
      last = Math.max(last, x)
    }
  }
  return last < 0 ? undefined : [first, last]
}

t.test('32 columns a line, more goes on the next; alignment and size as asked', async (t) => {
  const { machine, fenced } = machineWith()
  t.equal((await fenced(`${'M'.repeat(32)}\n`)).length, 30)
  t.equal((await fenced(`${'M'.repeat(33)}\n`)).length, 60)
  t.equal((await fenced('\x1d!\x11AB\n')).length, 48, 'double height')
  await fenced('\x1b@')
  const [left] = inkSpan(await fenced('\x1ba\x02I\n'))!
  t.ok(left >= 372, `right-aligned ink begins at ${left}`)
  const [from, to] = inkSpan(await fenced('\x1ba\x01I\n'))!
  t.ok(Math.abs(from + to - 384) < 12, 'centred')
  t.equal((await fenced('\x1ba\x00\x1bd\x03')).length, 90)
  machine.close()
})

t.test('without flow control a full buffer loses bytes', async (t) => {
  const { machine } = machineWith({ bufferBytes: 100, rowsPerSecond: 50 })
  machine.receive(bytes(`${'x'.repeat(31)}\n`.repeat(10)))
  t.ok(machine.counters.overflowBytes > 0)
  machine.close()
})

t.test('real-time questions are answered at once, even out of a picture', async (t) => {
  const { machine, said, fenced } = machineWith()
  machine.receive(Uint8Array.of(0x1d, 0x76, 0x30, 0, 3, 0, 1, 0, 0x10, 0x04, 0x04))
  t.same(said, [0x12], 'the dots spelt DLE EOT 4')
  machine.setFault('paperOut', true)
  machine.receive(Uint8Array.of(0x10, 0x04, 0x04))
  t.equal(said.at(-1), 0x7e)
  machine.setFault('paperOut', false)
  machine.setFault('coverOpen', true)
  machine.receive(Uint8Array.of(0x10, 0x04, 0x02))
  t.equal(said.at(-1), 0x16)
  machine.setFault('coverOpen', false)
  t.ok((await fenced('')).length >= 1)
  machine.close()
})

t.test('a roll ends where it ends', async (t) => {
  const { machine, said } = machineWith({ rollRows: 100, nearEndRows: 50 })
  machine.receive(bytes('a\n'.repeat(10)))
  while (machine.paper().length < 100) await systemClock.sleep(1)
  machine.receive(Uint8Array.of(0x1d, 0x72, 1, 0x10, 0x04, 0x04))
  await systemClock.sleep(20)
  t.equal(machine.paper().length, 100)
  t.same(said, [0x7e], 'GS r has no answer without paper, DLE EOT has')
  machine.setFault('paperOut', false)
  while (machine.paper().length < 200) await systemClock.sleep(1)
  machine.close()
})

t.test('unknown commands and what can not be printed are counted, not fatal', async (t) => {
  const { machine, fenced } = machineWith()
  const rows = await fenced('\x1bZ\x1fA\x1bt\x63\x1dk\x41\x02{Xok\n')
  t.ok(machine.counters.unknownCommands >= 1)
  t.same(machine.refusals, ['code page 99', 'barcode type 65'])
  t.equal(rows.length, 30)
  machine.close()
})

const python = spawnSync('python3', ['--version']).status === 0
t.test('code pages are those that Python knows', { skip: python ? false : 'python3 is missing' }, (t) => {
  const code = `import json,sys;print(json.dumps({c:[bytes([b]).decode(c,errors='replace') for b in range(128,256)] for c in sys.argv[1:]}))`
  const pages = [
    [0, 'cp437'],
    [2, 'cp850'],
    [13, 'cp857'],
    [14, 'cp737'],
    [16, 'cp1252'],
    [17, 'cp866'],
    [18, 'cp852'],
    [19, 'cp858'],
    [45, 'cp1250'],
    [46, 'cp1251'],
    [47, 'cp1253'],
    [48, 'cp1254'],
    [51, 'cp1257'],
  ] as const
  const codecs = pages.map(([, codec]) => codec)
  const known: Record<string, string[]> = JSON.parse(
    spawnSync('python3', ['-c', code, ...codecs]).stdout.toString(),
  )
  for (const [page, codec] of pages) {
    const theirs = known[codec]!
    const ours = codePageUpperHalf(page)!
    // Python leaves holes where the web's tables have C1 controls.
    t.same(
      theirs.filter((character, at) => character !== '\ufffd' && character !== ours[at]),
      [],
      codec,
    )
  }
  t.end()
})

t.test('CODE128: every symbol is eleven modules, digits are packed, text comes back', (t) => {
  for (const text of ['PX-2026-000183', '12345678', '{brace}', 'A', '1234567', '~ !']) {
    const data = code128Data(text)
    t.equal(code128Text(data), text)
    const modules = code128Modules(data)!
    t.equal((modules.length - 13) % 11, 0, text)
    t.equal(modules[0]! & modules.at(-1)!, 1, 'begins and ends in a bar')
  }
  t.equal(code128Modules(code128Data('12345678'))!.length, (1 + 4 + 1) * 11 + 13)
  t.equal(code128Modules(bytes('no code set')), undefined)
  t.end()
})

t.test('framing: lengths that depend on what follows, and what is not there yet', (t) => {
  t.match(pieceAt(bytes('\x1bd\x03'), 0), { kind: 'command', length: 3 })
  t.match(pieceAt(bytes('\x1dk\x49\x03{BA'), 0), { kind: 'command', length: 7 })
  t.match(pieceAt(bytes('\x1dk\x04AB\x00'), 0), { kind: 'command', length: 6 })
  t.match(pieceAt(bytes('\x1dv0\x00\x02\x00\x02\x00abc'), 0), { kind: 'incomplete', needed: 12 })
  t.match(pieceAt(bytes('\x1d(k\x03\x001C\x05'), 0), { kind: 'command', length: 8 })
  t.match(pieceAt(bytes('\x1b'), 0), { kind: 'incomplete' })
  t.match(pieceAt(bytes('\x1b\x01'), 0), { kind: 'unknown', length: 2 })
  t.end()
})

t.test('a PNG holds the dots, black where paper is black', (t) => {
  const png = pngOfRows([Uint8Array.of(0b10000001)], 8, 1)
  t.same([...png.subarray(1, 4)], [...bytes('PNG')])
  const view = new DataView(png.buffer, png.byteOffset)
  t.equal(view.getUint32(16), 10)
  t.equal(view.getUint32(20), 3)
  const length = view.getUint32(33)
  const raw = inflateSync(png.subarray(41, 41 + length))
  t.same([...raw.subarray(3, 6)], [0, 0b10111111, 0b01111111 | 0x3f], 'filter 0, margin, dots inverted')
  t.end()
})

t.test('a letter half as large again keeps its strokes', (t) => {
  const cell = enlargeByHalf({ width: 8, height: 16, data: new Uint8Array(128).fill(1) })
  t.match(cell, { width: 12, height: 24 })
  t.ok(cell.data.every((dot) => dot === 1))
  t.end()
})

t.test('a wire carries no more than its baud rate', async (t) => {
  let arrived = 0
  const wire = pacedWire(systemClock, 96_000, (piece) => {
    arrived += piece.length
  })
  const startedMs = systemClock.monotonicMs()
  await wire.write(new Uint8Array(6000))
  while (arrived < 6000) {
    await systemClock.sleep(5)
    const most = (systemClock.monotonicMs() - startedMs) * 9.6
    t.ok(arrived <= most + 1, `${arrived} bytes, at most ${most.toFixed(0)}`)
  }
  wire.cut()
  await t.rejects(wire.write(Uint8Array.of(1)), { code: 'DEVICE_LOST' })
})
