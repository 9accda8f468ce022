// Which /dev/input/event* is meant: by path, name, physical place or USB id, through /sys/class/input.
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Type } from 'typebox'

/** How a board profile names an input device. All that is given has to fit. */
export interface EvdevMatch {
  /** The device file, best a stable link under /dev/input/by-id or by-path. */
  readonly path?: string
  /** The kernel's name for it; `*` stands for anything. */
  readonly name?: string
  /** Where it is plugged in, such as `usb-*-1.2/input0`; `*` stands for anything. */
  readonly phys?: string
  /** Vendor and product, four hex digits each: `0c2e:0b61`. */
  readonly id?: string
}

const Pattern = Type.String({ minLength: 1, maxLength: 256 })
/** Options of every driver that reads an input device. */
export const EvdevMatchOptions = Type.Object(
  {
    path: Type.Optional(Type.String({ minLength: 1, maxLength: 256, pattern: '^/' })),
    name: Type.Optional(Pattern),
    phys: Type.Optional(Pattern),
    id: Type.Optional(Type.String({ pattern: '^[0-9a-f]{4}:[0-9a-f]{4}$' })),
  },
  { additionalProperties: false, minProperties: 1 },
)

/** An input device that is there. */
export interface EvdevInfo {
  readonly path: string
  readonly name: string
  readonly phys: string
  readonly id: string
  /** True where the device can send that key code (linux/input-event-codes.h); true where nothing is known. */
  hasKey(code: number): boolean
}

/** Where the kernel shows its input devices; tests have their own. */
export interface EvdevRoots {
  readonly sys: string
  readonly dev: string
}
const SYSTEM_ROOTS: EvdevRoots = { sys: '/sys/class/input', dev: '/dev/input' }

/** More devices than that are not looked at. */
const MAX_DEVICES = 128

function line(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, 4096).trim()
  } catch {
    return ''
  }
}

/** A bitmap of capabilities/key: hex words of 64 bits, the highest first. */
function hasBit(words: string, bit: number): boolean {
  if (words === '') return true
  const word = words.split(/\s+/).at(-1 - Math.floor(bit / 64))
  return word !== undefined && ((BigInt(`0x${word}`) >> BigInt(bit % 64)) & 1n) === 1n
}

/** Every input device, by number. */
export function listEvdev(roots: EvdevRoots = SYSTEM_ROOTS): readonly EvdevInfo[] {
  let names: string[]
  try {
    names = readdirSync(roots.sys)
  } catch {
    return []
  }
  return names
    .filter((name) => /^event\d{1,5}$/.test(name))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))
    .slice(0, MAX_DEVICES)
    .map((event) => {
      const device = join(roots.sys, event, 'device')
      const keys = line(join(device, 'capabilities', 'key'))
      return {
        path: join(roots.dev, event),
        name: line(join(device, 'name')),
        phys: line(join(device, 'phys')),
        id: `${line(join(device, 'id', 'vendor'))}:${line(join(device, 'id', 'product'))}`,
        hasKey: (code) => hasBit(keys, code),
      }
    })
}

function fits(pattern: string | undefined, text: string): boolean {
  if (pattern === undefined) return true
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('[^]*')}$`).test(text)
}

/**
 * The first device that fits and can send the key codes `needs`: one keyboard is often several devices of one name.
 * A path is taken by itself where nothing else was asked, so that a device outside of /sys can be named.
 */
export function findEvdev(
  match: EvdevMatch,
  needs: readonly number[] = [],
  roots: EvdevRoots = SYSTEM_ROOTS,
): EvdevInfo | undefined {
  const { path, name, phys, id } = match
  const wanted = path === undefined ? undefined : realPath(path)
  const found = listEvdev(roots).find(
    (each) =>
      (wanted === undefined || basename(each.path) === basename(wanted)) &&
      fits(name, each.name) &&
      fits(phys, each.phys) &&
      (id === undefined || id === each.id) &&
      needs.every((code) => each.hasKey(code)),
  )
  if (path === undefined) return found
  if (found !== undefined) return { ...found, path }
  const only = name === undefined && phys === undefined && id === undefined
  return only && wanted !== undefined ? { path, name: '', phys: '', id: '', hasKey: () => true } : undefined
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** How a match reads in a message. */
export function describeMatch(match: EvdevMatch): string {
  return Object.entries(match)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ')
}
