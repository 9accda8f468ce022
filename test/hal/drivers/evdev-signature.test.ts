// Signatures on a touch panel: conformance over a FIFO with the kernel's structs, both kinds of panel, turned ones, fields and rests.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { loadFileCalls } from '../../../hal/drivers/device-file.js'
import { evdevSignatureDriver } from '../../../hal/drivers/evdev/evdev-signature-pad.js'
import type { InputEvent } from '../../../hal/drivers/evdev/input-event.js'
import { liftAll, nextTouch, noTouch, type TouchState } from '../../../hal/drivers/evdev/touch-contact.js'
import type { SignaturePad, StrokePoint } from '../../../hal/signature-pad.js'
import { signaturePadConformance } from '../conformance/signature-pad.js'
import { codeOf, eventually, testContext, untilPresence, within } from '../conformance/support.js'
import { fakeEvdev, fakeRoots } from './evdev-bench.js'

const folder = mkdtempSync(join(tmpdir(), 'touch-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const skip = await loadFileCalls().then(
  () => false as const,
  (error: Error) => error.message,
)
const [SYN, KEY, ABS] = [0, 1, 3]
const [X, Y, PRESSURE, SLOT, MT_X, MT_Y, ID, MT_PRESSURE, TOUCH] = [
  0x00, 0x01, 0x18, 0x2f, 0x35, 0x36, 0x39, 0x3a, 0x14a,
]
const SIZE = { width: 240, height: 100 }
type Raw = readonly [type: number, code: number, value: number]
type Kind = 'single' | 'multi'

/** The kernel's clock; two microseconds on, as stamps are cut to whole ones. */
const nowMs = () => Number(process.hrtime.bigint() / 1000n) / 1000 + 0.002
let made = 0

/** A panel whose raw values are pixels unless the options say otherwise. */
function panel(kind: Kind, options: object = {}) {
  const roots = fakeRoots(join(folder, String(made++)))
  const device = fakeEvdev(roots, { number: 0, name: 'touch' })
  let pad: SignaturePad | undefined
  let id = 100
  /** The pipe holds 64 KiB: what does not fit waits until the driver has read. */
  const send = async (events: readonly Raw[], atMs: number) => {
    for (;;) {
      try {
        return device.send(events, atMs)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
        await systemClock.sleep(2)
      }
    }
  }
  const at = (x: number, y: number, pressure: number): Raw[] =>
    kind === 'single'
      ? [
          [ABS, X, x],
          [ABS, Y, y],
          [ABS, PRESSURE, pressure],
        ]
      : // A multi-touch panel also sends what a mouse would.
        [
          [ABS, MT_X, x],
          [ABS, MT_Y, y],
          [ABS, MT_PRESSURE, pressure],
          [ABS, X, x],
          [ABS, Y, y],
        ]
  const down = (): Raw[] =>
    kind === 'single'
      ? [[KEY, TOUCH, 1]]
      : [
          [ABS, SLOT, 0],
          [ABS, ID, ++id],
          [KEY, TOUCH, 1],
        ]
  const up = (): Raw[] =>
    kind === 'single'
      ? [[KEY, TOUCH, 0]]
      : [
          [ABS, ID, -1],
          [KEY, TOUCH, 0],
        ]
  const draw = async (
    points: readonly { x: number; y: number; t: number; pressure?: number }[],
    base = nowMs(),
  ) => {
    for (const [n, { x, y, t, pressure = 0.5 }] of points.entries())
      await send([...(n === 0 ? down() : []), ...at(x, y, pressure * 200)], base + t)
    await send(up(), base + (points.at(-1)?.t ?? 0))
  }
  const axes = {
    x: { minimum: 0, maximum: 239 },
    y: { minimum: 0, maximum: 99 },
    pressure: { minimum: 0, maximum: 200 },
  }
  const fields = {
    done: { x: 230, y: 90, width: 10, height: 10 },
    clear: { x: 0, y: 90, width: 10, height: 10 },
    area: { x: 0, y: 0, width: 240, height: 90 },
  }
  const driver = evdevSignatureDriver(roots)
  const open = async () => {
    const all = {
      device: { name: 'touch' },
      ...SIZE,
      rotation: 0,
      mirrored: false,
      idleMs: 30_000,
      axes,
      ...fields,
    }
    pad = await driver.open({ ...all, ...options } as never, testContext('signature'))
    return pad
  }
  return {
    device,
    send,
    at,
    open,
    draw,
    capturing: () => pad?.status().state === 'capturing',
    tap: (x: number, y: number) => draw([{ x, y, t: 0 }]),
  }
}

for (const kind of ['single', 'multi'] as const) {
  t.test(`conformance on a ${kind}-touch panel`, { skip }, async (t) => {
    const bench = panel(kind)
    await signaturePadConformance(t, {
      open: bench.open,
      capturing: bench.capturing,
      async sign(strokes) {
        const base = nowMs()
        for (const stroke of strokes) await bench.draw(stroke, base)
        await bench.tap(235, 95)
      },
      clear: () => bench.tap(5, 95),
      cable: { unplug: () => bench.device.unplug(), plug: () => bench.device.plug() },
    })
    bench.device.end()
  })
}

t.test('a rest after the last stroke completes it, a rest before the first does not', { skip }, async (t) => {
  const bench = panel('multi', { idleMs: 200, done: undefined, clear: undefined, area: undefined })
  const pad = await bench.open()
  await untilPresence(pad, 'ready')
  const stop = new AbortController()
  const waiting = codeOf('nobody signs', pad.capture(stop.signal))
  await systemClock.sleep(300)
  t.equal(pad.status().state, 'capturing')
  stop.abort()
  t.equal(await waiting, 'ABORTED')

  const capture = within('capture', pad.capture())
  await bench.draw([
    { x: 3, y: 4, t: 0 },
    { x: 9, y: 9, t: 10 },
  ])
  const outcome = await capture
  t.match(outcome, { kind: 'signed', width: 240, height: 100 })
  if (outcome.kind === 'signed')
    t.same(
      outcome.strokes[0]?.map(({ x, y }) => [x, y]),
      [
        [3, 4],
        [9, 9],
      ],
    )
  await pad.close()
  bench.device.end()
})

t.test('points lie where the finger is seen, however the panel is mounted', { skip }, async (t) => {
  // Raw 0 to 4095 in both directions; a finger near the panel's upper left corner, as the panel counts.
  const range = { minimum: 0, maximum: 4095 }
  const cases = [
    { rotation: 0, mirrored: false, seen: [0, 9.9] },
    { rotation: 0, mirrored: true, seen: [239, 9.9] },
    { rotation: 90, mirrored: false, seen: [23.9, 99] },
    { rotation: 180, mirrored: false, seen: [239, 89.1] },
    { rotation: 270, mirrored: false, seen: [215.1, 0] },
  ]
  for (const { rotation, mirrored, seen } of cases) {
    const bench = panel('single', {
      rotation,
      mirrored,
      axes: { x: range, y: range },
      idleMs: 200,
      done: undefined,
      clear: undefined,
      area: undefined,
    })
    const pad = await bench.open()
    await untilPresence(pad, 'ready')
    const capture = within('capture', pad.capture())
    await bench.draw([{ x: 0, y: 409.5 | 0, t: 0 }])
    const outcome = await capture
    const point = outcome.kind === 'signed' ? outcome.strokes[0]?.[0] : undefined
    t.same([point?.x, point?.y], seen, `${rotation} ${mirrored}`)
    t.notOk(point !== undefined && 'pressure' in point, 'no pressure where the panel has none')
    await pad.close()
    bench.device.end()
  }
})

t.test(
  'an area of the screen; strokes begun beside it, a palm, and a finger that was there before',
  { skip },
  async (t) => {
    const bench = panel('multi', { area: { x: 20, y: 10, width: 100, height: 50 } })
    const pad = await bench.open()
    await untilPresence(pad, 'ready')
    // It touches before anybody asks for a signature.
    await bench.send([[ABS, SLOT, 0], [ABS, ID, 1], ...bench.at(50, 50, 100)], nowMs())
    await systemClock.sleep(50)
    const capture = within('capture', pad.capture())
    await eventually('capturing', bench.capturing)
    const base = nowMs()
    await bench.send(bench.at(51, 51, 100), base)
    await bench.send([[ABS, ID, -1]], base)
    await bench.draw(
      [
        { x: 150, y: 20, t: 0 },
        { x: 60, y: 20, t: 1 },
      ],
      base,
    )
    // A stroke that leaves the area is held at its edge; a palm in another slot draws nothing.
    await bench.send([[ABS, SLOT, 0], [ABS, ID, 7], ...bench.at(30, 20, 100)], base + 10)
    await bench.send(
      [[ABS, SLOT, 1], [ABS, ID, 8], ...bench.at(99, 40, 150), [ABS, SLOT, 0], ...bench.at(31, 21, 100)],
      base + 20,
    )
    await bench.send([[ABS, SLOT, 0], ...bench.at(5, 5, 120)], base + 30)
    await bench.send(
      [
        [ABS, SLOT, 1],
        [ABS, ID, -1],
        [ABS, SLOT, 0],
        [ABS, ID, -1],
      ],
      base + 40,
    )
    await bench.tap(235, 95)
    const outcome = await capture
    const expected: StrokePoint[] = [
      { x: 10, y: 10, t: 0, pressure: 0.5 },
      { x: 11, y: 11, t: 10, pressure: 0.5 },
      { x: 0, y: 0, t: 20, pressure: 0.6 },
    ]
    t.same(outcome, { kind: 'signed', strokes: [expected], width: 100, height: 50 })
    await pad.close()
    bench.device.end()
  },
)

t.test('a panel that does not say its range is lost with what to do about it', { skip }, async (t) => {
  const bench = panel('single', { axes: undefined })
  const pad = await bench.open()
  t.match(pad.status(), { presence: 'lost', detail: /does not say its range: give it in options\/axes/ })
  await pad.close()
  bench.device.end()
})

t.test('contacts from reports, change by change', (t) => {
  const report = (...events: Raw[]): InputEvent[] =>
    events.map(([type, code, value]) => ({ atMs: 0, type, code, value }))
  let state: TouchState = noTouch({ x: 5, y: 6 })
  const feed = (...events: Raw[]) => {
    const next = nextTouch(state, report(...events))
    state = next.state
    return next.contact
  }
  t.match(feed([KEY, TOUCH, 1]), { x: 5, y: 6 }, 'a touch at the place of the last one sends no place')
  t.match(feed([ABS, Y, 9]), { x: 5, y: 9, pressure: undefined })
  t.equal(feed([KEY, TOUCH, 0]), undefined)
  t.equal(feed([ABS, X, 1]), undefined)

  state = noTouch()
  t.equal(feed([ABS, ID, 3], [ABS, MT_X, 10]), undefined, 'no point without both coordinates')
  t.match(feed([ABS, MT_Y, 20]), { id: 3, x: 10, y: 20 })
  t.match(
    feed([ABS, SLOT, 1], [ABS, ID, 4], [ABS, MT_X, 90], [ABS, MT_Y, 90]),
    { id: 3 },
    'the first is the pen',
  )
  t.match(feed([ABS, SLOT, 0], [ABS, ID, -1]), { id: 4, x: 90 }, 'the other takes over as another stroke')
  t.match(feed([ABS, ID, 5]), { id: 4 })
  t.match(feed([ABS, SLOT, 1], [ABS, ID, -1]), { id: 5, x: 10, y: 20 }, 'a slot keeps its place')
  state = liftAll(state)
  t.equal(feed([ABS, MT_X, 11]), undefined, 'after a loss of events nothing touches until it touches anew')
  t.match(feed([ABS, SLOT, 0], [ABS, ID, 6]), { id: 6, x: 10 })
  for (let slot = 0; slot < 500; slot++) feed([ABS, SLOT, slot], [ABS, ID, slot])
  t.ok(state.slots.size <= 64, 'slots are bounded')
  t.equal(feed([SYN, 2, 0])?.id, 0)
  t.end()
})
