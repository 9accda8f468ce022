// A PN532 as contactless reader: a cheap one for development and loyalty cards, no EMV Level 1 reader. NXP UM0701-02.
import { concat, erase } from '../../base/bytes.js'
import { isPosternError } from '../../base/errors.js'
import type { DriverContext } from '../../board.js'
import type { BytePort, OpenBytePort } from '../../byte-port.js'
import type { ChipCardSession, TransmitOutcome } from '../../chip-card-reader.js'
import type {
  ContactlessEvent,
  ContactlessReader,
  ContactlessReaderState,
  PollOutcome,
} from '../../contactless-reader.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import { keepDevice } from '../kept-device.js'
import {
  dataExchange,
  FEW_RETRIES,
  FIRMWARE,
  LIST_A,
  LIST_B,
  MAX_PIECE,
  PRESENCE,
  readStatus,
  readTargets,
  rfField,
  SAM_NORMAL,
  type Target,
} from './commands.js'
import { type Pn532Link, pn532Link } from './link.js'

/** IC code that GetFirmwareVersion begins with. 7.2.2 */
const IC_PN532 = 0x32
const QUICK_MS = 1000
const LIST_MS = 2000
const DEFAULT_TIMEOUT_MS = 30_000
/** A field that is off so long has reset every card in it. ISO/IEC 14443-3; EMV Contactless Book D, 3.2.6 */
const RESET_MS = 6
/** Between two looks into an empty field. */
const PAUSE_MS = 40
/** How often chip or card are asked whether they are still there while nothing else is asked. */
const LOOK_MS = 400
const MAX_RESPONSE = 258

interface Live {
  busy(): boolean
  end(how: 'removed' | 'lost'): void
}

