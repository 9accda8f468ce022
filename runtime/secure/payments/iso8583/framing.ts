// What surrounds a message on a stream: a two-byte length and the transport header (TPDU) of network access controllers.
import { concat } from '../../../../hal/base/bytes.js'
import { PosternError } from '../../../../hal/base/errors.js'

/** Transport protocol data unit: five bytes `60 DDDD SSSS`, addresses in BCD. */
export interface Tpdu {
  readonly destination: number
  readonly source: number
}

const TPDU_ID = 0x60

const invalid = (message: string, details = {}) => new PosternError('FRAME_INVALID', message, details)

function bcd4(value: number): [number, number] {
  if (!Number.isInteger(value) || value < 0 || value > 9999) throw invalid('a TPDU address has four digits')
  const text = String(value).padStart(4, '0')
  return [Number.parseInt(text.slice(0, 2), 16), Number.parseInt(text.slice(2), 16)]
}

/** How messages are cut out of the stream; without a TPDU what follows the length is the message. */
export interface Framing {
  /** Two bytes big endian, two bytes of BCD, or four ASCII digits; counts what follows it. */
  readonly length: 'binary' | 'bcd' | 'ascii'
  readonly tpdu: boolean
}

export const DEFAULT_FRAMING: Framing = { length: 'binary', tpdu: true }

const LENGTHS = {
  binary: { bytes: 2, most: 0xffff },
  bcd: { bytes: 2, most: 9999 },
  ascii: { bytes: 4, most: 9999 },
} as const
const TPDU_BYTES = 5

function lengthBytes(kind: Framing['length'], length: number): Uint8Array {
  if (length > LENGTHS[kind].most) throw invalid('too long for its frame')
  if (kind === 'binary') return Uint8Array.of(length >> 8, length & 0xff)
  return kind === 'bcd'
    ? Uint8Array.from(bcd4(length))
    : Buffer.from(String(length).padStart(4, '0'), 'latin1')
}

function readLength(kind: Framing['length'], bytes: Uint8Array): number {
  if (kind === 'binary') return (bytes[0]! << 8) | bytes[1]!
  const digits = Buffer.from(bytes).toString(kind === 'bcd' ? 'hex' : 'latin1')
  if (!/^[0-9]{4}$/.test(digits)) throw invalid('a frame length is not decimal')
  return Number(digits)
}

/** Length, TPDU where the framing has one, message. @throws PosternError `FRAME_INVALID` */
export function frame(tpdu: Tpdu, message: Uint8Array, framing = DEFAULT_FRAMING): Uint8Array {
  const head = framing.tpdu
    ? Uint8Array.of(TPDU_ID, ...bcd4(tpdu.destination), ...bcd4(tpdu.source))
    : new Uint8Array(0)
  return concat(lengthBytes(framing.length, head.length + message.length), head, message)
}

export interface Frame {
  /** Zeros where the framing has none. */
  readonly tpdu: Tpdu
  readonly message: Uint8Array
}

/** Cuts a byte stream into frames. Holds at most one frame of `most` bytes; anything larger is refused. */
export class Deframer {
  #held: Uint8Array = new Uint8Array(0)
  readonly #most: number
  readonly #framing: Framing

  constructor(most = 8192, framing: Framing = DEFAULT_FRAMING) {
    this.#most = most
    this.#framing = framing
  }

  /** Takes what arrived and answers the frames that are now whole. @throws PosternError `FRAME_INVALID`: the stream is lost */
  push(bytes: Uint8Array): Frame[] {
    this.#held = concat(this.#held, bytes)
    const prefix = LENGTHS[this.#framing.length].bytes
    const frames: Frame[] = []
    for (;;) {
      if (this.#held.length < prefix) return frames
      const length = readLength(this.#framing.length, this.#held.subarray(0, prefix))
      if (length <= (this.#framing.tpdu ? TPDU_BYTES : 0) || length > this.#most)
        throw invalid('frame length out of bounds', { length })
      if (this.#held.length < prefix + length) return frames
      frames.push(this.#frameOf(this.#held.slice(prefix, prefix + length)))
      this.#held = this.#held.slice(prefix + length)
    }
  }

  #frameOf(content: Uint8Array): Frame {
    if (!this.#framing.tpdu) return { tpdu: { destination: 0, source: 0 }, message: content }
    if (content[0] !== TPDU_ID) throw invalid('no TPDU', { id: content[0]! })
    const address = (at: number): number => {
      const digits = Buffer.from(content.subarray(at, at + 2)).toString('hex')
      if (!/^[0-9]{4}$/.test(digits)) throw invalid('a TPDU address is not decimal')
      return Number(digits)
    }
    return {
      tpdu: { destination: address(1), source: address(3) },
      message: content.slice(TPDU_BYTES),
    }
  }

  /** Bytes of a frame that isn't whole yet. */
  get pending(): number {
    return this.#held.length
  }
}
