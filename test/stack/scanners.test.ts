// Scanners: serial engines through serialport and ptys, keyboards through evdev, and the parsers that all of it rests on.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { toHex } from '../../hal/base/bytes.js'
import { systemClock } from '../../hal/base/clock.js'
import type { KEYBOARD_LAYOUTS } from '../../hal/drivers/evdev/keyboard-layouts.js'
import { typedBytes } from '../../hal/drivers/evdev/typed-bytes.js'
import { openKeyboardScanner } from '../../hal/drivers/scanner/keyboard-scanner.js'
import { lineReader, type Terminator } from '../../hal/drivers/scanner/line-reader.js'
import { lineScannerDriver } from '../../hal/drivers/scanner/line-scanner.js'
import { encodeSsi, SSI, ssiReader } from '../../hal/drivers/scanner/ssi-packet.js'
import { ssiScannerDriver } from '../../hal/drivers/scanner/ssi-scanner.js'
import { aimOfSsiType, splitAim } from '../../hal/drivers/scanner/symbologies.js'
import type { Scan } from '../../hal/scanner.js'
import { openPty, ptyMissing } from '../../scripts/dev/pty.js'
import { scannerConformance } from '../hal/conformance/scanner.js'
import { codeOf, eventually, opened, testContext, within } from '../hal/conformance/support.js'
import { fakeEvdev, fakeRoots } from '../hal/drivers/evdev-bench.js'
import { type Engine, lineEngine, ssiEngine } from '../hal/drivers/scan-engines.js'
import { typeOn } from '../hal/drivers/typing.js'

