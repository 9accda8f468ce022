// Pruning the journal: settled rounds leave it, the chain goes on over a checkpoint, and no key is ever taken twice.

import { createHash } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import { unsignedParts } from './fiscal-marks.js'
import type { ChainStart, JournalEntry, JournalWrite, Rows } from './journal-chain.js'
import { CHECKPOINT, GENESIS, replay } from './journal-chain.js'
import type { PaymentRecord, RoundRecord } from './payment-record.js'
import { isKnownState, UNRESOLVED_STATES } from './payment-states.js'

/** What is about to be dropped, and what the chain goes on from. */
export interface Checkpoint extends ChainStart {
  /** The hash before the first entry that is dropped. */
  readonly previous: Uint8Array
  /** The entries that are dropped, oldest first. */
  readonly entries: readonly JournalEntry[]
  readonly dropped: number
  /** Payments and rounds that go with them. */
  readonly payments: readonly PaymentRecord[]
  readonly rounds: readonly string[]
}

const digestOf = (seq: number, hash: Uint8Array, snapshot: string) =>
  createHash('sha256').update(`${seq}\n`).update(hash).update(snapshot).digest('hex')

const snapshotOf = (rows: Rows) => JSON.stringify([...rows])

/** What names a retired key or reference: 16 bytes of a hash, kept for ever. */
const retiredDigest = (kind: 'key' | 'reference', value: string) =>
  createHash('sha256').update(`${kind}\n${value}`).digest().subarray(0, 16)

/** Settled for good: nothing will change it, and no later message needs it. */
function isOver(record: PaymentRecord, round: RoundRecord | undefined): boolean {
  const held = record.type === 'preauth' && record.state === 'COMPLETED'
  return (
    isKnownState(record.state) &&
    !UNRESOLVED_STATES.includes(record.state) &&
    !held &&
    unsignedParts(record).length === 0 &&
    (round === undefined || (round.state === 'CLOSED' && round.comparisonOwed !== true))
  )
}

/**
 * Plans to drop the entries before `beforeMs`, but for the newest two, with the settled payments that no later entry
 * touches. Undefined where there is nothing to drop.
 */
export function planCheckpoint(
  start: ChainStart | undefined,
  entries: Iterable<JournalEntry>,
  beforeMs: number,
): Checkpoint | undefined {
  const all = [...entries]
  let count = 0
  while (count < all.length - 1 && all[count]!.atMs < beforeMs) count++
  if (count === 0) return undefined
  const dropped = all.slice(0, count)
  const rows: Rows = new Map(start?.rows)
  for (const entry of dropped) replay(rows, entry)
  rows.delete(CHECKPOINT)
  const touched = new Set<string>()
  for (const { body } of all.slice(count))
    for (const { table, id } of JSON.parse(body) as JournalWrite[]) touched.add(`${table} ${id}`)
  const untold = new Set<unknown>()
  for (const [name, row] of rows) if (name.startsWith('changes ')) untold.add(row['key'])

  const payments: PaymentRecord[] = []
  const inUse = new Set<string>()
  for (const [name, row] of rows) {
    if (!name.startsWith('payments ')) continue
    const record = row as unknown as PaymentRecord
    const round = rows.get(`rounds ${record.round}`) as RoundRecord | undefined
    if (!touched.has(name) && !untold.has(record.key) && isOver(record, round)) payments.push(record)
    else inUse.add(record.round)
  }
  for (const { key } of payments) rows.delete(`payments ${key}`)
  const roundNames = [...rows.keys()].filter((name) => name.startsWith('rounds '))
  const rounds: string[] = []
  for (const name of roundNames.slice(0, -1)) {
    const round = rows.get(name) as unknown as RoundRecord
    if (touched.has(name) || inUse.has(round.id) || round.state !== 'CLOSED' || round.comparisonOwed) continue
    rounds.push(round.id)
    rows.delete(name)
  }
  const { seq, hash } = dropped[count - 1]!
  return {
    seq,
    hash,
    rows,
    digest: digestOf(seq, hash, snapshotOf(rows)),
    previous: start?.hash ?? GENESIS,
    entries: dropped,
    dropped: count,
    payments,
    rounds,
  }
}

/** Drops what was planned, inside the step that says so; the write that vouches for the checkpoint. */
export function applyCheckpoint(db: Database, plan: Checkpoint): JournalWrite {
  const { seq, hash, digest } = plan
  const retire = db.prepare('INSERT OR IGNORE INTO retired (digest) VALUES (?)')
  const dropPayment = db.prepare('DELETE FROM payments WHERE key = ?')
  const dropRound = db.prepare('DELETE FROM rounds WHERE id = ?')
  for (const record of plan.payments) {
    retire.run(retiredDigest('key', record.key))
    if (record.void !== undefined) retire.run(retiredDigest('key', record.void.key))
    if (record.state === 'SETTLED') retire.run(retiredDigest('reference', record.reference))
    dropPayment.run(record.key)
  }
  for (const id of plan.rounds) dropRound.run(id)
  db.prepare('DELETE FROM entries WHERE seq <= ?').run(seq)
  db.prepare('DELETE FROM checkpoint').run()
  db.prepare('INSERT INTO checkpoint (seq, hash, digest, snapshot) VALUES (?, ?, ?, ?)').run(
    seq,
    hash,
    digest,
    snapshotOf(plan.rows),
  )
  const [table, id] = CHECKPOINT.split(' ') as ['checkpoint', string]
  return { table, id, set: { seq, digest, dropped: plan.dropped } }
}

/** Where the chain begins, if it was ever pruned. A changed snapshot has another digest than the chain's. */
export function readCheckpoint(db: Database): ChainStart | undefined {
  const row = db.prepare('SELECT seq, hash, snapshot FROM checkpoint').get() as
    | { seq: number; hash: Uint8Array; snapshot: string }
    | undefined
  if (row === undefined) return undefined
  const hash = new Uint8Array(row.hash)
  const rows: Rows = new Map(JSON.parse(row.snapshot) as [string, Record<string, unknown>][])
  return { seq: row.seq, hash, digest: digestOf(row.seq, hash, row.snapshot), rows }
}

export function isRetired(db: Database, kind: 'key' | 'reference', value: string): boolean {
  return db.prepare('SELECT 1 FROM retired WHERE digest = ?').get(retiredDigest(kind, value)) !== undefined
}
