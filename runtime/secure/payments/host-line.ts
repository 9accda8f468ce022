// One exchange at a time with a host over a road: send, wait for the answer that fits, keep an ear open for strays.
import type { Duplex } from 'node:stream'
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import type { BeforeSend, UnknownCause } from './acquirer-port.js'
import { Deframer, type Framing, frame, type Tpdu } from './iso8583/framing.js'
import type { Road, RoadKind } from './roads/road.js'

export interface LineTimeouts {
  readonly hostMs: number
  readonly lingerMs: number
}

/** What a message that arrived means to who waits: the answer, proof that no answer can be had, or none of theirs. */
export type Judgement<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'unusable'; readonly cause: UnknownCause }
  | { readonly kind: 'stray' }

export type Exchange<T> =
  | { readonly kind: 'notSent'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly cause: UnknownCause }
  | { readonly kind: 'answered'; readonly value: T }

export interface ExchangeRequest<T> {
  /** Makes the message once the road is open; a fault here sends nothing. */
  readonly build: () => Promise<Uint8Array>
  readonly judge: (message: Uint8Array) => Promise<Judgement<T>>
  readonly beforeSend: BeforeSend
  /** A new session, even where one lingers: for what must not meet a line that died unnoticed. */
  readonly fresh: boolean
  /** The payment that the built message is about, for roads that remember what was reversed. */
  readonly about?: () => { readonly subject: string; readonly reversal: boolean }
  /** The road to try first, where there are several: an original's, for its reversal. */
  readonly prefer?: RoadKind
}

interface LineSession {
  readonly stream: Duplex
  readonly inbox: AsyncQueue
  alive: boolean
  lingering: AbortController | undefined
}

type Arrival = { readonly kind: 'message'; readonly message: Uint8Array } | { readonly kind: UnknownCause }

/** Arrivals in order, for one reader at a time. */
class AsyncQueue {
  readonly #held: Arrival[] = []
  #reader: ((arrival: Arrival) => void) | undefined

  put(arrival: Arrival): void {
    const reader = this.#reader
    this.#reader = undefined
    if (reader !== undefined) reader(arrival)
    else if (this.#held.length < 16) this.#held.push(arrival)
  }
  /** The next arrival. Only one reader may wait. */
  next(): Promise<Arrival> {
    const first = this.#held.shift()
    if (first !== undefined) return Promise.resolve(first)
    return new Promise((resolve) => {
      this.#reader = resolve
    })
  }
  /** Gives up waiting. */
  leave(): void {
    this.#reader = undefined
  }
}

/** Strays: messages that nothing waited for. */
export type OnStray = (message: Uint8Array) => void

export interface HostLine {
  exchange<T>(request: ExchangeRequest<T>, signal: AbortSignal): Promise<Exchange<T>>
  close(): void
}

/**
 * Aborts `done` with `signal`, until what it returns is called. `AbortSignal.any` would leave something behind in a signal that
 * lives as long as the process, for every exchange.
 */
export function ended(signal: AbortSignal, done: AbortController): () => void {
  const onAbort = () => done.abort()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return () => signal.removeEventListener('abort', onAbort)
}

/** A line over `road`. Exchanges must not overlap. Most bytes of a message: 8 KiB. */
export function createHostLine(
  road: Road,
  { tpdu, framing }: { readonly tpdu: Tpdu; readonly framing: Framing },
  timeouts: LineTimeouts,
  clock: Clock,
  onStray: OnStray,
): HostLine {
  let session: LineSession | undefined

  function close(): void {
    session?.lingering?.abort()
    session?.stream.destroy()
    session = undefined
  }

  async function open(signal: AbortSignal): Promise<LineSession> {
    const stream = await road.open(signal)
    if (stream.destroyed) throw new PosternError('ROAD_CLOSED', 'the line ended as it was opened')
    const opened: LineSession = { stream, inbox: new AsyncQueue(), alive: true, lingering: undefined }
    const deframer = new Deframer(undefined, framing)
    const end = (kind: UnknownCause) => {
      if (!opened.alive) return
      opened.alive = false
      opened.inbox.put({ kind })
      stream.destroy()
    }
    stream.on('data', (bytes: Buffer) => {
      try {
        for (const { message } of deframer.push(bytes)) {
          if (opened.lingering === undefined) opened.inbox.put({ kind: 'message', message })
          else onStray(message)
        }
      } catch {
        end('unreadable')
      }
    })
    stream.on('error', () => end('lineLost'))
    stream.on('close', () => end('lineLost'))
    stream.on('end', () => end('lineLost'))
    return opened
  }

  /** Keeps the session for a while; whatever arrives meanwhile is a stray. */
  function linger(kept: LineSession): void {
    if (!kept.alive || timeouts.lingerMs === 0) return close()
    kept.lingering = new AbortController()
    clock.sleep(timeouts.lingerMs, kept.lingering.signal).then(
      () => session === kept && close(),
      () => undefined,
    )
  }

  async function connect(fresh: boolean, signal: AbortSignal): Promise<LineSession> {
    if (session !== undefined && (fresh || !session.alive)) close()
    session?.lingering?.abort()
    if (session !== undefined) session.lingering = undefined
    session ??= await open(signal)
    return session
  }

  async function receive<T>(
    { inbox }: LineSession,
    judge: ExchangeRequest<T>['judge'],
    signal: AbortSignal,
  ): Promise<Exchange<T>> {
    const done = new AbortController()
    const forget = ended(signal, done)
    const late = clock.sleep(timeouts.hostMs, done.signal).then(
      (): Arrival => ({ kind: 'timeout' }),
      (): Arrival => ({ kind: 'timeout' }),
    )
    try {
      for (;;) {
        const arrival = await Promise.race([inbox.next(), late])
        if (arrival.kind !== 'message') return { kind: 'unknown', cause: arrival.kind }
        const verdict = await judge(arrival.message)
        if (verdict.kind === 'answer') return { kind: 'answered', value: verdict.value }
        if (verdict.kind === 'unusable') return { kind: 'unknown', cause: verdict.cause }
        onStray(arrival.message)
      }
    } finally {
      forget()
      done.abort()
      inbox.leave()
    }
  }

  return {
    close,
    async exchange({ build, judge, beforeSend, fresh }, signal) {
      let used: LineSession
      let bytes: Uint8Array
      const kept = session
      try {
        used = await connect(fresh, signal)
        bytes = frame(tpdu, await build(), framing)
      } catch (error) {
        close()
        return { kind: 'notSent', reason: isPosternError(error) ? error.code : 'FAULT' }
      }
      if (!used.alive) {
        close()
        return { kind: 'notSent', reason: 'ROAD_CLOSED' }
      }
      try {
        beforeSend({ road: 'tls' })
      } catch (error) {
        close()
        throw error
      }
      used.stream.write(bytes)
      const result = await receive(used, judge, signal)
      // A line that was kept and brought no answer may have died unnoticed: the next try takes a new one.
      if (used === kept && result.kind === 'unknown') close()
      else linger(used)
      return result
    },
  }
}
