// A PC/SC reader behind hal/chip-card-reader.ts: found by name, before or after start, and found again when it returns.
import type { DriverContext } from '../../board.js'
import type { ChipCardReader, ChipCardReaderState, PowerOnOutcome } from '../../chip-card-reader.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import type { PcscBinding, PcscReader } from './pcsc-binding.js'
import { pcscFailure, STATE } from './pcsc-codes.js'
import { pcscSession } from './pcsc-session.js'
import { watchReaders } from './pcsc-watch.js'
import type { WantedReader } from './reader-name.js'

/** How long a call that nobody waits for any more may keep the reader before a new power-on is refused. */
const HELD_MS = 2000
const ATR_MS = 1000

/** What is in the slot now: one of these for each time a card is put in. */
interface Card {
  atr: Uint8Array
  mute: boolean
  readonly gone: AbortController
  /** True while nobody has used it since it was put in. */
  fresh: boolean
}

/** Opens the reader; resolves when the first look is done, also where there is none. */
export async function openPcscReader(
  driver: string,
  binding: PcscBinding,
  wanted: WantedReader,
  context: DriverContext,
): Promise<ChipCardReader> {
  const { clock, id } = context
  const base = createDeviceBase<'chip-card-reader', ChipCardReaderState>(
    context,
    'chip-card-reader',
    driver,
    'empty',
  )
  let card: Card | undefined
  let counter: number | undefined
  let session: AbortController | undefined
  let held: Promise<unknown> = Promise.resolve()
  let lost = new AbortController()
  const changed: (() => void)[] = []

  const wake = () => {
    for (const listener of changed.splice(0)) listener()
  }
  const nextChange = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason)
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      changed.push(() => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
    })
  function noCard(): void {
    const before = card
    card = undefined
    before?.gone.abort()
  }

  function lose(detail: string): void {
    counter = undefined
    lost.abort(deviceError('DEVICE_LOST', detail, { device: id }))
    lost = new AbortController()
    noCard()
    base.update({ presence: 'lost', state: 'empty', detail })
    wake()
  }

  /** The count tells of a card that was out for less time than the daemon takes to look. */
  const swappedBy = (bits: number) => counter !== undefined && bits >>> 16 !== counter

  /** Nothing that this reader can talk to: a power-on found out what the daemon did not say. */
  function foundMute(mine: Card): PowerOnOutcome {
    base.count('FailedReadCount')
    if (card !== mine) return { kind: 'removed' }
    mine.mute = true
    base.update({ state: 'mute' })
    return { kind: 'mute' }
  }

  function onState(bits: number, atr: Uint8Array): void {
    if (bits & (STATE.unknown | STATE.unavailable)) return
    const events = bits >>> 16
    const present = (bits & STATE.present) !== 0
    const mute = present && ((bits & STATE.mute) !== 0 || (!swappedBy(bits) && card?.mute === true))
    const swapped = swappedBy(bits)
    const atStart = counter === undefined
    counter = events
    if (card !== undefined && (!present || swapped || mute !== card.mute)) noCard()
    if (present && card === undefined) {
      card = { atr, mute, gone: new AbortController(), fresh: !atStart }
      if (!atStart) base.count('CardInsertionCount')
    }
    if (card !== undefined && atr.length >= 2) card.atr = atr
    if (card !== undefined && bits & STATE.inUse && session === undefined) card.fresh = false
    base.update({
      presence: 'ready',
      state: card === undefined ? 'empty' : card.mute ? 'mute' : 'present',
      detail: undefined,
    })
    wake()
  }

  /** Waits for calls that nobody waits for any more. True where the reader is free. */
  async function settle(boundMs: number): Promise<boolean> {
    const stop = new AbortController()
    const free = held.then(
      () => true,
      () => true,
    )
    const bound = clock.sleep(boundMs, stop.signal).then(
      () => false,
      () => false,
    )
    const result = await Promise.race([free, bound])
    stop.abort()
    return result
  }
  const hold = (call: Promise<unknown>) => {
    const before = held
    held = call.then(
      () => before,
      () => before,
    )
  }

  async function waitFor(present: boolean, signal: AbortSignal | undefined): Promise<void> {
    return base.operation({ signal, lane: present ? 'waitForCard' : 'waitForRemoval' }, async (own) => {
      while ((card !== undefined) !== present) await nextChange(own)
    })
  }

  /** The ATR comes with the state, which the daemon may tell a little after the card is powered. */
  async function atrOf(mine: Card): Promise<Uint8Array | undefined> {
    const until = clock.monotonicMs() + ATR_MS
    while (card === mine && mine.atr.length < 2 && clock.monotonicMs() < until) await clock.sleep(20)
    return mine.atr.length >= 2 ? mine.atr : undefined
  }

  async function connect(reader: PcscReader, mine: Card, signal: AbortSignal): Promise<PowerOnOutcome> {
    const powered = (async () => {
      let protocol = await reader.connect()
      if (!mine.fresh) {
        // It was powered before, by whom and in what state is not known: off and on is a cold reset.
        await reader.disconnect()
        protocol = await reader.connect()
      }
      mine.fresh = false
      return protocol
    })()
    hold(powered)
    const protocol = await powered
    const atr = await atrOf(mine)
    const alive = atr !== undefined && card === mine && !signal.aborted
    if (!alive) {
      const off = reader.disconnect().catch(() => undefined)
      hold(off)
      if (signal.aborted) throw signal.reason
      return foundMute(mine)
    }
    const own = new AbortController()
    session = own
    const live = pcscSession({
      reader,
      atr: atr.slice(),
      protocol,
      clock,
      gone: mine.gone.signal,
      lost: AbortSignal.any([lost.signal, base.closing]),
      count: (name) => base.count(name),
      hold,
      async released() {
        if (session === own) session = undefined
        if (watch.current() !== reader) return
        // Once what is under way has ended; the reader stays held until the card is off.
        const off = held.then(() => reader.disconnect()).catch(() => undefined)
        hold(off)
        await settle(HELD_MS)
      },
    })
    mine.gone.signal.addEventListener('abort', () => {
      if (session !== own) return
      session = undefined
      // Frees the library's handle of the card that is gone.
      hold(held.then(() => reader.disconnect()).catch(() => undefined))
    })
    return { kind: 'session', session: live }
  }

  async function powerOn(signal?: AbortSignal): Promise<PowerOnOutcome> {
    return base.operation({ signal, lane: 'powerOn' }, async (own): Promise<PowerOnOutcome> => {
      if (session !== undefined)
        throw deviceError('DEVICE_BUSY', 'the card is powered already', { device: id })
      const reader = watch.current()
      if (reader === undefined || card === undefined) return { kind: 'removed' }
      if (card.mute) return { kind: 'mute' }
      if (!(await settle(HELD_MS)))
        throw deviceError('DEVICE_BUSY', 'an earlier command still holds the reader', { device: id })
      const mine = card
      if (mine === undefined) return { kind: 'removed' }
      try {
        return await connect(reader, mine, own)
      } catch (error) {
        switch (pcscFailure(error)) {
          case 'removed':
          case 'reset':
            return { kind: 'removed' }
          case 'mute':
          case 'transport':
            if (own.aborted) throw own.reason
            return foundMute(mine)
          case 'shared':
            throw deviceError('DEVICE_BUSY', 'another program has the card', { device: id }, error)
          case 'lost':
          case 'cancelled':
            throw deviceError('DEVICE_LOST', `${reader.name} is gone`, { device: id }, error)
        }
      }
    })
  }

  const watch = watchReaders(binding, wanted, clock, base.closing, {
    state: (_reader, bits, atr) => onState(bits, atr),
    missing: lose,
    async beforeClose(reader) {
      if (session !== undefined) hold(held.then(() => reader.disconnect()).catch(() => undefined))
      session = undefined
      await settle(HELD_MS)
    },
  })
  base.onClose(() => watch.over)
  await watch.firstLook
  return {
    ...base.device,
    capabilities: { protocols: ['T=0', 'T=1'], exposesGetResponse: true },
    waitForCard: (signal) => waitFor(true, signal),
    waitForRemoval: (signal) => waitFor(false, signal),
    powerOn,
  }
}
