// What one connection of an app remembers: the payments it was told about, and whether it is frozen.

/** Freezing stops the clock of everything that waits for an app. */
export interface Freezer {
  frozen(): boolean
  /** Resolves at once unless frozen. */
  thawed(): Promise<void>
  /** How often apps were frozen: a wait during which this changed does not count. */
  count(): number
}

export interface AppSession {
  readonly app: string
  /** Fires when the app's connection is gone. */
  readonly gone: AbortSignal
  /** Keys of collects under way: their outcome goes to the caller, not into an event. */
  readonly collecting: Set<string>
  /** Outcomes that were answered to this connection, by key. */
  readonly answered: Map<string, string>
}
