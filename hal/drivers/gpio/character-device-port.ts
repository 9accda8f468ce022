// GPIO lines through the kernel's character device (/dev/gpiochip*), for kernels without sysfs.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isPosternError } from '../../base/errors.js'
import { deviceError } from '../../device-base.js'
import { type DeviceFile, deviceFile, type FileCalls, openDeviceFile } from '../device-file.js'
import type { GpioLine, GpioPort } from './gpio-port.js'
import {
  CHIP_INFO_BYTES,
  GPIO_GET_CHIPINFO,
  GPIO_V2_GET_LINE,
  GPIO_V2_LINE_GET_VALUES,
  GPIO_V2_LINE_SET_VALUES,
  LINE_EVENT_BYTES,
  LINE_FLAG,
  lineRequest,
  lineValues,
  readChipInfo,
  readLineEvent,
  requestedFd,
} from './gpio-uapi.js'

const CONSUMER = 'postern'
const MAX_CHIPS = 32

const nameOf = ({ chip, offset }: GpioLine) => `${chip}:${offset}`

function lineError(line: GpioLine, error: unknown): Error {
  if (isPosternError(error)) return error
  const { code } = error as NodeJS.ErrnoException
  const details = { chip: line.chip, offset: line.offset }
  if (code === 'EBUSY') {
    return deviceError('DEVICE_BUSY', `GPIO line ${nameOf(line)} is used by something else`, details, error)
  }
  if (code === 'EINVAL' || code === 'ENOTSUP' || code === 'EOPNOTSUPP') {
    const reason = `GPIO chip ${line.chip} has no line ${line.offset}, or can not do with it what is asked`
    return deviceError('DEVICE_UNSUPPORTED', reason, details, error)
  }
  return deviceError(
    'DEVICE_LOST',
    `GPIO line ${nameOf(line)} is gone: ${code ?? String(error)}`,
    details,
    error,
  )
}

/** The chip of that label (or name), open. */
function openChip(line: GpioLine, calls: FileCalls, dev: string): DeviceFile {
  const there: string[] = []
  const names = readdirSync(dev)
    .filter((name) => /^gpiochip\d+$/.test(name))
    .slice(0, MAX_CHIPS)
  let refused: unknown
  for (const name of names) {
    let file: DeviceFile | undefined
    try {
      file = openDeviceFile(join(dev, name), calls, true)
      const bytes = Buffer.alloc(CHIP_INFO_BYTES)
      file.ioctl(GPIO_GET_CHIPINFO, bytes)
      const info = readChipInfo(bytes)
      if (info.label === line.chip || info.name === line.chip) return file
      there.push(`${info.label} (${info.lines} lines)`)
    } catch (error) {
      refused ??= error
    }
    file?.close()
  }
  if (there.length === 0 && isPosternError(refused)) throw refused
  const list = there.join(', ') || 'none'
  throw deviceError('DEVICE_LOST', `no GPIO chip is labelled ${line.chip}; there are ${list}`, {
    chip: line.chip,
  })
}

/** Lines by the kernel's own interface: bias and stamps are the hardware's. `dev` is where the chips' files are. */
export function characterDevicePort(calls: FileCalls, dev = '/dev'): GpioPort {
  const lines: { readonly line: GpioLine; readonly file: DeviceFile }[] = []
  let lost: Error | undefined

  const guarded = <T>(line: GpioLine, work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw lineError(line, error)
    }
  }
  const take = (line: GpioLine, flags: number, active?: boolean): DeviceFile =>
    guarded(line, () => {
      const chip = openChip(line, calls, dev)
      try {
        const request = lineRequest(line.offset, CONSUMER, flags, active)
        chip.ioctl(GPIO_V2_GET_LINE, request)
        const file = deviceFile(requestedFd(request), nameOf(line), calls)
        lines.push({ line, file })
        return file
      } finally {
        chip.close()
      }
    })
  const read = (line: GpioLine, file: DeviceFile): boolean =>
    guarded(line, () => {
      const values = lineValues(false)
      file.ioctl(GPIO_V2_LINE_GET_VALUES, values)
      return (values.readBigUInt64LE(0) & 1n) === 1n
    })

  return {
    input(line, { activeLow, bias, onEdge }) {
      const flags =
        LINE_FLAG.input |
        (activeLow ? LINE_FLAG.activeLow : 0) |
        (bias === 'pull-up' ? LINE_FLAG.pullUp : bias === 'pull-down' ? LINE_FLAG.pullDown : 0) |
        (onEdge === undefined ? 0 : LINE_FLAG.edgeRising | LINE_FLAG.edgeFalling)
      const file = take(line, flags)
      if (onEdge !== undefined) {
        const buffer = Buffer.alloc(LINE_EVENT_BYTES * 16)
        file.onReadable(() => {
          try {
            const length = file.read(buffer)
            for (let at = 0; at + LINE_EVENT_BYTES <= length; at += LINE_EVENT_BYTES) {
              const { rising, atMs } = readLineEvent(buffer, at)
              onEdge(rising, atMs)
            }
          } catch (error) {
            lost ??= lineError(line, error)
            file.close()
          }
        })
      }
      return {
        read() {
          if (lost !== undefined) throw lost
          return read(line, file)
        },
      }
    },
    output(line, { activeLow, openWhenInactive = false, active }) {
      const flags =
        LINE_FLAG.output |
        (activeLow ? LINE_FLAG.activeLow : 0) |
        (openWhenInactive ? (activeLow ? LINE_FLAG.openDrain : LINE_FLAG.openSource) : 0)
      const file = take(line, flags, active)
      return {
        set: (next) => guarded(line, () => void file.ioctl(GPIO_V2_LINE_SET_VALUES, lineValues(next))),
      }
    },
    check() {
      if (lost !== undefined) throw lost
      for (const { line, file } of lines) read(line, file)
    },
    close() {
      for (const { file } of lines.splice(0)) file.close()
    },
  }
}
