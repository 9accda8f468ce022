// Bytes for fuzzing out of a seeded generator: fresh ones, and changed copies of those that have led somewhere.

/** A whole number from 0 to 2^32 - 1, the same row for a seed on every machine (mulberry32). */
export type Dice = () => number

/** A generator of its own for each seed. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

/** Longest input. */
export const MAX_INPUT = 4096

/** Fresh bytes: mostly short, an eighth of them up to `MAX_INPUT`. */
export function freshBytes(dice: Dice): Uint8Array {
  const bytes = new Uint8Array(dice() % (dice() % 8 === 0 ? MAX_INPUT : 128))
  for (let i = 0; i < bytes.length; i++) bytes[i] = dice()
  return bytes
}

/** Bytes on which parsers turn: lengths, tags, templates, nibbles of F. */
const TELLING = [
  0x00, 0x01, 0x03, 0x08, 0x1f, 0x5a, 0x6f, 0x70, 0x77, 0x7f, 0x80, 0x81, 0x82, 0x9f, 0xff,
] as const

/** A copy with one to eight changes: bits, bytes, pieces moved, doubled, dropped, or taken from `other`. */
export function mutate(dice: Dice, from: Uint8Array, other: Uint8Array): Uint8Array {
  let bytes: Uint8Array = from.slice()
  const changes = 1 + (dice() % 8)
  for (let change = 0; change < changes; change++) {
    const at = bytes.length === 0 ? 0 : dice() % bytes.length
    switch (dice() % 9) {
      case 0:
        if (bytes.length > 0) bytes[at]! ^= 1 << (dice() % 8)
        break
      case 1:
        if (bytes.length > 0) bytes[at] = dice()
        break
      case 2:
        if (bytes.length > 0) bytes[at] = TELLING[dice() % TELLING.length]!
        break
      case 3:
        if (bytes.length > 0) bytes[at]! += (dice() % 9) - 4
        break
      case 4:
        bytes = splice(bytes, at, 0, Uint8Array.of(dice()))
        break
      case 5:
        bytes = splice(bytes, at, 1 + (dice() % 8), new Uint8Array())
        break
      case 6:
        bytes = splice(bytes, at, 0, piece(dice, bytes))
        break
      case 7:
        bytes = splice(bytes, at, dice() % 2 === 0 ? 0 : 16, piece(dice, other))
        break
      default:
        bytes = bytes.slice(0, at)
    }
  }
  return bytes.slice(0, MAX_INPUT)
}

function piece(dice: Dice, from: Uint8Array): Uint8Array {
  if (from.length === 0) return from
  const start = dice() % from.length
  return from.slice(start, start + 1 + (dice() % 32))
}

function splice(bytes: Uint8Array, at: number, drop: number, insert: Uint8Array): Uint8Array {
  const rest = bytes.subarray(Math.min(bytes.length, at + drop))
  const out = new Uint8Array(at + insert.length + rest.length)
  out.set(bytes.subarray(0, at))
  out.set(insert, at)
  out.set(rest, at + insert.length)
  return out
}
