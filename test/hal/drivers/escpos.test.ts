// The ESC/POS driver against the machine in process: fences, statuses, interruptions, loss and return.
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { isPosternError } from '../../../hal/base/errors.js'
import { answerReader, conditionOf } from '../../../hal/drivers/escpos/answers.js'
import { cutJob } from '../../../hal/drivers/escpos/cut-job.js'
import { newJob, nextJob, outcomeOf } from '../../../hal/drivers/escpos/printer-job.js'
import { printerBench, textJob } from './escpos-bench.js'

const phases = (events: readonly unknown[]) =>
  (events as { type: string; phase: string }[])
    .filter((event) => event.type === 'job')
    .map((event) => event.phase)
    .filter((phase, at, all) => phase !== all[at - 1])

t.test('a job is done only when the paper has moved', async (t) => {
  const bench = await printerBench({ rowsPerSecond: 2000 })
  t.teardown(bench.close)
  const outcome = await bench.printer.print(textJob('a', 40))
  t.same(outcome, { kind: 'done' })
  t.equal(bench.machine.paper().length, 40 * 30, 'every row was out when the job was done')
  t.same(phases(bench.events), ['queued', 'sending', 'fenced', 'done'])
  const statistics = bench.printer.statistics()
  t.equal(statistics['ReceiptLinePrintedCount'], 40)
  t.equal(statistics['JobCount'], 1)
})

t.test('a second job is refused, not queued', async (t) => {
  const bench = await printerBench({ rowsPerSecond: 2000 })
  t.teardown(bench.close)
  const first = bench.printer.print(textJob('a', 20))
  await t.rejects(bench.printer.print(textJob('b', 1)), { code: 'DEVICE_BUSY' })
  t.same(await first, { kind: 'done' })
})

for (const fault of ['paperOut', 'coverOpen', 'headHot', 'jam'] as const) {
  t.test(`${fault} during a job interrupts it, and nothing of it is printed afterwards`, async (t) => {
    const bench = await printerBench({ rowsPerSecond: 1500 })
    t.teardown(bench.close)
    const job = bench.printer.print(textJob('a', 200))
    while (bench.machine.paper().length < 300) await systemClock.sleep(5)
    bench.machine.setFault(fault, true)
    const outcome = await job
    t.match(outcome, { kind: 'interrupted', cause: fault })
    if (outcome.kind === 'interrupted') {
      t.ok(outcome.bytesAcked < textJob('a', 200).bytes.length)
    }
    t.equal(bench.printer.status().state, fault)
    t.same(await bench.printer.print(textJob('b', 1)), {
      kind: 'interrupted',
      cause: fault,
      bytesAcked: 0,
      bytesSent: 0,
    })
    bench.machine.setFault(fault, false)
    await bench.until((printer) => printer.status().state === 'ready')
    const rows = bench.machine.tearOff().length
    t.ok(rows < 200 * 30, `${rows} rows came out`)
    t.same(await bench.printer.print(textJob('c', 2)), { kind: 'done' })
    t.equal(bench.machine.paper().length, 60, 'only the new job is on the paper')
  })
}

t.test('an open cover is seen while nothing prints', async (t) => {
  const bench = await printerBench()
  t.teardown(bench.close)
  bench.machine.setFault('coverOpen', true)
  await bench.until((printer) => printer.status().state === 'coverOpen')
  t.equal(bench.printer.status().detail, 'the cover is open')
  bench.machine.setFault('coverOpen', false)
  await bench.until((printer) => printer.status().state === 'ready')
  t.equal(bench.printer.statistics()['ReceiptCoverOpenCount'], 1)
})

t.test('paper near its end is told beside the state', async (t) => {
  const bench = await printerBench({ rollRows: 400, nearEndRows: 300 })
  t.teardown(bench.close)
  t.equal(bench.printer.paperLow(), false)
  t.same(await bench.printer.print(textJob('a', 5)), { kind: 'done' })
  t.equal(bench.printer.paperLow(), true)
  t.equal(bench.printer.status().state, 'ready')
  t.match(
    bench.events.find((event) => event.type === 'paperLow'),
    { low: true },
  )
  t.match(await bench.printer.print(textJob('b', 20)), { kind: 'interrupted', cause: 'paperOut' })
})

t.test('abort ends a job within 250 ms and leaves the printer usable', async (t) => {
  const bench = await printerBench({ rowsPerSecond: 640 })
  t.teardown(bench.close)
  const controller = new AbortController()
  const job = bench.printer.print(textJob('a', 400), controller.signal)
  while (bench.machine.paper().length < 60) await systemClock.sleep(5)
  controller.abort()
  t.match(await job, { kind: 'interrupted', cause: 'aborted' })
  await bench.until((printer) => printer.status().state === 'ready')
  bench.machine.tearOff()
  t.same(await bench.printer.print(textJob('b', 1)), { kind: 'done' })
  t.ok(bench.machine.paper().length <= 30 + 16, 'the aborted rest was dropped')
})

t.test('a printer that is unplugged in a job comes back by itself', async (t) => {
  const bench = await printerBench({ rowsPerSecond: 640 })
  t.teardown(bench.close)
  const job = bench.printer.print(textJob('a', 100))
  while (bench.machine.paper().length < 60) await systemClock.sleep(5)
  bench.socket.setPlugged(false)
  t.match(await job, { kind: 'interrupted', cause: 'offline' })
  t.equal(bench.printer.status().presence, 'lost')
  t.match(await bench.printer.print(textJob('b', 1)), { cause: 'offline', bytesAcked: 0, bytesSent: 0 })
  bench.socket.setPlugged(true)
  await bench.until((printer) => printer.status().presence === 'ready')
  t.same(await bench.printer.print(textJob('c', 1)), { kind: 'done' })
  t.ok(bench.printer.statistics()['CommunicationErrorCount']! >= 1)
})

