// A GPIO chip of the kernel's gpio-sim: made through configfs, its lines pulled and read through sysfs.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface SimulatedChip {
  readonly label: string
  /** What the outside does to a line that is an input. */
  pull(offset: number, level: 0 | 1): void
  /** What a meter shows at a line. */
  level(offset: number): 0 | 1
  /** The folder of a line, for other programs. */
  folder(offset: number): string
}

const CONFIG = '/sys/kernel/config/gpio-sim'

/** Makes a chip called `label` with `lines` lines, all pulled up. */
export function simulatedChip(label: string, lines: number): SimulatedChip {
  const device = join(CONFIG, label)
  const bank = join(device, 'bank0')
  mkdirSync(bank, { recursive: true })
  writeFileSync(join(bank, 'num_lines'), String(lines))
  writeFileSync(join(bank, 'label'), label)
  writeFileSync(join(device, 'live'), '1')
  const platform = join('/sys/devices/platform', readFileSync(join(device, 'dev_name'), 'utf8').trim())
  const chip = readdirSync(platform).find(
    (name) => /^gpiochip\d+$/.test(name) && existsSync(join(platform, name, 'sim_gpio0')),
  )
  if (chip === undefined) throw new Error(`${label}: gpio-sim made no chip in ${platform}`)
  const folder = (offset: number) => join(platform, chip, `sim_gpio${offset}`)
  const pull = (offset: number, level: 0 | 1) =>
    writeFileSync(join(folder(offset), 'pull'), level === 1 ? 'pull-up' : 'pull-down')
  for (let offset = 0; offset < lines; offset++) pull(offset, 1)
  return {
    label,
    folder,
    pull,
    level: (offset) => (readFileSync(join(folder(offset), 'value'), 'utf8').trim() === '1' ? 1 : 0),
  }
}
