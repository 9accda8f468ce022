// An input device of the kernel's uinput: keys, axes, and reports as a finger or a scanner makes them. (K) of
// linux/uinput.h and linux/input.h: request numbers and structs.
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'

const ioctl = createRequire(import.meta.url)('ioctl') as (
  fd: number,
  request: number,
  argument?: Buffer | number,
) => number

const UI_DEV_CREATE = 0x5501
const UI_DEV_DESTROY = 0x5502
const UI_DEV_SETUP = 0x405c5503
const UI_ABS_SETUP = 0x401c5504
const UI_SET_EVBIT = 0x40045564
const UI_SET_KEYBIT = 0x40045565
const UI_SET_ABSBIT = 0x40045567
const UI_SET_PROPBIT = 0x4004556e
const EV_KEY = 1
const EV_ABS = 3
const INPUT_PROP_DIRECT = 1

export interface VirtualInput {
  /** One report: type, code and value each; SYN_REPORT ends it. */
  send(events: readonly (readonly [number, number, number])[]): void
  /** The device goes; `plug` makes it anew. */
  unplug(): void
  plug(): void
}

export interface VirtualInputOptions {
  readonly name: string
  readonly keys: readonly number[]
  /** Range of each absolute axis. */
  readonly axes?: Readonly<Record<number, { readonly minimum: number; readonly maximum: number }>>
}

export function virtualInput({ name, keys, axes = {} }: VirtualInputOptions): VirtualInput {
  let fd: number | undefined
  const plug = () => {
    fd = openSync('/dev/uinput', constants.O_WRONLY | constants.O_NONBLOCK)
    ioctl(fd, UI_SET_EVBIT, EV_KEY)
    for (const key of keys) ioctl(fd, UI_SET_KEYBIT, key)
    const ranges = Object.entries(axes)
    if (ranges.length > 0) {
      ioctl(fd, UI_SET_EVBIT, EV_ABS)
      ioctl(fd, UI_SET_PROPBIT, INPUT_PROP_DIRECT)
    }
    for (const [axis, { minimum, maximum }] of ranges) {
      ioctl(fd, UI_SET_ABSBIT, Number(axis))
      // u16 code, padding, then input_absinfo: value, minimum, maximum, fuzz, flat, resolution
      const setup = Buffer.alloc(28)
      setup.writeUInt16LE(Number(axis), 0)
      setup.writeInt32LE(minimum, 8)
      setup.writeInt32LE(maximum, 12)
      ioctl(fd, UI_ABS_SETUP, setup)
    }
    // input_id (bustype USB, vendor, product, version), name[80], ff_effects_max
    const setup = Buffer.alloc(92)
    setup.writeUInt16LE(3, 0)
    setup.write(name, 8, 79, 'utf8')
    ioctl(fd, UI_DEV_SETUP, setup)
    ioctl(fd, UI_DEV_CREATE)
  }
  plug()
  return {
    send(events) {
      if (fd === undefined) return
      const bytes = Buffer.alloc(24 * (events.length + 1))
      for (const [at, [type, code, value]] of events.entries()) {
        bytes.writeUInt16LE(type, at * 24 + 16)
        bytes.writeUInt16LE(code, at * 24 + 18)
        bytes.writeInt32LE(value, at * 24 + 20)
      }
      writeSync(fd, bytes)
    },
    unplug() {
      if (fd === undefined) return
      ioctl(fd, UI_DEV_DESTROY)
      closeSync(fd)
      fd = undefined
    },
    plug,
  }
}