t.setTimeout(240_000)
const skip = ptyMissing() ?? false
const folder = mkdtempSync(join(tmpdir(), 'scan-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const text = (content: string) => new Uint8Array(Buffer.from(content, 'latin1'))

/** An engine behind a pty. */
async function wired<E extends Engine>(
  t: { teardown(work: () => unknown): void },
  name: string,
  make: (say: (bytes: Uint8Array) => void) => E,
) {
  let engine: E | undefined
  const pty = await openPty(systemClock, {
    path: join(folder, name),
    baudRate: 115_200,
    arrived: (bytes) => engine?.take(bytes),
  })
  engine = make(pty.say)
  t.teardown(pty.unplug)
  return { pty, engine, settings: { path: pty.path, baudRate: 115_200 } }
}

t.test('lines are cut at their terminator, whatever the pieces they come in', (t) => {
  const read = (terminator: Terminator, pieces: readonly string[], pause = false) => {
    const codes: string[] = []
    let dropped = 0
    const reader = lineReader(
      terminator,
      (raw) => codes.push(Buffer.from(raw).toString('latin1')),
      () => dropped++,
    )
    for (const piece of pieces) reader.take(text(piece))
    if (pause) reader.pause()
    return [codes, dropped, reader.pending()]
  }
  t.same(read('cr', ['12', '3\r45', '\r\r']), [['123', '45'], 0, 0], 'empty lines are no codes')
  t.same(read('crlf', ['a\rb\r', '\nc\n\r\n']), [['a\rb', 'c\n'], 0, 0])
  t.same(read('tab', ['a\tb']), [['a'], 0, 1])
  t.same(read('none', ['ab'], true), [['ab'], 0, 0], 'a pause ends a code where nothing else does')
  t.same(read('cr', ['ab'], true), [[], 1, 0], 'a code without its end is dropped')
  t.same(read('cr', ['x'.repeat(4097), '\rok\r']), [['ok'], 1, 0])
  t.same(read('cr', ['x'.repeat(4096), '\r'])[1], 0)
  t.same(read('none', ['x'.repeat(5000)], true), [[], 1, 0])
  t.end()
})

t.test('AIM identifiers are taken off, and nothing that only looks like one', (t) => {
  t.match(splitAim(text(']C1010034')), { aim: 'C1' })
  t.equal(Buffer.from(splitAim(text(']C1010034')).raw).toString(), '010034')
  t.equal(splitAim(text(']?1x')).aim, undefined)
  t.equal(splitAim(text(']C')).aim, undefined)
  t.equal(aimOfSsiType(0x0f), 'C1')
  t.equal(aimOfSsiType(0xee), undefined)
  t.end()
})

t.test('SSI packets: checksum, wake-up bytes, noise', (t) => {
  const start = encodeSsi({ opcode: SSI.startSession, status: 0, data: new Uint8Array(0) })
  t.equal(toHex(start), '04E40400FF14')
  const seen: string[] = []
  const reader = ssiReader(
    ({ opcode, status, data }) => seen.push(`${opcode.toString(16)} ${status} ${toHex(data)}`),
    () => seen.push('damaged'),
  )
  const decode = encodeSsi({ opcode: SSI.decodeData, status: 2, data: Uint8Array.of(3, 0x41) }, 0)
  reader.take(Uint8Array.of(0, 0, ...start.subarray(0, 3)))
  reader.take(Uint8Array.of(...start.subarray(3), ...decode))
  reader.take(Uint8Array.of(...decode.subarray(0, 7), 0))
  t.same(seen, ['e4 0 ', 'f3 2 0341', 'damaged'])
  reader.take(Uint8Array.of(9, 9))
  t.equal(reader.pause(), true)
  t.equal(reader.pause(), false)
  t.end()
})

t.test('keys type what the layout says', (t) => {
  const typed = (layout: keyof typeof KEYBOARD_LAYOUTS, content: string) => {
    const keys = typedBytes(layout)
    const out: number[] = []
    typeOn(layout, content, (type, code, value) => {
      const byte = keys.take({ atMs: 0, type, code, value })
      if (byte !== undefined) out.push(byte)
    })
    return Buffer.from(out).toString('latin1')
  }
  const all = Array.from({ length: 95 }, (_, at) => String.fromCharCode(0x20 + at)).join('')
  t.equal(typed('us', all), all)
  t.equal(typed('uk', 'A£"@#~|'), 'A£"@#~|')
  t.equal(typed('de', 'Z y;ß{@}%'), 'Z y;ß{@}%')
  t.equal(typed('fr', 'AZQ1234567890é'), 'AZQ1234567890é')
  t.equal(typed('us', '01\x1d21'), '01\x1d21', 'GS by control and ]')
  const keys = typedBytes('us')
  const press = (code: number, value = 1) => keys.take({ atMs: 0, type: 1, code, value })
  press(58)
  t.equal(press(30), 0x41, 'caps lock')
  t.equal(press(2), 0x31, 'which digits do not follow')
  t.equal(press(30, 2), undefined, 'repeat types nothing')
  keys.reset()
  t.equal(press(30), 0x61)
  t.end()
})

t.test('conformance: raw lines over a pty, lit by Honeywell commands', { skip }, async (t) => {
  const { pty, engine, settings } = await wired(t, 'lines', (say) =>
    lineEngine(say, { end: [0x0d, 0x0a], aim: true }),
  )
  const options = { ...settings, terminator: 'crlf', trigger: 'honeywell', aim: true } as const
  await scannerConformance(t, {
    open: () => lineScannerDriver.open(options as never, testContext('scanner')),
    scan: engine.scan,
    tellsAim: true,
    lit: engine.lit,
    carries: (byte) => byte !== 0x0a,
    cable: pty,
  })
})

t.test('conformance: Zebra SSI over a pty, codes in several packets', { skip }, async (t) => {
  const { pty, engine, settings } = await wired(t, 'ssi', (say) => ssiEngine(say, 100))
  await scannerConformance(t, {
    open: () => ssiScannerDriver.open(settings as never, testContext('scanner')),
    scan: engine.scan,
    tellsAim: true,
    lit: engine.lit,
    cable: {
      async unplug() {
        await pty.unplug()
        engine.dead(true)
      },
      async plug() {
        engine.dead(false)
        await pty.plug()
      },
    },
  })
})

t.test('conformance: a scanner that types, through evdev', async (t) => {
  const roots = fakeRoots(folder)
  const fake = fakeEvdev(roots, { number: 3, name: 'ACME Scanner', id: ['0c2e', '0b61'], keys: [28, 30] })
  let scanning = () => false
  await scannerConformance(t, {
    open: async () => {
      const scanner = await openKeyboardScanner(
        { device: { name: 'ACME*', id: '0c2e:0b61' }, aim: true },
        testContext('scanner'),
        roots,
      )
      scanning = () => scanner.status().state === 'scanning'
      return scanner
    },
    scan: (raw, aim = 'C0') =>
      typeOn('us', `]${aim}${Buffer.from(raw).toString('latin1')}\r`, (type, code, value) =>
        fake.send([[type, code, value]]),
      ),
    tellsAim: true,
    carries: (byte) => byte >= 0x20 && byte < 0x7f,
    lit: () => scanning(),
    cable: fake,
  })
  fake.end()
})

t.test('SSI: what is damaged is asked for again, what comes twice counts once', { skip }, async (t) => {
  const { pty, engine, settings } = await wired(t, 'ssi-faults', (say) => ssiEngine(say))
  const scanner = await opened({
    open: () => ssiScannerDriver.open({ ...settings, beep: 3 } as never, testContext('scanner')),
  })
  t.teardown(scanner.close)
  const codes: string[] = []
  scanner.on((event) => {
    if (event.type === 'scan') codes.push(Buffer.from((event as Scan).raw).toString('latin1'))
  })
  engine.damageNext()
  engine.scan(text('damaged once'))
  await eventually('the second sending', () => codes.length === 1)
  t.ok(engine.heard.includes('d101'), 'NAK: send it again')
  engine.missNextAck()
  engine.scan(text('acknowledged twice'))
  await eventually('a second ACK', () => engine.heard.filter((said) => said === 'd0').length >= 3)
  t.same(codes, ['damaged once', 'acknowledged twice'])
  engine.scan(text('x'.repeat(5000)))
  await eventually('too long', () => scanner.statistics()['DroppedScanCount'] === 1)
  engine.send({ opcode: 0xf6, status: 0, data: Uint8Array.of(1) })
  engine.scan(text('after'))
  await eventually('the next', () => codes.length === 3)
  await eventually('a beep', () => engine.heard.includes('e603'))

  engine.dead(true)
  t.equal(await codeOf('trigger', scanner.trigger()), 'DEVICE_TIMEOUT', 'an engine that does not answer')
  engine.dead(false)
  // It lost its settings with its power and sends raw codes: it is told again to send packets.
  const before = engine.heard.length
  pty.say(text('4005900000005\r'))
  await eventually('its settings again', () => engine.heard.slice(before).includes('c6FFEE01'))
  await eventually('ready', () => scanner.status().presence === 'ready')
  engine.scan(text('again'))
  await eventually('packets again', () => codes.at(-1) === 'again')
})

t.test('an engine that is not there, or not set to SSI, is lost and says why', { skip }, async (t) => {
  const { engine, settings } = await wired(t, 'ssi-dead', (say) => ssiEngine(say))
  engine.dead(true)
  const scanner = await within('open', ssiScannerDriver.open(settings as never, testContext('scanner')))
  t.match(scanner.status(), { presence: 'lost', detail: /does not answer/ })
  engine.dead(false)
  await eventually('ready', () => scanner.status().presence === 'ready')
  await scanner.close()
})
