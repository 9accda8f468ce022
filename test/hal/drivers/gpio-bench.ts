// A GPIO chip of a test: lines, switches between them, pull-ups, and both of the kernel's faces over it, sysfs as onoff
// shows it and the character device with its structs.
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { FileCalls } from '../../../hal/drivers/device-file.js'
import type { OnoffClass, OnoffGpio } from '../../../hal/drivers/gpio/onoff-port.js'

type Level = 0 | 1

/** A change of a line's level, for whoever wants to see blinking and tones. */
export interface LevelChange {
  readonly offset: number
  readonly level: Level
  readonly atMs: number
}

export class FakeChip {
  readonly label: string
  readonly count: number
  readonly changes: LevelChange[] = []
  /** What each line drives; undefined where it is an input. */
  readonly driven = new Map<number, Level>()
  present = true
  #switches = new Set<string>()
  #pulled = new Map<number, Level>()
  #levels = new Map<number, Level>()
  #watchers = new Set<(offset: number, level: Level) => void>()

  constructor(label: string, count: number) {
    this.label = label
    this.count = count
  }
  /** The level that a meter shows: driven through any closed switches, low before high, else pulled (up unless told). */
  level(offset: number): Level {
    const seen = new Set([offset])
    const open = [offset]
    let high = false
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const drive = this.driven.get(at)
      if (drive === 0) return 0
      if (drive === 1) high = true
      for (const pair of this.#switches) {
        const [a, b] = pair.split('-').map(Number) as [number, number]
        const other = a === at ? b : b === at ? a : undefined
        if (other !== undefined && !seen.has(other)) {
          seen.add(other)
          open.push(other)
        }
      }
    }
    return high ? 1 : (this.#pulled.get(offset) ?? 1)
  }
  drive(offset: number, level: Level | undefined): void {
    if (level === undefined) this.driven.delete(offset)
    else this.driven.set(offset, level)
    this.#settle()
  }
  contact(a: number, b: number, closed: boolean): void {
    if (closed) this.#switches.add(`${a}-${b}`)
    else this.#switches.delete(`${a}-${b}`)
    this.#settle()
  }
  /** What the outside world does to a line that is not driven. */
  pull(offset: number, level: Level): void {
    this.#pulled.set(offset, level)
    this.#settle()
  }
  watch(listener: (offset: number, level: Level) => void): () => void {
    this.#watchers.add(listener)
    return () => void this.#watchers.delete(listener)
  }
  unplug(): void {
    this.present = false
    this.driven.clear()
    this.#watchers.clear()
  }
  plug(): void {
    this.present = true
    this.#settle()
  }
  #settle(): void {
    for (let offset = 0; offset < this.count; offset++) {
      const level = this.level(offset)
      if (this.#levels.get(offset) === level) continue
      this.#levels.set(offset, level)
      this.changes.push({ offset, level, atMs: performance.now() })
      if (this.changes.length > 5000) this.changes.splice(0, 2500)
      for (const watcher of [...this.#watchers]) watcher(offset, level)
    }
  }
}

const errno = (code: string) => Object.assign(new Error(code), { code })

/** The chip in sysfs: its entry below `root`, with lines from `base`, and onoff's class over it. */
export function fakeSysfs(
  chip: FakeChip,
  root: string,
  base: number,
): { Gpio: OnoffClass; exported: Set<number> } {
  const exported = new Set<number>()
  const entry = join(root, `gpiochip${base}`)
  mkdirSync(entry, { recursive: true })
  for (const [name, value] of Object.entries({ label: chip.label, base, ngpio: chip.count })) {
    writeFileSync(join(entry, name), `${value}\n`)
  }
  const there = <T>(work: () => T): T => {
    if (!chip.present) throw errno('ENODEV')
    return work()
  }
  class Gpio implements OnoffGpio {
    readonly #offset: number
    readonly #number: number
    #unwatch: () => void = () => undefined
    constructor(number: number, direction: 'in' | 'high' | 'low') {
      there(() => undefined)
      if (exported.has(number)) throw errno('EBUSY')
      this.#number = number
      this.#offset = number - base
      exported.add(number)
      mkdirSync(join(root, `gpio${number}`), { recursive: true })
      this.setDirection(direction)
    }
    readSync(): Level {
      return there(() => chip.level(this.#offset))
    }
    writeSync(value: Level) {
      there(() => chip.drive(this.#offset, value))
    }
    setDirection(direction: 'in' | 'high' | 'low') {
      there(() => chip.drive(this.#offset, direction === 'in' ? undefined : direction === 'high' ? 1 : 0))
    }
    watch(listener: (error: undefined, value: Level) => void) {
      // As onoff does: the poller's callback reads the value through the object.
      this.#unwatch = chip.watch((offset) => {
        if (offset === this.#offset)
          setImmediate(() => exported.has(this.#number) && listener(undefined, this.readSync()))
      })
    }
    unexport() {
      this.#unwatch()
      exported.delete(this.#number)
      rmSync(join(root, `gpio${this.#number}`), { recursive: true, force: true })
      there(() => chip.drive(this.#offset, undefined))
    }
  }
  const unplug = chip.unplug.bind(chip)
  chip.unplug = () => {
    for (const number of exported) rmSync(join(root, `gpio${number}`), { recursive: true, force: true })
    unplug()
  }
  return { Gpio, exported }
}

/** The chip as `/dev/gpiochip0` in `dev`: files that open, and the kernel's answers to ioctls of linux/gpio.h, v2. */
export function fakeCharacterDevice(chip: FakeChip, dev: string, Epoll: FileCalls['Epoll']): FileCalls {
  mkdirSync(dev, { recursive: true })
  writeFileSync(join(dev, 'gpiochip0'), '')
  let fifos = 0
  interface Line {
    readonly offset: number
    readonly flags: number
    readonly wire: number
    readonly end: () => void
  }
  const lines = new Map<number, Line>()
  const taken = new Map<number, Line>()

  const drive = ({ offset, flags }: Line, active: boolean) => {
    const level = active !== ((flags & 2) !== 0) ? 1 : 0
    const open = (flags & 0x40) !== 0 ? level === 1 : (flags & 0x80) !== 0 ? level === 0 : false
    chip.drive(offset, open ? undefined : level)
  }
  const request = (bytes: Buffer) => {
    const offset = bytes.readUInt32LE(0)
    if (offset >= chip.count || bytes.readUInt32LE(560) !== 1) throw errno('EINVAL')
    const before = taken.get(offset)
    if (before !== undefined) {
      // Whether the other end was closed: the kernel frees a line with its descriptor.
      try {
        writeSync(before.wire, new Uint8Array(0))
        const probe = Buffer.alloc(48)
        writeSync(before.wire, probe)
        throw errno('EBUSY')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
        before.end()
      }
    }
    const flags = Number(bytes.readBigUInt64LE(288))
    const path = join(dev, `line${++fifos}`)
    execFileSync('mkfifo', [path])
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const wire = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    rmSync(path)
    let sequence = 0
    const unwatch = chip.watch((at, level) => {
      if (at !== offset || (flags & 0x30) === 0) return
      const rising = (level === 1) !== ((flags & 2) !== 0)
      const event = Buffer.alloc(48)
      event.writeBigUInt64LE(BigInt(Math.round(performance.now() * 1e6)), 0)
      event.writeUInt32LE(rising ? 1 : 2, 8)
      event.writeUInt32LE(offset, 12)
      event.writeUInt32LE(++sequence, 16)
      try {
        writeSync(wire, event)
      } catch {
        line.end()
      }
    })
    const line: Line = {
      offset,
      flags,
      wire,
      end() {
        if (taken.get(offset) !== line) return
        taken.delete(offset)
        unwatch()
        closeSync(wire)
      },
    }
    taken.set(offset, line)
    lines.set(fd, line)
    if ((flags & 8) !== 0)
      drive(line, bytes.readUInt32LE(296) === 1 && (bytes.readBigUInt64LE(328) & 1n) === 1n)
    else chip.drive(offset, undefined)
    bytes.writeInt32LE(fd, 588)
  }
  const unplug = chip.unplug.bind(chip)
  chip.unplug = () => {
    for (const line of [...taken.values()]) line.end()
    unplug()
  }
  return {
    Epoll,
    ioctl(fd, number, argument) {
      const bytes = argument as Buffer
      if (!chip.present) throw errno('ENODEV')
      switch (number) {
        case 0x8044b401:
          bytes.write('gpiochip0', 0)
          bytes.write(chip.label, 32)
          bytes.writeUInt32LE(chip.count, 64)
          return 0
        case 0xc250b407:
          request(bytes)
          return 0
        case 0xc010b40e: {
          const line = lines.get(fd)!
          const active = (chip.level(line.offset) === 1) !== ((line.flags & 2) !== 0)
          bytes.writeBigUInt64LE(active ? 1n : 0n, 0)
          return 0
        }
        case 0xc010b40f:
          drive(lines.get(fd)!, (bytes.readBigUInt64LE(0) & 1n) === 1n)
          return 0
        default:
          throw errno('ENOTTY')
      }
    },
  }
}
