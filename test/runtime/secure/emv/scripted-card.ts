// A card that is a script: command and response pairs with a comment each; fails on the first unexpected byte and on leftovers.
import { fromHex, toHex } from '../../../../hal/base/bytes.js'
import type { ChipCardSession, TransmitOutcome } from '../../../../hal/chip-card-reader.js'
import { type CardChannel, cardChannel } from '../../../../runtime/secure/emv/transport.js'

/** `[comment, command, response]` in hex, spaces allowed; a response may also be how the card leaves. */
export type ScriptStep = readonly [comment: string, command: string, response: string | TransmitOutcome]

export interface ScriptedCard {
  readonly session: ChipCardSession
  readonly channel: CardChannel
  /** Throws where steps are left over. */
  done(): void
}

const bytes = (hex: string) => fromHex(hex.replaceAll(' ', ''))

/** Plays the steps in order. `..` in a command stands for any byte. */
export function scriptedCard(
  steps: readonly ScriptStep[],
  options: { protocol?: 'T=0' | 'T=1' } = {},
): ScriptedCard {
  let at = 0
  const session: ChipCardSession = {
    atr: bytes('3B 60 00 00'),
    protocol: options.protocol ?? 'T=1',
    async transmit(command) {
      const step = steps[at]
      const got = toHex(command)
      if (!step) throw new Error(`after the script's end: ${got}`)
      const [comment, expected, response] = step
      const pattern = expected.replaceAll(' ', '')
      for (let i = 0; i < Math.max(got.length, pattern.length); i += 2) {
        const want = pattern.slice(i, i + 2)
        if (want !== '..' && want !== got.slice(i, i + 2))
          throw new Error(`step ${at + 1} (${comment}), byte ${i / 2}: ${got} instead of ${pattern}`)
      }
      at++
      return typeof response === 'string' ? { kind: 'response', bytes: bytes(response) } : response
    },
    release: async () => undefined,
  }
  return {
    session,
    channel: cardChannel(session),
    done() {
      if (at < steps.length) throw new Error(`${steps.length - at} steps left, next: ${steps[at]![0]}`)
    },
  }
}
