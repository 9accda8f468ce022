// Other drivers on what the kernel plays: readers that type and a touch panel through uinput, a fuel gauge behind i2c-stub,
// supplies of test_power, a panel of vfb, lights on gpio-sim.
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Test } from 'tap'
import { ascii } from '../../../hal/base/bytes.js'
import { systemClock } from '../../../hal/base/clock.js'
import type { Frame } from '../../../hal/display.js'
import { evdevSignatureDriver } from '../../../hal/drivers/evdev/evdev-signature-pad.js'
import { framebufferDriver } from '../../../hal/drivers/framebuffer/framebuffer-driver.js'
import { nativeI2c } from '../../../hal/drivers/i2c/i2c-binding.js'
import { i2cBuses } from '../../../hal/drivers/i2c/i2c-bus.js'
import { max17048Driver } from '../../../hal/drivers/power/max17048.js'
import { powerSupplyDriver } from '../../../hal/drivers/power/power-supply-driver.js'
import { openKeyboardScanner } from '../../../hal/drivers/scanner/keyboard-scanner.js'
import { openKeyboardStripeReader } from '../../../hal/drivers/stripe/keyboard-stripe-reader.js'
import { readTrack } from '../../../hal/stripe-tracks.js'
import { displayConformance } from '../../hal/conformance/display.js'
import { magneticStripeReaderConformance } from '../../hal/conformance/magnetic-stripe-reader.js'
import { powerConformance } from '../../hal/conformance/power.js'
import { eventually, opened, testContext, within } from '../../hal/conformance/support.js'
import { typeOn } from '../../hal/drivers/typing.js'
import { virtualInput } from './uinput.js'

const EVERY_KEY = Array.from({ length: 120 }, (_, code) => code + 1)

/** What a reader without LRC types of a stripe. */
function typedBy(track1: string | null, track2: string | null): string {
  const part = (number: 1 | 2, start: string, stripe: string | null) => {
    if (stripe === null) return ''
    const read = readTrack(number, ascii.encode(stripe))
    return `${start}${read instanceof Uint8Array ? ascii.decode(read) : 'E'}?`
  }
  return `${part(1, '%', track1)}${part(2, ';', track2)}\r`
}

export async function typingReaders(t: Test): Promise<void> {
  await t.test('a stripe reader that types', async (t) => {
    const input = virtualInput({ name: 'guest stripe', keys: EVERY_KEY })
    await magneticStripeReaderConformance(t, {
      open: () => openKeyboardStripeReader({ device: { name: 'guest stripe' } }, testContext('stripe')),
      swipe: (track1, track2) => typeOn('us', typedBy(track1, track2), (...event) => input.send([event])),
      cable: input,
    })
    input.unplug()
  })

  await t.test('a scanner that types; it is grabbed, so that nobody else hears it', async (t) => {
    const input = virtualInput({ name: 'guest scanner', keys: EVERY_KEY })
    const open = () =>
      openKeyboardScanner(
        { device: { name: 'guest scanner' }, layout: 'us', terminator: 'cr', aim: false } as never,
        testContext('scanner'),
      )
    const scanner = await opened({ open })
    const scans: string[] = []
    scanner.on((event) => event.type === 'scan' && scans.push(ascii.decode(event.raw)))
    typeOn('us', 'PH-100001\r', (...event) => input.send([event]))
    await eventually('the scan', () => scans.length === 1)
    t.same(scans, ['PH-100001'])
    input.unplug()
    await eventually('lost', () => scanner.status().presence === 'lost')
    input.plug()
    await eventually('back', () => scanner.status().presence === 'ready')
    typeOn('us', 'PH-100002\r', (...event) => input.send([event]))
    await eventually('the scan', () => scans.length === 2)
    await scanner.close()
    input.unplug()
  })
}

