// The SQLite file of the link: what waits to be sent, what was received, payments that apps have not taken yet.
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { PosternError } from '../../../hal/base/errors.js'
import { openSqlite, type Sqlite } from '../../../hal/base/sqlite.js'

export type LinkDatabase = Sqlite

const VERSION = 1
const SCHEMA = `
create table outbox (
  seq integer primary key autoincrement,
  id text not null unique,
  topic text not null,
  body text not null,
  at_ms integer not null
) strict;
create table inbox (
  seq integer primary key autoincrement,
  app text not null,
  id text not null,
  topic text not null,
  payload text,
  at_ms integer not null,
  acked integer not null default 0,
  unique (app, id)
) strict;
create index inbox_waiting on inbox (app, acked, seq);
create table payment_event (
  sequence integer primary key,
  app text not null,
  key text not null,
  view text not null
) strict;
`

/**
 * Opens or makes the database: WAL, on disk before a statement returns.
 * @throws PosternError `DATABASE_VERSION` for a file of a later release
 */
export function openLinkDatabase(path: string): LinkDatabase {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const database = openSqlite(path)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.pragma('busy_timeout = 2000')
  const version = database.pragma('user_version', { simple: true }) as number
  if (version === 0) {
    database.transaction(() => {
      database.exec(SCHEMA)
      database.pragma(`user_version = ${VERSION}`)
    })()
  } else if (version !== VERSION) {
    database.close()
    throw new PosternError('DATABASE_VERSION', `the link's database is of version ${version}`, { version })
  }
  return database
}
