// One command, one answer (EMV Contact Interface Specification v1.0, 9.3 and annex A; until v4.3 Book 1): 61xx, 6Cxx, warnings, and a bound on it all.
import { concat, erase } from '../../../hal/base/bytes.js'
import { type CardEnd, cardError, ends } from './card-end.js'
import { type CardLink, transmitCommand } from './t0-tpdu.js'

/** The card's answer once the transport's own status words have been dealt with. */
export interface Answer {
  readonly kind: 'answer'
  /** Without status words, at most 256 bytes unless the card chained. */
  readonly data: Uint8Array
  /** SW1 SW2 as a number, such as 0x9000. */
  readonly sw: number
}

/** What every step needs of the card. */
export interface CardChannel {
  exchange(command: Uint8Array): Promise<Answer | CardEnd>
}

/** A command that needs more GET RESPONSE or repeats than this is not answered by a payment card. */
const MAX_ROUNDS = 16
/** A whole transaction needs about 30 exchanges; a card that makes it 600 is hostile. */
export const MAX_EXCHANGES = 600
/** Longest answer that may be chained together out of 61xx pieces. */
const MAX_CHAINED = 4096

/** Wraps a powered card. The signal aborts a command under way with `ABORTED`, the only fault besides the reader's own. */
export function cardChannel(session: CardLink, options: { signal?: AbortSignal } = {}): CardChannel {
  let exchanges = 0

  async function once(command: Uint8Array): Promise<Answer | CardEnd> {
    if (++exchanges > MAX_EXCHANGES) return cardError('more commands than any transaction needs')
    const signal = options.signal ? { signal: options.signal } : {}
    const outcome = await transmitCommand(session, command, signal)
    switch (outcome.kind) {
      case 'removed':
        return ends('removed', 'card left the slot')
      case 'mute':
      case 'timeout':
        return cardError(`no valid answer at transport level: ${outcome.kind}`)
      case 'response': {
        const bytes = outcome.bytes
        if (bytes.length < 2) return cardError('answer without status words')
        const data = bytes.subarray(0, bytes.length - 2)
        const sw = bytes[bytes.length - 2]! * 256 + bytes[bytes.length - 1]!
        // A status word is 6X or 9X (ISO/IEC 7816-3, 10.3.3); 60 is a procedure byte and never arrives here.
        const sw1 = sw >> 8
        if ((sw1 & 0xf0) !== 0x90 && ((sw1 & 0xf0) !== 0x60 || sw1 === 0x60))
          return cardError('no status word')
        return { kind: 'answer', data, sw }
      }
    }
  }

  return {
    async exchange(command) {
      const pieces: Uint8Array[] = []
      let chained = 0
      let next = command
      let warning: number | undefined
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const answer = await once(next)
        if (next !== command && next[1] !== 0xc0) erase(next)
        if (answer.kind === 'end') return answer
        pieces.push(answer.data)
        chained += answer.data.length
        if (chained > MAX_CHAINED) return cardError('chained answer too long')
        const sw1 = answer.sw >> 8
        const sw2 = answer.sw & 0xff
        if (sw1 === 0x6c) {
          // Wrong length: the same command again with the length that the card names.
          next = withLength(next, sw2)
        } else if (sw1 === 0x61) {
          next = getResponse(sw2)
        } else if (
          session.protocol === 'T=0' &&
          isWarning(answer.sw) &&
          warning === undefined &&
          chained === 0 &&
          isCase4(command)
        ) {
          // Annex A7: after a warning the answer's data still wait to be fetched.
          warning = answer.sw
          next = getResponse(0)
        } else {
          const sw = warning !== undefined && answer.sw === 0x9000 ? warning : answer.sw
          // An error status carries no data, whatever was chained before it.
          const ok = sw1 === 0x90 || sw1 === 0x62 || sw1 === 0x63
          return { kind: 'answer', data: ok ? joined(pieces) : new Uint8Array(), sw }
        }
      }
      return cardError('card keeps asking for another exchange')
    },
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const filled = pieces.filter((piece) => piece.length > 0)
  return filled.length === 1 ? filled[0]! : concat(...filled)
}

const getResponse = (length: number) => Uint8Array.of(0x00, 0xc0, 0x00, 0x00, length)

/** 62xx, 63xx, and 9xxx other than 9000 (9.3.1.1.4). */
function isWarning(sw: number): boolean {
  const sw1 = sw >> 8
  return sw1 === 0x62 || sw1 === 0x63 || (sw1 >= 0x90 && sw !== 0x9000)
}

/** Data and an expected answer (ISO/IEC 7816-3, 12.1). */
function isCase4(command: Uint8Array): boolean {
  return command.length > 5 && command.length === 5 + command[4]! + 1
}

/** The command with Le replaced; a case 1 or 3 command gains one. */
function withLength(command: Uint8Array, length: number): Uint8Array {
  const hasLe = command.length === 5 || isCase4(command)
  return concat(hasLe ? command.subarray(0, command.length - 1) : command, Uint8Array.of(length))
}
