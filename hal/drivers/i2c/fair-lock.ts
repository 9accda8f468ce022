// A lock that serves its users in turn: whoever asks often does not keep the others waiting.

import { isPosternError } from '../../base/errors.js'
import { deviceError } from '../../device-base.js'

export interface FairLock {
  /**
   * Waits for `user`'s turn, one turn for each user that waits, and resolves with what gives the lock back
   * (idempotent). Rejects with the signal's typed reason, else `ABORTED`, while it waits.
   */
  take(user: object, signal?: AbortSignal): Promise<() => void>
}

export function createFairLock(): FairLock {
  /** Those who wait, by user; the map's order is the order of turns. */
  const waiting = new Map<object, (() => void)[]>()
  /** Who has the lock. */
  let holder: object | undefined

  const next = () => {
    // Whoever was served goes behind the others.
    const others = [...waiting.keys()].filter((each) => each !== holder)
    holder = others[0] ?? waiting.keys().next().value
    if (holder === undefined) return
    const queue = waiting.get(holder)!
    const go = queue.shift()!
    waiting.delete(holder)
    if (queue.length > 0) waiting.set(holder, queue)
    go()
  }
  const releaser = () => {
    let over = false
    return () => {
      if (over) return
      over = true
      next()
    }
  }
  return {
    take(user, signal) {
      if (signal?.aborted) return Promise.reject(reasonOf(signal))
      if (holder === undefined) {
        holder = user
        return Promise.resolve(releaser())
      }
      return new Promise((resolve, reject) => {
        const queue = waiting.get(user) ?? []
        const go = () => {
          signal?.removeEventListener('abort', leave)
          resolve(releaser())
        }
        const leave = () => {
          queue.splice(queue.indexOf(go), 1)
          if (queue.length === 0) waiting.delete(user)
          reject(reasonOf(signal!))
        }
        queue.push(go)
        waiting.set(user, queue)
        signal?.addEventListener('abort', leave, { once: true })
      })
    },
  }
}

/** The typed error that a signal carries, or `ABORTED`. */
export function reasonOf(signal: AbortSignal): Error {
  return isPosternError(signal.reason) ? signal.reason : deviceError('ABORTED', 'cancelled')
}
