// The journal's tables and their migrations, by SQLite's user_version.
import type { Database } from 'better-sqlite3'
import { PosternError } from '../../../hal/base/errors.js'

interface Migration {
  readonly version: number
  /** The oldest release's schema version that may still write this one; its columns must keep their meaning. */
  readonly writableFrom: number
  readonly sql: string
}

/** In order; never edited once released, only appended to. */
const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    writableFrom: 1,
    sql: `
      CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE entries (
        seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, step TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL
      );
      CREATE TABLE payments (
        key TEXT PRIMARY KEY, state TEXT NOT NULL, open INTEGER NOT NULL, round TEXT NOT NULL,
        reference TEXT NOT NULL, void_key TEXT, record TEXT NOT NULL
      );
      CREATE INDEX payments_open ON payments (open) WHERE open = 1;
      CREATE INDEX payments_round ON payments (round);
      CREATE INDEX payments_reference ON payments (reference);
      CREATE UNIQUE INDEX payments_void ON payments (void_key) WHERE void_key IS NOT NULL;
      CREATE TABLE rounds (id TEXT PRIMARY KEY, open INTEGER NOT NULL, record TEXT NOT NULL);
      CREATE INDEX rounds_open ON rounds (open) WHERE open = 1;
      CREATE TABLE changes (sequence INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, app TEXT NOT NULL);
      CREATE TABLE attempts (operator TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
    `,
  },
  {
    // A release of version 1 goes on writing it: it adds entries and rows as before, and knows nothing of the rest.
    version: 2,
    writableFrom: 1,
    sql: `
      CREATE TABLE checkpoint (
        seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, digest TEXT NOT NULL, snapshot TEXT NOT NULL
      );
      CREATE TABLE retired (digest BLOB PRIMARY KEY) WITHOUT ROWID;
      CREATE INDEX payments_original ON payments (json_extract(record, '$.original'))
        WHERE json_extract(record, '$.original') IS NOT NULL;
    `,
  },
  {
    // Of acquirers, not of money: a release of version 1 or 2 leaves it alone, and what it missed is asked for again.
    version: 3,
    writableFrom: 1,
    sql: 'CREATE TABLE hosts (acquirer TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;',
  },
  {
    // Only finds what is in the records already.
    version: 4,
    writableFrom: 1,
    sql: `
      CREATE INDEX payments_unsigned ON payments (key)
        WHERE json_extract(record, '$.fiscal.state') = 'owed'
          OR json_extract(record, '$.void.fiscal.state') = 'owed';
    `,
  },
]
const NEWEST = MIGRATIONS[MIGRATIONS.length - 1]!.version

/**
 * Brings a database to this release's schema, each migration in one transaction.
 * @throws PosternError `JOURNAL_NEWER` when a newer release wrote it and says that this one may not
 */
export function migrate(db: Database): void {
  const found = Number(db.pragma('user_version', { simple: true }))
  if (found > NEWEST) {
    const row = db.prepare("SELECT value FROM meta WHERE name = 'writableFrom'").get() as
      | { value: string }
      | undefined
    if (row !== undefined && Number(row.value) <= NEWEST) return
    throw new PosternError(
      'JOURNAL_NEWER',
      `the journal has version ${found}, this release knows ${NEWEST}`,
      {
        found,
        known: NEWEST,
      },
    )
  }
  for (const migration of MIGRATIONS.filter(({ version }) => version > found)) {
    db.transaction(() => {
      db.exec(migration.sql)
      db.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES ('writableFrom', ?)").run(
        String(migration.writableFrom),
      )
      db.pragma(`user_version = ${migration.version}`)
    }).immediate()
  }
}
