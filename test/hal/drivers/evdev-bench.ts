// Input devices of a test: a FIFO with the kernel's structs and the /sys entries that go with it.
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { EvdevRoots } from '../../../hal/drivers/evdev/find-device.js'

export interface FakeEvdev {
  readonly path: string
  /** Writes events as one report, or as they are where `syn` is false. */
  send(
    events: readonly (readonly [type: number, code: number, value: number])[],
    atMs?: number,
    syn?: boolean,
  ): void
  raw(bytes: Uint8Array): void
  unplug(): void
  plug(): void
  /** Removes what it made. */
  end(): void
}

export interface FakeEvdevSpec {
  readonly number: number
  readonly name: string
  readonly phys?: string
  readonly id?: readonly [vendor: string, product: string]
  /** Key codes that it claims to have. */
  readonly keys?: readonly number[]
}

/** One event of 24 bytes. */
export function eventBytes(type: number, code: number, value: number, atMs: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(24))
  view.setBigInt64(0, BigInt(Math.floor(atMs / 1000)), true)
  view.setBigInt64(8, BigInt(Math.floor((atMs % 1000) * 1000)), true)
  view.setUint16(16, type, true)
  view.setUint16(18, code, true)
  view.setInt32(20, value, true)
  return new Uint8Array(view.buffer)
}

/** The roots of a test's devices below `folder`. */
export function fakeRoots(folder: string): EvdevRoots {
  const roots = { sys: join(folder, 'sys-input'), dev: join(folder, 'dev-input') }
  for (const path of Object.values(roots)) mkdirSync(path, { recursive: true })
  return roots
}

/** A device that is plugged in. */
export function fakeEvdev(roots: EvdevRoots, spec: FakeEvdevSpec): FakeEvdev {
  const event = `event${spec.number}`
  const path = join(roots.dev, event)
  const aside = join(roots.dev, `.gone${spec.number}`)
  const sys = join(roots.sys, event)
  execFileSync('mkfifo', [path])
  let wire: number | undefined

  const attribute = (name: string, value: string) => {
    mkdirSync(join(sys, 'device', ...name.split('/').slice(0, -1)), { recursive: true })
    writeFileSync(join(sys, 'device', name), `${value}\n`)
  }
  const plug = () => {
    if (wire !== undefined) return
    if (!existsSync(path)) renameSync(aside, path)
    wire = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    attribute('name', spec.name)
    attribute('phys', spec.phys ?? '')
    attribute('id/vendor', spec.id?.[0] ?? '0000')
    attribute('id/product', spec.id?.[1] ?? '0000')
    if (spec.keys !== undefined) {
      const words = Array.from({ length: 12 }, () => 0n)
      for (const code of spec.keys) words[Math.floor(code / 64)]! |= 1n << BigInt(code % 64)
      attribute(
        'capabilities/key',
        words
          .reverse()
          .map((word) => word.toString(16))
          .join(' '),
      )
    }
  }
  const unplug = () => {
    if (wire === undefined) return
    rmSync(sys, { recursive: true, force: true })
    renameSync(path, aside)
    closeSync(wire)
    wire = undefined
  }
  const raw = (bytes: Uint8Array) => {
    if (wire !== undefined) writeSync(wire, bytes)
  }
  plug()
  return {
    path,
    raw,
    send(events, atMs = performance.now(), syn = true) {
      const all = syn ? [...events, [0, 0, 0] as const] : events
      raw(Buffer.concat(all.map(([type, code, value]) => eventBytes(type, code, value, atMs))))
    },
    unplug,
    plug,
    end() {
      unplug()
      rmSync(aside, { force: true })
    },
  }
}
