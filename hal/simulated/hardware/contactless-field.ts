// The contactless field: no card, one, or several that collide.
import type { Peripheral } from '../bus.js'
import type { PeripheralState } from '../bus-protocol.js'
import type { VirtualCard } from '../virtual-card.js'
import { type CardFaults, createCardContact } from './card-contact.js'
import type { MachineIo } from './machine.js'

/** The field as a person, a scenario or a test handles it. */
export interface ContactlessField {
  on(): boolean
  cards(): number
  /** Holds a card to the field; at most 8 at a time, beyond which the oldest goes. */
  tap(card: VirtualCard, technology?: 'A' | 'B'): void
  /** Takes one card away, or all. */
  leave(card?: VirtualCard): void
  /** After `commands` answered commands the card leaves; `torn`: it works one more, whose answer is lost. */
  leaveAfter(commands: number, options?: { torn?: boolean }): void
  readonly faults: Readonly<CardFaults>
}

/** The field and its end of the bus. */
export function createContactlessField(io: MachineIo<'contactless-reader'>): {
  readonly field: ContactlessField
  readonly peripheral: Peripheral
  powerLoss(): void
} {
  let on = false
  let inField: { card: VirtualCard; technology: 'A' | 'B' }[] = []
  const contact = createCardContact(
    (ms) => io.clock.sleep(ms, io.off).catch(() => undefined),
    () => {
      inField = []
      changed()
    },
  )
  const changed = () => {
    // A card is reachable only while it is alone.
    const alone = inField.length === 1 ? inField[0]!.card : undefined
    if (contact.joined() !== alone) {
      if (alone === undefined) contact.leave()
      else contact.join(alone)
    }
    if (on) io.send({ type: 'field', cards: inField.length })
    io.changed()
  }
  const field: ContactlessField = {
    on: () => on,
    cards: () => inField.length,
    tap(card, technology = 'A') {
      inField = [...inField.filter((each) => each.card !== card), { card, technology }].slice(-8)
      changed()
    },
    leave(card) {
      inField = card === undefined ? [] : inField.filter((each) => each.card !== card)
      changed()
    },
    leaveAfter(commands, { torn = false } = {}) {
      contact.faults.leaveAfter = commands
      contact.faults.torn = torn
    },
    faults: contact.faults,
  }
  return {
    field,
    powerLoss() {
      contact.powerLoss()
      on = false
      io.changed()
    },
    peripheral: {
      state: (): PeripheralState<'contactless-reader'> => ({ cards: on ? inField.length : 0 }),
      command(op, params: { on: boolean; cycle: number; command: string }) {
        if (op === 'powerOn') return on ? contact.powerOn() : { kind: 'removed' }
        if (op === 'transmit') return contact.transmit(params.cycle, params.command)
        if (op === 'powerOff') {
          contact.powerOff(params.cycle)
          return {}
        }
        on = params.on
        io.changed()
        const technology = inField.length === 1 ? inField[0]!.technology : undefined
        return { cards: on ? inField.length : 0, ...(on && technology ? { technology } : {}) }
      },
    },
  }
}
