// T=0 without a reader's help: an APDU as command header, procedure bytes and data (EMV Contact Interface Specification v1.0, 9.2.2 and 9.3.1; ISO/IEC 7816-3, 10.3 and 12.2).
import { concat } from '../../../hal/base/bytes.js'
import type { ChipCardSession, TransmitOutcome } from '../../../hal/chip-card-reader.js'

/** Procedure byte: the card needs more time (9.2.2.3.1). */
const NULL = 0x60
const HEADER = 5
/** NOTE: what Le asked for is no bound: a card that gives more was heard by the reader all the same. */
const MAX_DATA = 256

/** What one answer of the card asks for. */
type Step =
  | { readonly kind: 'send'; readonly all: boolean }
  | { readonly kind: 'done'; readonly bytes: Uint8Array }
  | { readonly kind: 'broken' }

const broken: Step = { kind: 'broken' }
const mute: TransmitOutcome = { kind: 'mute' }

/** What carries commands to a card. */
export type CardLink = Pick<ChipCardSession, 'protocol' | 'level' | 'transmit'>

/** One command APDU over whatever the reader carries. */
export function transmitCommand(
  link: CardLink,
  command: Uint8Array,
  options?: { signal?: AbortSignal; timeoutMs?: number },
): Promise<TransmitOutcome> {
  return link.level === 'tpdu' && link.protocol === 'T=0'
    ? transmitApdu(link, command, options)
    : link.transmit(command, options)
}

/**
 * One command APDU (4 to 261 bytes) over a link of level `tpdu`; answers as an APDU reader does, 61xx and 6Cxx left to
 * the caller. Le of a case 4 command is not sent: T=0 has no place for it (9.3.1.1.4). A card that breaks the procedure is
 * `mute`. Every round sends at least one byte of the data, so that there are at most 256.
 */
export async function transmitApdu(
  link: CardLink,
  command: Uint8Array,
  options?: { signal?: AbortSignal; timeoutMs?: number },
): Promise<TransmitOutcome> {
  const ins = command[1]!
  const header = command.length < HEADER ? concat(command, Uint8Array.of(0)) : command.subarray(0, HEADER)
  // Case 3 and 4: P3 is Lc. Case 1 and 2: P3 is 00 or Le, and data come back.
  const data = command.length > HEADER ? command.subarray(HEADER, HEADER + command[4]!) : new Uint8Array()
  const outgoing = command.length > HEADER
  let sent = 0
  let next = header
  for (;;) {
    const outcome = await link.transmit(next, options)
    if (outcome.kind !== 'response') return outcome
    const step = outgoing
      ? afterSending(outcome.bytes, ins, sent < data.length)
      : receiving(outcome.bytes, ins, command.length === HEADER ? MAX_DATA : 0)
    if (step.kind === 'broken') return mute
    if (step.kind === 'done') return { kind: 'response', bytes: step.bytes }
    next = step.all ? data.subarray(sent) : data.subarray(sent, sent + 1)
    sent += next.length
  }
}

/** Cases 3 and 4: ACK asks for the rest of the data, its complement for one byte (9.2.2.3.1, table 25). */
function afterSending(bytes: Uint8Array, ins: number, left: boolean): Step {
  const at = afterNulls(bytes)
  const procedure = bytes[at]
  if (bytes.length === at + 1 && left && (procedure === ins || procedure === (ins ^ 0xff)))
    return { kind: 'send', all: procedure === ins }
  return statusAt(bytes, at, [])
}

/** Cases 1 and 2: ACK and the data, or its complement and one byte of them, then the status bytes. */
function receiving(bytes: Uint8Array, ins: number, most: number): Step {
  const pieces: Uint8Array[] = []
  let received = 0
  let at = afterNulls(bytes)
  while (bytes[at] === ins || bytes[at] === (ins ^ 0xff)) {
    // A card may give less than was asked for; the two bytes behind the last piece are always its status.
    const all = bytes[at] === ins
    const end = all ? bytes.length - 2 : at + 2
    if (end <= at || end > bytes.length - 2) return broken
    pieces.push(bytes.subarray(at + 1, end))
    received += end - at - 1
    at = all ? end : afterNulls(bytes, end)
    if (received > most) return broken
  }
  return statusAt(bytes, at, pieces)
}

function afterNulls(bytes: Uint8Array, from = 0): number {
  let at = from
  while (bytes[at] === NULL) at++
  return at
}

/** SW1 SW2 and nothing behind them; SW1 is 6X or 9X but not 60 (ISO/IEC 7816-3, 10.3.3). */
function statusAt(bytes: Uint8Array, at: number, pieces: readonly Uint8Array[]): Step {
  const status = bytes.subarray(at)
  const high = (status[0] ?? 0) & 0xf0
  if (status.length !== 2 || (high !== 0x60 && high !== 0x90) || status[0] === NULL) return broken
  return { kind: 'done', bytes: concat(...pieces, status) }
}
