// Lamps that the kernel knows (/sys/class/leds) and PWM channels (/sys/class/pwm) as files; both in units of the kernel.
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { deviceError } from '../../device-base.js'

/** Where the kernel shows them; tests have their own. */
export interface IndicatorRoots {
  readonly leds: string
  readonly pwm: string
}
export const INDICATOR_ROOTS: IndicatorRoots = { leds: '/sys/class/leds', pwm: '/sys/class/pwm' }

const lost = (what: string, error: unknown) => {
  const { code } = error as NodeJS.ErrnoException
  const why = code === 'EACCES' ? 'may not be used by this user' : `is gone: ${code ?? String(error)}`
  return deviceError('DEVICE_LOST', `${what} ${why}`, {}, error)
}

export interface Lamp {
  set(on: boolean): void
  /** @throws DeviceError `DEVICE_LOST` */
  check(): void
}

/** A lamp by its name, such as `red:alarm`; the kernel's own trigger is taken off it. */
export function openLed(name: string, root: string): Lamp {
  const folder = join(root, name)
  const guarded = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw lost(`the light ${name}`, error)
    }
  }
  const full = guarded(() => readFileSync(join(folder, 'max_brightness'), 'latin1').trim())
  guarded(() => writeFileSync(join(folder, 'trigger'), 'none'))
  return {
    set: (on) => guarded(() => writeFileSync(join(folder, 'brightness'), on ? full : '0')),
    check: () => guarded(() => void readFileSync(join(folder, 'brightness'))),
  }
}

export interface Buzzer {
  /** 0 is silence. */
  sound(hz: number): void
  check(): void
}

/** The PWM chip of that name: `pwmchip0`, or its device's (`fe20c000.pwm`), which no boot order moves. */
function chipFolder(chip: string, root: string): string {
  const named = (name: string) => {
    try {
      return basename(realpathSync(join(root, name, 'device')))
    } catch {
      return undefined
    }
  }
  const names = existsSync(root) ? readdirSync(root).filter((name) => name.startsWith('pwmchip')) : []
  const found = names.find((name) => name === chip || named(name) === chip)
  if (found !== undefined) return join(root, found)
  const there = names.map((name) => named(name) ?? name).join(', ') || 'none'
  throw deviceError('DEVICE_LOST', `no PWM chip is called ${chip}; there are ${there}`)
}

/** A buzzer on `chip:channel`: half of each period on. Periods are in ns. */
export function openPwmBuzzer(name: string, root: string): Buzzer {
  const at = name.lastIndexOf(':')
  const channel = name.slice(at + 1)
  const chip = chipFolder(name.slice(0, at), root)
  const folder = join(chip, `pwm${channel}`)
  const guarded = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw lost(`the PWM channel ${name}`, error)
    }
  }
  const write = (file: string, value: number) =>
    guarded(() => writeFileSync(join(folder, file), String(value)))
  if (!existsSync(folder)) guarded(() => writeFileSync(join(chip, 'export'), channel))
  const silence = () => {
    // `enable` refuses while no period was ever set; then there is nothing to silence.
    if (guarded(() => readFileSync(join(folder, 'enable'), 'latin1').trim()) !== '0') write('enable', 0)
  }
  silence()
  return {
    sound(hz) {
      if (hz === 0) return silence()
      const period = Math.round(1e9 / hz)
      // A duty longer than the period is refused, so it goes first.
      write('duty_cycle', 0)
      write('period', period)
      write('duty_cycle', Math.round(period / 2))
      write('enable', 1)
    },
    check: () => guarded(() => void readFileSync(join(folder, 'enable'))),
  }
}
