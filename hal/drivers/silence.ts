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

/**
 * Calls `work` once, `ms` after the last `heard`, unless `signal` fires first. One timer at a time, however much comes:
 * nothing piles up on a signal that lives as long as the device.
 */
export function onSilence(clock: Clock, ms: number, signal: AbortSignal, work: () => void): Silence {
  let dueMs: number | undefined
  let running = false

  async function run(): Promise<void> {
    running = true
    try {
      while (dueMs !== undefined) {
        const waitMs = dueMs - clock.monotonicMs()
        if (waitMs > 0) {
          await clock.sleep(waitMs, signal)
          continue
        }
        const due = dueMs
        await clock.sleep(CATCH_UP_MS, signal)
        if (dueMs !== due) continue
        dueMs = undefined
        work()
      }
    } catch {
      // The device closes.
    } finally {
      running = false
    }
  }
  return {
    heard() {
      dueMs = clock.monotonicMs() + ms
      if (!running && !signal.aborted) void run()
    },
    stop() {
      dueMs = undefined
    },
  }
}
