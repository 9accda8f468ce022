// SQLite under the Node that runs: one library in two releases, as none works on every Node that Postern runs on.
import type BetterSqlite from 'better-sqlite3'

export type Sqlite = BetterSqlite.Database

/**
 * Release 12 is bound to V8 and aborts in its destructors on Node 24.19 and later (assertion in
 * RemoveEnvironmentCleanupHook); release 13 is N-API and crashes on Node 20. Both have the same API.
 */
const library = Number(process.versions.node.split('.')[0]) >= 22 ? 'better-sqlite3-napi' : 'better-sqlite3'
const { default: Database } = (await import(library)) as { default: typeof BetterSqlite }

/** Opens or makes a database file, or `:memory:`. */
export function openSqlite(path: string, options: BetterSqlite.Options = {}): Sqlite {
  return new Database(path, options)
}