/** Opens the reader; resolves after the first attempt, also where there is none. */
export async function openPn532(
  driver: string,
  open: OpenBytePort,
  context: DriverContext,
): Promise<ContactlessReader> {
  const { clock, id } = context
  const base = createDeviceBase<'contactless-reader', ContactlessReaderState, ContactlessEvent>(
    context,
    'contactless-reader',
    driver,
    'fieldOff',
  )
  let port: BytePort | undefined
  let link: Pn532Link | undefined
  let live: Live | undefined
  let polling = false

  const keeper = keepDevice(clock, base.closing, {
    everyMs: LOOK_MS,
    async attach(signal) {
      await port?.close()
      const opened = await open()
      port = opened
      opened.onLost((reason) => keeper.lost(reason))
      const talk = pn532Link(opened, clock)
      await talk.wake()
      const quick = { signal, timeoutMs: QUICK_MS }
      const [chip] = await talk.command(FIRMWARE, quick)
      if (chip !== IC_PN532) throw deviceError('DEVICE_PROTOCOL', 'what answers is no PN532')
      await talk.command(SAM_NORMAL, quick)
      await talk.command(FEW_RETRIES, quick)
      // A field that a crashed process left on is switched off before anything else.
      await talk.command(rfField(false), quick)
      if (signal.aborted) throw signal.reason
      link = talk
    },
    async poll(signal) {
      if (polling || live?.busy() || link === undefined) return
      const quick = { signal, timeoutMs: QUICK_MS }
      if (live === undefined) await link.command(FIRMWARE, quick)
      else if (!(await isThere(link, signal))) live?.end('removed')
    },
    up: () => base.update({ presence: 'ready', state: 'fieldOff' }),
    down(reason) {
      link = undefined
      live?.end('lost')
      base.update({ presence: 'lost', state: 'fieldOff', detail: reason })
    },
  })
  base.onClose(async () => {
    await fieldOff().catch(() => undefined)
    await port?.close()
  })

  /** A command to the chip; one that it doesn't take is the loss of the reader. */
  async function say(body: Uint8Array, timeoutMs: number, signal?: AbortSignal): Promise<Uint8Array> {
    const talk = link
    if (talk === undefined) throw deviceError('DEVICE_LOST', `${id} is not there`, { device: id })
    try {
      return await talk.command(body, signal === undefined ? { timeoutMs } : { timeoutMs, signal })
    } catch (error) {
      if (isPosternError(error, 'DEVICE_LOST') && talk === link) keeper.lost(error.message)
      throw error
    }
  }

  async function isThere(talk: Pn532Link, signal?: AbortSignal): Promise<boolean> {
    const options = { timeoutMs: QUICK_MS, ...(signal === undefined ? {} : { signal }) }
    const [status = 0xff] = await talk.command(PRESENCE, options)
    return readStatus(status).status === 'ok'
  }

  async function fieldOff(): Promise<void> {
    live?.end('lost')
    if (link === undefined) return
    await say(rfField(false), QUICK_MS)
    base.update({ state: 'fieldOff' })
    await clock.sleep(RESET_MS)
  }

  function sessionOf(atr: Uint8Array): ChipCardSession {
    let ended: 'removed' | 'timeout' | 'closed' | undefined
    let under = 0
    const stop = new AbortController()
    const end = (how: NonNullable<typeof ended>) => {
      if (ended !== undefined) return
      ended = how
      if (live === own) live = undefined
      stop.abort(deviceError('ABORTED', 'the session has ended'))
    }
    const own: Live = {
      busy: () => under > 0,
      end(how) {
        if (ended !== undefined) return
        const torn = under > 0
        end('removed')
        if (how === 'lost') return
        base.emit({ type: 'removedEarly', torn })
        void fieldOff().catch(() => undefined)
      },
    }
    live = own

    async function exchange(
      command: Uint8Array,
      timeoutMs: number,
      signal: AbortSignal,
    ): Promise<TransmitOutcome> {
      const until = clock.monotonicMs() + timeoutMs
      const parts: Uint8Array[] = []
      let length = 0
      const send = async (piece: Uint8Array, more: boolean) => {
        const body = dataExchange(piece, more)
        try {
          const answer = await say(body, Math.max(1, until - clock.monotonicMs()), signal)
          const read = readStatus(answer[0] ?? 0xff)
          parts.push(answer.slice(1))
          length += answer.length - 1
          return read
        } finally {
          erase(body)
        }
      }
      let at = 0
      let read: ReturnType<typeof readStatus>
      do {
        const piece = command.subarray(at, at + MAX_PIECE)
        at += piece.length
        read = await send(piece, at < command.length)
      } while (read.status === 'ok' && at < command.length)
      // What the card has left to say comes for the asking.
      while (read.status === 'ok' && read.more && length <= MAX_RESPONSE)
        read = await send(new Uint8Array(0), false)
      const bytes = concat(...parts)
      erase(...parts)
      if (read.status === 'ok' && bytes.length >= 2 && bytes.length <= MAX_RESPONSE) {
        base.count('GoodReadCount')
        return { kind: 'response', bytes }
      }
      base.count('FailedReadCount')
      if (read.status === 'gone' || link === undefined || !(await isThere(link))) {
        own.end('removed')
        return { kind: 'removed' }
      }
      return { kind: 'mute' }
    }

    return {
      atr,
      protocol: 'T=1',
      async transmit(command, { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = {}) {
        if (ended === 'closed') throw deviceError('DEVICE_CLOSED', 'the card session has ended')
        if (ended !== undefined) return { kind: ended }
        if (command.length < 4 || command.length > 261)
          throw deviceError('DEVICE_PROTOCOL', 'a command APDU has 4 to 261 bytes', {
            length: command.length,
          })
        return base.operation({ signal, lane: 'transmit' }, async (inner) => {
          base.count('CommandCount')
          under++
          try {
            return await exchange(command, timeoutMs, AbortSignal.any([inner, stop.signal]))
          } catch (error) {
            if (inner.aborted) {
              // The answer of an aborted command is lost, so the dialogue with the card is over.
              end('closed')
              throw inner.reason
            }
            if (isPosternError(error, 'DEVICE_TIMEOUT')) end('timeout')
            if (ended !== undefined && ended !== 'closed') return { kind: ended }
            throw error
          } finally {
            under--
          }
        })
      },
      async release() {
        const was = ended
        end('closed')
        ended = was === 'removed' ? 'removed' : 'closed'
        if (was !== 'removed' && live === undefined && !polling) await fieldOff().catch(() => undefined)
      },
    }
  }

  async function poll(signal: AbortSignal): Promise<PollOutcome> {
    const list = async (command: Uint8Array, technology: 'A' | 'B') =>
      readTargets(await say(command, LIST_MS, signal), technology)
    base.update({ state: 'polling' })
    await say(rfField(true), QUICK_MS, signal)
    /** True while what is in the field was looked at and is no card to pay with. */
    let passed = false
    for (;;) {
      const ofA = await list(LIST_A, 'A')
      const ofB = await list(LIST_B, 'B')
      const found: readonly Target[] = [...ofA, ...ofB]
      if (found.length > 1) {
        base.count('CollisionCount')
        base.update({ state: 'collision' })
        base.emit({ type: 'collision' })
        await fieldOff()
        return { kind: 'collision' }
      }
      // The last list is the one whose target is active: a card of type A is activated once more.
      const [target] = ofA.length === 1 ? await list(LIST_A, 'A') : found
      if (target?.atr !== undefined) {
        base.count('GoodReadCount')
        base.update({ state: 'present' })
        return { kind: 'session', session: sessionOf(target.atr), technology: target.technology }
      }
      if (target !== undefined && !passed) {
        base.count('FailedReadCount')
        // A phone draws four random bytes that begin with 08. ISO/IEC 14443-3, 6.5.4
        if (target.uid.length === 4 && target.uid[0] === 0x08) base.emit({ type: 'seePhone' })
      }
      passed = found.length > 0
      await clock.sleep(PAUSE_MS, signal)
    }
  }

  await keeper.settled
  return {
    ...base.device,
    capabilities: { controlsField: true },
    poll: (signal) =>
      base.operation({ signal, lane: 'poll' }, async (inner) => {
        if (live !== undefined) throw deviceError('DEVICE_BUSY', 'a card session is open', { device: id })
        polling = true
        try {
          return await poll(inner)
        } catch (error) {
          await fieldOff().catch(() => undefined)
          throw error
        } finally {
          polling = false
        }
      }),
    fieldOff: () => base.operation({}, () => fieldOff()),
  }
}
