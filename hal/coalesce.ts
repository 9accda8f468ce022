// Work that is done once at a time and once for all who asked meanwhile.

/**
 * Returns what asks for `work`: it runs at once where nothing is under way, else once more after it, together for all
 * who ask until then. Each asker gets the outcome of the run that began after it asked.
 */
export function coalesce(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const ask = (): Promise<void> => {
    if (running === undefined) {
      running = work().finally(() => {
        running = undefined
      })
      return running
    }
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return ask()
      })
    return next
  }
  return ask
}
