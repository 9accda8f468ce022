// What hardware is there: readers, buses, ports and panels as the kernel and pcscd show them, and a profile that would fit.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../hal/base/clock.js'
import { type I2cDevice, i2cBuses } from '../../hal/drivers/i2c/i2c-bus.js'
import { loadPcscBinding } from '../../hal/drivers/pcsc/load-pcsc-binding.js'

/** A thing that was found: its kind, where it is, and what it calls itself. */
export interface Found {
  readonly kind:
    | 'reader'
    | 'i2c'
    | 'serial'
    | 'input'
    | 'framebuffer'
    | 'gpio'
    | 'power'
    | 'usb-printer'
    | 'tpm'
    | 'backlight'
    | 'led'
  readonly at: string
  readonly name: string
}

export interface Roots {
  readonly sys: string
  readonly dev: string
}
export const SYSTEM_ROOTS: Roots = { sys: '/sys', dev: '/dev' }

const list = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}
const text = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

/** EV_KEY codes of a keypad's digits (KEY_1 to KEY_0 or the number pad) as a bit test over the kernel's hexadecimal words. */
function hasKey(words: string, code: number): boolean {
  const word = words.split(/\s+/).at(-1 - Math.floor(code / 64))
  return word !== undefined && ((BigInt(`0x${word}`) >> BigInt(code % 64)) & 1n) === 1n
}
const [KEY_1, KEY_A, KEY_KP1, BTN_TOUCH] = [2, 30, 79, 330]

function inputKind(folder: string): string {
  const keys = text(join(folder, 'device', 'capabilities', 'key')) ?? '0'
  if (hasKey(keys, BTN_TOUCH)) return 'touch'
  if (hasKey(keys, KEY_A)) return 'keyboard'
  if (hasKey(keys, KEY_1) || hasKey(keys, KEY_KP1)) return 'keypad'
  return 'other'
}

/** What the kernel shows under `roots`, without opening any device. */
export function probeKernel({ sys, dev }: Roots = SYSTEM_ROOTS): Found[] {
  const found: Found[] = []
  const classOf = (name: string) =>
    list(join(sys, 'class', name)).map((each) => [each, join(sys, 'class', name, each)] as const)
  for (const [tty, folder] of classOf('tty')) {
    // A line of the serial core without a chip behind it has type 0; adapters and modern UARTs have no such file.
    const type = text(join(folder, 'type'))
    if (!existsSync(join(folder, 'device')) || type === '0') continue
    const link = list(join(dev, 'serial', 'by-id')).find((id) => {
      try {
        return realpathSync(join(dev, 'serial', 'by-id', id)).endsWith(`/${tty}`)
      } catch {
        return false
      }
    })
    found.push({
      kind: 'serial',
      at: link === undefined ? `${dev}/${tty}` : `${dev}/serial/by-id/${link}`,
      name: tty,
    })
  }
  for (const [event, folder] of classOf('input'))
    if (event.startsWith('event'))
      found.push({
        kind: 'input',
        at: `${dev}/input/${event}`,
        name: `${inputKind(folder)}: ${text(join(folder, 'device', 'name')) ?? 'unnamed'}`,
      })
  for (const [frame, folder] of classOf('graphics'))
    if (/^fb\d+$/.test(frame)) {
      const size = text(join(folder, 'virtual_size'))?.replace(',', 'x') ?? '?'
      found.push({
        kind: 'framebuffer',
        at: `${dev}/${frame}`,
        name: `${text(join(folder, 'name')) ?? 'unnamed'} ${size}, ${text(join(folder, 'bits_per_pixel')) ?? '?'} bits`,
      })
    }
  for (const chip of list(join(sys, 'bus', 'gpio', 'devices')))
    if (/^gpiochip\d+$/.test(chip))
      found.push({ kind: 'gpio', at: `${dev}/${chip}`, name: labelOf(sys, chip) })
  for (const [supply, folder] of classOf('power_supply'))
    found.push({ kind: 'power', at: supply, name: text(join(folder, 'type')) ?? 'unknown' })
  for (const [printer] of classOf('usbmisc'))
    if (/^lp\d+$/.test(printer))
      found.push({ kind: 'usb-printer', at: `${dev}/usb/${printer}`, name: 'USB printer' })
  for (const [light, folder] of classOf('backlight'))
    found.push({ kind: 'backlight', at: light, name: `to ${text(join(folder, 'max_brightness')) ?? '?'}` })
  for (const [led] of classOf('leds')) found.push({ kind: 'led', at: led, name: 'LED' })
  for (const [tpm] of classOf('tpmrm')) found.push({ kind: 'tpm', at: `${dev}/${tpm}`, name: 'TPM 2.0' })
  return found
}

/** The label that profiles use in `label:offset`: sysfs has it beside the old numbers. */
function labelOf(sys: string, chip: string): string {
  const real = (() => {
    try {
      return realpathSync(join(sys, 'bus', 'gpio', 'devices', chip))
    } catch {
      return ''
    }
  })()
  for (const old of list(join(sys, 'class', 'gpio'))) {
    const folder = join(sys, 'class', 'gpio', old)
    try {
      if (realpathSync(join(folder, 'device')) === realpathSync(join(real, '..')))
        return text(join(folder, 'label')) ?? chip
    } catch {
      // This chip is not shown in the old way.
    }
  }
  return chip
}

/** Addresses where a driver of ours could be: others are not touched, as some chips do what a read tells them. */
const I2C_CHIPS = [
  { address: 0x36, chip: 'MAX17048', ask: (device: I2cDevice) => device.readRegister(0x04, 2) },
  // NOP (E3) behind a control byte for commands: an OLED can't be read on this bus.
  { address: 0x3c, chip: 'OLED', ask: (device: I2cDevice) => device.write(Uint8Array.of(0x00, 0xe3)) },
  { address: 0x3d, chip: 'OLED', ask: (device: I2cDevice) => device.write(Uint8Array.of(0x00, 0xe3)) },
] as const

/** Asks each bus for the chips that drivers know. */
export async function probeI2c({ dev }: Roots = SYSTEM_ROOTS): Promise<Found[]> {
  const numbers = list(dev).flatMap((name) => /^i2c-(\d+)$/.exec(name)?.[1] ?? [])
  const buses = i2cBuses(systemClock)
  const found: Found[] = []
  for (const number of numbers)
    for (const { address, chip, ask } of I2C_CHIPS) {
      const hex = address.toString(16).toUpperCase()
      try {
        const device = await buses.device(Number(number), address)
        try {
          await ask(device)
          found.push({ kind: 'i2c', at: `${dev}/i2c-${number} ${hex}`, name: chip })
        } finally {
          await device.close()
        }
      } catch {
        // Nobody there.
      }
    }
  return found
}

const READERS_MS = 2000

/** Names of the PC/SC readers; why there are none where that is known. */
export async function probeReaders(): Promise<{ readonly found: Found[]; readonly missing?: string }> {
  try {
    const binding = await loadPcscBinding()
    await binding.probe()
    const names = new Set<string>()
    const stop = binding.watch({
      reader: ({ name }) => void names.add(name),
      state: () => undefined,
      readerGone: () => undefined,
      failed: () => undefined,
    })
    await systemClock.sleep(READERS_MS)
    stop()
    return { found: [...names].sort().map((name) => ({ kind: 'reader', at: 'pcscd', name })) }
  } catch (error) {
    return { found: [], missing: (error as Error).message }
  }
}
