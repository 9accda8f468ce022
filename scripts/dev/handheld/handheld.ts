// The virtual handheld: the hardware, its printer and cards, the hands that work it and the eyes that watch it.
import { systemClock } from '../../../hal/base/clock.js'
import { PosternError, unreachable } from '../../../hal/base/errors.js'
import { loadFont } from '../../../hal/base/font/font.js'
import { EscposMachine, PRINTER_FAULTS, type PrinterFault } from '../../../hal/simulated/escpos-machine.js'
import { machineSocket } from '../../../hal/simulated/escpos-machine-port.js'
import {
  createSimulatedHardware,
  type HardwareOptions,
  type SimulatedHardware,
} from '../../../hal/simulated/hardware.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'
import type { Deck } from '../issuer/deck.js'
import type { Action, CutMoment } from './action.js'
import { createPaperText, type PaperText } from './paper-text.js'
import { createPowerCut } from './power-cut.js'
import { swiped } from './swipe.js'

/** Where a card goes: the simulated slot, or a virtual PC/SC reader. */
export interface Slot {
  insert(card: VirtualCard): void | Promise<void>
  pull(): void | Promise<void>
}

export interface HandheldOptions {
  readonly cards: Deck
  /** Panel and keys, as the board profile has them. */
  readonly hardware?: HardwareOptions
  /** Replaces the slot of the simulated reader. */
  readonly slot?: Slot
  /** False on a board without a stripe slot. */
  readonly stripe?: boolean
  readonly baudRate?: number
  /** Cuts or restores the power of both worlds. */
  readonly onPower: (power: 'cut' | 'on' | 'restart') => void
}

/** A screen as it stood, in words. */
export interface SeenScreen {
  readonly sequence: number
  readonly atMs: number
  readonly lines: readonly string[]
}

export interface Handheld {
  readonly hardware: SimulatedHardware
  readonly machine: EscposMachine
  readonly paperText: PaperText
  readonly cards: Deck
  /** There is a stripe slot. */
  readonly stripe: boolean
  /** The card in the slot by its id. */
  inserted(): string | undefined
  powered(): boolean
  setPowered(on: boolean): void
  cutArmed(): CutMoment | undefined
  /** The newest screens, oldest first, at most 400. */
  screens(after: number): readonly SeenScreen[]
  act(action: Action): Promise<void>
  close(): void
}

const KEPT_SCREENS = 400

/** Builds it, with paper in and power on. */
export function createHandheld(options: HandheldOptions): Handheld {
  const hardware = createSimulatedHardware(options.hardware)
  const machine = new EscposMachine({ clock: systemClock, glyphs: loadFont() })
  const paperText = createPaperText()
  const socket = machineSocket(machine, systemClock, {
    baudRate: options.baudRate ?? 115_200,
    flowControl: true,
  })
  void socket.open().then((port) => {
    hardware.printer.attach({
      ...port,
      write: (bytes) => {
        paperText.receive(bytes)
        return port.write(bytes)
      },
    })
  })
  hardware.addFault('printer', (args) => {
    const wanted = args['fault']
    if (wanted === 'none') {
      for (const fault of machine.faults()) machine.setFault(fault, false)
      return
    }
    if (!(PRINTER_FAULTS as readonly unknown[]).includes(wanted)) {
      throw new PosternError(
        'FAULT_INVALID',
        `the printer's faults are ${PRINTER_FAULTS.join(', ')} and none`,
      )
    }
    machine.setFault(wanted as PrinterFault, args['on'] !== false)
  })

  const power = createPowerCut(() => {
    powered = false
    options.onPower('cut')
  })
  const hasStripe = options.stripe ?? true
  const slot: Slot = options.slot ?? hardware.chip
  const screens: SeenScreen[] = []
  let sequence = 0
  let revision = -1
  let powered = true
  let inserted: string | undefined

  const unwatch = hardware.watch((device) => {
    if (device === 'chip-card-reader' && options.slot === undefined && hardware.chip.card() === undefined)
      inserted = undefined
    if (device !== 'display' || hardware.display.revision() === revision) return
    revision = hardware.display.revision()
    const lines = [...hardware.display.alt()]
    // Only what reads differently is a new screen: a blinking cursor or the clock is not.
    if (screens.at(-1)?.lines.join('\n') === lines.join('\n')) return
    screens.push({ sequence: ++sequence, atMs: Date.now(), lines })
    if (screens.length > KEPT_SCREENS) screens.shift()
  })

  async function act(action: Action): Promise<void> {
    if ('insert' in action) {
      const card = options.cards.card(action.insert)
      if (inserted !== undefined) await slot.pull()
      await slot.insert(power.watch(card))
      inserted = action.insert
      return
    }
    if ('pull' in action) {
      await slot.pull()
      inserted = undefined
      return
    }
    if ('swipe' in action) {
      if (!hasStripe) throw new PosternError('NO_STRIPE_SLOT', 'this handheld has no stripe slot')
      const tracks = swiped(options.cards.stripe(action.swipe), action.how ?? 'clean')
      if (inserted === action.swipe) {
        await slot.pull()
        inserted = undefined
      }
      return hardware.stripe.swipe(tracks)
    }
    if ('key' in action) return hardware.keypad.tap(action.key, action.holdMs)
    if ('scan' in action) return hardware.scanner.scan(action.scan)
    if ('fault' in action) return hardware.fault(action.fault.name, action.fault.args ?? {})
    if ('network' in action) return hardware.network.set(action.network === 'on')
    if ('tear' in action) return void machine.tearOff()
    if ('power' in action) {
      if (typeof action.power === 'object') return power.arm(action.power.cutAt)
      powered = action.power !== 'cut'
      return options.onPower(action.power)
    }
    unreachable(action)
  }

  return {
    hardware,
    machine,
    paperText,
    cards: options.cards,
    stripe: hasStripe,
    inserted: () => inserted,
    powered: () => powered,
    setPowered(on) {
      powered = on
      if (!on) hardware.powerLoss()
    },
    cutArmed: () => power.armed(),
    screens: (after) => screens.filter((screen) => screen.sequence > after),
    act,
    close() {
      unwatch()
      machine.close()
      hardware.close()
    },
  }
}
