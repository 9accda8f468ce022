// Displays: bytes and wire time of a key press and of a screen change against a full frame, and a key press to the glass.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../hal/base/clock.js'
import { loadFont } from '../../hal/base/font/font.js'
import { silentLog } from '../../hal/base/log.js'
import type { Display } from '../../hal/display.js'
import { framebufferDriver } from '../../hal/drivers/framebuffer/framebuffer-driver.js'
import { i2cBuses } from '../../hal/drivers/i2c/i2c-bus.js'
import { sh1106Driver, ssd1306Driver } from '../../hal/drivers/oled/oled-driver.js'
import type { Key, Keypad } from '../../hal/keypad.js'
import type { Screen } from '../../runtime/api/screens.js'
import { createRenderer } from '../../runtime/secure/screens/renderer.js'
import { createScreenService } from '../../runtime/secure/screens/screen-service.js'
import { loadTexts } from '../../runtime/secure/texts.js'
import { samples } from '../dev/screens/samples.js'
import { type Bench, median, type Row } from './measure.js'

/** I2C at 400 kHz: nine bits a byte. */
const wireMs = (bytes: number) => (bytes * 9) / 400
const context = { id: 'display', clock: systemClock, log: silentLog }
/** Longer than the presenter's pause between two frames. */
const BETWEEN_KEYS_MS = 60
const LONGEST_MS = 10_000

/** A display whose traffic is counted; `full` is what a whole frame costs. */
interface Counted {
  readonly name: string
  readonly display: Display
  bytes(): number
  readonly full: number
  close(): Promise<void>
}

async function oled(kind: 'ssd1306' | 'sh1106'): Promise<Counted> {
  let bytes = 0
  const count = async (length: number) => {
    // The address byte is on the wire too.
    bytes += length + 1
  }
  const buses = i2cBuses(systemClock, async () => ({
    open: async () => ({
      plain: async () => true,
      write: (_, sent) => count(sent.length),
      writeBlock: (_, _command, sent) => count(sent.length + 1),
      readBlock: async () => new Uint8Array(),
      close: async () => undefined,
    }),
  }))
  const driver = kind === 'ssd1306' ? ssd1306Driver(buses) : sh1106Driver(buses)
  const light = { invert: false, contrast: 207, dimContrast: 8, chargePump: true }
  const options = { bus: 1, address: 60, size: '128x64', rotation: 0, maxTransfer: 1056, ...light }
  const display = await driver.open(options as never, context)
  const before = bytes
  const pixels = new Uint16Array(128 * 64).map((_, at) => ((at * 40_503) & 0x8000 ? 0xffff : 0))
  await display.draw({ width: 128, height: 64, pixels }, [])
  return { name: kind, display, bytes: () => bytes, full: bytes - before, close: () => display.close() }
}

