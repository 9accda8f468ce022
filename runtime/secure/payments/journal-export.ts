// The journal outside its database: a gzipped file of JSON lines that carries the chain, and its check.
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { equalBytes, fromHex, toHex } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { Journal } from './journal.js'
import { entryHash, type JournalEntry, type Verdict } from './journal-chain.js'

/** Folder of what the terminal exports by itself, beside the journal. */
export const EXPORTS = 'journal-exports'
/** First line of every export. */
const FORMAT = 'postern-journal-1'
/** Of an export as it is unpacked. */
const MAX_BYTES = 512 * 1024 * 1024

/** Where the journal grows beyond this many entries, what is settled leaves it. About 1 KiB an entry. */
const MAX_ENTRIES = 50_000
const DAY_MS = 86_400_000
/** Ages that are tried in turn until it is small enough. */
const KEPT_DAYS = [90, 30, 7, 1] as const

/** Writes a chain of entries, durable when it returns. */
export function writeExport(path: string, previous: Uint8Array, entries: Iterable<JournalEntry>): void {
  const lines = [JSON.stringify({ format: FORMAT, previous: toHex(previous) })]
  for (const { seq, atMs, step, body, hash } of entries)
    lines.push(JSON.stringify({ seq, atMs, step, body, hash: toHex(hash) }))
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const handle = openSync(`${path}.part`, 'w', 0o600)
  try {
    writeSync(handle, gzipSync(`${lines.join('\n')}\n`))
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(`${path}.part`, path)
  const handleOfFolder = openSync(folder, 'r')
  fsyncSync(handleOfFolder)
  closeSync(handleOfFolder)
}

/** Checks the chain inside an export. @throws PosternError `EXPORT_INVALID` where it is none */
export function verifyExport(path: string): Verdict {
  let lines: string[]
  let head: { format?: unknown; previous?: unknown }
  try {
    lines = gunzipSync(readFileSync(path), { maxOutputLength: MAX_BYTES }).toString('utf8').trim().split('\n')
    head = JSON.parse(lines[0] ?? '') as typeof head
  } catch (error) {
    throw new PosternError('EXPORT_INVALID', 'not an export of a journal', {}, error)
  }
  if (head.format !== FORMAT || typeof head.previous !== 'string')
    throw new PosternError('EXPORT_INVALID', 'not an export of a journal')
  let previous = fromHex(head.previous)
  let seq: number | undefined
  let count = 0
  for (const line of lines.slice(1)) {
    const { hash, ...entry } = JSON.parse(line) as Omit<JournalEntry, 'hash'> & { hash: string }
    if (seq !== undefined && entry.seq !== seq + 1)
      return { sound: false, entries: count, fault: `entry ${seq + 1} is missing` }
    if (!equalBytes(entryHash(previous, entry), fromHex(hash)))
      return { sound: false, entries: count, fault: `entry ${entry.seq} was changed` }
    previous = fromHex(hash)
    seq = entry.seq
    count++
  }
  return { sound: true, entries: count }
}

/**
 * Keeps the journal below `maxEntries`: settled rounds of an age are exported to `folder` and dropped, the oldest age
 * first. Returns how many entries left it.
 */
export function pruneJournal(
  journal: Journal,
  folder: string,
  nowMs: number,
  maxEntries: number = MAX_ENTRIES,
): number {
  let dropped = 0
  for (const days of KEPT_DAYS) {
    if (journal.size() <= maxEntries) break
    dropped += journal.prune(nowMs - days * DAY_MS, ({ previous, entries, seq }) =>
      writeExport(join(folder, `journal-${entries[0]!.seq}-${seq}.jsonl.gz`), previous, entries),
    )
  }
  return dropped
}
