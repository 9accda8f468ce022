// When an app that ended is started again: back-off while it falters, quarantine when it does nothing but fall.
export interface RestartRules {
  /** The first wait; doubled with every crash in a row. */
  readonly firstMs: number
  readonly mostMs: number
  /** So many crashes within `windowMs` are a quarantine of `quarantineMs`. */
  readonly crashes: number
  readonly windowMs: number
  readonly quarantineMs: number
}

export const RESTART_RULES: RestartRules = {
  firstMs: 250,
  mostMs: 30_000,
  crashes: 5,
  windowMs: 120_000,
  quarantineMs: 600_000,
}

export interface RestartState {
  /** When it crashed, monotonic, newest last; only those within the window. */
  readonly crashedAtMs: readonly number[]
  readonly inARow: number
}
export const FRESH: RestartState = { crashedAtMs: [], inARow: 0 }

export type RestartDecision =
  | { readonly kind: 'restart'; readonly afterMs: number }
  | { readonly kind: 'quarantine'; readonly forMs: number }

/** What follows a crash at `nowMs` of a process that ran for `ranMs`: a long run clears the row of crashes. */
export function afterCrash(
  state: RestartState,
  nowMs: number,
  ranMs: number,
  rules: RestartRules,
): { readonly state: RestartState; readonly decision: RestartDecision } {
  const inARow = ranMs >= rules.windowMs ? 1 : state.inARow + 1
  const crashedAtMs = [...state.crashedAtMs.filter((at) => nowMs - at < rules.windowMs), nowMs]
  if (crashedAtMs.length >= rules.crashes)
    return { state: FRESH, decision: { kind: 'quarantine', forMs: rules.quarantineMs } }
  const afterMs = Math.min(rules.mostMs, rules.firstMs * 2 ** Math.min(inARow - 1, 20))
  return { state: { crashedAtMs, inARow }, decision: { kind: 'restart', afterMs } }
}
