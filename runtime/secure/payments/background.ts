// The worker beside the payments: reversals first, then advices, then whatever else the acquirers are owed.
import type { Clock } from '../../../hal/base/clock.js'
import type { Lane } from './lane.js'

const FIRST_WAIT_MS = 5_000
const LONGEST_WAIT_MS = 5 * 60_000

/** Something that is owed and tried until it is answered. */
export interface Owing {
  flushDue(signal: AbortSignal): Promise<void>
  /** Milliseconds until something is due, or undefined where nothing is owed. */
  dueInMs(): number | undefined
}

export interface Background {
  /** Something is owed, or the way is free again: look what is due. */
  wake(): void
  stop(): Promise<void>
}

/**
 * Keeps sending what is owed whenever it may (there is a network and no payment is live), with bounded back-off.
 * `further` runs after it and answers whether it is done; a fault of the journal ends the worker.
 */
export function startBackground(
  deps: { readonly clock: Clock; readonly onFatal: (error: unknown) => void },
  lane: Lane,
  owing: readonly Owing[],
  mayWork: () => boolean,
  further: (signal: AbortSignal) => Promise<boolean>,
): Background {
  const ending = new AbortController()
  let nap = new AbortController()
  let woken = false

  async function rest(ms: number): Promise<void> {
    if (!woken) await deps.clock.sleep(ms, nap.signal).catch(() => undefined)
    woken = false
    nap = new AbortController()
  }
  async function work(): Promise<void> {
    while (!ending.signal.aborted) {
      let done = false
      if (mayWork()) {
        done = await lane.run(async () => {
          for (const one of owing) await one.flushDue(ending.signal)
          return further(ending.signal)
        })
      }
      const due = owing.flatMap((one) => one.dueInMs() ?? [])
      const nothingDueMs = done ? LONGEST_WAIT_MS : FIRST_WAIT_MS
      await rest(due.length === 0 ? nothingDueMs : Math.min(...due) || FIRST_WAIT_MS)
    }
  }
  const running = work().catch((error) => {
    if (!ending.signal.aborted) deps.onFatal(error)
  })
  return {
    wake() {
      woken = true
      nap.abort()
    },
    async stop() {
      ending.abort()
      nap.abort()
      await running
    },
  }
}
