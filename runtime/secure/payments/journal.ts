// The journal: every step of every payment on disk before it acts. SQLite, WAL, synchronous FULL, one hash chain.
import type Database from 'better-sqlite3'
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import type { HostRecord } from './host-record.js'
import {
  entryHash,
  GENESIS,
  type JournalEntry,
  type JournalWrite,
  patchOf,
  type Verdict,
  verifyChain,
} from './journal-chain.js'
import {
  applyCheckpoint,
  type Checkpoint,
  isRetired,
  planCheckpoint,
  readCheckpoint,
} from './journal-checkpoint.js'
import { entryOf, openDatabase, prepareStatements } from './journal-database.js'
import type { PaymentRecord, RoundRecord } from './payment-record.js'
import { UNRESOLVED_STATES } from './payment-states.js'

/** Numbers that are reserved durably and never given twice. `stan` has six digits in ISO 8583 and wraps. */
const COUNTERS = {
  stan: { max: 999_999, wraps: true },
  sequence: { max: 99_999_999, wraps: false },
  receipt: { max: 999_999_999, wraps: false },
  batch: { max: 999_999, wraps: false },
} as const
export type CounterName = keyof typeof COUNTERS

/** Wrong codes of an operator since the last right one. */
export interface OperatorAttempts {
  readonly failures: number
  readonly lockedUntilMs: number
}

export interface Change {
  readonly sequence: number
  readonly key: string
  readonly app: string
}

/** The writes of one durable step. All of them are on disk when `commit` returns, or none is. */
export interface JournalStep {
  /** The next number, taken with this step. @throws PosternError `COUNTER_EXHAUSTED` */
  reserve(counter: CounterName): number
  putPayment(record: PaymentRecord): void
  putRound(record: RoundRecord): void
  /** The outcome of a payment changed: the open world is told until it acknowledges. */
  queueChange(key: string, app: string): void
  dropChange(sequence: number): void
  putAttempts(operator: string, attempts: OperatorAttempts): void
  /** What is known of an acquirer; no money, and outside of the hash chain (README, "Releases side by side"). */
  putHost(record: HostRecord): void
}

export interface Journal {
  /** One durable step (one flush). @throws PosternError `JOURNAL_FAILED`; from then on every commit does */
  commit<T>(step: string, write: (step: JournalStep) => T): T
  payment(key: string): PaymentRecord | undefined
  /** The payment that was taken back under this key. */
  paymentByVoidKey(key: string): PaymentRecord | undefined
  /** Payments that are not final, oldest first. */
  openPayments(): PaymentRecord[]
  /** Payments with a fiscal signature that is owed, whatever became of them, oldest first. */
  unsigned(): PaymentRecord[]
  paymentsOfRound(round: string): PaymentRecord[]
  paymentsOfReference(reference: string): PaymentRecord[]
  /** Payments of a round with one card, newest first. */
  paymentsOfCard(round: string, cardToken: string): PaymentRecord[]
  /** Refunds, increments and completions of a payment, oldest first. */
  paymentsOfOriginal(original: string): PaymentRecord[]
  /** True where a payment of that key or reference was settled and has been pruned. */
  retired(kind: 'key' | 'reference', value: string): boolean
  round(id: string): RoundRecord | undefined
  /** Rounds that are not closed, or whose totals the acquirer has not compared yet. */
  openRounds(): RoundRecord[]
  /** The round that was opened last. */
  lastRound(): RoundRecord | undefined
  /** Oldest first. */
  changes(limit: number): Change[]
  attempts(operator: string): OperatorAttempts
  host(acquirer: string): HostRecord | undefined
  /** The newest payments first. */
  list(limit: number): PaymentRecord[]
  /** Every entry that touched a payment or round. */
  show(id: string): JournalEntry[]
  verify(): Verdict
  /** How many entries it holds. */
  size(): number
  /** The entries it holds, oldest first, and the hash of the one before the first. */
  chain(): { readonly previous: Uint8Array; readonly entries: Iterable<JournalEntry> }
  /**
   * Drops what is settled and older than `beforeMs`, after `keep` has put those entries safely elsewhere: one durable
   * step, over which the chain goes on. Returns the number of entries dropped.
   */
  prune(beforeMs: number, keep: (checkpoint: Checkpoint) => void): number
  close(): void
}

