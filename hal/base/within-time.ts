// A bound on work that can't be cancelled.
import type { Clock } from './clock.js'
import { PosternError } from './errors.js'

/**
 * Resolves as `work` does, or gives it up after `ms`. What comes later goes to `onLate`, to be put away.
 * @throws PosternError `DEVICE_TIMEOUT`, and whatever `work` rejects with in time
 */
export async function withinTime<T>(
  work: Promise<T>,
  ms: number,
  clock: Clock,
  onLate: (result: T) => void | Promise<void>,
): Promise<T> {
  const timer = new AbortController()
  let late = false
  const bound = clock.sleep(ms, timer.signal).then(
    () => {
      late = true
      throw new PosternError('DEVICE_TIMEOUT', `no answer within ${ms / 1000} s`, { ms })
    },
    () => new Promise<never>(() => undefined),
  )
  work.then(
    (result) => (late ? onLate(result) : undefined),
    () => undefined,
  )
  try {
    return await Promise.race([work, bound])
  } finally {
    timer.abort()
  }
}
