// GPIO lines through sysfs with the onoff library.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.js'
import { isPosternError } from '../../base/errors.js'
import { deviceError } from '../../device-base.js'
import type { GpioLine, GpioPort } from './gpio-port.js'
import { globalLineNumber, SYSFS_GPIO } from './sysfs-chips.js'

/** What is used of onoff's Gpio; a test without a kernel brings its own. */
export interface OnoffGpio {
  readSync(): 0 | 1
  writeSync(value: 0 | 1): void
  setDirection(direction: 'in' | 'high' | 'low'): void
  watch(listener: (error: Error | null | undefined, value: 0 | 1) => void): void
  unexport(): void
}
export type OnoffClass = new (
  number: number,
  direction: 'in' | 'high' | 'low',
  edge: 'none' | 'both',
  options: { readonly activeLow: boolean },
) => OnoffGpio

/** @throws DeviceError `DEVICE_UNSUPPORTED` where onoff is not built */
export async function loadOnoff(): Promise<OnoffClass> {
  try {
    return ((await import('onoff')) as unknown as { Gpio: OnoffClass }).Gpio
  } catch (error) {
    throw deviceError(
      'DEVICE_UNSUPPORTED',
      'the package onoff is not built: run npm install with a compiler (g++, make, python3)',
      {},
      error,
    )
  }
}

/** errno of writing `export`: EBUSY where a driver of the kernel or another consumer has the line. */
function lineError(line: GpioLine, error: unknown): Error {
  if (isPosternError(error)) return error
  const { code } = error as NodeJS.ErrnoException
  const name = `${line.chip}:${line.offset}`
  const details = { chip: line.chip, offset: line.offset }
  if (code === 'EBUSY') {
    return deviceError('DEVICE_BUSY', `GPIO line ${name} is used by something else`, details, error)
  }
  const reason =
    code === 'EACCES' || code === 'EPERM'
      ? `GPIO line ${name} may not be used by this user: add it to the group gpio`
      : `GPIO line ${name} is gone: ${code ?? String(error)}`
  return deviceError('DEVICE_LOST', reason, details, error)
}

/**
 * Lines through `Gpio`. `root` is where chips are looked up; the library itself knows only /sys/class/gpio.
 * NOTE: sysfs's `active_low` is left alone (0): `high` and `low` as a direction ignore it, the value file does not.
 */
export function onoffPort(Gpio: OnoffClass, clock: Clock, root: string = SYSFS_GPIO): GpioPort {
  const lines: { readonly line: GpioLine; readonly gpio: OnoffGpio; readonly number: number }[] = []
  let lost: Error | undefined

  const guarded = <T>(line: GpioLine, work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw lineError(line, error)
    }
  }
  const take = (line: GpioLine, direction: 'in' | 'high' | 'low', edge: 'none' | 'both'): OnoffGpio =>
    guarded(line, () => {
      const number = globalLineNumber(line, root)
      const gpio = new Gpio(number, direction, edge, { activeLow: false })
      lines.push({ line, gpio, number })
      return gpio
    })

  return {
    input(line, { activeLow, bias, onEdge }) {
      if (bias !== undefined) {
        throw deviceError(
          'DEVICE_UNSUPPORTED',
          `sysfs can not set a ${bias} on ${line.chip}:${line.offset}: leave bias out where the board wires it, or give the device "backend": "character-device"`,
        )
      }
      const gpio = take(line, 'in', onEdge === undefined ? 'none' : 'both')
      const active = (level: 0 | 1) => (level === 1) !== activeLow
      if (onEdge !== undefined) {
        // The library reads in its poller's callback, where an exception would end the process.
        const readSync = gpio.readSync.bind(gpio)
        let last: 0 | 1 = 0
        gpio.readSync = () => {
          try {
            last = readSync()
          } catch (error) {
            lost ??= lineError(line, error)
          }
          return last
        }
        guarded(line, () => gpio.watch((_, level) => onEdge(active(level), clock.monotonicMs())))
      }
      return {
        read() {
          const level = guarded(line, () => gpio.readSync())
          if (lost !== undefined) throw lost
          return active(level)
        },
      }
    },
    output(line, { activeLow, openWhenInactive = false, active }) {
      const on = activeLow ? 'low' : 'high'
      const off = openWhenInactive ? 'in' : activeLow ? 'high' : 'low'
      const gpio = take(line, active ? on : off, 'none')
      return {
        set: (next) =>
          guarded(line, () => {
            if (openWhenInactive) gpio.setDirection(next ? on : 'in')
            else gpio.writeSync(next === activeLow ? 0 : 1)
          }),
      }
    },
    check() {
      // Reading the value would swallow an edge that is not told yet.
      if (lost !== undefined) throw lost
      for (const { line, number } of lines) {
        if (!existsSync(join(root, `gpio${number}`))) {
          throw deviceError('DEVICE_LOST', `GPIO line ${line.chip}:${line.offset} is gone`)
        }
      }
    },
    close() {
      for (const { gpio } of lines.splice(0)) {
        try {
          gpio.unexport()
        } catch {
          // Its chip is gone, and with it the export.
        }
      }
    },
  }
}
