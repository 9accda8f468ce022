// Apps stand still while a PIN is typed, also those of an open world that was started anew meanwhile.
import type { Log } from '../../hal/base/log.js'
import type { OpenClient } from './bridge-server.js'

/** How long apps may take to stand still before a PIN is asked for. */
const FREEZE_MS = 2500

export interface AppFreeze {
  /** Resolves when no app runs. @throws as the bridge does: then no PIN may be asked for */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /** An open world has connected: while a PIN is being typed, its apps are stopped as well. */
  connected(): void
}

/** `open` is the open world that is connected, or undefined: with none there is no app that runs. */
export function createAppFreeze(
  open: () => Pick<OpenClient, 'apps.freeze' | 'apps.thaw'> | undefined,
  log: Log,
): AppFreeze {
  let frozen = false
  return {
    async freeze() {
      frozen = true
      await open()?.['apps.freeze'](null, AbortSignal.timeout(FREEZE_MS))
    },
    async thaw() {
      frozen = false
      await open()?.['apps.thaw'](null, AbortSignal.timeout(FREEZE_MS))
    },
    connected() {
      if (!frozen) return
      open()
        ?.['apps.freeze'](null, AbortSignal.timeout(FREEZE_MS))
        .catch((error: unknown) => log.error('apps.not-frozen', { error }))
    },
  }
}
