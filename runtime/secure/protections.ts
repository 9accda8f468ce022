// The secure world's self-test at start: reads back what should keep keys out of core dumps, swap and other processes' sight.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const PROTECTIONS = [
  'core-limit',
  'core-pattern',
  'swap',
  'tracing',
  'network',
  'privileges',
  'key-store',
  'unreadable',
] as const

/** A protection that is missing: its name for programs, and what it means and how to get it for people. */
export interface MissingProtection {
  readonly name: (typeof PROTECTIONS)[number]
  /** What was found: a limit, a device, an interface; the words around it are the screen's. */
  readonly detail: string
  readonly message: string
}

/** Reads a file of the kernel's; undefined where it isn't there. */
export type ReadKernelFile = (path: string) => string | undefined

export const readKernelFile: ReadKernelFile = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** RLIMIT_CORE, soft and hard (getrlimit(2)). */
function coreLimit(read: ReadKernelFile): MissingProtection | undefined {
  const row = /^Max core file size\s+(\S+)\s+(\S+)/m.exec(read('/proc/self/limits') ?? '')
  if (row === null)
    return {
      name: 'unreadable',
      detail: '/proc/self/limits',
      message: 'limits of this process cannot be read (/proc/self/limits)',
    }
  if (row[1] === '0' && row[2] === '0') return undefined
  return {
    name: 'core-limit',
    detail: row[1]!,
    message: `core dumps are allowed (${row[1]}, at most ${row[2]}): start the unit with LimitCORE=0`,
  }
}

/** The limit does not bind a program that the kernel pipes dumps to (core(5)); systemd-coredump honours it by itself. */
function corePattern(read: ReadKernelFile): MissingProtection | undefined {
  const pattern = (read('/proc/sys/kernel/core_pattern') ?? '').trim()
  if (!pattern.startsWith('|') || pattern.includes('systemd-coredump')) return undefined
  const program = pattern.slice(1).split(' ')[0]!
  return {
    name: 'core-pattern',
    detail: program,
    message: `core dumps are piped to ${program}, which no limit binds: set kernel.core_pattern=core`,
  }
}

/** Swap that is active and open to this process: its control group may forbid it (MemorySwapMax=0). */
function swap(read: ReadKernelFile): MissingProtection | undefined {
  const devices = (read('/proc/swaps') ?? '')
    .split('\n')
    .slice(1)
    .filter((line) => line.trim() !== '')
  // Memory compressed in memory is never on a disk.
  const onDisk = devices.map((line) => line.split(/\s+/)[0]!).filter((name) => !name.startsWith('/dev/zram'))
  if (onDisk.length === 0) return undefined
  const own = /^0::(\S+)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1]
  if (own !== undefined && !own.includes('..')) {
    for (let at = own; ; at = join(at, '..')) {
      if (read(join('/sys/fs/cgroup', at, 'memory.swap.max'))?.trim() === '0') return undefined
      if (at === '/' || at === '.') break
    }
  }
  return {
    name: 'swap',
    detail: onDisk.join(', '),
    message: `swap is active (${onDisk.join(', ')}): keys may be written to disk. Turn it off, or start the unit with MemorySwapMax=0 under cgroup v2`,
  }
}

function processState(read: ReadKernelFile): MissingProtection[] {
  const status = read('/proc/self/status') ?? ''
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1]
  const missing: MissingProtection[] = []
  if (field('TracerPid') !== undefined && field('TracerPid') !== '0')
    missing.push({
      name: 'tracing',
      detail: field('TracerPid')!,
      message: `process ${field('TracerPid')} traces this one and can read its keys`,
    })
  if (field('NoNewPrivs') === '0')
    missing.push({
      name: 'privileges',
      detail: '',
      message: 'child processes may gain privileges: start the unit with NoNewPrivileges=yes',
    })
  return missing
}

/** Any interface but the loopback one: the secure world is to have none. */
function network(read: ReadKernelFile): MissingProtection | undefined {
  const names = (read('/proc/self/net/dev') ?? '')
    .split('\n')
    .slice(2)
    .map((line) => line.split(':')[0]!.trim())
    .filter((name) => name !== '' && name !== 'lo')
  if (names.length === 0) return undefined
  return {
    name: 'network',
    detail: names.join(', '),
    message: `the secure world sees the network (${names.join(', ')}): start the unit with PrivateNetwork=yes`,
  }
}

/** What is missing here, in a fixed order; empty on a terminal that is set up as its units say. */
export function missingProtections(
  keyStore: 'file' | 'secure-element',
  read: ReadKernelFile = readKernelFile,
): readonly MissingProtection[] {
  const found = [coreLimit(read), corePattern(read), swap(read), ...processState(read), network(read)]
  if (keyStore === 'file')
    found.push({
      name: 'key-store',
      detail: '',
      message:
        'keys lie under a passphrase in a file: an older copy of it is not recognised. Set keyStore to secure-element',
    })
  return found.filter((one) => one !== undefined)
}
