// What the issuer remembers of each card: last ATC and answer, wrong PINs, PIN offsets; no PIN, no PAN.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** One card's account, plain JSON. */
export interface CardAccount {
  readonly lastAtc: number
  /** Hex. */
  readonly lastArqc: string | undefined
  readonly lastAnswer:
    | {
        readonly responseCode: string
        readonly authentication: string | undefined
        readonly scripts: readonly string[]
        readonly pinOk: boolean | undefined
      }
    | undefined
  readonly wrongPins: number
  /** IBM 3624 offsets of the PINs that are right. */
  readonly pinOffsets: readonly string[]
}

/** Accounts by card and application. */
export interface IssuerBooks {
  load(key: string): CardAccount | undefined
  save(key: string, account: CardAccount): void
}

/** Forgets with the process. */
export function memoryBooks(): IssuerBooks {
  const kept = new Map<string, CardAccount>()
  return { load: (key) => kept.get(key), save: (key, account) => void kept.set(key, account) }
}

/** One JSON file, replaced whole; must live as long as the cards' own state, or their counters look played back. */
export function fileBooks(path: string): IssuerBooks {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const kept = new Map<string, CardAccount>(Object.entries(readJson(path)))
  return {
    load: (key) => kept.get(key),
    save(key, account) {
      kept.set(key, account)
      const draft = `${path}.${process.pid}`
      writeFileSync(draft, JSON.stringify(Object.fromEntries(kept)), { mode: 0o600 })
      renameSync(draft, path)
    },
  }
}

function readJson(path: string): Record<string, CardAccount> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, CardAccount>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}
