// Whether there is a network at all: a fact that link, pipes and the status row follow.

/**
 * `online` means that connecting is worth trying, not that anything was reached. Listeners are called on each change,
 * after `online()` already returns the new value; a listener that throws harms no other.
 */
export interface NetworkState {
  online(): boolean
  /** Returns the unsubscriber. */
  on(listener: (online: boolean) => void): () => void
}