export async function touch(t: Test): Promise<void> {
  const [KEY, ABS, X, Y, BTN_TOUCH] = [1, 3, 0, 1, 0x14a]
  const range = (maximum: number) => ({ minimum: 0, maximum })
  const input = virtualInput({
    name: 'guest touch',
    keys: [BTN_TOUCH],
    axes: { [X]: range(4095), [Y]: range(4095) },
  })
  const driver = evdevSignatureDriver()
  const options = { device: { name: 'guest touch' }, width: 240, height: 100, rotation: 0, mirrored: false }
  const fields = {
    idleMs: 30_000,
    area: { x: 0, y: 0, width: 240, height: 90 },
    done: { x: 200, y: 91, width: 40, height: 9 },
    clear: { x: 0, y: 91, width: 40, height: 9 },
  }
  const pad = await opened({
    open: () => driver.open({ ...options, ...fields } as never, testContext('signature')),
  })
  const capture = within('capture', pad.capture())
  await eventually('capturing', () => pad.status().state === 'capturing')
  const raw = (x: number, y: number): [number, number, number][] => [
    [ABS, X, Math.round((x * 4095) / 239)],
    [ABS, Y, Math.round((y * 4095) / 99)],
  ]
  const stroke = async (points: readonly (readonly [number, number])[]) => {
    for (const [at, [x, y]] of points.entries()) {
      input.send([...(at === 0 ? ([[KEY, BTN_TOUCH, 1]] as const) : []), ...raw(x, y)])
      await systemClock.sleep(8)
    }
    input.send([[KEY, BTN_TOUCH, 0]])
  }
  const drawn: [number, number][] = [
    [10, 10],
    [40, 50],
    [90, 20],
  ]
  await stroke(drawn)
  await stroke([[220, 95]])
  const outcome = await capture
  t.equal(outcome.kind, 'signed')
  if (outcome.kind === 'signed') {
    const seen = outcome.strokes[0]!.map(({ x, y }) => [Math.round(x), Math.round(y)])
    t.same(seen, drawn, "the range of the kernel's axes is the panel's size")
    const times = outcome.strokes[0]!.map((point) => point.t)
    t.ok(times[2]! >= 16 && times[0] === 0, "times are the kernel's")
  }
  await pad.close()
  input.unplug()
}

export async function fuelGauge(t: Test): Promise<void> {
  const bus = execFileSync('i2cdetect', ['-l'], { encoding: 'utf8' })
  const number = Number(/^i2c-(\d+)\s.*stub/im.exec(bus)?.[1])
  /** The stub keeps a byte a register when blocks are read. */
  const set = (register: number, value: number) => {
    for (const [at, byte] of [value >> 8, value & 0xff].entries())
      execFileSync('i2cset', ['-y', String(number), '0x36', String(register + at), String(byte), 'b'])
  }
  set(0x02, Math.round(3.9 / 78.125e-6))
  set(0x08, 0x0011)
  set(0x16, 0xfff0)
  set(0x04, 80 * 256)
  const driver = max17048Driver(i2cBuses(systemClock, nativeI2c))
  await powerConformance(t, {
    open: () => driver.open({ bus: number, pollMs: 20 } as never, testContext('power')),
    set({ source, percent }) {
      if (source !== undefined) set(0x16, source === 'external' ? 12 : 0xfff0)
      if (percent !== undefined) set(0x04, percent * 256)
    },
  })
}

export async function supplies(t: Test): Promise<void> {
  const set = (name: string, value: string | number) =>
    writeFileSync(`/sys/module/test_power/parameters/${name}`, String(value))
  set('ac_online', 'off')
  set('usb_online', 'off')
  set('battery_status', 'discharging')
  set('battery_capacity', 80)
  const driver = powerSupplyDriver()
  const power = await opened({ open: () => driver.open({ pollMs: 20 } as never, testContext('power')) })
  t.match(power.reading(), { source: 'battery', percent: 80 })
  set('battery_capacity', 4)
  await eventually('critical', () => power.status().state === 'critical')
  set('ac_online', 'on')
  set('battery_status', 'charging')
  await eventually('the charger', () => power.reading().source === 'external')
  await power.close()
}

export async function panel(t: Test): Promise<void> {
  const ioctl = createRequire(import.meta.url)('ioctl') as (
    fd: number,
    request: number,
    into: Buffer,
  ) => number
  const [FBIOGET_VSCREENINFO, FBIOPUT_VSCREENINFO] = [0x4600, 0x4601]
  const fd = openSync('/dev/fb0', 'r+')
  const screen = Buffer.alloc(160)
  ioctl(fd, FBIOGET_VSCREENINFO, screen)
  // bits_per_pixel of fb_var_screeninfo: vfb starts with 8.
  screen.writeUInt32LE(16, 24)
  ioctl(fd, FBIOPUT_VSCREENINFO, screen)
  closeSync(fd)
  const attribute = (name: string) => readFileSync(`/sys/class/graphics/fb0/${name}`, 'utf8').trim()
  const [width, height] = [screen.readUInt32LE(0), screen.readUInt32LE(4)]
  const stride = Number(attribute('stride'))
  const shown = (): Frame => {
    const bytes = readFileSync('/dev/fb0')
    const pixels = new Uint16Array(width * height)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) pixels[y * width + x] = bytes.readUInt16LE(y * stride + x * 2)
    return { width, height, pixels }
  }
  const driver = framebufferDriver()
  const options = { width, height, rotation: 0, swapped: false, brightness: 100, dimBrightness: 20, dpi: 160 }
  await displayConformance(t, {
    open: () => driver.open(options as never, testContext('display')),
    shown,
  })
}
