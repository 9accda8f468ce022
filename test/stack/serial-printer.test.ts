// The ESC/POS driver through serialport and a pty at a paced baud rate, with the printer machine at the other end.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../hal/base/clock.js'
import { loadFont } from '../../hal/base/font/font.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { deviceFilePortOpener } from '../../hal/drivers/device-file-port.js'
import { escposSerialDriver, escposUsbDriver } from '../../hal/drivers/escpos/escpos-driver.js'
import { EscposMachine } from '../../hal/simulated/escpos-machine.js'
import { ptyMissing } from '../../scripts/dev/pty.js'
import { ptyPrinter } from '../../scripts/dev/pty-printer.js'
import { printerConformance } from '../hal/conformance/printer.js'
import { eventually, testContext, within } from '../hal/conformance/support.js'

t.setTimeout(240_000)
const packageJson = join(packageRoot, 'package.json')
const missing = ptyMissing()
const folder = mkdtempSync(join(tmpdir(), 'pty-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

async function bench(baudRate: number, rowsPerSecond: number) {
  const path = join(folder, `printer${baudRate}`)
  const machine = new EscposMachine({ clock: systemClock, glyphs: loadFont(), rowsPerSecond })
  const pty = await ptyPrinter(machine, systemClock, { path, baudRate })
  const open = () => escposSerialDriver.open({ path, baudRate, pollMs: 200 }, testContext('printer'))
  return { machine, pty, open, path }
}

/** Opens the device file as another program would, holds its lock, and says so. */
const HOLDER = `
import { SerialPort } from ${JSON.stringify(`${packageRoot}node_modules/serialport/dist/index.js`)}
const port = new SerialPort({ path: process.argv[1], baudRate: 115200 }, () => console.log('held'))
`

if (missing !== undefined) {
  t.test('a printer on a pty', { skip: missing }, () => Promise.resolve())
} else {
  await t.test('conformance over a pty at 115200 baud', async (t) => {
    const { machine, pty, open } = await bench(115_200, 4000)
    await printerConformance(t, {
      open,
      trouble: (what, on) => machine.setFault(what, on),
      printedRows: () => machine.counters.printedRows,
      longJobMs: 20_000,
      cable: pty,
    })
    await pty.stop()
    machine.close()
  })

  await t.test(
    'conformance over a character device, as a USB printer is: non-blocking, its own pace',
    async (t) => {
      const { machine, pty, path } = await bench(230_400, 4000)
      await printerConformance(t, {
        open: () => escposUsbDriver.open({ path, pollMs: 200 }, testContext('printer')),
        trouble: (what, on) => machine.setFault(what, on),
        printedRows: () => machine.counters.printedRows,
        longJobMs: 20_000,
        cable: pty,
      })
      t.equal(machine.counters.overflowBytes, 0)
      await pty.stop()
      machine.close()
    },
  )

  await t.test('a device that takes no bytes holds up neither its status nor the thread pool', async (t) => {
    const path = join(folder, 'stuck')
    // Nobody reads at the other end: the kernel's buffer fills and stays full.
    const socat = spawn('socat', [`PTY,raw,echo=0,link=${path}`, 'EXEC:sleep 600'], { stdio: 'ignore' })
    t.teardown(() => socat.kill('SIGKILL'))
    await eventually('the pty', () => existsSync(path))
    const port = await deviceFilePortOpener({ path })()
    let written = false
    port.write(new Uint8Array(1 << 20)).then(
      () => {
        written = true
      },
      () => undefined,
    )
    await Promise.all(
      Array.from({ length: 16 }, () => within('a file is read meanwhile', readFile(packageJson))),
    )
    t.equal(written, false)
    await port.close()
    const printer = await within('open', escposUsbDriver.open({ path, pollMs: 200 }, testContext('printer')))
    t.match(printer.status(), { presence: 'lost', detail: /does not answer/ })
    await within('close', printer.close())
  })

  await t.test('done is not written: at 9600 baud a job takes its wire time', async (t) => {
    const { machine, pty, open } = await bench(9600, 640)
    const printer = await within('open', open())
    const bytes = new Uint8Array(Buffer.from('0123456789abcdef0123456789abcde\n'.repeat(60), 'latin1'))
    const outcome = await within('print', printer.print({ id: 'slow', bytes }), 20_000)
    t.same(outcome, { kind: 'done' })
    t.equal(machine.paper().length, 60 * 30, 'everything was on paper when the job was done')
    t.equal(machine.counters.overflowBytes, 0)
    await printer.close()
    await pty.stop()
    machine.close()
  })

  await t.test('a port whose holder crashed is taken as soon as its lock is free', async (t) => {
    const { machine, pty, open, path } = await bench(57_600, 4000)
    const holder = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await within('the other program opens', new Promise((resolve) => holder.stdout.once('data', resolve)))
    const printer = await within('open', open())
    t.equal(printer.status().presence, 'lost')
    t.match(printer.status().detail, /held by another program/)
    holder.kill('SIGKILL')
    await eventually('ready', () => printer.status().presence === 'ready')
    t.same(await within('print', printer.print({ id: 'after', bytes: Uint8Array.of(0x41, 0x0a) })), {
      kind: 'done',
    })
    await printer.close()
    await pty.stop()
    machine.close()
  })
}
