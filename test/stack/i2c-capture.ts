// The preload library that answers /dev/i2c-1 in a process of our own, its switches, and its log.
import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../hal/base/package-root.js'

const SOURCE = join(packageRoot, 'test', 'stack', 'i2c-capture.c')

/** Compiles the library into `folder`. Returns its path, or why there is none. */
export function compileCapture(folder: string): { readonly library: string } | { readonly missing: string } {
  if (process.platform !== 'linux') return { missing: 'needs Linux' }
  const library = join(folder, 'i2c-capture.so')
  const made = spawnSync(
    'cc',
    ['-shared', '-fPIC', '-O1', '-Wall', '-o', library, SOURCE, '-ldl', '-lpthread'],
    {
      encoding: 'utf8',
      timeout: 60_000,
    },
  )
  if (made.error) return { missing: 'needs a C compiler: apt-get install gcc libc6-dev' }
  if (made.status === 0) return { library }
  if (/linux\/i2c|No such file/.test(made.stderr)) return { missing: 'needs libc6-dev and linux-libc-dev' }
  throw new Error(`the preload library does not compile:\n${made.stderr}`)
}

/** What a process needs in its environment. */
export function captureEnvironment(library: string, folder: string): Record<string, string> {
  return { LD_PRELOAD: library, I2C_CAPTURE: folder, UV_USE_IO_URING: '0' }
}

export interface Transfer {
  readonly kind: 'W' | 'R'
  readonly address: number
  readonly failed: boolean
  readonly bytes: Uint8Array
}

/** The bus of a process that runs under the preload library: its switches and what was on it. */
export class CapturedBus {
  private readonly folder: string
  private read = 0

  constructor(folder: string) {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
  }

  /** A device that acknowledges at `address`; its registers for SMBus reads. */
  attach(address: number, registers = new Uint8Array(256)): void {
    writeFileSync(this.path(`at-${address.toString(16)}`), registers)
  }
  detach(address: number): void {
    rmSync(this.path(`at-${address.toString(16)}`), { force: true })
  }
  set(name: 'gone' | 'owned' | 'slow' | 'smbus', on: boolean): void {
    if (on) writeFileSync(this.path(name), '')
    else rmSync(this.path(name), { force: true })
  }
  /** The next `count` transfers are not acknowledged. */
  noise(count: number): void {
    writeFileSync(this.path('noise'), new Uint8Array(count))
  }
  /** A mark in the log, for what is done to devices beside the bus. */
  mark(): void {
    appendFileSync(this.path('log'), Uint8Array.of(0x4d, 0, 0, 0, 0, 0, 0, 0))
  }

  /** What was logged since the last call; a mark is undefined. */
  transfers(): (Transfer | undefined)[] {
    if (!existsSync(this.path('log'))) return []
    const log = readFileSync(this.path('log'))
    const found: (Transfer | undefined)[] = []
    while (this.read + 8 <= log.length) {
      const at = this.read
      const length = log.readUInt32LE(at + 4)
      if (at + 8 + length > log.length) break
      this.read = at + 8 + length
      const kind = String.fromCharCode(log[at]!)
      if (kind !== 'W' && kind !== 'R') found.push(undefined)
      else
        found.push({
          kind,
          address: log[at + 2]!,
          failed: log[at + 3] === 1,
          bytes: new Uint8Array(log.subarray(at + 8, this.read)),
        })
    }
    return found
  }

  private path(name: string): string {
    return join(this.folder, name)
  }
}
