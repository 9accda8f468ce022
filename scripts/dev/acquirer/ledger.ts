// The acquirer's truth: every payment, advice and reversal it has seen, on disk. SQLite, WAL, synchronous FULL.
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { PosternError } from '../../../hal/base/errors.js'
import { openSqlite, type Sqlite } from '../../../hal/base/sqlite.js'

export type EntryState =
  | 'approved'
  | 'declined'
  /** Approved, then taken back; `reason` says why. */
  | 'reversed'
  /** Its reversal came first: remembered, and refused should it ever come. */
  | 'reversedUnseen'
  /** A pre-authorisation whose amount a completion has taken. */
  | 'captured'

export type EntryKind =
  | 'sale'
  | 'refund'
  | 'preauth'
  | 'increment'
  | 'completion'
  | 'offlineSale'
  | 'offlineDecline'

export interface Entry {
  readonly id: number
  readonly kind: EntryKind
  readonly terminalId: string
  readonly merchantId: string
  readonly stan: string
  /** Of the request, MMDDhhmmss in UTC. */
  readonly transmitted: string
  /** Local time of the request, MMDDhhmmss. */
  readonly local: string
  /** Asked for; minor units, decimal. */
  readonly amountMinor: string
  /** Approved: less after a partial approval, and what counts. */
  readonly approvedMinor: string
  /** ISO 4217 numeric. */
  readonly currency: string
  readonly batch: string
  readonly receipt: string
  readonly maskedPan: string
  readonly state: EntryState
  readonly responseCode: string
  readonly authorisationCode: string | null
  readonly retrievalReference: string
  /** Why it was reversed. */
  readonly reason: string | null
  /** The pre-authorisation of an increment or completion, the sale of a linked refund. */
  readonly original: number | null
  /** How it came to be booked: asked, advised, or uploaded at the close. */
  readonly via: 'request' | 'advice' | 'upload'
  /** 1 or 0; null where the message carried none. */
  readonly pinOk: number | null
  readonly cryptogramOk: number | null
  readonly receivedAtMs: number
  readonly reversedAtMs: number | null
}

/** What names a payment for ever: STAN wraps, so time and amount count too. Dialects know one of the two times. */
export interface PaymentIdentity {
  readonly terminalId: string
  readonly stan: string
  readonly transmitted?: string | undefined
  readonly local?: string | undefined
  readonly amountMinor: string
}

/** Counts and sums of a terminal's batch, in the words of DE76, 88, 77, 89 and 74, 86, 75, 87. */
export interface LedgerTotals {
  readonly sales: number
  readonly salesMinor: string
  readonly voids: number
  readonly voidsMinor: string
  readonly refunds: number
  readonly refundsMinor: string
  readonly refundVoids: number
  readonly refundVoidsMinor: string
}

export type Booking = Omit<Entry, 'id' | 'retrievalReference'>

export interface Ledger {
  /** Without an amount check where `amountMinor` is undefined: an upload may be of less than was asked for. */
  find(
    identity: Omit<PaymentIdentity, 'amountMinor'> & { amountMinor?: string | undefined },
  ): Entry | undefined
  byId(id: number): Entry | undefined
  /** Books a payment, approved or declined, or the memory of a reversal whose payment was never seen. */
  book(entry: Booking): Entry
  reverse(id: number, reason: string, atMs: number): void
  setState(id: number, state: EntryState): void
  /** What else refers to an entry: its increments, completion, refunds. */
  referringTo(id: number): Entry[]
  entries(terminalId?: string): Entry[]
  /** Sums over a batch, or over all batches of a terminal. */
  totals(terminalId: string, currency: string, batch?: string): LedgerTotals
  /** Takes note of a key serial number; false if it was seen before. */
  useKsn(ksn: string): boolean
  close(): void
}

const COLUMNS: Readonly<Record<keyof Omit<Entry, 'id' | 'retrievalReference'>, string>> = {
  kind: "TEXT NOT NULL DEFAULT 'sale'",
  terminalId: 'TEXT NOT NULL',
  merchantId: 'TEXT NOT NULL',
  stan: 'TEXT NOT NULL',
  transmitted: 'TEXT NOT NULL',
  local: "TEXT NOT NULL DEFAULT ''",
  amountMinor: 'TEXT NOT NULL',
  approvedMinor: "TEXT NOT NULL DEFAULT '0'",
  currency: 'TEXT NOT NULL',
  batch: 'TEXT NOT NULL',
  receipt: 'TEXT NOT NULL',
  maskedPan: 'TEXT NOT NULL',
  state: 'TEXT NOT NULL',
  responseCode: 'TEXT NOT NULL',
  authorisationCode: 'TEXT',
  reason: 'TEXT',
  original: 'INTEGER',
  via: "TEXT NOT NULL DEFAULT 'request'",
  pinOk: 'INTEGER',
  cryptogramOk: 'INTEGER',
  receivedAtMs: 'INTEGER NOT NULL',
  reversedAtMs: 'INTEGER',
}
const NAMES = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[]

