// Keeps one app running: starts it, serves it, watches it, starts it again or lays it up, stops it.
import type { Duplex } from 'node:stream'
import type { Clock } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import { AppMethods, HostMethods } from '../../api/app-contract.js'
import { type Client, connectContract, type Served } from '../../api/contract.js'
import { RpcError } from '../../api/json-rpc.js'
import { type AppEvents, deliverEvents } from './app-events.js'
import { type AppProcess, startAppProcess } from './app-process.js'
import type { AppServices } from './app-services.js'
import type { AppSession, Freezer } from './app-session.js'
import { createHostService } from './host-service.js'
import { type Manifest, nameIn } from './manifest.js'
import { createRateLimit } from './rate-limit.js'
import { afterCrash, FRESH, RESTART_RULES, type RestartRules } from './restart-policy.js'
import { showTrouble } from './trouble-screen.js'

/** `app.ready` must come in this time. */
const READY_TIMEOUT_MS = 20_000
/** What an app gets to store what matters (app contract), and then to end. */
const STOP_MS = 2000
const TERMINATE_MS = 1000
/** Calls a second of one app, and its burst. */
const CALLS = { perSecond: 200, burst: 400 } as const
/** Bytes a second that are read from one app, over which it is made to wait. */
const BYTES_PER_SECOND = 4 * 1024 * 1024

export type AppState = 'starting' | 'running' | 'waiting' | 'quarantined' | 'stopped'

export interface AppRunnerOptions {
  readonly manifest: Manifest
  readonly main: string
  readonly folder: string
  readonly user: { readonly uid: number; readonly gid: number } | undefined
  readonly services: AppServices
  readonly freezer: Freezer
  readonly rules?: RestartRules | undefined
  readonly eventTimeoutMs?: number | undefined
  readonly onForeground: () => void
  readonly onState: (state: AppState) => void
}

export interface AppRunner {
  readonly manifest: Manifest
  state(): AppState
  /** Undefined unless its process lives. */
  process(): AppProcess | undefined
  /** Undefined unless it is ready for events. */
  events(): AppEvents | undefined
  stop(): Promise<void>
}

/** Every method refuses when the app calls too often; the stream waits when it sends too much. */
function withLimits(served: Served<typeof HostMethods>, clock: Clock): Served<typeof HostMethods> {
  const mayCall = createRateLimit(clock, CALLS.perSecond, CALLS.burst)
  const limited: Record<string, unknown> = {}
  for (const [name, method] of Object.entries(served)) {
    limited[name] = (params: never, signal: AbortSignal) => {
      if (!mayCall()) throw new RpcError('RATE_LIMITED', `at most ${CALLS.perSecond} calls a second`)
      return (method as (params: never, signal: AbortSignal) => unknown)(params, signal)
    }
  }
  return limited as Served<typeof HostMethods>
}

function throttle(stream: Duplex, clock: Clock, gone: AbortSignal): void {
  let bytes = 0
  let sinceMs = clock.monotonicMs()
  stream.on('data', (chunk: Buffer) => {
    const nowMs = clock.monotonicMs()
    if (nowMs - sinceMs > 1000) {
      sinceMs = nowMs
      bytes = 0
    }
    bytes += chunk.length
    if (bytes <= BYTES_PER_SECOND) return
    stream.pause()
    clock.sleep(1000 - (nowMs - sinceMs), gone).then(
      () => stream.resume(),
      () => undefined,
    )
  })
}

