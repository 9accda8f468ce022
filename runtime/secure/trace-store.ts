// The last transactions' traces, one file each, under the secure world's own folder; masked before they come here.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PosternError } from '../../hal/base/errors.js'
import type { Trace } from './emv/traces/trace.js'

/** Days of a courier; about 20 KB each. */
const MOST = 100
/** A transaction of the most exchanges stays below. */
const MAX_BYTES = 2 * 1024 * 1024
const NAME = /^\d{8}T\d{6}-\d{8}(-\d{1,2})?$/

export interface TraceStore {
  /** Writes it and drops the oldest beyond the bound. NOTE: not flushed: a trace is for support, not for money. */
  keep(trace: Trace): void
  /** Names, the newest first. */
  list(): string[]
  /** @throws PosternError `TRACE_UNKNOWN` */
  read(name: string): unknown
}

/** Keeps traces under `folder`, which is made with mode 0700; each is named for its local time and sequence counter. */
export function openTraceStore(folder: string, most: number = MOST): TraceStore {
  const path = (name: string) => join(folder, `${name}.json`)
  const names = () => {
    let found: string[]
    try {
      found = readdirSync(folder)
    } catch {
      return []
    }
    return found
      .map((file) => file.replace(/\.json$/, ''))
      .filter((name) => NAME.test(name))
      .sort()
  }
  return {
    keep(trace) {
      const text = JSON.stringify(trace)
      if (text.length > MAX_BYTES) return
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const { at, sequence } = trace.request
      const base = `${at.replaceAll(/[-:]/g, '')}-${sequence.toString().padStart(8, '0')}`
      const taken = new Set(names())
      // One payment may try its chip several times before a stripe is read.
      let name = base
      for (let again = 2; taken.has(name) && again < 100; again++) name = `${base}-${again}`
      writeFileSync(`${path(name)}.new`, text, { mode: 0o600 })
      renameSync(`${path(name)}.new`, path(name))
      for (const old of names().slice(0, -most)) rmSync(path(old), { force: true })
    },
    list: () => names().reverse(),
    read(name) {
      if (!names().includes(name)) throw new PosternError('TRACE_UNKNOWN', `no trace is called ${name}`)
      return JSON.parse(readFileSync(path(name), 'utf8'))
    },
  }
}
