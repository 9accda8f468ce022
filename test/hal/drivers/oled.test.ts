// OLED drivers over a bus that plays the kernel, against a panel written from the datasheets: conformance, windows, rotation, light.
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import type { Driver } from '../../../hal/board.js'
import type { Display, Frame } from '../../../hal/display.js'
import type { I2cBinding } from '../../../hal/drivers/i2c/i2c-binding.js'
import { i2cBuses } from '../../../hal/drivers/i2c/i2c-bus.js'
import { sh1106Driver, ssd1306Driver } from '../../../hal/drivers/oled/oled-driver.js'
import { changedRects } from '../../../hal/drivers/oled/page-memory.js'
import { seenPoint, turnedPixels } from '../../../hal/rotation.js'
import { displayConformance } from '../conformance/display.js'
import { eventually, testContext, untilPresence, within } from '../conformance/support.js'
import { OledPanel } from './oled-panel.js'
import { seenFrame } from './oled-seen.js'

/** A module on a bus in this process. */
function module(kind: 'ssd1306' | 'sh1106', { rows = 64, plain = true } = {}) {
  const panel = new OledPanel(kind, rows)
  const state = { plugged: true, transfers: 0, bytes: 0, longest: 0, failNext: 0 }
  const write = async (address: number, bytes: Uint8Array) => {
    await systemClock.sleep(0)
    if (!state.plugged || address !== 0x3c || state.failNext-- > 0)
      throw Object.assign(new Error('no acknowledge'), { code: 'EREMOTEIO' })
    state.transfers++
    state.bytes += bytes.length + 1
    state.longest = Math.max(state.longest, bytes.length)
    panel.transfer(bytes)
  }
  const binding: I2cBinding = {
    open: async () => ({
      plain: async () => plain,
      write,
      writeBlock: (address, command, bytes) => write(address, Uint8Array.of(command, ...bytes)),
      readBlock: async () => new Uint8Array(),
      close: async () => undefined,
    }),
  }
  const buses = i2cBuses(systemClock, async () => binding)
  const driver: Driver<Display> = kind === 'ssd1306' ? ssd1306Driver(buses) : sh1106Driver(buses)
  const size = rows === 64 ? '128x64' : '128x32'
  const usual = { bus: 1, address: 0x3c, size, rotation: 0, invert: false, contrast: 207, dimContrast: 8 }
  const open = (options: object = {}) =>
    driver.open(
      { ...usual, chargePump: true, maxTransfer: 1056, ...options } as never,
      testContext('display'),
    )
  return { panel, state, open }
}

const black = (width: number, height: number): Frame => ({
  width,
  height,
  pixels: new Uint16Array(width * height),
})

for (const { kind, rows, rotation, plain } of [
  { kind: 'ssd1306', rows: 64, rotation: 0, plain: true },
  { kind: 'ssd1306', rows: 32, rotation: 90, plain: true },
  { kind: 'sh1106', rows: 64, rotation: 270, plain: false },
] as const) {
  t.test(`${kind}, ${rows} rows, turned by ${rotation}, ${plain ? 'I2C' : 'SMBus blocks'}`, async (t) => {
    const { panel, state, open } = module(kind, { rows, plain })
    await displayConformance(t, {
      open: () => open({ rotation }),
      shown: () => seenFrame(panel, rotation),
      cable: {
        unplug: () => {
          state.plugged = false
        },
        plug: () => {
          panel.powerCycle()
          state.plugged = true
        },
      },
    })
    t.same(panel.faults, [], 'nothing that the datasheet does not allow')
    if (!plain) t.ok(state.longest <= 33)
  })
}

t.test('only what changed goes over the wire, and a little change is a little traffic', async (t) => {
  for (const kind of ['ssd1306', 'sh1106'] as const) {
    const { panel, state, open } = module(kind)
    const display = await open()
    await untilPresence(display, 'ready')
    const frame = black(128, 64)
    await display.draw(frame, [])
    const before = state.bytes
    await display.draw({ ...frame, pixels: frame.pixels.slice() }, [])
    t.equal(state.bytes, before, 'the same picture costs nothing')
    // A digit of 8 by 16 on two pages.
    const pixels = frame.pixels.slice()
    for (let y = 16; y < 32; y++) pixels.fill(0xffff, y * 128 + 40, y * 128 + 48)
    await display.draw({ ...frame, pixels }, [])
    t.equal(state.bytes - before, kind === 'ssd1306' ? 14 + 16 : 2 * (8 + 8), `${kind}: bytes of a digit`)
    t.same([...seenFrame(panel, 0).pixels], [...pixels])
    await display.close()
  }
})