function prepareSchema(db: Sqlite): void {
  const columns = NAMES.map((name) => `${name} ${COLUMNS[name]}`).join(', ')
  db.exec(`CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY AUTOINCREMENT, ${columns},
      UNIQUE (terminalId, stan, transmitted, amountMinor));
    CREATE TABLE IF NOT EXISTS ksn (ksn TEXT PRIMARY KEY) WITHOUT ROWID;`)
  const there = new Set((db.pragma('table_info(entry)') as { name: string }[]).map(({ name }) => name))
  for (const name of NAMES.filter((one) => !there.has(one))) {
    db.exec(`ALTER TABLE entry ADD COLUMN ${name} ${COLUMNS[name]}`)
    if (name === 'approvedMinor')
      db.exec("UPDATE entry SET approvedMinor = amountMinor WHERE state <> 'declined'")
  }
}

type Row = Omit<Entry, 'retrievalReference'>

const withReference = (row: Row): Entry => ({ ...row, retrievalReference: String(row.id).padStart(12, '0') })

/** Opens the ledger file, or makes it. @throws PosternError `LEDGER_FAILED` */
export function openLedger(path: string): Ledger {
  mkdirSync(dirname(path), { recursive: true })
  const db = openSqlite(path)
  db.pragma('journal_mode = WAL')
  // Switching to WAL lowers it silently, so it is set after and read back.
  db.pragma('synchronous = FULL')
  if (db.pragma('synchronous', { simple: true }) !== 2)
    throw new PosternError('LEDGER_FAILED', 'the ledger is not durable')
  prepareSchema(db)
  const ofStan = db.prepare<[string, string], Row>(
    'SELECT * FROM entry WHERE terminalId = ? AND stan = ? ORDER BY id DESC',
  )
  const insert = db.prepare(
    `INSERT INTO entry (${NAMES.join(', ')}) VALUES (${NAMES.map((name) => `@${name}`).join(', ')})`,
  )
  const reverse = db.prepare("UPDATE entry SET state = 'reversed', reason = ?, reversedAtMs = ? WHERE id = ?")
  const setState = db.prepare('UPDATE entry SET state = ? WHERE id = ?')
  const all = db.prepare<[], Row>('SELECT * FROM entry ORDER BY id')
  const byId = db.prepare<[number], Row>('SELECT * FROM entry WHERE id = ?')
  const referring = db.prepare<[number], Row>('SELECT * FROM entry WHERE original = ? ORDER BY id')
  const ksn = db.prepare('INSERT OR IGNORE INTO ksn (ksn) VALUES (?)')
  return {
    find({ terminalId, stan, transmitted, local, amountMinor }) {
      const row = ofStan.all(terminalId, stan).find(
        (one) =>
          // What was reversed unseen is known by the one time that its dialect says.
          (transmitted === undefined || one.transmitted === ''
            ? one.local === local
            : one.transmitted === transmitted) &&
          (amountMinor === undefined || one.amountMinor === amountMinor),
      )
      return row && withReference(row)
    },
    byId(id) {
      const row = byId.get(id)
      return row && withReference(row)
    },
    book(entry) {
      const { lastInsertRowid } = insert.run(entry)
      return withReference({ ...entry, id: Number(lastInsertRowid) })
    },
    reverse: (id, reason, atMs) => void reverse.run(reason, atMs, id),
    setState: (id, state) => void setState.run(state, id),
    referringTo: (id) => referring.all(id).map(withReference),
    entries: (terminalId) =>
      all
        .all()
        .map(withReference)
        .filter((entry) => terminalId === undefined || entry.terminalId === terminalId),
    totals(terminalId, currency, batch) {
      return sumUp(
        this.entries(terminalId).filter(
          (entry) =>
            entry.currency === currency && (batch === undefined || Number(entry.batch) === Number(batch)),
        ),
      )
    },
    useKsn: (value) => ksn.run(value).changes === 1,
    close: () => db.close(),
  }
}

/** Kinds that move money; a pre-authorisation and its increments only hold it. */
const BOOKED_AS: Readonly<Partial<Record<EntryKind, 'sales' | 'refunds'>>> = {
  sale: 'sales',
  completion: 'sales',
  offlineSale: 'sales',
  refund: 'refunds',
}

/** Counts as totals messages do: a voided payment is a payment and a void, one reversed for another reason never was. */
export function sumUp(entries: readonly Entry[]): LedgerTotals {
  const counts = { sales: 0, voids: 0, refunds: 0, refundVoids: 0 }
  const sums = { sales: 0n, voids: 0n, refunds: 0n, refundVoids: 0n }
  const add = (what: keyof typeof counts, minor: string) => {
    counts[what]++
    sums[what] += BigInt(minor)
  }
  for (const { kind, state, reason, approvedMinor } of entries) {
    const booked = BOOKED_AS[kind]
    if (booked === undefined) continue
    const voided = state === 'reversed' && reason === 'void'
    if (state === 'approved' || voided) add(booked, approvedMinor)
    if (voided) add(booked === 'sales' ? 'voids' : 'refundVoids', approvedMinor)
  }
  return {
    sales: counts.sales,
    salesMinor: sums.sales.toString(),
    voids: counts.voids,
    voidsMinor: sums.voids.toString(),
    refunds: counts.refunds,
    refundsMinor: sums.refunds.toString(),
    refundVoids: counts.refundVoids,
    refundVoidsMinor: sums.refundVoids.toString(),
  }
}

/** What the merchant is owed, minor units. */
export const netMinor = (totals: LedgerTotals): bigint =>
  BigInt(totals.salesMinor) -
  BigInt(totals.voidsMinor) -
  BigInt(totals.refundsMinor) +
  BigInt(totals.refundVoidsMinor)
