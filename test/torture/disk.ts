// Disks that a power cut may leave: what was synced is there, of the rest anything may be, in any order, torn by sectors.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DiskCall } from './recording.js'
import type { Random } from './seeded.js'

/** What a drive writes whole or not at all. */
const SECTOR = 512

/** A file: what is surely there, and what was asked for since its last sync. */
interface Inode {
  /** Longer than the file, so that it can grow in place. */
  buffer: Uint8Array
  size: number
  pending: Extract<DiskCall, { kind: 'write' | 'truncate' }>[]
}

type Names = Map<string, Inode>
/** A change of names in a folder, kept as a function so that it can be done later or never. */
interface NameChange {
  readonly folder: string
  readonly apply: (names: Names) => void
}

function resize(inode: Inode, size: number): void {
  if (size > inode.buffer.length) {
    const grown = new Uint8Array(size * 2)
    grown.set(inode.buffer.subarray(0, inode.size))
    inode.buffer = grown
  }
  if (size < inode.size) inode.buffer.fill(0, size, inode.size)
  inode.size = size
}

/** Does a call to the file, sector by sector, as far as `keep` says so. */
function apply(inode: Inode, call: Inode['pending'][number], keep: () => boolean): void {
  if (call.kind === 'truncate') {
    if (keep()) resize(inode, call.size)
    return
  }
  const end = call.offset + call.bytes.length
  resize(inode, Math.max(inode.size, end))
  for (let at = call.offset; at < end; ) {
    const next = Math.min(end, (Math.floor(at / SECTOR) + 1) * SECTOR)
    if (keep()) inode.buffer.set(call.bytes.subarray(at - call.offset, next - call.offset), at)
    at = next
  }
}

/** How much of what was never synced got through: the four kinds of disk that a cut leaves. */
const LUCK = ['nothing', 'everything', 'some', 'torn'] as const

/**
 * The files after power failed before `calls[cutAt]`, as one of the disks that the syncs before it allow.
 *
 * NOTE: folders themselves are taken to be there: the installer or systemd makes them long before.
 */
export function diskAfterCut(
  calls: readonly DiskCall[],
  cutAt: number,
  random: Random,
): Map<string, Uint8Array> {
  /** Names as the process sees them, and as they surely are on disk. */
  const seen: Names = new Map()
  const durable: Names = new Map()
  let pendingNames: NameChange[] = []
  const change = (path: string, apply: NameChange['apply']) => {
    apply(seen)
    const folder = dirname(path)
    pendingNames.push({ folder: folder === '.' ? '' : folder, apply })
  }
  for (const call of calls.slice(0, cutAt)) {
    switch (call.kind) {
      case 'create': {
        const known = seen.get(call.path)
        if (known === undefined) {
          const inode: Inode = { buffer: new Uint8Array(), size: 0, pending: [] }
          change(call.path, (names) => names.set(call.path, inode))
        } else if (call.truncate) known.pending.push({ kind: 'truncate', path: call.path, size: 0 })
        break
      }
      case 'write':
      case 'truncate':
        seen.get(call.path)?.pending.push(call)
        break
      case 'rename': {
        const inode = seen.get(call.path)
        if (inode === undefined) break
        change(call.path, (names) => {
          if (names.get(call.path) === inode) names.delete(call.path)
          names.set(call.to, inode)
        })
        break
      }
      case 'unlink':
        change(call.path, (names) => names.delete(call.path))
        break
      case 'fsync': {
        const inode = seen.get(call.path)
        if (inode === undefined) {
          // A folder: the names in it are sure from now on.
          for (const late of pendingNames) if (late.folder === call.path) late.apply(durable)
          pendingNames = pendingNames.filter(({ folder }) => folder !== call.path)
          break
        }
        for (const late of inode.pending.splice(0)) apply(inode, late, () => true)
        break
      }
      case 'mkdir':
      case 'mark':
        break
    }
  }
  // A file system's journal keeps changes of names in order: of those not synced a first part is there.
  for (const late of pendingNames.slice(0, random(pendingNames.length + 1))) late.apply(durable)
  const files = new Map<string, Uint8Array>()
  for (const [path, inode] of durable) {
    const luck = LUCK[random(LUCK.length)]!
    for (const call of inode.pending) {
      const whole = luck === 'everything' || (luck !== 'nothing' && random(2) === 0)
      apply(inode, call, () => (luck === 'torn' ? random(2) === 0 : whole))
    }
    files.set(path, inode.buffer.subarray(0, inode.size))
  }
  return files
}

/** Writes the files below `folder`. */
export function putDisk(files: ReadonlyMap<string, Uint8Array>, folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), bytes)
  }
}