t.test('a printer that is switched off on a living port is lost, and found again', async (t) => {
  const bench = await printerBench()
  t.teardown(bench.close)
  bench.machine.setFault('silent', true)
  await bench.until((printer) => printer.status().presence === 'lost')
  t.match(bench.printer.status().detail, /switched on/)
  bench.machine.setFault('silent', false)
  await bench.until((printer) => printer.status().presence === 'ready')
  t.same(await bench.printer.print(textJob('c', 1)), { kind: 'done' })
})

t.test('a port that another program holds is taken when it is free (stale lock)', async (t) => {
  const bench = await printerBench()
  t.teardown(() => bench.machine.close())
  await bench.printer.close()
  await t.rejects(bench.printer.print(textJob('a', 1)), { code: 'DEVICE_CLOSED' })
  const stale = await bench.socket.open()
  await t.rejects(bench.socket.open(), { code: 'DEVICE_BUSY' })
  await stale.close()
  const port = await bench.socket.open()
  await port.close()
})

t.test('the window keeps a small buffer from overflowing on a slow mechanism', async (t) => {
  const bench = await printerBench({ rowsPerSecond: 3000, bufferBytes: 2200 })
  t.teardown(bench.close)
  t.same(await bench.printer.print(textJob('a', 300)), { kind: 'done' })
  t.equal(bench.machine.counters.overflowBytes, 0)
  t.equal(bench.machine.paper().length, 300 * 30)
})

t.test('a picture larger than the window is printed whole', async (t) => {
  const bench = await printerBench()
  t.teardown(bench.close)
  const rows = 200
  const bytes = new Uint8Array(8 + 48 * rows).fill(0xaa)
  bytes.set([0x1d, 0x76, 0x30, 0, 48, 0, rows, 0])
  t.same(await bench.printer.print({ id: 'p', bytes }), { kind: 'done' })
  t.equal(bench.machine.paper().length, rows)
  t.same(bench.machine.paper()[rows - 1], new Uint8Array(48).fill(0xaa))
})

t.test('jobs that would confuse the fence are refused', async (t) => {
  for (const hex of ['1d7201', '100404', '1d763000300001', '1b']) {
    const bytes = new Uint8Array(Buffer.from(`41${hex}`, 'hex'))
    t.throws(() => cutJob(bytes, 512), { code: 'DEVICE_PROTOCOL' }, hex)
  }
  const portions = cutJob(textJob('a', 100).bytes, 512)
  t.equal(portions.at(-1)!.end, textJob('a', 100).bytes.length)
  t.equal(
    portions.reduce((sum, portion) => sum + portion.lines, 0),
    100,
  )
})

t.test('answers are told apart by their fixed bits', async (t) => {
  const heard: unknown[] = []
  const read = answerReader((answer) => heard.push(answer))
  read(Uint8Array.of(0x11, 0x12, 0x13, 0x37, 0x25))
  read(Uint8Array.of(0x00, 0x03, 0x7e))
  t.same(heard, [
    { kind: 'status', byte: 0x12 },
    { kind: 'cleared' },
    { kind: 'fence', paperLow: true, paperOut: false },
    { kind: 'status', byte: 0x7e },
  ])
  t.match(conditionOf({ paper: 0x12, offlineCause: 0x16, error: 0 }), { problem: { state: 'coverOpen' } })
  t.match(conditionOf({ paper: 0x1e, offlineCause: 0x12, error: 0 }), { problem: undefined, paperLow: true })
  t.match(conditionOf({ paper: 0x7e, offlineCause: 0x12, error: 0 }), { problem: { state: 'paperOut' } })
  t.match(conditionOf({ paper: 0x12, offlineCause: 0x52, error: 0x52 }), { problem: { state: 'headHot' } })
})

t.test('an ended job stays as it ended', async (t) => {
  let job = nextJob(newJob(10), { kind: 'sent', end: 10 })
  t.equal(job.phase, 'fenced')
  job = nextJob(job, { kind: 'acked', end: 4 })
  job = nextJob(job, { kind: 'interrupt', cause: 'paperOut' })
  t.same(nextJob(job, { kind: 'acked', end: 10 }), job)
  t.same(outcomeOf(job), { kind: 'interrupted', cause: 'paperOut', bytesAcked: 4, bytesSent: 10 })
  t.equal(isPosternError(new Error('x')), false)
})

t.test('a mechanism that answers only in sequence: paper, fences and silence', async (t) => {
  const bench = await printerBench({ profile: 'mechanism-58', rowsPerSecond: 3000 })
  t.teardown(bench.close)
  t.same(await bench.printer.print(textJob('a', 60)), { kind: 'done' })
  t.equal(bench.machine.paper().length, 60 * 30, 'every row was out when the job was done')
  bench.machine.setFault('paperOut', true)
  await bench.until((printer) => printer.status().state === 'paperOut')
  t.same(await bench.printer.print(textJob('b', 1)), {
    kind: 'interrupted',
    cause: 'paperOut',
    bytesAcked: 0,
    bytesSent: 0,
  })
  bench.machine.setFault('paperOut', false)
  await bench.until((printer) => printer.status().state === 'ready')
  bench.machine.setFault('silent', true)
  await bench.until((printer) => printer.status().presence === 'lost')
  bench.machine.setFault('silent', false)
  await bench.until((printer) => printer.status().presence === 'ready')
  t.same(await bench.printer.print(textJob('c', 2)), { kind: 'done' })
})