t.test('what differs is joined where that is cheaper, and nothing that differs is left out', async (t) => {
  const width = 128
  let random = 7
  const next = (below: number) => {
    random = (random * 1_103_515_245 + 12_345) & 0x7fffffff
    return (random >> 8) % below
  }
  const costs = [
    { overhead: 14, spansPages: true },
    { overhead: 8, spansPages: false },
  ]
  for (let round = 0; round < 300; round++) {
    const before = new Uint8Array(1024)
    const after = before.slice()
    for (let n = next(round % 2 === 0 ? 12 : 200); n >= 0; n--) after[next(1024)] = 1 + next(255)
    for (const cost of costs) {
      const rects = changedRects(before, after, width, cost)
      const covered = new Uint8Array(1024)
      let bytes = 0
      for (const { page, lastPage, column, lastColumn } of rects) {
        if (page > lastPage || column > lastColumn || lastPage > 7 || lastColumn > 127)
          t.fail('a wrong rectangle')
        if (!cost.spansPages && page !== lastPage) t.fail('a transfer over two pages')
        bytes += cost.overhead + (lastPage - page + 1) * (lastColumn - column + 1)
        for (let p = page; p <= lastPage; p++) covered.fill(1, p * width + column, p * width + lastColumn + 1)
      }
      const missed = after.findIndex((byte, at) => byte !== before[at] && covered[at] === 0)
      if (missed >= 0) t.fail(`byte ${missed} was left out`)
      const whole = 1024 + cost.overhead * (cost.spansPages ? 1 : 8)
      if (bytes > whole) t.fail(`${bytes} bytes where the whole picture is ${whole}`)
    }
  }
  t.same(changedRects(new Uint8Array(1024), new Uint8Array(1024), width, costs[0]!), [])
  t.equal(
    changedRects(undefined, new Uint8Array(1024), width, costs[0]!).length,
    1,
    'the whole is one window',
  )
  t.pass('300 random changes under both costs')
})

t.test('each rotation, a corner at a time', (t) => {
  // A frame of 4 by 2 whose pixels are numbered; where number 0 (above, left) lies on the panel.
  const frame = { width: 4, height: 2, pixels: Uint16Array.of(0, 1, 2, 3, 4, 5, 6, 7) }
  t.same([...turnedPixels(frame, 0)], [0, 1, 2, 3, 4, 5, 6, 7])
  t.same([...turnedPixels(frame, 90)], [4, 0, 5, 1, 6, 2, 7, 3], 'clockwise: above left goes above right')
  t.same([...turnedPixels(frame, 180)], [7, 6, 5, 4, 3, 2, 1, 0])
  t.same([...turnedPixels(frame, 270)], [3, 7, 2, 6, 1, 5, 0, 4])
  t.same(seenPoint(1, 0, 90), { x: 0, y: 0 }, 'a finger above right on the panel is above left to the eye')
  t.same(seenPoint(1, 1, 180), { x: 0, y: 0 })
  t.same(seenPoint(0, 1, 270), { x: 0, y: 0 })
  t.same(seenPoint(0.25, 0.5, 0), { x: 0.25, y: 0.5 })
  t.end()
})

t.test(
  'light: on, dim, asleep, awake; inverted panels; nothing is lit before the picture is there',
  async (t) => {
    const { panel, open } = module('ssd1306')
    const display = await open({ invert: true, contrast: 200, dimContrast: 3 })
    await untilPresence(display, 'ready')
    t.ok(panel.on && panel.inverted)
    t.equal(panel.contrast, 200)
    t.ok(
      panel.seen().every((lit) => lit),
      'black, inverted: no noise of power-on is left',
    )
    await display.setBacklight('dim')
    t.equal(panel.contrast, 3)
    await display.setBacklight('off')
    t.notOk(panel.on)
    await display.draw(black(128, 64), [])
    t.notOk(panel.on, 'drawing does not wake it')
    await display.setBacklight('on')
    t.ok(panel.on)
    t.equal(panel.contrast, 200)
    await display.close()
  },
)

t.test('a loss amid a picture: the caller hears of it, the sleep and the picture come back', async (t) => {
  const { panel, state, open } = module('sh1106')
  const display = await open()
  await untilPresence(display, 'ready')
  await display.setBacklight('off')
  const frame = black(128, 64)
  frame.pixels.fill(0xffff, 0, 128 * 40)
  const drawing = display.draw(frame, [])
  state.failNext = 100
  t.equal(
    await within(
      'draw',
      drawing.then(
        () => 'drawn',
        (error) => error.code,
      ),
    ),
    'DEVICE_LOST',
  )
  await eventually('lost', () => display.status().presence === 'lost')
  t.match(display.status().detail, /nothing answers at this address/)
  panel.powerCycle()
  state.failNext = 0
  await untilPresence(display, 'ready')
  t.notOk(panel.on, 'it still sleeps')
  await display.setBacklight('on')
  await eventually('the picture', () =>
    Buffer.from(seenFrame(panel, 0).pixels.buffer).equals(Buffer.from(frame.pixels.buffer)),
  )
  t.same(panel.faults, [])
  await display.close()
})

t.test('two noisy transfers are no loss', async (t) => {
  const { state, open } = module('ssd1306')
  const display = await open()
  await untilPresence(display, 'ready')
  state.failNext = 2
  const frame = black(128, 64)
  frame.pixels[77] = 0xffff
  await within('draw', display.draw(frame, []))
  t.equal(display.status().presence, 'ready')
  t.equal(display.statistics()['CommunicationErrorCount'], 0)
  await display.close()
})
