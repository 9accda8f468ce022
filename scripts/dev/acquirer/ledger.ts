// The acquirer's truth: every sale and reversal it has seen, on disk. SQLite, WAL, synchronous FULL.
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { PosternError } from '../../../hal/base/errors.js'
import { REVERSAL_REASONS } from '../../../runtime/secure/payments/iso8583/dialects/postern-dev.js'

export type EntryState =
  | 'approved'
  | 'declined'
  /** Approved, then taken back; `reason` says why. */
  | 'reversed'
  /** Its reversal came first: remembered, and refused should it ever come. */
  | 'reversedUnseen'

export interface Entry {
  readonly id: number
  readonly terminalId: string
  readonly merchantId: string
  readonly stan: string
  /** DE7 of the request, MMDDhhmmss in UTC. */
  readonly transmitted: string
  /** Minor units, decimal. */
  readonly amountMinor: string
  /** ISO 4217 numeric. */
  readonly currency: string
  readonly batch: string
  readonly receipt: string
  readonly maskedPan: string
  readonly state: EntryState
  readonly responseCode: string
  readonly authorisationCode: string | null
  readonly retrievalReference: string
  /** DE39 of the reversal. */
  readonly reason: string | null
  /** 1 or 0; null where the message carried none. */
  readonly pinOk: number | null
  readonly cryptogramOk: number | null
  readonly receivedAtMs: number
  readonly reversedAtMs: number | null
}

/** What names a sale for ever: STAN wraps, so time and amount count too. */
export type SaleIdentity = Pick<Entry, 'terminalId' | 'stan' | 'transmitted' | 'amountMinor'>

/** Counts and sums of a terminal's batch, in the words of DE76, 88, 77 and 89. */
export interface LedgerTotals {
  readonly sales: number
  readonly salesMinor: string
  readonly voids: number
  readonly voidsMinor: string
}

export interface Ledger {
  find(identity: SaleIdentity): Entry | undefined
  /** Books a sale, approved or declined, or the memory of a reversal whose sale was never seen. */
  book(entry: Omit<Entry, 'id' | 'retrievalReference'>): Entry
  reverse(id: number, reason: string, atMs: number): void
  entries(terminalId?: string): Entry[]
  /** Sums over a batch, or over all batches of a terminal. */
  totals(terminalId: string, currency: string, batch?: string): LedgerTotals
  /** Takes note of a key serial number; false if it was seen before. */
  useKsn(ksn: string): boolean
  close(): void
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS entry (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  terminalId TEXT NOT NULL, merchantId TEXT NOT NULL, stan TEXT NOT NULL, transmitted TEXT NOT NULL,
  amountMinor TEXT NOT NULL, currency TEXT NOT NULL, batch TEXT NOT NULL, receipt TEXT NOT NULL,
  maskedPan TEXT NOT NULL, state TEXT NOT NULL, responseCode TEXT NOT NULL, authorisationCode TEXT,
  reason TEXT, pinOk INTEGER, cryptogramOk INTEGER, receivedAtMs INTEGER NOT NULL, reversedAtMs INTEGER,
  UNIQUE (terminalId, stan, transmitted, amountMinor)
);
CREATE TABLE IF NOT EXISTS ksn (ksn TEXT PRIMARY KEY) WITHOUT ROWID;
`

type Row = Omit<Entry, 'retrievalReference'>

const withReference = (row: Row): Entry => ({ ...row, retrievalReference: String(row.id).padStart(12, '0') })

/** Opens the ledger file, or makes it. @throws PosternError `LEDGER_FAILED` */
export function openLedger(path: string): Ledger {
  mkdirSync(dirname(path), { recursive: true })
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  // Switching to WAL lowers it silently, so it is set after and read back.
  db.pragma('synchronous = FULL')
  if (db.pragma('synchronous', { simple: true }) !== 2)
    throw new PosternError('LEDGER_FAILED', 'the ledger is not durable')
  db.exec(SCHEMA)
  const find = db.prepare<SaleIdentity, Row>(
    'SELECT * FROM entry WHERE terminalId = @terminalId AND stan = @stan AND transmitted = @transmitted AND amountMinor = @amountMinor',
  )
  const insert = db.prepare(`INSERT INTO entry
    (terminalId, merchantId, stan, transmitted, amountMinor, currency, batch, receipt, maskedPan, state, responseCode,
     authorisationCode, reason, pinOk, cryptogramOk, receivedAtMs, reversedAtMs)
    VALUES (@terminalId, @merchantId, @stan, @transmitted, @amountMinor, @currency, @batch, @receipt, @maskedPan, @state,
     @responseCode, @authorisationCode, @reason, @pinOk, @cryptogramOk, @receivedAtMs, @reversedAtMs)`)
  const reverse = db.prepare("UPDATE entry SET state = 'reversed', reason = ?, reversedAtMs = ? WHERE id = ?")
  const all = db.prepare<[], Row>('SELECT * FROM entry ORDER BY id')
  const ksn = db.prepare('INSERT OR IGNORE INTO ksn (ksn) VALUES (?)')
  return {
    find(identity) {
      const row = find.get(identity)
      return row && withReference(row)
    },
    book(entry) {
      const { lastInsertRowid } = insert.run(entry)
      return withReference({ ...entry, id: Number(lastInsertRowid) })
    },
    reverse: (id, reason, atMs) => void reverse.run(reason, atMs, id),
    entries: (terminalId) =>
      all
        .all()
        .map(withReference)
        .filter((entry) => terminalId === undefined || entry.terminalId === terminalId),
    totals(terminalId, currency, batch) {
      return sumUp(
        this.entries(terminalId).filter(
          (entry) => entry.currency === currency && (batch === undefined || entry.batch === batch),
        ),
      )
    },
    useKsn: (value) => ksn.run(value).changes === 1,
    close: () => db.close(),
  }
}

/** Counts as DE76, 88, 77, 89 do: a voided sale is a sale and a void, one reversed for another reason never was. */
export function sumUp(entries: readonly Entry[]): LedgerTotals {
  let [sales, salesMinor, voids, voidsMinor] = [0, 0n, 0, 0n]
  for (const { state, reason, amountMinor } of entries) {
    const voided = state === 'reversed' && reason === REVERSAL_REASONS.voidedByOperator
    if (state === 'approved' || voided) {
      sales++
      salesMinor += BigInt(amountMinor)
    }
    if (voided) {
      voids++
      voidsMinor += BigInt(amountMinor)
    }
  }
  return { sales, salesMinor: salesMinor.toString(), voids, voidsMinor: voidsMinor.toString() }
}
