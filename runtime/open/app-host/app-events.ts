// Events to one app: context, scans, messages and payments, each again until the app has taken it.
import { PosternError } from '../../../hal/base/errors.js'
import type { AppMethods } from '../../api/app-contract.js'
import type { Client } from '../../api/contract.js'
import { RpcError } from '../../api/json-rpc.js'
import type { ScannedText } from '../peripherals/scanner-service.js'
import type { AppServices } from './app-services.js'
import type { AppSession, Freezer } from './app-session.js'

/** An app that does not serve an event in this time is taken as not listening. */
const EVENT_TIMEOUT_MS = 5000
/** Not listening so many times in a row is hanging. */
const MOST_TIMEOUTS = 3
const RETRY_MS = { first: 500, most: 30_000 } as const
/** Scans that wait for a busy app; older ones are of no use. */
const MOST_SCANS = 8

export interface AppEvents {
  contextChanged(): void
  scanned(scan: ScannedText): void
  messagesChanged(): void
  paymentsChanged(): void
}

export interface AppEventsOptions {
  readonly session: AppSession
  readonly remote: Client<typeof AppMethods>
  readonly services: AppServices
  readonly freezer: Freezer
  /** The app does not answer any more. */
  readonly onHang: () => void
  /** How long serving one event may take; 5 s. */
  readonly eventTimeoutMs?: number | undefined
}

/** Starts delivering to an app that is ready, until its connection is gone. */
export function deliverEvents(options: AppEventsOptions): AppEvents {
  const { session, remote, services, freezer, onHang, eventTimeoutMs = EVENT_TIMEOUT_MS } = options
  const { app, gone } = session
  const { clock, log } = services
  let timeouts = 0

  /** One event, once. `impossible`: it will never fit the wire. */
  async function deliver(
    name: string,
    call: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<'taken' | 'notTaken' | 'impossible'> {
    await freezer.thawed()
    const frozenBefore = freezer.count()
    const timeout = new AbortController()
    const timer = clock.sleep(eventTimeoutMs, AbortSignal.any([gone, timeout.signal])).then(
      () => timeout.abort(new PosternError('EVENT_TIMEOUT', 'not served in time')),
      () => undefined,
    )
    try {
      await call(AbortSignal.any([gone, timeout.signal]))
      timeouts = 0
      return 'taken'
    } catch (error) {
      if (gone.aborted) return 'notTaken'
      if (error instanceof RpcError && error.code === 'TOO_LARGE') {
        log.error('app.event-too-large', { app, name })
        return 'impossible'
      }
      const timedOut = timeout.signal.aborted
      log.warn('app.event-not-taken', { app, name, timedOut, error: (error as Error).message })
      if (timedOut && freezer.count() === frozenBefore && ++timeouts >= MOST_TIMEOUTS) onHang()
      return 'notTaken'
    } finally {
      timeout.abort()
      await timer
    }
  }

  /** A loop that works off a source whenever it is woken, with a back-off where the app does not take. */
  function pump(work: () => Promise<'done' | 'retry'>): () => void {
    let running = false
    let woken = false
    let waitMs = RETRY_MS.first as number
    const run = async () => {
      running = true
      while (woken && !gone.aborted) {
        woken = false
        if ((await work()) === 'done') {
          waitMs = RETRY_MS.first
          continue
        }
        woken = true
        await clock.sleep(waitMs, gone).catch(() => undefined)
        waitMs = Math.min(RETRY_MS.most, waitMs * 2)
      }
      running = false
    }
    return () => {
      woken = true
      if (!running)
        run().catch((error: unknown) => {
          running = false
          if (!gone.aborted) log.error('app.events-failed', { app, error: String(error) })
        })
    }
  }

  const contextChanged = pump(async () => {
    const context = await services.context(gone)
    await deliver('event.context', (signal) => remote['event.context'](context, signal))
    return 'done' // the next change tells it anew
  })

  const scans: ScannedText[] = []
  const scansChanged = pump(async () => {
    for (let scan = scans.shift(); scan !== undefined; scan = scans.shift()) {
      const event = scan
      await deliver('event.scan', (signal) => remote['event.scan'](event, signal))
    }
    return 'done'
  })

  let lastMessage = 0
  const messagesChanged = pump(async () => {
    for (;;) {
      const [message] = services.inbox.waiting(app, lastMessage, 1)
      if (message === undefined || gone.aborted) return 'done'
      const { id, topic, payload, seq } = message
      const outcome = await deliver('event.message', (signal) =>
        remote['event.message']({ id, topic, payload }, signal),
      )
      if (outcome === 'notTaken') return 'retry'
      if (outcome === 'impossible') services.inbox.acknowledge(app, id)
      lastMessage = seq
    }
  })

  const paymentsChanged = pump(async () => {
    let after = 0
    for (;;) {
      const [event] = services.payments.waiting(app, after)
      if (event === undefined || gone.aborted) return 'done'
      const { sequence, view } = event
      after = sequence
      // The caller of a collect hears of it there; its event waits for whatever comes after.
      if (session.collecting.has(view.key)) continue
      if (session.answered.get(view.key) === view.outcome) continue
      const outcome = await deliver('event.payment', (signal) => remote['event.payment'](view, signal))
      if (outcome === 'notTaken') return 'retry'
      services.payments.taken(sequence)
    }
  })

  messagesChanged()
  paymentsChanged()
  return {
    contextChanged,
    messagesChanged,
    paymentsChanged,
    scanned: (scan) => {
      scans.push(scan)
      if (scans.length > MOST_SCANS) scans.shift()
      scansChanged()
    },
  }
}
