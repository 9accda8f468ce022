// Network management by itself: signs on, asks for keys, proves that the host shares them, and goes back where it does not.
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import type { KeyStanding } from '../keys/dukpt-terminal-keys.js'
import type { KeySets } from '../keys/key-sets.js'
import { type AcquirerEntry, keySetOf } from './acquirer-document.js'
import type { Acquirer, ManagementAnswer, ManagementKind } from './acquirer-port.js'
import type { Owing } from './background.js'
import type { ExchangeReason, HostRecord } from './host-record.js'
import type { Journal } from './journal.js'
import { type Errand, nextErrand } from './network-errands.js'

/** Echoes without an answer after which a new key is given up for the one before it. */
const TRIALS = 3
const FIRST_WAIT_MS = 5_000
const LONGEST_WAIT_MS = 60 * 60_000
/** Failures in a row after which a person is told. */
const TOLD_AFTER = 6

/** The key that failed is gone; card data that are under it already can be read by nobody, and are not sent. */
const REVERTED = 'KEY_REVERTED'

export type NetworkNotice = 'keyRefused' | 'keyReverted' | 'signOnFailing' | 'keyExchangeFailing'

export type KeyChange =
  | { readonly kind: 'changed'; readonly checkValue: string }
  | { readonly kind: 'failed'; readonly code: string }

/** An acquirer as a supervisor sees it. */
export interface HostStanding {
  readonly acquirer: string
  readonly terminalId: string
  readonly keySet: string
  readonly keys: KeyStanding | undefined
  readonly record: HostRecord | undefined
  /** Its document lets the terminal ask for keys. */
  readonly exchanges: boolean
}

export interface NetworkManagement extends Owing {
  /** Does what must come before any other message to this acquirer; a code where that failed. In the lane. */
  ready(acquirer: string, signal: AbortSignal): Promise<string | undefined>
  /** DE39 of an answer that was believed: it may ask for a sign-on or a key. */
  heard(acquirer: string, responseCode: string): void
  /** Asks for a new key now and proves it, because a supervisor wants it. In the lane. */
  changeKeys(acquirer: string, signal: AbortSignal): Promise<KeyChange>
  hosts(): Promise<HostStanding[]>
}

export interface NetworkManagementDependencies {
  readonly entries: readonly AcquirerEntry[]
  /** The acquirers themselves, not what waits for `ready`. */
  readonly acquirers: readonly Acquirer[]
  readonly keySets: Pick<KeySets, 'exchange' | 'standing' | 'revert'>
  readonly journal: Journal
  readonly clock: Clock
  readonly log: Log
  readonly onNotice: (notice: NetworkNotice, acquirer: string) => void
}

/** What is known since the start, by acquirer. */
interface Link {
  readonly entry: AcquirerEntry
  readonly acquirer: Acquirer
  signedOn: boolean
  failures: number
  /** Monotonic; the next try of the background is not before. */
  notBeforeMs: number
}

type Done = { readonly ok: true } | { readonly ok: false; readonly code: string }
const failed = (code: string): Done => ({ ok: false, code })

