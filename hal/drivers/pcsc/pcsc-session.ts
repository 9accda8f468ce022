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

/** Makes the session of a card that `reader.connect` has just powered. */
export function pcscSession(parts: SessionParts): ChipCardSession {
  const { reader, atr, protocol, clock, gone, lost } = parts
  let end: End | undefined
  let busy = false
  gone.addEventListener('abort', () => {
    end ??= { kind: 'removed' }
  })

  /** Listens only until `over`: a session has hundreds of commands. */
  function wait(signal: AbortSignal, over: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true, signal: over }),
    )
  }

  /** The daemon refused or broke the command: was the card pulled? */
  async function failed(error: unknown): Promise<TransmitOutcome> {
    parts.count('FailedReadCount')
    const failure = pcscFailure(error)
    if (failure === 'lost') throw deviceError('DEVICE_LOST', `${reader.name} is gone`, {}, error)
    if (failure === 'removed' || failure === 'reset') {
      end = { kind: 'removed' }
      return { kind: 'removed' }
    }
    const timer = new AbortController()
    await Promise.race([
      wait(gone, timer.signal),
      clock.sleep(REMOVAL_SEEN_MS, timer.signal).catch(() => undefined),
    ])
    timer.abort()
    if (lost.aborted) throw lost.reason
    return gone.aborted ? { kind: 'removed' } : { kind: 'mute' }
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
    if (busy) throw deviceError('DEVICE_BUSY', 'a command is under way')
    if (command.length < 4 || command.length > 261)
      throw deviceError('DEVICE_PROTOCOL', 'a command APDU has 4 to 261 bytes', { length: command.length })
    busy = true
    parts.count('CommandCount')
    const stop = new AbortController()
    const call = reader.transmit(command, protocol)
    parts.hold(call)
    const answer = call.then(
      (bytes): Promise<TransmitOutcome> | TransmitOutcome => {
        // Removal wins over an answer that arrives later.
        if (end?.kind === 'removed') return { kind: 'removed' }
        if (bytes.length < 2) return failed(new Error('no status words'))
        parts.count('GoodReadCount')
        return { kind: 'response', bytes }
      },
      (error) => failed(error),
    )
    // A late failure of a call that nobody waits for any more is not news.
    answer.catch(() => undefined)
    try {
      return await Promise.race<TransmitOutcome>([
        answer,
        // Lost first: a reader that goes takes the card with it.
        wait(lost, stop.signal).then(() => Promise.reject(lost.reason)),
        wait(gone, stop.signal).then(() =>
          lost.aborted ? Promise.reject(lost.reason) : { kind: 'removed' },
        ),
        clock.sleep(timeoutMs, stop.signal).then(
          () => {
            end ??= { kind: 'timeout' }
            return { kind: 'timeout' }
          },
          () => new Promise<never>(() => undefined),
        ),
        ...(signal === undefined
          ? []
          : [
              wait(signal, stop.signal).then(() => {
                // The card's answer can't be taken back: what it would have said is lost, and so is the session.
                end ??= { kind: 'aborted' }
                throw deviceError('ABORTED', 'cancelled')
              }),
            ]),
      ])
    } finally {
      stop.abort()
      busy = false
    }
  }

  return {
    atr,
    protocol,
    transmit,
    async release() {
      if (end?.kind === 'released') return
      end = { kind: 'released' }
      await parts.released()
    },
  }
}
