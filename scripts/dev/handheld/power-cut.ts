// Pulls the battery at a chosen moment of a card payment: the card sees the command, and nobody gets its answer.
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'
import type { CutMoment } from './action.js'

/** INS bytes of the commands that mark the moments (EMV Book 3, table 5.x), and which of its kind since power-on. */
const MOMENTS: Readonly<
  Record<CutMoment, { readonly ins: number; readonly nth: number; readonly answered: boolean }>
> = {
  getProcessingOptions: { ins: 0xa8, nth: 1, answered: false },
  verify: { ins: 0x20, nth: 1, answered: false },
  firstGenerateAc: { ins: 0xae, nth: 1, answered: false },
  secondGenerateAc: { ins: 0xae, nth: 2, answered: false },
  /** The card has given its final answer; the terminal dies before it can act on it. */
  afterSecondGenerateAc: { ins: 0xae, nth: 2, answered: true },
}

export interface PowerCut {
  arm(moment: CutMoment | undefined): void
  armed(): CutMoment | undefined
  /** The card with a tripwire on it. */
  watch(card: VirtualCard): VirtualCard
}

/** `cut` is called once at the armed moment. */
export function createPowerCut(cut: () => void): PowerCut {
  let armed: CutMoment | undefined
  return {
    arm(moment) {
      armed = moment
    },
    armed: () => armed,
    watch(card) {
      let seen = new Map<number, number>()
      return {
        powerOn() {
          seen = new Map()
          return card.powerOn()
        },
        powerOff: () => card.powerOff(),
        async transmit(command) {
          const ins = command[1]!
          const nth = (seen.get(ins) ?? 0) + 1
          seen.set(ins, nth)
          const moment = armed === undefined ? undefined : MOMENTS[armed]
          if (moment === undefined || moment.ins !== ins || moment.nth !== nth) return card.transmit(command)
          armed = undefined
          if (moment.answered) await card.transmit(command)
          cut()
          return undefined
        },
      }
    },
  }
}
