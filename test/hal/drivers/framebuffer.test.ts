// The framebuffer driver over a file and a folder that stand in for /dev and /sys: conformance, forms of pixels, stride, panning, light.
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Frame } from '../../../hal/display.js'
import { framebufferDriver } from '../../../hal/drivers/framebuffer/framebuffer-driver.js'
import { displayConformance } from '../conformance/display.js'
import { codeOf, testContext, untilPresence, within } from '../conformance/support.js'

const folder = mkdtempSync(join(tmpdir(), 'fb-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
let made = 0

type Rotation = 0 | 90 | 180 | 270
interface Form {
  width?: number
  height?: number
  bits?: 16 | 24 | 32
  /** Bytes after each row. */
  padding?: number
  /** Rows of the memory above what is seen. */
  above?: number
  rotation?: Rotation
  swapped?: boolean
}

/** A kernel's folders with one panel, and eyes on it. */
function kernel({
  width = 96,
  height = 64,
  bits = 16,
  padding = 0,
  above = 0,
  rotation = 0,
  swapped = false,
}: Form) {
  const root = join(folder, String(made++))
  const [sys, dev] = [join(root, 'sys'), join(root, 'dev')]
  const fb = join(sys, 'class', 'graphics', 'fb0')
  const light = join(sys, 'class', 'backlight', 'lcd')
  for (const path of [dev, fb, light]) mkdirSync(path, { recursive: true })
  const stride = (width * bits) / 8 + padding
  const attributes = {
    name: 'testfb',
    bits_per_pixel: bits,
    stride,
    virtual_size: `${width},${height + above}`,
    modes: `U:${width}x${height}p-60`,
    pan: `0,${above}`,
    blank: '',
  }
  for (const [name, value] of Object.entries(attributes)) writeFileSync(join(fb, name), `${value}\n`)
  for (const [name, value] of Object.entries({ brightness: 7, max_brightness: 255, bl_power: 0 }))
    writeFileSync(join(light, name), `${value}\n`)
  const memory = join(dev, 'fb0')
  const size = stride * (height + above)
  writeFileSync(memory, Buffer.alloc(size, 0x5a))

  const glass = (): Uint16Array => {
    const bytes = readFileSync(memory)
    const pixels = new Uint16Array(width * height)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = (y + above) * stride + (x * bits) / 8
        let [red, green, blue] = [0, 0, 0]
        if (bits === 16) {
          const word = bytes.readUInt16LE(at)
          ;[red, green, blue] = [word >> 11, (word >> 5) & 63, word & 31]
        } else [blue, green, red] = [bytes[at]! >> 3, bytes[at + 1]! >> 2, bytes[at + 2]! >> 3]
        if (swapped) [red, blue] = [blue, red]
        pixels[y * width + x] = (red << 11) | (green << 5) | blue
      }
    }
    return pixels
  }
  /** As one sees it who looks at the panel turned back. */
  const shown = (): Frame => {
    const panel = glass()
    const upright = rotation === 0 || rotation === 180
    const [seenWidth, seenHeight] = upright ? [width, height] : [height, width]
    const pixels = new Uint16Array(panel.length)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [atX, atY] =
          rotation === 0
            ? [x, y]
            : rotation === 90
              ? [y, width - 1 - x]
              : rotation === 180
                ? [width - 1 - x, height - 1 - y]
                : [height - 1 - y, x]
        pixels[atY * seenWidth + atX] = panel[y * width + x]!
      }
    }
    return { width: seenWidth, height: seenHeight, pixels }
  }
  const driver = framebufferDriver({ dev, sys })
  const usual = { width, height, rotation, swapped, brightness: 100, dimBrightness: 20, dpi: 160 }
  return {
    memory,
    size,
    fb,
    light,
    shown,
    open: (options: object = {}) => driver.open({ ...usual, ...options } as never, testContext('display')),
    /** An attribute; what is written there does not cut off what was longer. */
    read: (path: string) => readFileSync(path, 'utf8').split('\n')[0],
    cable: {
      unplug() {
        renameSync(memory, `${memory}.away`)
        renameSync(fb, `${fb}.away`)
      },
      plug() {
        writeFileSync(`${memory}.new`, Buffer.alloc(size, 0xa5))
        rmSync(`${memory}.away`, { force: true })
        renameSync(`${fb}.away`, fb)
        renameSync(`${memory}.new`, memory)
      },
    },
  }
}

