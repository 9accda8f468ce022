// ESC/POS framing: how long each command is, so that a driver can cut a job between commands and a machine can read it.
// Epson ESC/POS Command Reference; commands that small 58 mm printers share.

/** How many bytes follow the prefix: a number, or a rule that needs to see them (`undefined` = not enough yet). */
type Tail = number | ((bytes: Uint8Array, at: number, end: number) => number | undefined)

/** One command. `prefix` as in the reference: mnemonics for controls, characters for the rest. */
export interface EscposCommand {
  readonly name: string
  readonly prefix: readonly number[]
  readonly tail: Tail
}

const DLE = 0x10
const ESC = 0x1b
const FS = 0x1c
const GS = 0x1d

const until0: Tail = (bytes, at, end) => {
  for (let i = at; i < end; i++) if (bytes[i] === 0) return i - at + 1
  return undefined
}
const word = (bytes: Uint8Array, at: number) => bytes[at]! | (bytes[at + 1]! << 8)
/** pL pH, then p bytes. */
const block: Tail = (bytes, at, end) => (end - at < 3 ? undefined : 3 + word(bytes, at + 1))

const row = (name: string, lead: number, rest: string, tail: Tail): EscposCommand => ({
  name,
  prefix: [lead, ...Buffer.from(rest, 'latin1')],
  tail,
})

/** The table. Names are those of the reference. */
export const ESCPOS_COMMANDS: readonly EscposCommand[] = [
  { name: 'HT', prefix: [0x09], tail: 0 },
  { name: 'LF', prefix: [0x0a], tail: 0 },
  { name: 'FF', prefix: [0x0c], tail: 0 },
  { name: 'CR', prefix: [0x0d], tail: 0 },
  { name: 'CAN', prefix: [0x18], tail: 0 },
  row('DLE EOT', DLE, '\x04', (bytes, at, end) =>
    end - at < 1 ? undefined : bytes[at] === 7 || bytes[at] === 8 ? 2 : 1,
  ),
  row('DLE ENQ', DLE, '\x05', 1),
  row('DLE DC4', DLE, '\x14', (bytes, at, end) => (end - at < 1 ? undefined : bytes[at] === 8 ? 8 : 3)),
  row('ESC SP', ESC, ' ', 1),
  row('ESC !', ESC, '!', 1),
  row('ESC $', ESC, '$', 2),
  row('ESC %', ESC, '%', 1),
  row('ESC *', ESC, '*', (bytes, at, end) =>
    end - at < 3 ? undefined : 3 + word(bytes, at + 1) * (bytes[at]! >= 32 ? 3 : 1),
  ),
  row('ESC -', ESC, '-', 1),
  row('ESC 2', ESC, '2', 0),
  row('ESC 3', ESC, '3', 1),
  row('ESC 7', ESC, '7', 3),
  row('ESC =', ESC, '=', 1),
  row('ESC @', ESC, '@', 0),
  row('ESC D', ESC, 'D', until0),
  row('ESC E', ESC, 'E', 1),
  row('ESC G', ESC, 'G', 1),
  row('ESC J', ESC, 'J', 1),
  row('ESC M', ESC, 'M', 1),
  row('ESC R', ESC, 'R', 1),
  row('ESC V', ESC, 'V', 1),
  row('ESC \\', ESC, '\\', 2),
  row('ESC a', ESC, 'a', 1),
  row('ESC c', ESC, 'c', 2),
  row('ESC d', ESC, 'd', 1),
  row('ESC i', ESC, 'i', 0),
  row('ESC m', ESC, 'm', 0),
  row('ESC p', ESC, 'p', 3),
  row('ESC t', ESC, 't', 1),
  row('ESC v', ESC, 'v', 0),
  row('ESC {', ESC, '{', 1),
  row('FS !', FS, '!', 1),
  row('FS &', FS, '&', 0),
  row('FS (', FS, '(', block),
  row('FS -', FS, '-', 1),
  row('FS .', FS, '.', 0),
  row('FS C', FS, 'C', 1),
  row('FS S', FS, 'S', 2),
  row('FS W', FS, 'W', 1),
  row('FS p', FS, 'p', 2),
  row('GS !', GS, '!', 1),
  row('GS (', GS, '(', block),
  row('GS B', GS, 'B', 1),
  row('GS H', GS, 'H', 1),
  row('GS I', GS, 'I', 1),
  row('GS L', GS, 'L', 2),
  row('GS P', GS, 'P', 2),
  row('GS V', GS, 'V', (bytes, at, end) => (end - at < 1 ? undefined : bytes[at]! >= 65 ? 2 : 1)),
  row('GS W', GS, 'W', 2),
  row('GS a', GS, 'a', 1),
  row('GS b', GS, 'b', 1),
  row('GS f', GS, 'f', 1),
  row('GS h', GS, 'h', 1),
  row('GS k', GS, 'k', (bytes, at, end) => {
    if (end - at < 2) return undefined
    if (bytes[at]! >= 65) return 2 + bytes[at + 1]!
    const text = (until0 as Exclude<Tail, number>)(bytes, at + 1, end)
    return text === undefined ? undefined : 1 + text
  }),
  row('GS r', GS, 'r', 1),
  row('GS v 0', GS, 'v0', (bytes, at, end) =>
    end - at < 5 ? undefined : 5 + word(bytes, at + 1) * word(bytes, at + 3),
  ),
  row('GS w', GS, 'w', 1),
]

const byLead = new Map<number, EscposCommand[]>()
for (const command of ESCPOS_COMMANDS) {
  const lead = command.prefix[0]!
  const rows = byLead.get(lead) ?? []
  rows.push(command)
  byLead.set(lead, rows)
}

/** A piece of the stream: a command, one character of text, or a lead-in that no row knows (two bytes). */
export type EscposPiece =
  | { readonly kind: 'command'; readonly command: EscposCommand; readonly length: number }
  | { readonly kind: 'text'; readonly length: 1 }
  | { readonly kind: 'unknown'; readonly length: number }
  /** More bytes are needed; `needed` is the whole length where it is known by now. */
  | { readonly kind: 'incomplete'; readonly command?: EscposCommand; readonly needed?: number }

const TEXT: EscposPiece = { kind: 'text', length: 1 }

/**
 * Reads what begins at `at`.
 * @example pieceAt(Uint8Array.of(0x1b, 0x64, 3), 0) // ESC d, length 3
 */
export function pieceAt(bytes: Uint8Array, at: number, end = bytes.length): EscposPiece {
  if (at >= end) return { kind: 'incomplete' }
  const rows = byLead.get(bytes[at]!)
  if (rows === undefined) return bytes[at]! >= 0x20 ? TEXT : { kind: 'unknown', length: 1 }
  let partial = false
  for (const command of rows) {
    const { prefix, tail } = command
    const have = Math.min(prefix.length, end - at)
    let matches = true
    for (let i = 1; i < have; i++) if (bytes[at + i] !== prefix[i]) matches = false
    if (!matches) continue
    if (have < prefix.length) {
      partial = true
      continue
    }
    const start = at + prefix.length
    const extra = typeof tail === 'number' ? tail : tail(bytes, start, end)
    if (extra === undefined) return { kind: 'incomplete', command }
    const length = prefix.length + extra
    if (at + length > end) return { kind: 'incomplete', command, needed: length }
    return { kind: 'command', command, length }
  }
  return partial ? { kind: 'incomplete' } : { kind: 'unknown', length: Math.min(2, end - at) }
}
