// Readers told apart by the names that pcscd gives them: `NAME XX YY`, reader and slot as two hex digits each.

export interface WantedReader {
  /** Part of the reader's name, in any case; `*` stands for anything. Without it any reader will do. */
  readonly reader?: string
  /** The slot of a reader that has several, from 0: pcscd ends its name with it. */
  readonly slot?: number
}

/** True where `name` is one of the readers that are wanted. */
export function isWanted(name: string, { reader, slot }: WantedReader): boolean {
  if (slot !== undefined && !name.endsWith(` ${slot.toString(16).toUpperCase().padStart(2, '0')}`))
    return false
  if (reader === undefined) return true
  let at = 0
  for (const part of reader.toLowerCase().split('*')) {
    const found = name.toLowerCase().indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return true
}

/** What is wanted, for people: `"acme", slot 1`. */
export function describeWanted({ reader, slot }: WantedReader): string {
  return [reader === undefined ? 'any' : `"${reader}"`, ...(slot === undefined ? [] : [`slot ${slot}`])].join(
    ', ',
  )
}