export function createNetworkManagement(deps: NetworkManagementDependencies): NetworkManagement {
  const { keySets, journal, clock, log, onNotice } = deps
  const links = new Map<string, Link>()
  for (const [i, entry] of deps.entries.entries())
    links.set(entry.id, { entry, acquirer: deps.acquirers[i]!, signedOn: false, failures: 0, notBeforeMs: 0 })
  const managed = () => [...links.values()].filter(({ entry }) => entry.management !== undefined)

  const recordOf = (id: string): HostRecord => journal.host(id) ?? { acquirer: id, sinceMs: clock.nowMs() }
  const put = (step: string, id: string, change: Partial<HostRecord>) =>
    journal.commit(step, (write) => write.putHost({ ...recordOf(id), ...change }))

  const standing = ({ entry }: Link) => keySets.standing(keySetOf(entry))

  async function due(link: Link): Promise<Errand | undefined> {
    const { entry } = link
    if (entry.management === undefined) return undefined
    if (journal.host(entry.id) === undefined) put('network.firstSeen', entry.id, {})
    return nextErrand({
      management: entry.management,
      record: recordOf(entry.id),
      keys: await standing(link),
      signedOn: link.signedOn,
      nowMs: clock.nowMs(),
    })
  }

  /** One message: its number is durable first. */
  function say(
    { entry, acquirer }: Link,
    kind: ManagementKind,
    signal: AbortSignal,
  ): Promise<ManagementAnswer> {
    const atMs = clock.nowMs()
    const stan = journal.commit(`network.${kind}`, (step) => step.reserve('stan'))
    log.info('network.asks', { acquirer: entry.id, kind })
    return acquirer.manage({ kind, stan, atMs }, signal)
  }
  const codeOf = (answer: Exclude<ManagementAnswer, { kind: 'done' }>) =>
    answer.kind === 'refused' ? `RESPONSE_${answer.responseCode}` : answer.reason

  async function signOn(link: Link, signal: AbortSignal): Promise<Done> {
    const answer = await say(link, 'signOn', signal)
    if (answer.kind !== 'done') return failed(codeOf(answer))
    link.signedOn = true
    put('network.signedOn', link.entry.id, { signedOnAtMs: clock.nowMs(), lastFailure: null })
    return { ok: true }
  }

  /**
   * An echo under the newest key. Any answer that was believed proves it, also a refusal; the key sets have made that
   * durable by then. What was not sent says nothing of the key.
   */
  async function prove(link: Link, signal: AbortSignal): Promise<Done> {
    const { id } = link.entry
    const set = keySetOf(link.entry)
    const answer = await say(link, 'echo', signal)
    const standing = await keySets.standing(set)
    if (standing === undefined) return failed('KEY_UNAVAILABLE')
    if (standing.proven) {
      put('network.keyProved', id, { trials: 0, lastFailure: null })
      log.info('network.keyProved', { acquirer: id })
      return { ok: true }
    }
    const code = answer.kind === 'done' ? 'KEY_STORE_FAILED' : codeOf(answer)
    if (answer.kind !== 'failed') return failed(code)
    const trials = (recordOf(id).trials ?? 0) + 1
    put('network.keyUnanswered', id, { trials: trials % TRIALS })
    if (trials < TRIALS) return failed(code)
    await keySets.revert(set)
    put('network.keyReverted', id, {
      checkValue: null,
      lastFailure: { what: 'prove', code, atMs: clock.nowMs() },
    })
    log.warn('network.keyReverted', { acquirer: id, code })
    onNotice('keyReverted', id)
    return failed(REVERTED)
  }

  async function exchange(link: Link, reason: ExchangeReason, signal: AbortSignal): Promise<Done> {
    const { id } = link.entry
    const answer = await say(link, 'keyExchange', signal)
    if (answer.kind !== 'done') return failed(codeOf(answer))
    if (answer.keyBlock === undefined) return failed('KEY_BLOCK_MISSING')
    let checkValue: string
    try {
      checkValue = (await keySets.exchange(keySetOf(link.entry), answer.keyBlock)).checkValue
    } catch (error) {
      if (!isPosternError(error)) throw error
      log.error('network.keyRefused', { acquirer: id, fault: error.code })
      onNotice('keyRefused', id)
      return failed(error.code)
    }
    const exchangedAtMs = clock.nowMs()
    const kept = { exchangedAtMs, checkValue, reason, wanted: null, trials: 0, lastFailure: null }
    put('network.keyLoaded', id, kept)
    log.info('network.keyLoaded', { acquirer: id, checkValue, reason })
    return prove(link, signal)
  }

  /** A key store in trouble is a failure like another; a journal that cannot be written ends everything. */
  async function perform(link: Link, errand: Errand, signal: AbortSignal): Promise<Done> {
    try {
      switch (errand.kind) {
        case 'prove':
          return await prove(link, signal)
        case 'signOn':
          return await signOn(link, signal)
        case 'keyExchange':
          return await exchange(link, errand.reason, signal)
      }
    } catch (error) {
      if (!isPosternError(error) || error.code === 'JOURNAL_FAILED') throw error
      return failed(error.code)
    }
  }

  async function run(link: Link, errand: Errand, signal: AbortSignal): Promise<Done> {
    const { id } = link.entry
    const done = await perform(link, errand, signal)
    if (done.ok) {
      link.failures = 0
      return done
    }
    if (signal.aborted) return done
    if (done.code === REVERTED) {
      // The old key goes on; another new one is asked for after a while.
      link.failures = 0
      link.notBeforeMs = clock.monotonicMs() + LONGEST_WAIT_MS
      return done
    }
    link.failures++
    link.notBeforeMs =
      clock.monotonicMs() + Math.min(FIRST_WAIT_MS * 2 ** (link.failures - 1), LONGEST_WAIT_MS)
    put('network.failed', id, {
      lastFailure: { what: errand.kind, code: done.code, atMs: clock.nowMs() },
    })
    log.warn('network.failed', { acquirer: id, what: errand.kind, code: done.code })
    if (link.failures === TOLD_AFTER)
      onNotice(errand.kind === 'signOn' ? 'signOnFailing' : 'keyExchangeFailing', id)
    return done
  }

  /** Everything that is due; the code of a failure that keeps everything else back. */
  async function settle(link: Link, waits: boolean, signal: AbortSignal): Promise<string | undefined> {
    const tried = new Set<Errand['kind']>()
    for (;;) {
      const errand = await due(link)
      if (errand === undefined || tried.has(errand.kind)) return undefined
      tried.add(errand.kind)
      const mayWait = errand.kind === 'keyExchange' || !waits
      if (mayWait && link.notBeforeMs > clock.monotonicMs()) return undefined
      const done = await run(link, errand, signal)
      if (done.ok) continue
      // A new key that does not come keeps nothing back while the old one serves.
      const serves = (await standing(link))?.proven !== false
      return errand.kind === 'keyExchange' && serves ? undefined : done.code
    }
  }

  return {
    async ready(id, signal) {
      const link = links.get(id)
      return link && settle(link, true, signal)
    },
    heard(id, responseCode) {
      const link = links.get(id)
      const { signOn: on, keyExchange } = link?.entry.management ?? {}
      if (link === undefined) return
      if (on?.codes?.includes(responseCode) === true) link.signedOn = false
      if (keyExchange?.codes?.includes(responseCode) === true && !recordOf(id).wanted) {
        put('network.keyWanted', id, { wanted: 'hostAsked' })
        link.notBeforeMs = 0
      }
    },
    async changeKeys(id, signal) {
      const link = links.get(id)
      if (link?.entry.management?.keyExchange === undefined)
        throw new PosternError('ACQUIRER_UNKNOWN', 'no acquirer of this name changes keys', { acquirer: id })
      put('network.keyWanted', id, { wanted: 'requested' })
      const before = await standing(link)
      link.notBeforeMs = 0
      const kept = await settle(link, true, signal)
      const now = await standing(link)
      const { checkValue, lastFailure } = recordOf(id)
      return now?.proven === true && now.ikid !== before?.ikid && checkValue
        ? { kind: 'changed', checkValue }
        : { kind: 'failed', code: kept ?? lastFailure?.code ?? 'FAULT' }
    },
    async hosts() {
      const all: HostStanding[] = []
      for (const link of links.values()) {
        const { entry } = link
        all.push({
          acquirer: entry.id,
          terminalId: entry.terminalId,
          keySet: keySetOf(entry),
          keys: await standing(link),
          record: journal.host(entry.id),
          exchanges: entry.management?.keyExchange !== undefined,
        })
      }
      return all
    },
    async flushDue(signal) {
      for (const link of managed()) {
        if (signal.aborted) return
        if (link.notBeforeMs <= clock.monotonicMs()) await settle(link, false, signal)
      }
    },
    dueInMs() {
      // Schedules are looked at whenever the background wakes by itself.
      const all = managed().filter(({ failures }) => failures > 0)
      return all.length === 0
        ? undefined
        : Math.min(...all.map(({ notBeforeMs }) => Math.max(0, notBeforeMs - clock.monotonicMs())))
    },
  }
}

/** An acquirer whose messages wait until it is signed on to and its newest key is proved. */
export function managedAcquirer(acquirer: Acquirer, management: NetworkManagement): Acquirer {
  async function first<T>(signal: AbortSignal, send: () => Promise<T>) {
    const code = await management.ready(acquirer.id, signal)
    if (code === undefined) return send()
    // A road that does not open is known by its own code: routing goes round it.
    return { kind: 'notSent', reason: code.startsWith('ROAD_') ? code : 'SIGN_ON_FIRST' } as const
  }
  return {
    ...acquirer,
    authorise: (request, before, signal) => first(signal, () => acquirer.authorise(request, before, signal)),
    advise: (request, before, signal) => first(signal, () => acquirer.advise(request, before, signal)),
    reverse: (request, before, signal) => first(signal, () => acquirer.reverse(request, before, signal)),
    compareTotals: (request, signal) => first(signal, () => acquirer.compareTotals(request, signal)),
    upload: (request, signal) => first(signal, () => acquirer.upload(request, signal)),
  }
}
