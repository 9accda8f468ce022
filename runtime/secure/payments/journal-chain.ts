// The journal's hash chain: each entry's SHA-256 covers the one before, so that nothing can be changed or left out.
import { createHash } from 'node:crypto'
import { equalBytes } from '../../../hal/base/bytes.js'

/** One durable step: what was written, as patches to the rows that it touched. */
export interface JournalEntry {
  /** From 1, without gaps. */
  readonly seq: number
  readonly atMs: number
  /** What the step was for: `collect`, `send`, `reversal.acknowledged`. */
  readonly step: string
  /** JSON array of `JournalWrite`. */
  readonly body: string
  readonly hash: Uint8Array
}

/** Tables whose rows the chain holds, as this release knows them. */
const CHAINED: readonly string[] = ['payments', 'rounds', 'counters', 'changes', 'attempts']

/** A patch to one row: top-level fields that are new or differ. */
export interface JournalWrite {
  readonly table: 'payments' | 'rounds' | 'counters' | 'changes' | 'attempts' | 'checkpoint'
  readonly id: string
  /** Null: the row was removed. */
  readonly set: Readonly<Record<string, unknown>> | null
}

/** What a check of the whole journal found. */
export type Verdict =
  | { readonly sound: true; readonly entries: number }
  | { readonly sound: false; readonly entries: number; readonly fault: string }

/** The hash that comes before the first entry. */
export const GENESIS = new Uint8Array(32)

export function entryHash(
  previous: Uint8Array,
  { seq, atMs, step, body }: Omit<JournalEntry, 'hash'>,
): Uint8Array {
  return new Uint8Array(
    createHash('sha256').update(previous).update(`${seq}\n${atMs}\n${step}\n`).update(body).digest(),
  )
}

/** The fields of `after` that are new or differ from `before`, compared as JSON. */
export function patchOf(before: object | undefined, after: object): Record<string, unknown> {
  const old = (before ?? {}) as Record<string, unknown>
  return Object.fromEntries(
    Object.entries(after).filter(
      ([name, value]) => value !== undefined && JSON.stringify(old[name]) !== JSON.stringify(value),
    ),
  )
}

/** The one row of this kind: the entry that pruned last wrote it. */
export const CHECKPOINT = 'checkpoint last'

/** Rows by `table id`, as the entries up to some point make them. */
export type Rows = Map<string, Record<string, unknown>>

/** Applies the writes of one entry. */
export function replay(rows: Rows, entry: Pick<JournalEntry, 'body'>): void {
  for (const { table, id, set } of JSON.parse(entry.body) as JournalWrite[]) {
    const name = `${table} ${id}`
    if (set === null) rows.delete(name)
    else rows.set(name, { ...rows.get(name), ...set })
  }
}

/** Where a chain begins whose older entries were pruned: the last of them, and what the rows held then. */
export interface ChainStart {
  readonly seq: number
  readonly hash: Uint8Array
  /** Of `rows`; an entry of the chain vouches for it. */
  readonly digest: string
  readonly rows: Rows
}

/**
 * Checks the chain and replays it; `rows` tells what each row holds now, and must come out the same. Where older
 * entries were pruned, `start` holds what they came to, and an entry after it must name its digest.
 */
export function verifyChain(
  entries: Iterable<JournalEntry>,
  rows: Iterable<Readonly<{ table: JournalWrite['table']; id: string; record: object }>>,
  start?: ChainStart,
): Verdict {
  let previous: Uint8Array = start?.hash ?? GENESIS
  let seq = start?.seq ?? 0
  let count = 0
  const replayed: Rows = new Map(start?.rows)
  const broken = (fault: string): Verdict => ({ sound: false, entries: count, fault })
  for (const entry of entries) {
    if (entry.seq !== seq + 1) return broken(`entry ${seq + 1} is missing`)
    if (!equalBytes(entryHash(previous, entry), entry.hash)) return broken(`entry ${entry.seq} was changed`)
    previous = entry.hash
    seq++
    count++
    replay(replayed, entry)
  }
  const vouched = replayed.get(CHECKPOINT)
  if (vouched?.['digest'] !== start?.digest) return broken('the checkpoint is not what the chain says')
  replayed.delete(CHECKPOINT)
  for (const { table, id, record } of rows) {
    const name = `${table} ${id}`
    const expected = replayed.get(name)
    if (expected === undefined) return broken(`${name} is not in the chain`)
    if (Object.keys(patchOf(expected, record)).length + Object.keys(patchOf(record, expected)).length > 0)
      return broken(`${name} does not hold what the chain says`)
    replayed.delete(name)
  }
  // Rows of tables that only a later release knows are that release's to compare.
  const lost = [...replayed.keys()].find((name) => CHAINED.includes(name.slice(0, name.indexOf(' '))))
  return lost === undefined ? { sound: true, entries: count } : broken(`${lost} was removed`)
}
