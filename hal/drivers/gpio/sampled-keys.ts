// Keys that are read by looking: at rest until an edge wakes it, then every 4 ms until all keys are up.
import type { Clock } from '../../base/clock.js'
import type { KeyContacts } from '../../key-contacts.js'
import type { Key } from '../../keypad.js'

const SAMPLE_MS = 4
const POLL_MS = 10
/**
 * Time between two looks counts at most so long. After a hold-up of the process one look must not pass for 20 ms of
 * watching: a contact that chattered before and after was not open all the while.
 */
const LONGEST_STEP_MS = 2 * SAMPLE_MS

export interface SampledKeys {
  /** The keys that are closed now. */
  sample(): ReadonlySet<Key>
  /** Whether any key may be closed; cheaper than `sample`. */
  anyDown(): boolean
}

export interface Sampling {
  /** An edge was seen. */
  wake(): void
  stop(): void
}

/** Begins: what is held now counts as held before. `always` for lines that raise no interrupt: looks every 10 ms. */
export function startSampling(
  source: SampledKeys,
  keys: readonly Key[],
  contacts: KeyContacts,
  clock: Clock,
  always: boolean,
  lost: (error: unknown) => void,
): Sampling {
  const stop = new AbortController()
  let looking = false
  let closed = source.sample()
  let lookedMs = clock.monotonicMs()
  let watchedMs = lookedMs

  const look = () => {
    const now = source.sample()
    const nowMs = clock.monotonicMs()
    watchedMs += Math.min(nowMs - lookedMs, LONGEST_STEP_MS)
    lookedMs = nowMs
    const before = closed
    closed = now
    for (const key of keys) {
      if (before.has(key) !== now.has(key)) contacts.edge(key, now.has(key), watchedMs)
    }
    contacts.tick(watchedMs)
  }
  const wake = async () => {
    if (looking || stop.signal.aborted) return
    looking = true
    try {
      do {
        look()
        await clock.sleep(always && contacts.idle() ? POLL_MS : SAMPLE_MS, stop.signal)
        // Whoever pressed between the last look and now raises no further edge: see before resting.
      } while (always || !contacts.idle() || source.anyDown())
    } catch (error) {
      if (!stop.signal.aborted) lost(error)
    }
    looking = false
  }
  contacts.reset(closed)
  if (always || closed.size > 0) void wake()
  return { wake: () => void wake(), stop: () => stop.abort() }
}