for (const form of [
  { bits: 16 },
  { bits: 32, padding: 64, above: 64, rotation: 90 },
  { bits: 16, padding: 10, rotation: 270, swapped: true },
] as const) {
  t.test(`conformance: ${JSON.stringify(form)}`, async (t) => {
    const bench = kernel(form)
    await displayConformance(t, { open: () => bench.open(), shown: bench.shown, cable: bench.cable })
    t.equal(statSync(bench.memory).size, bench.size, 'nothing was written beyond the memory')
  })
}

t.test('rows that did not change are not written; full stays full in every form', async (t) => {
  for (const bits of [16, 32] as const) {
    const { open, memory, shown } = kernel({ bits, rotation: 180, above: 3 })
    const display = await open()
    await untilPresence(display, 'ready')
    const frame = { width: 96, height: 64, pixels: new Uint16Array(96 * 64).fill(0xffff) }
    await display.draw(frame, [])
    t.ok(
      readFileSync(memory)
        .subarray((3 * 96 * bits) / 8)
        .every((byte, at) => byte === 0xff || (bits === 32 && at % 4 === 3)),
    )
    t.ok(
      readFileSync(memory)
        .subarray(0, (3 * 96 * bits) / 8)
        .every((byte) => byte === 0x5a),
      'what is not seen is left alone',
    )
    // Somebody else's mark shows what we write over.
    writeFileSync(memory, Buffer.alloc(readFileSync(memory).length, 0x11))
    const pixels = frame.pixels.slice()
    pixels.fill(0x1234, 96 * 10, 96 * 12)
    await display.draw({ ...frame, pixels }, [])
    const touched = new Set<number>()
    const now = shown().pixels
    const mark = bits === 16 ? 0x1111 : ((0x11 >> 3) << 11) | ((0x11 >> 2) << 5) | (0x11 >> 3)
    for (const [at, pixel] of now.entries()) if (pixel !== mark) touched.add(Math.floor(at / 96))
    t.same([...touched], [10, 11])
    await display.close()
  }
})

t.test(
  'light: percent of the most, sleep powers down, and a sleeping panel stays so over a loss',
  async (t) => {
    const { open, light, fb, read, cable } = kernel({})
    const display = await open({ brightness: 80, dimBrightness: 1 })
    await untilPresence(display, 'ready')
    const now = () => ['brightness', 'bl_power'].map((name) => read(join(light, name)))
    t.same(now(), ['204', '0'])
    await display.setBacklight('dim')
    t.same(now(), ['3', '0'])
    await display.setBacklight('off')
    t.same(now(), ['0', '4'])
    t.equal(read(join(fb, 'blank')), '4')
    cable.unplug()
    await untilPresence(display, 'lost')
    writeFileSync(join(light, 'brightness'), '255\n')
    cable.plug()
    await untilPresence(display, 'ready')
    t.equal(now()[0], '0')
    await display.setBacklight('on')
    t.same(now(), ['204', '0'])
    t.equal(read(join(fb, 'blank')), '0')
    await display.close()
  },
)

t.test('a panel that is not what the profile says is named, and drawn on once it is', async (t) => {
  const wrong = kernel({})
  const display = await wrong.open({ width: 100 })
  t.match(display.status(), { presence: 'lost', detail: 'fb0 is 96x64; the profile says 100x64' })
  await display.close()

  const depth = await kernel({ bits: 24 }).open()
  t.match(depth.status(), { presence: 'lost', detail: 'fb0 has 24 bits a pixel; it has to have 16 or 32' })
  await depth.close()

  const named = await wrong.open({ name: 'ili9341drmfb' })
  t.match(named.status().detail, /no framebuffer named ili9341drmfb; there are fb0 testfb/)
  await named.close()
  const found = await wrong.open({ name: 'testfb' })
  await untilPresence(found, 'ready')
  await found.close()

  const bare = kernel({})
  rmSync(bare.light, { recursive: true })
  rmSync(join(bare.fb, 'blank'))
  const panel = await bare.open()
  await untilPresence(panel, 'ready')
  t.equal(await codeOf('sleep', within('sleep', panel.setBacklight('off'))), 'DEVICE_UNSUPPORTED')
  t.equal(await codeOf('wake', within('wake', panel.setBacklight('on'))), 'resolved')
  await panel.close()
})
