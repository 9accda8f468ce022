// The virtual handheld behind real stacks: its slot carried into pcscd's virtual reader, its printer onto a pty.
import { fromHex, toHex } from '../../../hal/base/bytes.js'
import { systemClock } from '../../../hal/base/clock.js'
import type { PeripheralName } from '../../../hal/simulated/bus-protocol.js'
import type { SimulatedHardware } from '../../../hal/simulated/hardware.js'
import { type InsertedCard, insertIntoVpcd, type ReaderCard } from '../issuer/vpcd-card.js'
import { ptyPrinter } from '../pty-printer.js'
import type { Handheld } from './handheld.js'

export interface RealStacks {
  /** A slot of `startPcscd`. */
  readonly slotSocket?: string
  /** Where the printer's device file is to be. */
  readonly printerPath?: string
  /** Whose it is to be; ours without. */
  readonly printerUid?: number
}

/** pcscd looks at a slot every 400 ms: a card that is back sooner would never have been out. */
const SEEN_MS = 900

/** Mirrors the handheld's chip slot, faults and all, into a virtual PC/SC reader. Returns what ends it. */
export function mirrorSlot(hardware: SimulatedHardware, slotSocket: string): () => void {
  const port = hardware.bus('secure').port('chip-card-reader')
  let inserted: InsertedCard | undefined
  let wanted = false
  let emptyAtMs = Number.NEGATIVE_INFINITY
  let turn: Promise<void> = Promise.resolve()

  /** The card as the slot's own contacts have it. */
  function card(): ReaderCard {
    let cycle: number | undefined
    return {
      async powerOn() {
        const outcome = await port.call('powerOn', {})
        if (outcome.kind !== 'atr') return undefined
        cycle = outcome.cycle
        return fromHex(outcome.atr)
      },
      async transmit(command) {
        if (cycle === undefined) return undefined
        const outcome = await port.call('transmit', { cycle, command: toHex(command) })
        return outcome.kind === 'response' ? fromHex(outcome.bytes) : undefined
      },
      powerOff() {
        if (cycle !== undefined) void port.call('powerOff', { cycle }).catch(() => undefined)
        cycle = undefined
      },
    }
  }
  /** Brings the reader to what the slot is now; one step at a time. */
  function follow(): void {
    turn = turn.then(async () => {
      if (wanted && inserted === undefined) {
        await systemClock.sleep(Math.max(0, emptyAtMs + SEEN_MS - systemClock.monotonicMs()))
        if (wanted) inserted = await insertIntoVpcd(card(), { path: slotSocket }).catch(() => undefined)
      } else if (!wanted && inserted !== undefined) leave()
    })
  }
  function leave(): void {
    // Not awaited: a card that hangs in a command is pulled all the same.
    void inserted?.remove()
    inserted = undefined
    emptyAtMs = systemClock.monotonicMs()
  }
  const unsubscribe = port.on((event) => {
    const there =
      event.type === 'attached' ? event.state.card : event.type === 'event' && event.event.type === 'inserted'
    // A card that was changed for another was out in between.
    if (wanted && there) leave()
    wanted = there
    if (!wanted) leave()
    follow()
  })
  return () => {
    unsubscribe()
    wanted = false
    leave()
  }
}

/** Pulls a real cable when the device's cable on the simulated bus is pulled, and plugs it back. Returns what ends it. */
function mirrorCable(
  hardware: SimulatedHardware,
  world: 'secure' | 'open',
  device: PeripheralName,
  set: (plugged: boolean) => void | Promise<void>,
): () => void {
  let plugged = true
  let turn: Promise<void> = Promise.resolve()
  return hardware
    .bus(world)
    .port(device)
    .on((event) => {
      const now = event.type === 'detached' ? false : event.type === 'attached' ? true : plugged
      if (now === plugged) return
      plugged = now
      turn = turn.then(() => set(now))
    })
}

/**
 * Joins what `stacks` names; resolves when the printer's device file is there. The reader's cable is the daemon, which is
 * the supervisor's: `setReader` asks for it. Returns what ends it.
 */
export async function joinRealStacks(
  handheld: Handheld,
  stacks: RealStacks,
  setReader: (plugged: boolean) => void,
): Promise<() => Promise<void>> {
  const unmirror =
    stacks.slotSocket === undefined ? undefined : mirrorSlot(handheld.hardware, stacks.slotSocket)
  const printer =
    stacks.printerPath === undefined
      ? undefined
      : await ptyPrinter(handheld.machine, systemClock, {
          path: stacks.printerPath,
          baudRate: 115_200,
          ...(stacks.printerUid === undefined ? {} : { uid: stacks.printerUid }),
          heard: handheld.paperText.receive,
        })
  const { hardware } = handheld
  const cables = [
    ...(stacks.slotSocket === undefined
      ? []
      : [mirrorCable(hardware, 'secure', 'chip-card-reader', setReader)]),
    ...(printer === undefined
      ? []
      : [
          mirrorCable(hardware, 'open', 'printer', (plugged) =>
            plugged ? printer.plug() : printer.unplug(),
          ),
        ]),
  ]
  return async () => {
    for (const end of cables) end()
    unmirror?.()
    await printer?.stop()
  }
}
