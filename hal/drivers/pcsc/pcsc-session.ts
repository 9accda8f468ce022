// A powered card on a PC/SC reader: APDUs with a bound, and what became of the card when one fails.
import type { Clock } from '../../base/clock.js'
import type { ChipCardSession, TransmitOutcome } from '../../chip-card-reader.js'
import { deviceError } from '../../device-base.js'
import type { PcscReader } from './pcsc-binding.js'
import { pcscFailure } from './pcsc-codes.js'

const DEFAULT_TIMEOUT_MS = 30_000
/** pcscd looks at the slot every 400 ms: this long it may take to tell a pulled card from a broken one. */
const REMOVAL_SEEN_MS = 900

export interface SessionParts {
  readonly reader: PcscReader
  readonly atr: Uint8Array
  readonly protocol: 'T=0' | 'T=1'
  readonly clock: Clock
  /** Fires when the card was pulled, or the reader went. */
  readonly gone: AbortSignal
  /** Fires when the device closes or the reader is lost, with the error to throw. */
  readonly lost: AbortSignal
  count(name: 'GoodReadCount' | 'FailedReadCount' | 'CommandCount'): void
  /** A call to the library that must end before the reader may be used again. */
  hold(call: Promise<unknown>): void
  released(): Promise<void>
}

type End = { readonly kind: 'removed' | 'timeout' | 'released' | 'aborted' }

/** The command that waits for its answer; whichever comes first settles it. */
interface Waiting {
  readonly deadlineMs: number
  resolve(outcome: TransmitOutcome | Promise<TransmitOutcome>): void
  reject(error: unknown): void
}

/**
 * Makes the session of a card that `reader.connect` has just powered. A command costs one promise: who listens to signals
 * and to time does so once a session, as a payment has hundreds of commands.
 */
export function pcscSession(parts: SessionParts): ChipCardSession {
  const { reader, atr, protocol, clock, gone, lost } = parts
  const over = new AbortController()
  let end: End | undefined
  let waiting: Waiting | undefined
  let wakeAtMs = Number.POSITIVE_INFINITY

  const onLost = () => {
    waiting?.reject(lost.reason)
    over.abort()
  }
  // Lost first: a reader that goes takes the card with it.
  lost.addEventListener('abort', onLost, { once: true })
  gone.addEventListener('abort', () => {
    end ??= { kind: 'removed' }
    if (!lost.aborted) waiting?.resolve({ kind: 'removed' })
    over.abort()
  })

  /** Sees to it that somebody looks at the time when `deadlineMs` has come. */
  function watchTime(deadlineMs: number): void {
    if (deadlineMs >= wakeAtMs) return
    wakeAtMs = deadlineMs
    clock.sleep(Math.max(0, deadlineMs - clock.monotonicMs()), over.signal).then(
      () => {
        wakeAtMs = Number.POSITIVE_INFINITY
        if (waiting === undefined) return
        if (waiting.deadlineMs > clock.monotonicMs()) return watchTime(waiting.deadlineMs)
        end ??= { kind: 'timeout' }
        waiting.resolve({ kind: 'timeout' })
      },
      () => undefined,
    )
  }

  /** The daemon refused or broke the command: was the card pulled? */
  async function failed(error: unknown): Promise<TransmitOutcome> {
    parts.count('FailedReadCount')
    const failure = pcscFailure(error)
    if (failure === 'lost') throw deviceError('DEVICE_LOST', `${reader.name} is gone`, {}, error)
    if (failure === 'removed' || failure === 'reset') {
      end ??= { kind: 'removed' }
      return { kind: 'removed' }
    }
    // Removal ends the sleep.
    await clock.sleep(REMOVAL_SEEN_MS, over.signal).catch(() => undefined)
    if (lost.aborted) throw lost.reason
    return gone.aborted ? { kind: 'removed' } : { kind: 'mute' }
  }

  function answered(bytes: Uint8Array): TransmitOutcome | Promise<TransmitOutcome> {
    // Removal wins over an answer that arrives later.
    if (end?.kind === 'removed') return { kind: 'removed' }
    if (bytes.length < 2) return failed(new Error('no status words'))
    parts.count('GoodReadCount')
    return { kind: 'response', bytes }
  }

  async function transmit(
    command: Uint8Array,
    options: { signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<TransmitOutcome> {
    const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options
    if (lost.aborted) throw lost.reason
    if (signal?.aborted) throw deviceError('ABORTED', 'cancelled')
    if (end?.kind === 'released' || end?.kind === 'aborted')
      throw deviceError('DEVICE_CLOSED', `the session was ${end.kind}`)
    if (end !== undefined) return { kind: end.kind }
    if (waiting !== undefined) throw deviceError('DEVICE_BUSY', 'a command is under way')
    if (command.length < 4 || command.length > 261)
      throw deviceError('DEVICE_PROTOCOL', 'a command APDU has 4 to 261 bytes', { length: command.length })
    parts.count('CommandCount')
    const deadlineMs = clock.monotonicMs() + timeoutMs
    const onAbort = () => {
      // The card's answer can't be taken back: what it would have said is lost, and so is the session.
      end ??= { kind: 'aborted' }
      waiting?.reject(deviceError('ABORTED', 'cancelled'))
    }
    try {
      const settled = new Promise<TransmitOutcome>((resolve, reject) => {
        waiting = { deadlineMs, resolve, reject }
        const call = reader.transmit(command, protocol)
        parts.hold(call)
        call.then(
          (bytes) => resolve(answered(bytes)),
          // A late failure of a call that nobody waits for any more is not news.
          (error) => failed(error).then(resolve, reject),
        )
      })
      watchTime(deadlineMs)
      signal?.addEventListener('abort', onAbort, { once: true })
      return await settled
    } finally {
      waiting = undefined
      signal?.removeEventListener('abort', onAbort)
    }
  }

  return {
    atr,
    protocol,
    transmit,
    async release() {
      if (end?.kind === 'released') return
      end = { kind: 'released' }
      over.abort()
      lost.removeEventListener('abort', onLost)
      await parts.released()
    },
  }
}
