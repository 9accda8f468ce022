// What the journal keeps of an acquirer beside its payments: when it was signed on to, and what became of its keys.

/** Why a new key is asked for. */
export type ExchangeReason = 'requested' | 'hostAsked' | 'schedule' | 'uses' | 'runningOut'

/** What the journal keeps of an acquirer beside its payments; nothing of it is money. */
export interface HostRecord {
  readonly acquirer: string
  /** When this terminal first had to do with it: schedules count from here until there was an exchange. */
  readonly sinceMs: number
  readonly signedOnAtMs?: number
  /** A key is wanted by the host or by a person, whatever the schedule says. */
  readonly wanted?: 'requested' | 'hostAsked' | null
  readonly exchangedAtMs?: number
  /** Of the key that came then, and why it was asked for. */
  readonly checkValue?: string | null
  readonly reason?: ExchangeReason
  /** Tries in a row without an answer under the newest key. */
  readonly trials?: number
  readonly lastFailure?: {
    readonly what: 'prove' | 'signOn' | 'keyExchange'
    readonly code: string
    readonly atMs: number
  } | null
}
