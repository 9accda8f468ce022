// A gate: waiters stand before it until a condition holds, and look again whenever something has changed.

export interface Gate {
  /** Something has changed; every waiter looks. */
  notify(): void
  /** Resolves with the first value of `look` that is not undefined; rejects with the signal's reason when it fires. */
  until<T>(look: () => T | undefined, signal: AbortSignal): Promise<T>
}

export function createGate(): Gate {
  const waiters = new Set<() => void>()
  return {
    notify() {
      for (const waiter of [...waiters]) waiter()
    },
    until<T>(look: () => T | undefined, signal: AbortSignal) {
      return new Promise<T>((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        const leave = () => {
          waiters.delete(check)
          signal.removeEventListener('abort', onAbort)
        }
        const onAbort = () => {
          leave()
          reject(signal.reason)
        }
        const check = () => {
          const found = look()
          if (found === undefined) return
          leave()
          resolve(found)
        }
        signal.addEventListener('abort', onAbort, { once: true })
        waiters.add(check)
        check()
      })
    },
  }
}
