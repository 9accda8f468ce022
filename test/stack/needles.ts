// Secrets as a memory dump or a file may hold them: every spelling of a secret, and one pass that looks for all at once.
import { closeSync, openSync, readSync } from 'node:fs'

/** Bytes to look for; half a byte may belong to it on either side, where digits are packed off the byte's edge. */
export interface Needle {
  /** Of what secret, and how it is spelled. */
  readonly name: string
  readonly bytes: Uint8Array
  /** Low half of the byte before. */
  readonly before?: number
  /** High half of the byte behind. */
  readonly behind?: number
}

export interface Found {
  readonly name: string
  readonly offset: number
  /** What stands around it, printable characters only. */
  readonly around: string
}

/** Most of a dump is zeros: chunks are small so that they can be passed over. */
const CHUNK = 64 * 1024
/** Longest needle, with the bytes around it. */
const MARGIN = 512
const AROUND = 64
/** Shorter spellings would be found by chance. */
const LEAST_BYTES = 5

const latin = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))

/** What base64 makes of bytes wherever they stand in a group of three: the characters that the neighbours don't touch. */
function base64Texts(bytes: Uint8Array): string[] {
  const texts = [0, 1, 2].map((lead) => {
    const whole = Buffer.concat([Buffer.alloc(lead), bytes, Buffer.alloc(2)]).toString('base64')
    return whole.slice(Math.ceil((lead * 8) / 6), Math.floor(((lead + bytes.length) * 8) / 6))
  })
  return texts.flatMap((text) => [text, text.replaceAll('+', '-').replaceAll('/', '_')])
}

/** A text of Latin letters and digits in one byte a character, and in two: without the outer zero, both ways round are one. */
function textNeedles(name: string, text: string): Needle[] {
  return [
    { name: `${name}, ASCII`, bytes: latin(text) },
    { name: `${name}, UTF-16`, bytes: Uint8Array.from(Buffer.from(text, 'utf16le').subarray(0, -1)) },
  ]
}

/** Bytes as they are, and as text in hex and base64. */
export function bytesNeedles(name: string, bytes: Uint8Array): Needle[] {
  const hex = Buffer.from(bytes).toString('hex')
  const list = [
    { name: `${name}, bytes`, bytes },
    ...textNeedles(`${name}, hex`, hex),
    ...textNeedles(`${name}, HEX`, hex.toUpperCase()),
    ...base64Texts(bytes).flatMap((text) => textNeedles(`${name}, base64`, text)),
  ]
  return unique(list)
}

/** Digits (or hex digits, as in track 2) as text, packed two a byte on either edge, and all of that in hex and base64. */
export function digitsNeedles(name: string, digits: string): Needle[] {
  const even = digits.length % 2 === 0 ? digits : digits.slice(0, -1)
  const last = digits.length % 2 === 0 ? undefined : Number.parseInt(digits.at(-1)!, 16)
  const inner = digits.slice(1, digits.length % 2 === 0 ? -1 : undefined)
  const packed = Uint8Array.from(Buffer.from(even, 'hex'))
  return unique([
    ...textNeedles(name, digits),
    ...bytesNeedles(`${name} as ASCII`, latin(digits)),
    { name: `${name}, BCD`, bytes: packed, ...(last === undefined ? {} : { behind: last }) },
    {
      name: `${name}, BCD off the byte's edge`,
      bytes: Uint8Array.from(Buffer.from(inner, 'hex')),
      before: Number.parseInt(digits[0]!, 16),
      ...(last === undefined ? { behind: Number.parseInt(digits.at(-1)!, 16) } : {}),
    },
    ...bytesNeedles(`${name} as BCD`, packed).filter(({ name: spelled }) => !spelled.endsWith('bytes')),
  ])
}

function unique(needles: readonly Needle[]): Needle[] {
  const seen = new Map<string, Needle>()
  for (const needle of needles) {
    if (needle.bytes.length < LEAST_BYTES)
      throw new Error(`${needle.name}: too short to be found without doubt`)
    const key = `${Buffer.from(needle.bytes).toString('hex')} ${needle.before} ${needle.behind}`
    if (!seen.has(key)) seen.set(key, needle)
  }
  return [...seen.values()]
}

/** A search for many needles that looks at each byte once. */
export function createSearch(needles: readonly Needle[]) {
  const byPair = new Uint16Array(65_536)
  const groups: Needle[][] = [[]]
  for (const needle of needles) {
    const pair = (needle.bytes[0]! << 8) | needle.bytes[1]!
    if (byPair[pair] === 0) byPair[pair] = groups.push([]) - 1
    groups[byPair[pair]!]!.push(needle)
  }

  function fits(data: Uint8Array, at: number, { bytes, before, behind }: Needle): boolean {
    if (at + bytes.length > data.length) return false
    for (let i = 2; i < bytes.length; i++) if (data[at + i] !== bytes[i]) return false
    const end = at + bytes.length
    return (
      (before === undefined || (at > 0 && (data[at - 1]! & 0x0f) === before)) &&
      (behind === undefined || (end < data.length && data[end]! >> 4 === behind))
    )
  }

  function* inBytes(data: Uint8Array, from = 0, to = data.length): Generator<Found> {
    for (let at = from; at < to; at++) {
      const group = byPair[(data[at]! << 8) | data[at + 1]!]!
      if (group === 0) continue
      for (const needle of groups[group]!) {
        if (!fits(data, at, needle)) continue
        const around = Buffer.from(data.subarray(Math.max(0, at - AROUND), at + needle.bytes.length + AROUND))
        yield { name: needle.name, offset: at, around: around.toString('latin1').replace(/[^ -~]/g, '.') }
      }
    }
  }

  return {
    inBytes: (data: Uint8Array): Found[] => [...inBytes(data)],
    /** Streams a file of any size; at most `most` finds. */
    inFile(path: string, most = 50): Found[] {
      const found: Found[] = []
      eachChunk(path, (data, from, to, fileOffset) => {
        for (const find of inBytes(data, from, to)) {
          found.push({ ...find, offset: fileOffset + find.offset })
          if (found.length >= most) return 'enough'
        }
        return 'more'
      })
      return found
    },
  }
}

/** Walks a file, chunks of nothing but zeros left out: `data` from `from` to `to` is new, the bytes around it are for looking at. */
export function eachChunk(
  path: string,
  visit: (data: Uint8Array, from: number, to: number, fileOffset: number) => 'more' | 'enough',
): void {
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(CHUNK + 2 * MARGIN)
    const zeros = Buffer.alloc(buffer.length)
    for (let position = 0; ; position += CHUNK) {
      const start = Math.max(0, position - MARGIN)
      let filled = 0
      for (;;) {
        const read = readSync(file, buffer, filled, buffer.length - filled, start + filled)
        if (read === 0) break
        filled += read
        if (filled === buffer.length) break
      }
      const from = position - start
      const to = Math.min(filled, from + CHUNK)
      if (to <= from) return
      const data = buffer.subarray(0, filled)
      if (!data.equals(zeros.subarray(0, filled)) && visit(data, from, to, start) === 'enough') return
      if (to === filled) return
    }
  } finally {
    closeSync(file)
  }
}
