// Network management by itself: what is due to an acquirer now, from its document, its record and its keys; pure.
import type { KeyStanding } from '../keys/dukpt-terminal-keys.js'
import type { ManagementEntry } from './acquirer-document.js'
import type { ExchangeReason, HostRecord } from './host-record.js'

export type Errand =
  /** The newest key has not been answered under: an echo shows whether the host shares it. */
  | { readonly kind: 'prove' }
  | { readonly kind: 'signOn' }
  | { readonly kind: 'keyExchange'; readonly reason: ExchangeReason }

export interface ErrandFacts {
  readonly management: ManagementEntry
  readonly record: HostRecord
  /** Undefined where the set cannot be opened: then nothing can be sent either. */
  readonly keys: KeyStanding | undefined
  /** Signed on since this start of the terminal, and no answer has said otherwise. */
  readonly signedOn: boolean
  readonly nowMs: number
}

/** Key serial numbers that must be left: some thousand payments, or days of a busy terminal, to get a new key in. */
export const RUNNING_OUT = 10_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** A clock that was set back makes nothing due; one that was set forward makes it due once. */
const isOlder = (thenMs: number, ageMs: number, nowMs: number) => nowMs - thenMs >= ageMs

function exchangeReason({ management, record, keys, nowMs }: ErrandFacts): ExchangeReason | undefined {
  const rules = management.keyExchange
  if (rules === undefined || keys === undefined) return undefined
  if (record.wanted) return record.wanted
  if (keys.left < RUNNING_OUT) return 'runningOut'
  if (rules.afterUses !== undefined && keys.used >= rules.afterUses) return 'uses'
  const sinceMs = record.exchangedAtMs ?? record.sinceMs
  if (rules.everyDays !== undefined && isOlder(sinceMs, rules.everyDays * DAY_MS, nowMs)) return 'schedule'
  return undefined
}

function wantsSignOn({ management: { signOn }, record, signedOn, nowMs }: ErrandFacts): boolean {
  if (signOn === undefined) return false
  if (!signedOn || record.signedOnAtMs === undefined) return true
  return signOn.everyHours !== undefined && isOlder(record.signedOnAtMs, signOn.everyHours * HOUR_MS, nowMs)
}

/** What is to be done first, or undefined where nothing is due. */
export function nextErrand(facts: ErrandFacts): Errand | undefined {
  if (facts.keys?.proven === false) return { kind: 'prove' }
  if (wantsSignOn(facts)) return { kind: 'signOn' }
  const reason = exchangeReason(facts)
  return reason === undefined ? undefined : { kind: 'keyExchange', reason }
}
