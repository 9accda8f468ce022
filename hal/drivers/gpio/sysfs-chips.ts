// From a chip's label and an offset to the global number of sysfs (Documentation/admin-guide/gpio/sysfs.rst).
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deviceError } from '../../device-base.js'
import type { GpioLine } from './gpio-port.js'

export const SYSFS_GPIO = '/sys/class/gpio'

interface SysfsChip {
  readonly label: string
  readonly base: number
  readonly count: number
}

function readChips(root: string): readonly SysfsChip[] {
  const text = (name: string, file: string) => readFileSync(join(root, name, file), 'utf8').trim()
  let names: string[]
  try {
    names = readdirSync(root)
  } catch (error) {
    throw deviceError(
      'DEVICE_LOST',
      `this kernel has no ${root}: give the device "backend": "character-device"`,
      { path: root },
      error,
    )
  }
  return names
    .filter((name) => /^gpiochip\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [
          {
            label: text(name, 'label'),
            base: Number(text(name, 'base')),
            count: Number(text(name, 'ngpio')),
          },
        ]
      } catch {
        return [] // It went while we looked.
      }
    })
}

/**
 * The kernel's number of a line today: bases move with kernel and boot order (since Linux 6.6 they start at 512).
 * @throws DeviceError `DEVICE_LOST` where no chip, or more than one, has that label, or it has fewer lines
 */
export function globalLineNumber({ chip, offset }: GpioLine, root: string = SYSFS_GPIO): number {
  const chips = readChips(root)
  const found = chips.filter(({ label }) => label === chip)
  const [only] = found
  if (only === undefined || found.length > 1) {
    const there = chips.map(({ label, count }) => `${label} (${count} lines)`).join(', ') || 'none'
    throw deviceError(
      'DEVICE_LOST',
      `${found.length > 1 ? 'more than one GPIO chip is' : 'no GPIO chip is'} labelled ${chip}; there are ${there}`,
      { chip },
    )
  }
  if (offset >= only.count) {
    throw deviceError('DEVICE_LOST', `GPIO chip ${chip} has lines 0 to ${only.count - 1}, not ${offset}`, {
      chip,
      offset,
    })
  }
  return only.base + offset
}