const OPEN_STATES: ReadonlySet<string> = new Set(UNRESOLVED_STATES)
const isOpenRound = (round: RoundRecord) => round.state !== 'CLOSED' || round.comparisonOwed === true

const parse = <T>(row: unknown): T => JSON.parse((row as { record: string }).record) as T

/**
 * Opens or makes the journal at `path`, mode 0600 in a folder of mode 0700. `onFailed` hears of the first `JOURNAL_FAILED`,
 * whoever wrote: a sign-in that can no longer count its tries must end the process just as a payment does.
 * @throws PosternError `JOURNAL_UNSAFE`, `JOURNAL_NEWER`, `JOURNAL_BROKEN` when its last entries do not hold together
 */
export function openJournal(
  path: string,
  clock: Clock,
  onFailed: (error: PosternError) => void = () => undefined,
): Journal {
  const db = openDatabase(path)
  const sql = prepareStatements(db)
  const [last, before] = sql.lastEntries.all().map(entryOf)
  if (last !== undefined) {
    const expected = entryHash(before?.hash ?? GENESIS, last)
    if (!Buffer.from(expected).equals(last.hash)) {
      db.close()
      throw new PosternError('JOURNAL_BROKEN', 'the last entry of the journal does not fit its hash', {
        entry: last.seq,
      })
    }
  }
  let head: Uint8Array = last?.hash ?? GENESIS
  let seq = last?.seq ?? 0
  let failure: PosternError | undefined

  const find = <T>(statement: Database.Statement, ...args: (string | number)[]): T | undefined => {
    const row = statement.get(...args)
    return row === undefined ? undefined : parse<T>(row)
  }
  const all = <T>(statement: Database.Statement, ...args: (string | number)[]): T[] =>
    statement.all(...args).map((row) => parse<T>(row))

  function reserve(name: CounterName, writes: JournalWrite[]): number {
    const { max, wraps } = COUNTERS[name]
    const isTaken = (stan: number) => wraps && sql.stanInUse.get({ stan }) !== undefined
    let value = Number(sql.counter.get(name) ?? 0)
    do {
      if (value >= max && !wraps)
        throw new PosternError('COUNTER_EXHAUSTED', `no ${name} number is left`, { counter: name, max })
      value = value >= max ? 1 : value + 1
    } while (isTaken(value))
    sql.setCounter.run(name, value)
    writes.push({ table: 'counters', id: name, set: { value } })
    return value
  }

  function stepOf(writes: JournalWrite[]): JournalStep {
    /** Fields are added and replaced, never taken away: what a writer does not mention stays as it is. */
    function log<T extends object>(
      table: JournalWrite['table'],
      id: string,
      before: T | undefined,
      after: T,
    ): T {
      const set = patchOf(before, after)
      writes.push({ table, id, set })
      return { ...before, ...set } as T
    }
    return {
      reserve: (counter) => reserve(counter, writes),
      putPayment(record) {
        const before = find<PaymentRecord>(sql.payment, record.key)
        const after = log('payments', record.key, before, record)
        const open = OPEN_STATES.has(after.state) ? 1 : 0
        const voidKey = after.void?.key ?? null
        const json = JSON.stringify(after)
        if (before === undefined)
          sql.addPayment.run(after.key, after.state, open, after.round, after.reference, voidKey, json)
        else sql.setPayment.run(after.state, open, after.round, voidKey, json, after.key)
      },
      putRound(record) {
        const after = log('rounds', record.id, find<RoundRecord>(sql.round, record.id), record)
        sql.putRound.run(after.id, isOpenRound(after) ? 1 : 0, JSON.stringify(after))
      },
      queueChange(key, app) {
        const sequence = Number(sql.addChange.run(key, app).lastInsertRowid)
        log('changes', String(sequence), undefined, { key, app })
      },
      dropChange(sequence) {
        if (sql.dropChange.run(sequence).changes > 0)
          writes.push({ table: 'changes', id: String(sequence), set: null })
      },
      putAttempts(operator, attempts) {
        log('attempts', operator, find<OperatorAttempts>(sql.attempts, operator), attempts)
        sql.setAttempts.run(operator, JSON.stringify(attempts))
      },
      putHost(record) {
        const before = find<HostRecord>(sql.host, record.acquirer)
        sql.setHost.run(record.acquirer, JSON.stringify({ ...before, ...record }))
      },
    }
  }

  const commit = <T>(step: string, write: (step: JournalStep) => T): T => commitWrites(step, write)

  function commitWrites<T>(step: string, write: (step: JournalStep, writes: JournalWrite[]) => T): T {
    if (failure !== undefined) throw failure
    const writes: JournalWrite[] = []
    let hash = head
    try {
      const result = db
        .transaction(() => {
          const value = write(stepOf(writes), writes)
          const entry = { seq: seq + 1, atMs: clock.nowMs(), step, body: JSON.stringify(writes) }
          hash = entryHash(head, entry)
          sql.addEntry.run(entry.seq, entry.atMs, entry.step, entry.body, hash)
          return value
        })
        .immediate()
      head = hash
      seq += 1
      return result
    } catch (error) {
      if (isPosternError(error)) throw error // the writer's own refusal: nothing was written
      failure = new PosternError('JOURNAL_FAILED', 'the journal cannot be written', { step }, error)
      onFailed(failure)
      throw failure
    }
  }

  function* rows() {
    for (const table of ['payments', 'rounds', 'attempts'] as const) {
      const id = { payments: 'key', rounds: 'id', attempts: 'operator' }[table]
      for (const row of db.prepare(`SELECT ${id} AS id, record FROM ${table}`).all() as { id: string }[])
        yield { table, id: row.id, record: parse<object>(row) }
    }
    const counters = db.prepare('SELECT name, value FROM counters').all() as { name: string; value: number }[]
    for (const { name, value } of counters) yield { table: 'counters' as const, id: name, record: { value } }
    const changes = db.prepare('SELECT sequence, key, app FROM changes').all() as Change[]
    for (const { sequence, key, app } of changes)
      yield { table: 'changes' as const, id: String(sequence), record: { key, app } }
  }
  function* entries() {
    for (const row of sql.entries.iterate()) yield entryOf(row)
  }

  return {
    commit,
    payment: (key) => find(sql.payment, key),
    paymentByVoidKey: (key) => find(sql.byVoidKey, key),
    openPayments: () => all(sql.open),
    unsigned: () => all(sql.unsigned),
    paymentsOfRound: (round) => all(sql.ofRound, round),
    paymentsOfReference: (reference) => all(sql.ofReference, reference),
    paymentsOfOriginal: (original) => all(sql.ofOriginal, original),
    retired: (kind, value) => isRetired(db, kind, value),
    paymentsOfCard: (round, cardToken) => all(sql.ofCard, round, cardToken),
    round: (id) => find(sql.round, id),
    openRounds: () => all(sql.openRounds),
    lastRound: () => find(sql.lastRound),
    changes: (limit) => sql.changes.all(limit) as Change[],
    attempts: (operator) => find(sql.attempts, operator) ?? { failures: 0, lockedUntilMs: 0 },
    host: (acquirer) => find(sql.host, acquirer),
    list: (limit) => all(sql.list, limit),
    show: (id) => sql.touching.all(id).map(entryOf),
    verify: () => verifyChain(entries(), rows(), readCheckpoint(db)),
    size: () => Number(sql.count.get()),
    chain: () => ({ previous: readCheckpoint(db)?.hash ?? GENESIS, entries: entries() }),
    prune(beforeMs, keep) {
      const plan = planCheckpoint(readCheckpoint(db), entries(), beforeMs)
      if (plan === undefined) return 0
      keep(plan)
      commitWrites('journal.pruned', (_, writes) => writes.push(applyCheckpoint(db, plan)))
      db.pragma('wal_checkpoint(TRUNCATE)')
      return plan.dropped
    },
    close: () => db.close(),
  }
}
