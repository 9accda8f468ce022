// Runs under the preload library: the OLED drivers over the real i2c-bus module, judged by what was logged.

import t, { type Test } from 'tap'
import { systemClock } from '../../hal/base/clock.js'
import { loadFont } from '../../hal/base/font/font.js'
import type { Display, Frame } from '../../hal/display.js'
import { i2cBuses } from '../../hal/drivers/i2c/i2c-bus.js'
import { sh1106Driver, ssd1306Driver } from '../../hal/drivers/oled/oled-driver.js'
import { isLit } from '../../hal/frame.js'
import { createRenderer } from '../../runtime/secure/screens/renderer.js'
import { loadTexts } from '../../runtime/secure/texts.js'
import { samples } from '../../scripts/dev/screens/samples.js'
import { displayConformance } from '../hal/conformance/display.js'
import { codeOf, eventually, testContext, untilPresence, within } from '../hal/conformance/support.js'
import { OledPanel } from '../hal/drivers/oled-panel.js'
import { seenFrame } from '../hal/drivers/oled-seen.js'
import { CapturedBus } from './i2c-capture.js'

t.setTimeout(240_000)
const bus = new CapturedBus(process.env['I2C_CAPTURE']!)
const ADDRESS = 0x3c

type Kind = 'ssd1306' | 'sh1106'
type Rotation = 0 | 90 | 180 | 270

/** A panel that sees what the log says was acknowledged; wire bytes count the address byte. */
function watched(kind: Kind, rotation: Rotation) {
  const panel = new OledPanel(kind)
  const wire = { bytes: 0, transfers: 0 }
  const replay = () => {
    for (const transfer of bus.transfers()) {
      if (transfer === undefined) panel.powerCycle()
      else if (transfer.kind === 'W' && transfer.address === ADDRESS && !transfer.failed) {
        panel.transfer(transfer.bytes)
        wire.bytes += transfer.bytes.length + 1
        wire.transfers++
      }
    }
  }
  const seen = (): Frame => {
    replay()
    return seenFrame(panel, rotation)
  }
  return { panel, wire, seen }
}

const buses = i2cBuses(systemClock)
function open(kind: Kind, rotation: Rotation = 0): Promise<Display> {
  const options = { bus: 1, address: ADDRESS, size: '128x64', rotation, invert: false, contrast: 207 }
  const driver = kind === 'ssd1306' ? ssd1306Driver(buses) : sh1106Driver(buses)
  const all = { ...options, dimContrast: 8, chargePump: true, maxTransfer: 1056 }
  return driver.open(all as never, testContext('display'))
}
async function ready(kind: Kind, rotation: Rotation = 0): Promise<Display> {
  const display = await open(kind, rotation)
  await untilPresence(display, 'ready')
  return display
}
const monochrome = ({ pixels }: Frame) =>
  Buffer.from(pixels.map((pixel) => (isLit(pixel) ? 0xffff : 0)).buffer)
const same = (seen: Frame, drawn: Frame) => Buffer.from(seen.pixels.buffer).equals(monochrome(drawn))

/** The screens of the terminal, the same ones in a row, changes small and large. */
function pictures(display: Display): [string, Frame][] {
  const renderer = createRenderer(display.capabilities, loadFont(), loadTexts())
  return Object.entries(samples).map(([name, scene]) => [name, renderer.render(scene).frame])
}

/** `blockCost` is what a transfer of 32 bytes costs beside them, where the adapter does no longer ones. */
async function series(t: Test, kind: Kind, rotation: Rotation, blockCost = 0): Promise<void> {
  bus.attach(ADDRESS)
  const { panel, wire, seen } = watched(kind, rotation)
  bus.mark()
  const display = await ready(kind, rotation)
  seen()
  const begin = { ...wire }
  const frames = pictures(display)
  t.ok(frames.length > 20)
  let previous = begin.bytes
  let whole = 0
  for (const [name, frame] of frames) {
    await within(name, display.draw(frame, []))
    const shown = seen()
    if (!same(shown, frame)) t.fail(`${name} is not what is on the glass`)
    whole = Math.max(whole, wire.bytes - previous)
    previous = wire.bytes
  }
  t.pass(`${frames.length} screens were on the glass when their draws resolved`)
  t.same(panel.faults, [])
  const full = (kind === 'ssd1306' ? 14 : 8 * 8) + 1024 + 33 * blockCost
  t.ok(whole <= full, 'no change costs more than a whole picture')
  t.ok(wire.bytes - begin.bytes < 0.8 * full * frames.length, 'most cost less')

  // A digit typed: a part of a page or two.
  const { pixels, width, height } = frames.at(-1)![1]
  const typed = pixels.slice()
  for (let y = 20; y < 36; y++) for (let x = 30; x < 38; x++) typed[y * width + x] = (x * y) % 3 ? 0xffff : 0
  const before = wire.bytes
  await within('digit', display.draw({ pixels: typed, width, height }, []))
  t.ok(same(seen(), { pixels: typed, width, height }))
  t.ok(wire.bytes - before < 120, `a digit costs ${wire.bytes - before} bytes`)
  await display.close()
}

