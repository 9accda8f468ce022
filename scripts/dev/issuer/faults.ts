// Fault switches around any card: what people and power do to it between two commands.
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'

/** Faults that a scenario sets, and a look at what passes. Each may be changed between commands. */
export interface CardFaults {
  /** No answer to reset. */
  mute: boolean
  /** The command of this number since power-on gets no answer, nor does any after it; 1 is the first. */
  silentFrom: number | undefined
  /** After the command of this number was answered, the card leaves the slot: `onPulled` is called and nothing answers. */
  pullAfter: number | undefined
  onPulled: (() => void) | undefined
  /** Called before each command with CLA INS P1 P2 and its number since power-on; awaited, so that power may be cut here. */
  onCommand: ((header: Uint8Array, index: number) => void | Promise<void>) | undefined
}

/** Everything off. */
export const noFaults = (): CardFaults => ({
  mute: false,
  silentFrom: undefined,
  pullAfter: undefined,
  onPulled: undefined,
  onCommand: undefined,
})

/**
 * Wraps a card with switches. `faults` is read at each command, so a scenario may set them while the card is in use.
 * @example const faults = noFaults(); faults.pullAfter = 3; reader.insert(withFaults(card, faults))
 */
export function withFaults(card: VirtualCard, faults: CardFaults): VirtualCard {
  let index = 0
  let pulled = false
  return {
    powerOn() {
      index = 0
      pulled = false
      return faults.mute ? undefined : card.powerOn()
    },
    async transmit(command) {
      if (pulled) return undefined
      index++
      await faults.onCommand?.(command.slice(0, 4), index)
      if (faults.silentFrom !== undefined && index >= faults.silentFrom) return undefined
      const response = await card.transmit(command)
      if (faults.pullAfter !== undefined && index >= faults.pullAfter) {
        pulled = true
        card.powerOff()
        // After this answer has gone back, as a hand would do it.
        setImmediate(() => faults.onPulled?.())
      }
      return response
    },
    powerOff() {
      card.powerOff()
    },
  }
}

/** Moments of a payment that a scenario can name. */
export const CARD_MOMENTS = ['getProcessingOptions', 'verify', 'firstGenerateAc', 'secondGenerateAc'] as const
export type CardMoment = (typeof CARD_MOMENTS)[number]

/** An `onCommand` that calls `at` when the named moment's command has reached the card and is not yet worked. */
export function watchMoments(at: (moment: CardMoment) => void | Promise<void>): CardFaults['onCommand'] {
  let cryptograms = 0
  return (header, index) => {
    if (index === 1) cryptograms = 0
    switch (header[1]) {
      case 0xa8:
        cryptograms = 0
        return at('getProcessingOptions')
      case 0x20:
        return at('verify')
      case 0xae:
        return at(++cryptograms === 1 ? 'firstGenerateAc' : 'secondGenerateAc')
      default:
        return undefined
    }
  }
}
