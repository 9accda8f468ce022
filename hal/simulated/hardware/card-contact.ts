// A virtual card joined to a reader, by contacts or by a field: power cycles, commands, and the ways it can go wrong.
import { fromHex, toHex } from '../../base/bytes.js'
import type { CommandResult } from '../bus-protocol.js'
import type { VirtualCard } from '../virtual-card.js'

type PowerOn = CommandResult<'chip-card-reader', 'powerOn'>
type Transmit = CommandResult<'chip-card-reader', 'transmit'>

/** The card is gone, as a promise that a command can lose against. */
interface Joined {
  readonly card: VirtualCard
  readonly gone: Promise<{ kind: 'removed' }>
  leave(): void
}

/** Faults that the next card, or the one that is joined, shows. Each is used up once it happened. */
export interface CardFaults {
  /** Answers no reset. Stays until the card leaves. */
  mute: boolean
  /** Commands that are still answered before the card leaves; `undefined` switches the fault off. */
  leaveAfter: number | undefined
  /** The card works the last command, but leaves before its answer is out (a torn transaction). */
  torn: boolean
  /** Commands that are still answered before the card falls silent and stays so until it leaves. */
  hangAfter: number | undefined
  /** Time the card takes for each command, in milliseconds. */
  commandMs: number
}

export interface CardContact {
  readonly faults: CardFaults
  joined(): VirtualCard | undefined
  join(card: VirtualCard): void
  leave(): void
  powerOn(): PowerOn
  transmit(cycle: number, commandHex: string): Promise<Transmit>
  powerOff(cycle: number): void
  /** The reader has no power: the card in it is reset, and stays. */
  powerLoss(): void
}

/** No fault. */
export const noCardFaults = (): CardFaults => ({
  mute: false,
  leaveAfter: undefined,
  torn: false,
  hangAfter: undefined,
  commandMs: 0,
})

/** `onLeave` is called when a fault, not a person, takes the card away. */
export function createCardContact(
  sleep: (ms: number) => Promise<void>,
  onFaultLeave: () => void,
): CardContact {
  const faults = noCardFaults()
  let joined: Joined | undefined
  let cycle = 0
  let powered = false

  const leave = () => {
    const was = joined
    joined = undefined
    if (was === undefined) return
    if (powered) was.card.powerOff()
    powered = false
    cycle++
    was.leave()
    Object.assign(faults, noCardFaults())
  }

  return {
    faults,
    joined: () => joined?.card,
    join(card) {
      leave()
      let gone: (value: { kind: 'removed' }) => void = () => undefined
      joined = {
        card,
        gone: new Promise((resolve) => {
          gone = resolve
        }),
        leave: () => gone({ kind: 'removed' }),
      }
    },
    leave,
    powerOn() {
      if (joined === undefined) return { kind: 'removed' }
      if (powered) joined.card.powerOff()
      cycle++
      powered = false
      const atr = faults.mute ? undefined : joined.card.powerOn()
      if (atr === undefined) return { kind: 'mute' }
      powered = true
      return { kind: 'atr', atr: toHex(atr), cycle }
    },
    async transmit(ofCycle, commandHex) {
      const here = joined
      if (here === undefined || (ofCycle !== cycle && !powered)) return { kind: 'removed' }
      if (ofCycle !== cycle || !powered) return { kind: 'mute' }
      if (faults.leaveAfter === 0 && !faults.torn) {
        leave()
        onFaultLeave()
        return { kind: 'removed' }
      }
      if (faults.hangAfter === 0) return here.gone
      const answer = (async (): Promise<Transmit> => {
        if (faults.commandMs > 0) await sleep(faults.commandMs)
        if (joined !== here) return { kind: 'removed' }
        const bytes = await here.card.transmit(fromHex(commandHex))
        return bytes === undefined ? { kind: 'mute' } : { kind: 'response', bytes: toHex(bytes) }
      })()
      const outcome = await Promise.race([answer, here.gone])
      if (joined !== here) return { kind: 'removed' }
      if (faults.hangAfter !== undefined) faults.hangAfter--
      if (faults.leaveAfter === undefined) return outcome
      if (faults.leaveAfter === 0) {
        leave()
        onFaultLeave()
        return { kind: 'removed' }
      }
      faults.leaveAfter--
      if (faults.leaveAfter === 0 && !faults.torn) {
        // The answer is out first; the card goes right behind it.
        setImmediate(() => {
          if (joined !== here) return
          leave()
          onFaultLeave()
        })
      }
      return outcome
    },
    powerLoss() {
      if (powered) joined?.card.powerOff()
      powered = false
      cycle++
    },
    powerOff(ofCycle) {
      if (ofCycle !== cycle || !powered) return
      powered = false
      joined?.card.powerOff()
    },
  }
}