async function faults(t: Test): Promise<void> {
  bus.attach(ADDRESS)
  const { panel, seen } = watched('ssd1306', 0)
  bus.mark()
  const display = await ready('ssd1306')
  const [[, one], [, two], [, three]] = pictures(display) as [
    [string, Frame],
    [string, Frame],
    [string, Frame],
  ]
  await within('draw', display.draw(one, []))

  bus.noise(2)
  await within('draw over noise', display.draw(two, []))
  t.ok(same(seen(), two), 'two transfers without acknowledge are tried again')
  t.equal(display.status().presence, 'ready')

  bus.set('gone', true)
  t.equal(await codeOf('draw', display.draw(three, [])), 'DEVICE_LOST')
  t.match(display.status(), { presence: 'lost', detail: /the bus has gone/ })
  bus.set('gone', false)
  bus.mark()
  await untilPresence(display, 'ready')
  await eventually('the picture', () => same(seen(), three))

  bus.detach(ADDRESS)
  await untilPresence(display, 'lost')
  t.match(display.status().detail, /nothing answers at this address/, 'noticed without drawing')
  bus.attach(ADDRESS)
  bus.mark()
  await untilPresence(display, 'ready')
  await eventually('the picture', () => same(seen(), three))
  await display.close()

  bus.set('owned', true)
  const owned = await open('ssd1306')
  t.match(owned.status(), { presence: 'lost', detail: /a driver of the kernel holds this address/ })
  bus.set('owned', false)
  await untilPresence(owned, 'ready')
  t.same(panel.faults, [])
  await owned.close()
}

async function slowBus(t: Test): Promise<void> {
  bus.attach(ADDRESS)
  bus.set('slow', true)
  const { seen, panel } = watched('ssd1306', 0)
  bus.mark()
  const display = await ready('ssd1306')
  const frames = pictures(display)
  const before = display.statistics()['FrameCount']!
  const gauge = await buses.device(1, 0x36)
  bus.attach(
    0x36,
    Uint8Array.from({ length: 256 }, (_, at) => at),
  )
  const draws = frames.map(([, frame]) => display.draw(frame, []))
  const registers = await within('a register meanwhile', gauge.readRegister(0x04, 2))
  t.same([...registers], [4, 5], 'another device on the bus is read meanwhile')
  await within('draws', Promise.all(draws))
  t.ok(same(seen(), frames.at(-1)![1]), 'the newest is on the glass')
  const sent = display.statistics()['FrameCount']! - before
  t.ok(sent <= 3, `${frames.length} screens at once, ${sent} sent`)
  t.same(panel.faults, [])
  bus.set('slow', false)
  await gauge.close()
  await display.close()
}

for (const kind of ['ssd1306', 'sh1106'] as const) {
  await t.test(`${kind}: the terminal's screens, replayed from the wire`, (t) => series(t, kind, 0))
  await t.test(`${kind}: upright on its side`, (t) => series(t, kind, 270))
}
await t.test('noise, a bus that vanishes, a module that is pulled, an address that is taken', faults)
await t.test('a bus slower than the screens', slowBus)
await t.test('an adapter that does SMBus blocks only', async (t) => {
  bus.set('smbus', true)
  await series(t, 'ssd1306', 0, 2)
  bus.set('smbus', false)
})
await t.test('conformance on the real library', async (t) => {
  bus.attach(ADDRESS)
  const { panel, seen } = watched('sh1106', 180)
  bus.mark()
  await displayConformance(t, {
    open: () => open('sh1106', 180),
    shown: seen,
    cable: {
      unplug: () => bus.detach(ADDRESS),
      plug: () => {
        bus.mark()
        bus.attach(ADDRESS)
      },
    },
  })
  t.same(panel.faults, [])
})
