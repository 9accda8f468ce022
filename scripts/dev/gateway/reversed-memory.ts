// What a gateway remembers of reversed originals: durable before the reversal goes on, and again after a restart.
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'

export interface ReversedMemory {
  /** Durable when it returns. */
  add(key: string): void
  has(key: string): boolean
  close(): void
}

/** Originals remembered; the oldest are forgotten beyond it. Envelopes live two minutes, so this is far more than enough. */
const MAX_KEPT = 10_000

const bounded = (kept: Set<string>, key: string) => {
  kept.delete(key)
  kept.add(key)
  if (kept.size > MAX_KEPT) kept.delete(kept.values().next().value!)
}

/** For tests: forgets everything with the process. */
export function forgetfulMemory(): ReversedMemory {
  const kept = new Set<string>()
  return { add: (key) => bounded(kept, key), has: (key) => kept.has(key), close: () => undefined }
}

/** A file with a line each; rewritten when it is opened, so that it stays bounded. */
export function openReversedMemory(path: string): ReversedMemory {
  const kept = new Set<string>()
  if (existsSync(path))
    // A line that a power cut tore off was never acted upon.
    for (const key of readFileSync(path, 'utf8').split('\n').slice(0, -1)) bounded(kept, key)
  const fresh = `${path}.new`
  const fd = openSync(fresh, 'w', 0o600)
  writeSync(fd, [...kept].map((key) => `${key}\n`).join(''))
  fsyncSync(fd)
  renameSync(fresh, path)
  return {
    add(key) {
      writeSync(fd, `${key}\n`)
      fdatasyncSync(fd)
      bounded(kept, key)
    },
    has: (key) => kept.has(key),
    close: () => closeSync(fd),
  }
}
