// Clock, random and log: the narrow traits that are passed in, never reached for.
import { randomFillSync } from 'node:crypto'
import { PosternError } from './errors.js'

/** Time, as a thing that tests can replace. */
export interface Clock {
  /** Wall clock, milliseconds since 1970-01-01T00:00Z. May jump. */
  nowMs(): number
  /** Monotonic milliseconds; only differences mean anything. */
  monotonicMs(): number
  /** Resolves after `ms`; rejects with `ABORTED` when the signal fires first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new PosternError('ABORTED', 'cancelled'))
      const onAbort = () => {
        clearTimeout(timer)
        reject(new PosternError('ABORTED', 'cancelled'))
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, ms)
      signal?.addEventListener('abort', onAbort, { once: true })
    }),
}

/** Fills bytes with randomness fit for keys and for EMV's unpredictable number. */
export type Random = (length: number) => Uint8Array

/** The operating system's CSPRNG. */
export const systemRandom: Random = (length) => randomFillSync(new Uint8Array(length))
