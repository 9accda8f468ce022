// Conformance of a printer's driver with hal/printer.ts.
import type { Test } from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import type { Printer, PrinterEvent, PrintOutcome } from '../../../hal/printer.js'
import { codeOf, type DeviceBench, deviceConformance, eventually, opened, within } from './support.js'

/** Things that go wrong at a printer, set and mended. */
export type PrinterTrouble = 'paperOut' | 'coverOpen' | 'headHot' | 'paperLow' | 'silent'

/** A bench with a printer whose paper can be looked at and taken away. All troubles are mended between tests. */
export interface PrinterBench extends DeviceBench<Printer> {
  trouble(what: PrinterTrouble, on: boolean): void | Promise<void>
  /** Dot rows on the paper since the bench began. */
  printedRows(): number
  /** Bound on one print of the suite's longest job (200 lines); for slow wires. */
  readonly longJobMs: number
}

/** Plain lines of text, as every ESC/POS printer takes them. */
function lines(count: number): Uint8Array {
  const text = Array.from({ length: count }, (_, at) => `line ${at + 1} of ${count}\n`).join('')
  return new Uint8Array(Buffer.from(text, 'latin1'))
}
const LONG = 200

export async function printerConformance(t: Test, bench: PrinterBench): Promise<void> {
  await deviceConformance(t, bench)
  let jobs = 0
  const job = (count: number) => ({ id: `job-${++jobs}`, bytes: lines(count) })
  const finished = (work: Promise<PrintOutcome>) => within('print', work, bench.longJobMs)

  const run = (name: string, body: (t: Test, printer: Printer) => Promise<void>) =>
    t.test(name, async (t) => {
      const printer = await opened(bench)
      try {
        await eventually('state ready', () => printer.status().state === 'ready')
        await body(t, printer)
      } finally {
        await printer.close()
        for (const trouble of ['paperOut', 'coverOpen', 'headHot', 'paperLow', 'silent'] as const) {
          await bench.trouble(trouble, false)
        }
      }
    })
  const recovered = async (t: Test, printer: Printer) => {
    await eventually('state ready again', () => printer.status().state === 'ready')
    t.same(await finished(printer.print(job(2))), { kind: 'done' }, 'the next job prints')
  }
  const started = async (before: number) =>
    eventually('paper moves', () => bench.printedRows() > before, bench.longJobMs)

  await run(
    'done means on paper: nothing moves any more, the phases were told in order',
    async (t, printer) => {
      const phases: PrinterEvent[] = []
      printer.on((event) => {
        if (event.type === 'job') phases.push(event)
      })
      const before = bench.printedRows()
      const mine = job(12)
      t.same(await finished(printer.print(mine)), { kind: 'done' })
      const after = bench.printedRows()
      t.ok(after - before >= 12 * 16, 'twelve lines of text are on the paper')
      await systemClock.sleep(100)
      t.equal(bench.printedRows(), after)
      const told = [...new Set(phases.map((event) => (event.type === 'job' ? event.phase : '')))]
      // A job that fits the printer's buffer may be sent at once.
      t.same(
        told.filter((phase) => phase !== 'sending'),
        ['queued', 'fenced', 'done'],
      )
      const last = phases.at(-1)
      t.same(last, { type: 'job', jobId: mine.id, phase: 'done', bytesAcked: mine.bytes.length })
      t.equal(printer.status().state, 'ready')
      t.ok(printer.statistics()['ReceiptLinePrintedCount']! >= 12)
    },
  )

  await run('an empty job is done at once', async (t, printer) => {
    t.same(await finished(printer.print({ id: 'empty', bytes: new Uint8Array() })), { kind: 'done' })
  })

  await run('a second job is refused while one is under way, never queued', async (t, printer) => {
    const first = printer.print(job(30))
    t.equal(await codeOf('second job', printer.print(job(1))), 'DEVICE_BUSY')
    t.same(await finished(first), { kind: 'done' })
    t.same(await finished(printer.print(job(1))), { kind: 'done' })
  })

  for (const trouble of ['paperOut', 'coverOpen'] as const) {
    await run(
      `${trouble} during a job interrupts it, and printing goes on once it is mended`,
      async (t, printer) => {
        const before = bench.printedRows()
        const mine = job(LONG)
        const outcome = finished(printer.print(mine))
        await started(before)
        await bench.trouble(trouble, true)
        const result = await outcome
        t.match(result, { kind: 'interrupted', cause: trouble })
        t.ok(result.kind === 'interrupted' && result.bytesAcked < mine.bytes.length)
        t.equal(printer.status().state, trouble)
        t.match(
          await finished(printer.print(job(1))),
          { kind: 'interrupted', cause: trouble, bytesAcked: 0 },
          'a job given meanwhile is interrupted at once',
        )
        await bench.trouble(trouble, false)
        await recovered(t, printer)
      },
    )
    await run(`${trouble} between jobs is told by an event`, async (t, printer) => {
      const states: string[] = []
      printer.on((event) => event.type === 'status' && states.push(event.status.state))
      await bench.trouble(trouble, true)
      await eventually(`state ${trouble}`, () => printer.status().state === trouble)
      t.ok(states.includes(trouble))
      await bench.trouble(trouble, false)
      await recovered(t, printer)
    })
  }

  await run('paper near its end is told beside the state', async (t, printer) => {
    const lows: boolean[] = []
    printer.on((event) => event.type === 'paperLow' && lows.push(event.low))
    t.equal(printer.paperLow(), false)
    await bench.trouble('paperLow', true)
    await eventually('paperLow', () => printer.paperLow())
    t.equal(printer.status().state, 'ready')
    t.same(await finished(printer.print(job(1))), { kind: 'done' })
    await bench.trouble('paperLow', false)
    await eventually('paper is enough again', () => !printer.paperLow())
    t.same(lows, [true, false])
  })

  await run('an abort interrupts, and nothing of the job comes out with the next', async (t, printer) => {
    const before = bench.printedRows()
    const stop = new AbortController()
    const outcome = finished(printer.print(job(LONG), stop.signal))
    await started(before)
    stop.abort()
    t.match(await outcome, { kind: 'interrupted', cause: 'aborted' })
    await eventually('state ready again', () => printer.status().state === 'ready')
    t.same(await finished(printer.print(job(2))), { kind: 'done' })
    const rows = bench.printedRows() - before
    t.ok(rows < LONG * 16, `${rows} rows: far fewer than the whole job`)
  })

  await run('a printer that falls silent interrupts the job within its bound', async (t, printer) => {
    const before = bench.printedRows()
    const outcome = within('print', printer.print(job(LONG)), bench.longJobMs + 30_000)
    await started(before)
    await bench.trouble('silent', true)
    t.match(await outcome, { kind: 'interrupted' })
    await bench.trouble('silent', false)
    await recovered(t, printer)
  })

  if (bench.cable === undefined) return
  const { cable } = bench
  await run('a printer that is unplugged during a job interrupts it as offline', async (t, printer) => {
    const before = bench.printedRows()
    const outcome = finished(printer.print(job(LONG)))
    await started(before)
    await cable.unplug()
    t.match(await outcome, { kind: 'interrupted', cause: 'offline' })
    t.match(await finished(printer.print(job(1))), { kind: 'interrupted', cause: 'offline', bytesAcked: 0 })
    await cable.plug()
    await eventually('ready again', () => printer.status().presence === 'ready')
    await recovered(t, printer)
  })

  await run('close ends a job with DEVICE_CLOSED', async (t, printer) => {
    const before = bench.printedRows()
    const code = codeOf('print at close', printer.print(job(LONG)))
    await started(before)
    await within('close', printer.close())
    t.equal(await code, 'DEVICE_CLOSED')
  })
}
