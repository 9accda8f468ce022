// A token bucket: bursts are welcome, floods are not.
import type { Clock } from '../../../hal/base/clock.js'

/** Returns a function that takes one token: false where none is left. */
export function createRateLimit(clock: Clock, perSecond: number, burst: number): () => boolean {
  let tokens = burst
  let atMs = clock.monotonicMs()
  return () => {
    const nowMs = clock.monotonicMs()
    tokens = Math.min(burst, tokens + ((nowMs - atMs) * perSecond) / 1000)
    atMs = nowMs
    if (tokens < 1) return false
    tokens--
    return true
  }
}