/** Starts the app and keeps it running until `stop`. */
export function runApp(options: AppRunnerOptions): AppRunner {
  const { manifest, main, folder, user, services, freezer, rules = RESTART_RULES } = options
  const { clock } = services
  const log: Log = services.log
  const app = manifest.id
  const stopping = new AbortController()
  let state: AppState = 'starting'
  let restarts = FRESH
  let running:
    | { process: AppProcess; remote: Client<typeof AppMethods>; events: AppEvents | undefined }
    | undefined

  const enter = (next: AppState) => {
    if (state === next) return
    state = next
    options.onState(next)
  }

  /** Resolves when the time is up, in which being frozen does not count; rejects when the signal fires. */
  async function watchReady(signal: AbortSignal): Promise<void> {
    for (let frozen = -1; frozen !== freezer.count(); ) {
      frozen = freezer.count()
      await clock.sleep(READY_TIMEOUT_MS, signal)
      await freezer.thawed()
    }
  }

  /** One life of the process; resolves with how it ended. */
  async function live(): Promise<string> {
    const process = startAppProcess({ app, main, folder, user, clock, log })
    const gone = new AbortController()
    const session: AppSession = { app, gone: gone.signal, collecting: new Set(), answered: new Map() }
    let kill: string | undefined
    const end = (reason: string, graceMs = 0) => {
      kill ??= reason
      process
        .terminate(graceMs)
        .catch((error: unknown) => log.error('app.not-ended', { app, error: String(error) }))
    }
    const ready = new AbortController()
    const served = createHostService(manifest, session, services, {
      onForeground: options.onForeground,
      onPaymentEnded: () => running?.events?.paymentsChanged(),
      onReady: () => {
        if (ready.signal.aborted || running === undefined) return
        ready.abort()
        enter('running')
        // After the answer has left: events come behind it.
        setImmediate(() => {
          if (running === undefined || gone.signal.aborted) return
          running.events = deliverEvents({
            session,
            remote: running.remote,
            services,
            freezer,
            onHang: () => end('did not serve its events'),
            eventTimeoutMs: options.eventTimeoutMs,
          })
        })
      },
    })
    const { remote, peer } = connectContract(
      process.stream,
      HostMethods,
      withLimits(served, clock),
      AppMethods,
      (method, error) => log.error('app-host.fault', { app, method, error: String(error) }),
    )
    throttle(process.stream, clock, gone.signal)
    running = { process, remote, events: undefined }
    log.info('app.started', { app, version: manifest.version, pid: process.pid })
    // An app without its connection is of no use, whatever it does.
    void peer.closed.then((reason) => end(reason, TERMINATE_MS))
    watchReady(AbortSignal.any([ready.signal, gone.signal])).then(
      () => end('was not ready in time'),
      () => undefined,
    )
    const how = await process.ended
    gone.abort()
    peer.close(how)
    running = undefined
    return kill === undefined || kill === 'the peer is gone' ? how : `${kill} (${how})`
  }

  /** Waits before the next start; a quarantine is on the screen meanwhile, and ends when the courier says so. */
  async function laidUp(kind: 'restart' | 'quarantine', waitMs: number): Promise<void> {
    const enough = new AbortController()
    const over = AbortSignal.any([enough.signal, stopping.signal])
    const shown =
      kind === 'quarantine'
        ? showTrouble(
            services,
            { name: nameIn(manifest, services.locale()), minutes: Math.ceil(waitMs / 60_000) },
            over,
            () => enough.abort(),
          )
        : undefined
    await clock.sleep(waitMs, over).catch(() => undefined)
    enough.abort()
    await shown
  }

  async function keepRunning(): Promise<void> {
    while (!stopping.signal.aborted) {
      await freezer.thawed()
      if (stopping.signal.aborted) break
      enter('starting')
      const startedMs = clock.monotonicMs()
      const how = await live().catch((error: unknown) => `did not start: ${String(error)}`)
      if (stopping.signal.aborted) break
      const nowMs = clock.monotonicMs()
      const { state: next, decision } = afterCrash(restarts, nowMs, nowMs - startedMs, rules)
      restarts = next
      const waitMs = decision.kind === 'restart' ? decision.afterMs : decision.forMs
      log.warn(decision.kind === 'restart' ? 'app.ended' : 'app.quarantined', { app, how, waitMs })
      enter(decision.kind === 'restart' ? 'waiting' : 'quarantined')
      await laidUp(decision.kind, waitMs)
    }
    enter('stopped')
  }
  const ended = keepRunning()

  return {
    manifest,
    state: () => state,
    process: () => running?.process,
    events: () => running?.events,
    stop: async () => {
      stopping.abort()
      if (running !== undefined) {
        const { process, remote } = running
        const asked = new AbortController()
        const timer = clock.sleep(STOP_MS, asked.signal).then(
          () => asked.abort(),
          () => undefined,
        )
        await remote['app.stop'](null, asked.signal).catch(() => undefined)
        asked.abort()
        await timer
        await process.terminate(TERMINATE_MS)
      }
      await ended
    },
  }
}
