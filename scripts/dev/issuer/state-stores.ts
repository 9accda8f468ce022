// Where virtual cards keep what they remember: in memory, or one JSON file a card.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CardState, CardStateStore } from './card/card-state.js'

/** Forgets with the process. */
export function memoryStore(): CardStateStore {
  const kept = new Map<string, string>()
  return {
    load: (id) => (kept.has(id) ? (JSON.parse(kept.get(id)!) as CardState) : undefined),
    save: (id, state) => void kept.set(id, JSON.stringify(state)),
  }
}

/** `<dir>/<card id>.json`, replaced whole, so that a killed process leaves the old or the new one. */
export function fileStore(dir: string): CardStateStore {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return {
    load(id) {
      try {
        return JSON.parse(readFileSync(join(dir, `${id}.json`), 'utf8')) as CardState
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
    },
    save(id, state) {
      const path = join(dir, `${id}.json`)
      const draft = `${path}.${process.pid}`
      writeFileSync(draft, JSON.stringify(state), { mode: 0o600 })
      renameSync(draft, path)
    },
  }
}