async function framebuffer(): Promise<Counted> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-fb-'))
  const [dev, sys] = [join(folder, 'dev'), join(folder, 'sys')]
  const fb = join(sys, 'class', 'graphics', 'fb0')
  mkdirSync(fb, { recursive: true })
  mkdirSync(dev)
  const [width, height] = [240, 320]
  const facts = { name: 'bench', bits_per_pixel: '16', stride: '480', virtual_size: '240,320' }
  for (const [name, value] of Object.entries(facts)) writeFileSync(join(fb, name), value)
  const full = width * height * 2
  writeFileSync(join(dev, 'fb0'), new Uint8Array(full))
  const light = { brightness: 100, dimBrightness: 20 }
  const options = { framebuffer: 0, width, height, rotation: 0, swapped: false, dpi: 160, ...light }
  const display = await framebufferDriver({ dev, sys }).open(options as never, context)
  return {
    name: 'framebuffer',
    display,
    bytes: () => display.statistics()['PixelCount']! * 2,
    full,
    async close() {
      await display.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const KEYS: readonly (readonly [Screen, readonly Key[]])[] = [
  [{ kind: 'amount', title: 'Amount', currency: 'EUR' }, ['1', '2', '3', '4', 'clear', '5']],
  [
    {
      kind: 'list',
      title: 'Parcels',
      items: Array.from({ length: 12 }, (_, n) => ({ id: `${n}`, label: `PH-10000${n} Mill Lane` })),
    },
    ['down', 'down', 'down', 'up'],
  ],
  [
    { kind: 'form', title: 'Waybill', fields: [{ id: 'w', label: 'Number', input: 'digits' }] },
    ['4', '7', '1', '1'],
  ],
]

/** Bytes of each key press on the real screens, and ms from the key to the last byte handed to the bus. */
async function keyPresses({ display, bytes }: Counted): Promise<{ bytes: number[]; ms: number[] }> {
  let press: ((key: Key) => void) | undefined
  let drawn = 0
  const keypad: Pick<Keypad, 'on'> = {
    on(listener) {
      const before = press
      press = (key) => {
        before?.(key)
        listener({ type: 'key', key, repeat: false })
      }
      return () => undefined
    },
  }
  const screens = createScreenService({
    display: {
      capabilities: display.capabilities,
      draw: (frame, alt) => display.draw(frame, alt).finally(() => drawn++),
    },
    keypad,
    indicators: {
      capabilities: { lights: [], tones: false },
      light: () => Promise.resolve(),
      tone: () => Promise.resolve(),
    },
    clock: systemClock,
    log: silentLog,
    texts: loadTexts(),
  })
  const untilDrawn = async (before: number) => {
    const end = systemClock.monotonicMs() + LONGEST_MS
    while (drawn === before && systemClock.monotonicMs() < end)
      await new Promise((resolve) => setImmediate(resolve))
  }
  const found = { bytes: [] as number[], ms: [] as number[] }
  for (const [screen, keys] of KEYS) {
    const over = new AbortController()
    const before = drawn
    const shown = screens.show({ app: 'bench', name: 'Bench' }, 'screen', screen, over.signal)
    await untilDrawn(before)
    for (const key of keys) {
      await systemClock.sleep(BETWEEN_KEYS_MS)
      const [sent, count, begin] = [bytes(), drawn, systemClock.monotonicMs()]
      press?.(key)
      await untilDrawn(count)
      found.ms.push(systemClock.monotonicMs() - begin)
      found.bytes.push(bytes() - sent)
    }
    over.abort()
    await shown
  }
  await screens.close()
  return found
}

/** Bytes of each change through the terminal's sample screens. */
async function screenChanges({ display, bytes }: Counted): Promise<number[]> {
  const renderer = createRenderer(display.capabilities, loadFont(), loadTexts())
  const sent: number[] = []
  for (const scene of Object.values(samples)) {
    const before = bytes()
    await display.draw(renderer.render(scene).frame, [])
    sent.push(bytes() - before)
  }
  return sent
}

export const bench: Bench = {
  title: 'what a display is sent, against a full frame; a key press to the screen',
  async run(tell) {
    const rows: Row[] = []
    for (const make of [() => oled('ssd1306'), () => oled('sh1106'), framebuffer]) {
      const counted = await make()
      try {
        const { name, full } = counted
        const keys = await keyPresses(counted)
        const change = median(await screenChanges(counted))
        const key = median(keys.bytes)
        const frame = (value: number) => ({ what: 'a full frame', value })
        rows.push({ what: `${name}: a key press`, value: key, unit: 'B', peer: frame(full) })
        rows.push({ what: `${name}: a screen change`, value: change, unit: 'B', peer: frame(full) })
        const ms = median(keys.ms)
        tell(`${name}: ${Object.keys(samples).length} screens, ${keys.bytes.length} keys`)
        if (name === 'framebuffer') {
          rows.push({ what: `${name}: key press to the panel's memory`, value: ms, unit: 'ms' })
          continue
        }
        const whole = frame(wireMs(full))
        rows.push({ what: `${name}: a key press on the wire`, value: wireMs(key), unit: 'ms', peer: whole })
        rows.push({
          what: `${name}: a screen change on the wire`,
          value: wireMs(change),
          unit: 'ms',
          peer: whole,
        })
        rows.push({
          what: `${name}: key press to screen, wire included`,
          value: ms + wireMs(key),
          unit: 'ms',
          peer: { what: 'the wire alone', value: wireMs(key) },
        })
      } finally {
        await counted.close()
      }
    }
    return rows
  },
}
