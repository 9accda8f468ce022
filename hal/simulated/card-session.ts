// A powered virtual card as its drivers hand it out, by contacts or by field: one command at a time, and how it ends.
import { fromHex, toHex } from '../base/bytes.js'
import type { Clock } from '../base/clock.js'
import { createGate } from '../base/gate.js'
import type { ChipCardSession, TransmitOutcome } from '../chip-card-reader.js'
import { type DeviceBase, deviceError } from '../device-base.js'
import type { BusPort } from './bus.js'
import type { CommandParams, CommandResult } from './bus-protocol.js'

const DEFAULT_TIMEOUT_MS = 30_000

/** The card commands that both readers' ports have. */
export interface CardPort {
  transmit(
    params: CommandParams<'chip-card-reader', 'transmit'>,
  ): Promise<CommandResult<'chip-card-reader', 'transmit'>>
  powerOff(params: CommandParams<'chip-card-reader', 'powerOff'>): Promise<unknown>
}

/** The card commands of either reader's port. */
export function cardPort(port: BusPort<'chip-card-reader'> | BusPort<'contactless-reader'>): CardPort {
  const { call } = port as BusPort<'chip-card-reader'>
  return {
    transmit: (params) => call('transmit', params),
    powerOff: (params) => call('powerOff', params),
  }
}

export interface OpenCardSession extends ChipCardSession {
  /** False once the session is released, aborted, timed out or its card is gone. */
  live(): boolean
  /** True while a command waits for its answer. */
  underWay(): boolean
  /** The card left. */
  cardGone(): void
}

export interface CardSessionParts {
  readonly base: Pick<DeviceBase<never, string, never>, 'operation'>
  readonly clock: Clock
  readonly port: CardPort
  readonly atrHex: string
  readonly cycle: number
  readonly countCommand: () => void
  /** Called once, when the session ends without its card having gone. */
  readonly onRelease: () => void | Promise<void>
}

/** A session over power cycle `cycle`. */
export function createCardSession(parts: CardSessionParts): OpenCardSession {
  const { base, clock, port, cycle } = parts
  const atr = fromHex(parts.atrHex)
  const gate = createGate()
  let ended: 'removed' | 'timeout' | 'released' | undefined
  let released = false
  let waiting = 0

  const end = (how: 'removed' | 'timeout' | 'released') => {
    ended ??= how
    gate.notify()
  }
  const outcomeOfEnd = (): TransmitOutcome => {
    if (ended === 'removed' || ended === 'timeout') return { kind: ended }
    throw deviceError('DEVICE_CLOSED', 'the card session has ended')
  }

  async function exchange(
    command: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<TransmitOutcome> {
    const timer = new AbortController()
    const answered = port.transmit({ cycle, command: toHex(command) })
    const silent = clock.sleep(timeoutMs, timer.signal).then(
      () => ({ kind: 'timeout' }) as const,
      () => new Promise<never>(() => undefined),
    )
    const removed = gate.until(
      () => (ended === 'removed' ? ({ kind: 'removed' } as const) : undefined),
      signal,
    )
    removed.catch(() => undefined)
    answered.catch(() => undefined)
    try {
      const outcome = await Promise.race([removed, answered, silent])
      if (outcome.kind === 'removed' || outcome.kind === 'timeout') end(outcome.kind)
      return outcome.kind === 'response' ? { kind: 'response', bytes: fromHex(outcome.bytes) } : outcome
    } catch (error) {
      // The answer of an aborted command is lost, so the dialogue with the card is over.
      if (signal.aborted) await session.release()
      throw error
    } finally {
      timer.abort()
    }
  }

  const session: OpenCardSession = {
    atr,
    protocol: protocolOf(atr),
    live: () => ended === undefined,
    underWay: () => waiting > 0,
    cardGone: () => end('removed'),
    async transmit(command, { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = {}) {
      if (ended !== undefined) return outcomeOfEnd()
      if (command.length < 4 || command.length > 261) {
        throw deviceError('DEVICE_PROTOCOL', 'a command APDU has 4 to 261 bytes', { length: command.length })
      }
      return base.operation({ signal, lane: 'transmit' }, async (inner) => {
        parts.countCommand()
        waiting++
        try {
          return await exchange(command, timeoutMs, inner)
        } finally {
          waiting--
        }
      })
    },
    async release() {
      if (released) return
      released = true
      const reachable = ended !== 'removed'
      end('released')
      if (reachable) await port.powerOff({ cycle }).catch(() => undefined)
      await parts.onRelease()
    },
  }
  return session
}

/** The first protocol that the ATR offers: T=0 unless TD1 says T=1. ISO/IEC 7816-3, 8.2.3 */
function protocolOf(atr: Uint8Array): 'T=0' | 'T=1' {
  const y1 = (atr[1] ?? 0) >> 4
  if ((y1 & 8) === 0) return 'T=0'
  const td1 = atr[2 + (y1 & 1) + ((y1 >> 1) & 1) + ((y1 >> 2) & 1)]
  return td1 !== undefined && (td1 & 15) === 1 ? 'T=1' : 'T=0'
}
