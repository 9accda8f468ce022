// What surrounds a message on a stream: a two-byte length and the transport header (TPDU) of network access controllers.
import { concat } from '../../../../hal/base/bytes.js'
import { PosternError } from '../../../../hal/base/errors.js'

/** Transport protocol data unit: five bytes `60 DDDD SSSS`, addresses in BCD. */
export interface Tpdu {
  readonly destination: number
  readonly source: number
}

const TPDU_ID = 0x60
const HEADER_BYTES = 2 + 5

const invalid = (message: string, details = {}) => new PosternError('FRAME_INVALID', message, details)

function bcd4(value: number): [number, number] {
  if (!Number.isInteger(value) || value < 0 || value > 9999) throw invalid('a TPDU address has four digits')
  const text = String(value).padStart(4, '0')
  return [Number.parseInt(text.slice(0, 2), 16), Number.parseInt(text.slice(2), 16)]
}

/** Length (big endian, of what follows it), TPDU, message. @throws PosternError `FRAME_INVALID` */
export function frame(tpdu: Tpdu, message: Uint8Array): Uint8Array {
  const length = message.length + 5
  if (length > 0xffff) throw invalid('too long for its frame')
  const head = new Uint8Array([
    length >> 8,
    length & 0xff,
    TPDU_ID,
    ...bcd4(tpdu.destination),
    ...bcd4(tpdu.source),
  ])
  return concat(head, message)
}

export interface Frame {
  readonly tpdu: Tpdu
  readonly message: Uint8Array
}

/** Cuts a byte stream into frames. Holds at most one frame of `most` bytes; anything larger is refused. */
export class Deframer {
  #held: Uint8Array = new Uint8Array(0)
  readonly #most: number

  constructor(most = 8192) {
    this.#most = most
  }

  /** Takes what arrived and answers the frames that are now whole. @throws PosternError `FRAME_INVALID`: the stream is lost */
  push(bytes: Uint8Array): Frame[] {
    this.#held = concat(this.#held, bytes)
    const frames: Frame[] = []
    for (;;) {
      if (this.#held.length < 2) return frames
      const length = (this.#held[0]! << 8) | this.#held[1]!
      if (length <= 5 || length > this.#most) throw invalid('frame length out of bounds', { length })
      if (this.#held.length < 2 + length) return frames
      const header = this.#held.subarray(2, HEADER_BYTES)
      if (header[0] !== TPDU_ID) throw invalid('no TPDU', { id: header[0]! })
      const address = (at: number): number => {
        const digits = Buffer.from(header.subarray(at, at + 2)).toString('hex')
        if (!/^[0-9]{4}$/.test(digits)) throw invalid('a TPDU address is not decimal')
        return Number(digits)
      }
      frames.push({
        tpdu: { destination: address(1), source: address(3) },
        message: this.#held.slice(HEADER_BYTES, 2 + length),
      })
      this.#held = this.#held.slice(2 + length)
    }
  }

  /** Bytes of a frame that isn't whole yet. */
  get pending(): number {
    return this.#held.length
  }
}
