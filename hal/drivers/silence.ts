// A watch for silence on a wire: what is called when nothing has come for a while.
import type { Clock } from '../base/clock.js'

/** A process that was held up finds its timers due before its bytes: they get this long to come in. */
const CATCH_UP_MS = 20

export interface Silence {
  /** Something came: the wait begins anew. */
  heard(): void
  /** Nothing is waited for any more. */
  stop(): void
}

/** Calls `work` once, `ms` after the last `heard`, unless `signal` fires first. */
export function onSilence(clock: Clock, ms: number, signal: AbortSignal, work: () => void): Silence {
  let waiting: AbortController | undefined
  const wait = async (own: AbortController) => {
    const either = AbortSignal.any([own.signal, signal])
    await clock.sleep(ms, either)
    await clock.sleep(CATCH_UP_MS, either)
    if (!either.aborted) work()
  }
  return {
    heard() {
      waiting?.abort()
      waiting = new AbortController()
      wait(waiting).catch(() => undefined)
    },
    stop: () => waiting?.abort(),
  }
}
