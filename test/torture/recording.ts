// What a process wrote to a folder, in order: its system calls, read from strace's log.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/** One call of the recorded process; paths are relative to the recorded folder, `''` is the folder itself. */
export type DiskCall =
  | { readonly kind: 'create'; readonly path: string; readonly truncate: boolean }
  | { readonly kind: 'write'; readonly path: string; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly path: string; readonly size: number }
  | { readonly kind: 'fsync'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'mkdir'; readonly path: string }
  /** A line that the process wrote to its marks file: what the world outside the disk has seen. */
  | { readonly kind: 'mark'; readonly line: string }

const CALLS =
  'openat,write,pwrite64,fsync,fdatasync,rename,unlink,ftruncate,mkdir,close,pwritev,pwritev2,writev,fallocate'

/** Why nothing can be recorded here; undefined where it can. */
export function recorderMissing(): string | undefined {
  const tried = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true'], {
    encoding: 'utf8',
    timeout: 10_000,
  })
  if (tried.error !== undefined) return 'strace is not installed'
  return tried.status === 0 ? undefined : 'this machine does not let a process be traced'
}

const bytesOf = (quoted: string) => Buffer.from(quoted.replaceAll('\\x', ''), 'hex')
const text = (quoted: string) => bytesOf(quoted).toString('utf8')

/**
 * Runs `node script args` and records what it does below `folder`; `marks` is a file inside the folder's parent.
 * @throws Error when the process fails, or does to the folder what this reader does not know.
 */
export function record(options: {
  readonly script: string
  readonly args: readonly string[]
  readonly folder: string
  readonly marks: string
  readonly log: string
}): DiskCall[] {
  const { script, args, folder, marks, log } = options
  const tracing = [
    '-f',
    '-qq',
    '-y',
    '-xx',
    '--seccomp-bpf',
    '-s',
    '1000000',
    '-e',
    `trace=${CALLS}`,
    '-o',
    log,
  ]
  const done = spawnSync('strace', [...tracing, process.execPath, script, ...args], {
    encoding: 'utf8',
    timeout: 240_000,
  })
  if (done.status !== 0) throw new Error(`the recorded process failed: ${done.stderr.slice(-2000)}`)
  return readCalls(readFileSync(log, 'latin1'), folder, marks)
}

/** Joins what strace tells of one call in two lines because another thread came between. */
function* wholeLines(log: string): Generator<string> {
  const begun = new Map<string, string>()
  for (const line of log.split('\n')) {
    const [, pid = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    if (rest.endsWith('<unfinished ...>')) begun.set(pid, rest.slice(0, -'<unfinished ...>'.length))
    else if (resumed) yield `${begun.get(pid) ?? ''}${resumed[1]}`
    else if (rest !== '') yield rest
  }
}

function readCalls(log: string, folder: string, marks: string): DiskCall[] {
  const calls: DiskCall[] = []
  /** Where the next `write` of an open file goes. */
  const positions = new Map<string, number>()
  const sizes = new Map<string, number>()
  const inside = (path: string) => {
    const below = relative(folder, path)
    return below.startsWith('..') ? undefined : below
  }
  const written = (path: string, offset: number, bytes: Uint8Array) => {
    calls.push({ kind: 'write', path, offset, bytes })
    sizes.set(path, Math.max(sizes.get(path) ?? 0, offset + bytes.length))
  }
  for (const line of wholeLines(log)) {
    const [, call = '', rest = ''] = /^(\w+)\((.*)$/.exec(line) ?? []
    const result = Number(/\) += (-?\d+)/.exec(rest)?.[1] ?? -1)
    if (result < 0) continue
    const strings = [...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((match) => match[1]!)
    if (call === 'rename' || call === 'unlink' || call === 'mkdir' || call === 'openat') {
      const path = inside(text(strings[0]!))
      if (path === undefined) continue
      if (call === 'unlink') calls.push({ kind: 'unlink', path })
      else if (call === 'mkdir') calls.push({ kind: 'mkdir', path })
      else if (call === 'rename') {
        calls.push({ kind: 'rename', path, to: inside(text(strings[1]!)) ?? '' })
        sizes.set(inside(text(strings[1]!)) ?? '', sizes.get(path) ?? 0)
      } else {
        const truncate = rest.includes('O_TRUNC')
        if (rest.includes('O_CREAT')) calls.push({ kind: 'create', path, truncate })
        if (truncate) sizes.set(path, 0)
        positions.set(`${result} ${path}`, rest.includes('O_APPEND') ? (sizes.get(path) ?? 0) : 0)
      }
      continue
    }
    const [, handle = '', name = ''] = /^(\d+)<((?:\\x[0-9a-f]{2})*)>/.exec(rest) ?? []
    if (name === '') continue
    const absolute = text(name)
    if (absolute === marks && call === 'write') {
      for (const mark of bytesOf(strings.at(-1)!).toString('utf8').split('\n'))
        if (mark !== '') calls.push({ kind: 'mark', line: mark })
      continue
    }
    const path = inside(absolute)
    if (path === undefined || path.endsWith('-shm')) continue
    const key = `${handle} ${path}`
    if (call === 'fsync' || call === 'fdatasync') calls.push({ kind: 'fsync', path })
    else if (call === 'ftruncate') {
      const size = Number(/, (\d+)\)/.exec(rest)?.[1])
      calls.push({ kind: 'truncate', path, size })
      sizes.set(path, size)
    } else if (call === 'pwrite64') {
      const offset = Number(/, (\d+)\) += /.exec(rest)?.[1])
      written(path, offset, bytesOf(strings.at(-1)!).subarray(0, result))
    } else if (call === 'write') {
      const offset = positions.get(key) ?? 0
      written(path, offset, bytesOf(strings.at(-1)!).subarray(0, result))
      positions.set(key, offset + result)
    } else if (call !== 'close') throw new Error(`the recorder does not know ${call} on ${path}`)
  }
  return calls
}

/** The path of the marks file that belongs to a recorded folder. */
export const marksOf = (folder: string) => join(folder, '..', 'marks')
