// One message at a time to an acquirer: a queue of one lane.

/** Runs what it is given one after another, whatever became of the one before. */
export interface Lane {
  run<T>(work: () => Promise<T>): Promise<T>
}

export function createLane(): Lane {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run(work) {
      const mine = last.then(work, work)
      last = mine.catch(() => undefined)
      return mine
    },
  }
}
