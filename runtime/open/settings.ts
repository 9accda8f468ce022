// What the open world itself remembers between starts.
import { join } from 'node:path'
import type { Log } from '../../hal/base/log.js'
import { openDocument } from './storage.js'

interface Settings {
  /** Connections to the broker so far. */
  readonly sessionSeq: number
}

const isSettings = (value: unknown): value is Settings =>
  typeof value === 'object' && value !== null && Number.isSafeInteger((value as Settings).sessionSeq)

/** Opens the settings in `folder`. */
export function openSettings(folder: string, log: Log): { nextSession(): number } {
  const document = openDocument<Settings>(join(folder, 'settings.json'), { sessionSeq: 0 }, isSettings, log)
  return {
    nextSession: () => {
      document.data = { ...document.data, sessionSeq: document.data.sessionSeq + 1 }
      try {
        document.write()
      } catch (error) {
        // A full disk must not keep the terminal off line; the number may then be used again after a restart.
        log.error('settings.not-written', { error: (error as Error).message })
      }
      return document.data.sessionSeq
    },
  }
}
