// Decisions read out of a fuzzer's bytes, so that a changed byte is another decision at one place and all others stay.

export interface Choices {
  /** 0 to `limit - 1`. */
  below(limit: number): number
  pick<T>(from: readonly T[]): T
  bytes(length: number): Uint8Array
  /** True until the bytes are used up; from there on every decision is what `rest` says, or the first one. */
  readonly left: boolean
}

/** Decisions by `from`, then by `rest`. */
export function choicesOf(from: Uint8Array, rest: () => number = () => 0): Choices {
  let at = 0
  const byte = () => (at < from.length ? from[at++]! : rest() & 0xff)
  const below = (limit: number): number => {
    let value = byte()
    for (let reach = 256; reach < limit; reach *= 256) value = value * 256 + byte()
    return value % limit
  }
  return {
    below,
    pick: (list) => list[below(list.length)]!,
    bytes: (length) => Uint8Array.from({ length }, byte),
    get left() {
      return at < from.length
    },
  }
}
