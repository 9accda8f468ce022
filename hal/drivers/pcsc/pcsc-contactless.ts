// A contactless field behind PC/SC: the reader looks for cards by itself and shows each as a card in one of its slots.
import { createGate } from '../../base/gate.js'
import type { DriverContext } from '../../board.js'
import type { ChipCardReader, ChipCardSession, TransmitOutcome } from '../../chip-card-reader.js'
import type {
  ContactlessEvent,
  ContactlessReader,
  ContactlessReaderState,
  PollOutcome,
} from '../../contactless-reader.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import { contactlessKind, GET_ATS, GET_UID, isRandomUid } from './contactless-atr.js'
import type { PcscBinding } from './pcsc-binding.js'
import { openPcscReader } from './pcsc-reader.js'

export interface PcscContactlessOptions {
  /** Part of the reader's name, in any case; `*` stands for anything. */
  readonly reader?: string
  /** The slots in which the reader shows the cards of its one field; a second card is seen only where it has several. */
  readonly slots?: readonly number[]
}

/** pcscd looks at each slot every 400 ms: so long a second card may be behind the first. */
const SECOND_CARD_MS = 450
const ASK_MS = 1000

interface Live {
  readonly slot: ChipCardReader
  end(early: boolean): void
}

/** Opens the field; resolves when the first look is done, also where there is no reader. */
export async function openPcscContactless(
  driver: string,
  binding: PcscBinding,
  { reader, slots }: PcscContactlessOptions,
  context: DriverContext,
): Promise<ContactlessReader> {
  const { clock, log, id } = context
  const base = createDeviceBase<'contactless-reader', ContactlessReaderState, ContactlessEvent>(
    context,
    'contactless-reader',
    driver,
    'fieldOff',
  )
  const wanted = reader === undefined ? {} : { reader }
  const field = await Promise.all(
    (slots ?? [undefined]).map((slot) =>
      // Their counters are the field's own: the slots keep none.
      openPcscReader(driver, binding, slot === undefined ? wanted : { ...wanted, slot }, { id, clock, log }),
    ),
  )
  base.onClose(async () => {
    await Promise.all(field.map((slot) => slot.close()))
  })
  const gate = createGate()
  let live: Live | undefined

  const shown = () =>
    field.filter((slot) => slot.status().presence === 'ready' && slot.status().state !== 'empty')
  function look(): void {
    const missing = field.find((slot) => slot.status().presence !== 'ready')
    if (missing === undefined) base.update({ presence: 'ready' })
    else {
      live?.end(false)
      const { detail } = missing.status()
      base.update({ presence: 'lost', state: 'fieldOff', detail: detail ?? 'the reader is gone' })
    }
    // One card more makes the one that we talk to unreachable too.
    const cards = shown()
    if (live !== undefined && (cards.length > 1 || !cards.includes(live.slot))) live.end(true)
    gate.notify()
  }
  for (const slot of field) slot.on(look)
  look()

  /** A session whose end is told as the field tells it. */
  function sessionOf(slot: ChipCardReader, card: ChipCardSession): ChipCardSession {
    let ended: 'removed' | 'released' | undefined
    let under = 0
    const own: Live = {
      slot,
      end(early) {
        if (ended !== undefined) return
        ended = 'removed'
        if (live === own) live = undefined
        base.update({ state: 'fieldOff' })
        if (early) base.emit({ type: 'removedEarly', torn: under > 0 })
        void card.release().catch(() => undefined)
      },
    }
    live = own
    base.count('GoodReadCount')
    base.update({ state: 'present' })
    return {
      atr: card.atr,
      protocol: card.protocol,
      async transmit(command, options): Promise<TransmitOutcome> {
        if (ended === 'released') throw deviceError('DEVICE_CLOSED', 'the session was released')
        if (ended === 'removed') return { kind: 'removed' }
        base.count('CommandCount')
        under++
        try {
          const outcome = await card.transmit(command, options)
          if (outcome.kind === 'removed') own.end(true)
          return ended === 'removed' ? { kind: 'removed' } : outcome
        } catch (error) {
          // What a dead session says is about the card, not about the caller's use.
          if (ended === 'removed' && base.device.status().presence === 'ready') return { kind: 'removed' }
          throw error
        } finally {
          under--
        }
      },
      async release() {
        if (ended === 'released') return
        const alive = ended === undefined
        ended = 'released'
        if (live === own) live = undefined
        await card.release()
        if (alive) base.update({ state: 'fieldOff' })
      },
    }
  }

  /** Asks the reader, not the card; undefined where it doesn't know such a command. */
  async function ask(card: ChipCardSession, command: Uint8Array): Promise<Uint8Array | undefined> {
    const outcome = await card.transmit(command, { timeoutMs: ASK_MS })
    if (outcome.kind !== 'response' || outcome.bytes.at(-2) !== 0x90) return undefined
    return outcome.bytes.subarray(0, -2)
  }

  /** Undefined where it is no card to pay with: mute, a tag, a phone that keeps its cards. */
  async function powered(slot: ChipCardReader, signal: AbortSignal): Promise<PollOutcome | undefined> {
    const outcome = await slot.powerOn(signal)
    if (outcome.kind !== 'session') return undefined
    const { session } = outcome
    try {
      if (contactlessKind(session.atr) === 'iso14443-4') {
        // NOTE: part 3 has no word for the type; only a type A card has an ATS that GET DATA can give (3.2.2.1.3).
        const technology = (await ask(session, GET_ATS)) === undefined ? 'B' : 'A'
        if (!signal.aborted) return { kind: 'session', session: sessionOf(slot, session), technology }
      } else if (isRandomUid((await ask(session, GET_UID)) ?? new Uint8Array(0)))
        base.emit({ type: 'seePhone' })
    } catch (error) {
      await session.release()
      throw error
    }
    await session.release()
    return undefined
  }

  async function poll(signal: AbortSignal): Promise<PollOutcome> {
    base.update({ state: 'polling' })
    for (;;) {
      await gate.until(() => (shown().length > 0 ? true : undefined), signal)
      if (field.length > 1) await clock.sleep(SECOND_CARD_MS, signal)
      const cards = shown()
      if (cards.length > 1) {
        base.count('CollisionCount')
        base.update({ state: 'collision' })
        base.emit({ type: 'collision' })
        base.update({ state: 'fieldOff' })
        return { kind: 'collision' }
      }
      const [slot] = cards
      if (slot === undefined) continue
      const found = await powered(slot, signal)
      if (found !== undefined) return found
      base.count('FailedReadCount')
      // It is looked at again when something moves.
      await gate.until(() => (shown().length !== 1 || shown()[0] !== slot ? true : undefined), signal)
    }
  }

  return {
    ...base.device,
    capabilities: { controlsField: false },
    poll: (signal) =>
      base.operation({ signal, lane: 'poll' }, async (inner) => {
        if (live !== undefined) throw deviceError('DEVICE_BUSY', 'a card session is open', { device: id })
        try {
          return await poll(inner)
        } catch (error) {
          base.update({ state: 'fieldOff' })
          throw error
        }
      }),
    fieldOff: () =>
      base.operation({}, async () => {
        live?.end(false)
        base.update({ state: 'fieldOff' })
      }),
  }
}
