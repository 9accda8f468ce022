// The journal's file: opened so that a commit is on disk, its tables brought up to date, its statements prepared.
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { PosternError } from '../../../hal/base/errors.js'
import { openSqlite, type Sqlite } from '../../../hal/base/sqlite.js'
import type { JournalEntry } from './journal-chain.js'
import { migrate } from './journal-schema.js'

/**
 * Opens or makes the file, mode 0600 in a folder of mode 0700: WAL, synchronous FULL, read back.
 * @throws PosternError `JOURNAL_UNSAFE`, `JOURNAL_NEWER`
 */
export function openDatabase(path: string): Sqlite {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600)) // SQLite gives its WAL the database's own mode
  const db = openSqlite(path, { timeout: 2000 })
  db.pragma('page_size = 1024') // a payment writes 33 KB of WAL so; with pages of 4 KiB it is 107
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL') // after WAL: better-sqlite3 lowers it to NORMAL on the switch
  db.pragma('trusted_schema = OFF')
  const mode = db.pragma('journal_mode', { simple: true })
  const synchronous = db.pragma('synchronous', { simple: true })
  if (mode !== 'wal' || synchronous !== 2) {
    db.close()
    throw new PosternError('JOURNAL_UNSAFE', 'the journal cannot be made durable (WAL, synchronous FULL)', {
      mode: String(mode),
      synchronous: String(synchronous),
    })
  }
  migrate(db)
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
  return db
}

/** The statements of the journal. */
export function prepareStatements(db: Sqlite) {
  return {
    lastEntries: db.prepare('SELECT seq, at_ms, step, body, hash FROM entries ORDER BY seq DESC LIMIT 2'),
    addEntry: db.prepare('INSERT INTO entries (seq, at_ms, step, body, hash) VALUES (?, ?, ?, ?, ?)'),
    counter: db.prepare('SELECT value FROM counters WHERE name = ?').pluck(),
    // Of a payment that is open, or of a batch that is: it may yet be named by a void.
    stanInUse: db.prepare(
      `SELECT 1 FROM payments
       WHERE (open = 1 OR round IN (SELECT id FROM rounds WHERE open = 1))
       AND @stan IN (json_extract(record, '$.stan'), json_extract(record, '$.reversal.stan'),
         json_extract(record, '$.advice.own.stan')) LIMIT 1`,
    ),
    setCounter: db.prepare('INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)'),
    payment: db.prepare('SELECT record FROM payments WHERE key = ?'),
    addPayment: db.prepare(
      'INSERT INTO payments (key, state, open, round, reference, void_key, record) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    setPayment: db.prepare(
      'UPDATE payments SET state = ?, open = ?, round = ?, void_key = ?, record = ? WHERE key = ?',
    ),
    byVoidKey: db.prepare('SELECT record FROM payments WHERE void_key = ?'),
    open: db.prepare('SELECT record FROM payments WHERE open = 1 ORDER BY rowid'),
    unsigned: db.prepare(
      `SELECT record FROM payments INDEXED BY payments_unsigned
       WHERE json_extract(record, '$.fiscal.state') = 'owed' OR json_extract(record, '$.void.fiscal.state') = 'owed' ORDER BY rowid`,
    ),
    ofRound: db.prepare('SELECT record FROM payments WHERE round = ? ORDER BY rowid'),
    ofReference: db.prepare('SELECT record FROM payments WHERE reference = ? ORDER BY rowid'),
    ofCard: db.prepare(
      "SELECT record FROM payments WHERE round = ? AND json_extract(record, '$.cardToken') = ? ORDER BY rowid DESC",
    ),
    list: db.prepare('SELECT record FROM payments ORDER BY rowid DESC LIMIT ?'),
    round: db.prepare('SELECT record FROM rounds WHERE id = ?'),
    openRounds: db.prepare('SELECT record FROM rounds WHERE open = 1 ORDER BY rowid'),
    lastRound: db.prepare('SELECT record FROM rounds ORDER BY rowid DESC LIMIT 1'),
    putRound: db.prepare(
      'INSERT INTO rounds (id, open, record) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET open = excluded.open, record = excluded.record',
    ),
    addChange: db.prepare('INSERT INTO changes (key, app) VALUES (?, ?)'),
    dropChange: db.prepare('DELETE FROM changes WHERE sequence = ?'),
    changes: db.prepare('SELECT sequence, key, app FROM changes ORDER BY sequence LIMIT ?'),
    attempts: db.prepare('SELECT record FROM attempts WHERE operator = ?'),
    setAttempts: db.prepare('INSERT OR REPLACE INTO attempts (operator, record) VALUES (?, ?)'),
    host: db.prepare('SELECT record FROM hosts WHERE acquirer = ?'),
    setHost: db.prepare('INSERT OR REPLACE INTO hosts (acquirer, record) VALUES (?, ?)'),
    ofOriginal: db.prepare(
      "SELECT record FROM payments WHERE json_extract(record, '$.original') = ? ORDER BY rowid",
    ),
    entries: db.prepare('SELECT seq, at_ms, step, body, hash FROM entries ORDER BY seq'),
    count: db.prepare('SELECT count(*) FROM entries').pluck(),
    touching: db.prepare(
      `SELECT seq, at_ms, step, body, hash FROM entries
       WHERE EXISTS (SELECT 1 FROM json_each(entries.body) WHERE json_extract(value, '$.id') = ?) ORDER BY seq`,
    ),
  }
}

/** A row of `entries`. */
export const entryOf = (row: unknown): JournalEntry => {
  const { seq, at_ms, step, body, hash } = row as {
    seq: number
    at_ms: number
    step: string
    body: string
    hash: Uint8Array
  }
  return { seq, atMs: at_ms, step, body, hash: new Uint8Array(hash) }
}
