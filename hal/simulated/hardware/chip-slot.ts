// The chip card slot: a card is in it or not.
import type { Peripheral } from '../bus.js'
import type { CommandParams, PeripheralState } from '../bus-protocol.js'
import type { VirtualCard } from '../virtual-card.js'
import { type CardFaults, createCardContact } from './card-contact.js'
import type { MachineIo } from './machine.js'

/** The slot as a person, a scenario or a test handles it. */
export interface ChipSlot {
  card(): VirtualCard | undefined
  /** Puts a card in; a card that is in the slot is pulled first. */
  insert(card: VirtualCard): void
  /** Idempotent. */
  pull(): void
  /** After `commands` answered commands the card is pulled; `torn`: it works one more, whose answer is lost. */
  pullAfter(commands: number, options?: { torn?: boolean }): void
  /** The card answers no reset, as one that lies the wrong way round; until it is pulled. */
  mute(): void
  /** After `commands` answered commands the card stays silent until it is pulled. */
  hangAfter(commands: number): void
  /** The card takes so long for each command; until it is pulled. */
  slowCard(commandMs: number): void
  readonly faults: Readonly<CardFaults>
}

/** The slot and its end of the bus. */
export function createChipSlot(io: MachineIo<'chip-card-reader'>): {
  readonly slot: ChipSlot
  readonly peripheral: Peripheral
  powerLoss(): void
} {
  const moved = (type: 'inserted' | 'removed') => {
    io.send({ type })
    io.changed()
  }
  const contact = createCardContact(
    (ms) => io.clock.sleep(ms, io.off).catch(() => undefined),
    () => moved('removed'),
  )
  const slot: ChipSlot = {
    card: contact.joined,
    insert(card) {
      slot.pull()
      contact.join(card)
      moved('inserted')
    },
    pull() {
      if (contact.joined() === undefined) return
      contact.leave()
      moved('removed')
    },
    pullAfter(commands, { torn = false } = {}) {
      contact.faults.leaveAfter = commands
      contact.faults.torn = torn
    },
    mute() {
      contact.faults.mute = true
    },
    hangAfter(commands) {
      contact.faults.hangAfter = commands
    },
    slowCard(commandMs) {
      contact.faults.commandMs = commandMs
    },
    faults: contact.faults,
  }
  return {
    slot,
    powerLoss: contact.powerLoss,
    peripheral: {
      state: (): PeripheralState<'chip-card-reader'> => ({ card: contact.joined() !== undefined }),
      command(op, params: CommandParams<'chip-card-reader', 'transmit'>) {
        if (op === 'powerOn') return contact.powerOn()
        if (op === 'transmit') return contact.transmit(params.cycle, params.command)
        contact.powerOff(params.cycle)
        return {}
      },
    },
  }
}
