// Fuzz target: what a scan engine may send. Raw lines and SSI packets out of any bytes: codes within their bound, never a throw.
import { concat, equalBytes } from '../../hal/base/bytes.js'
import {
  lineReader,
  MAX_CODE_BYTES,
  TERMINATORS,
  type Terminator,
} from '../../hal/drivers/scanner/line-reader.js'
import { NOTHING_DECODED, type SsiDecoding, takeDecodeData } from '../../hal/drivers/scanner/ssi-decode.js'
import { encodeSsi, SSI, type SsiPacket, ssiReader } from '../../hal/drivers/scanner/ssi-packet.js'
import { splitAim } from '../../hal/drivers/scanner/symbologies.js'
import { choicesOf } from './support/choices.js'

/** In pieces of the sizes that the bytes say, so that every seam is tried. */
function inPieces(bytes: Uint8Array, sizes: Uint8Array, take: (piece: Uint8Array) => void): void {
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = 1 + ((sizes[n % Math.max(1, sizes.length)] ?? 0) % 40)
    take(bytes.subarray(at, at + size))
    at += size
  }
}

function lines(bytes: Uint8Array, sizes: Uint8Array): string {
  const words: string[] = []
  for (const terminator of Object.keys(TERMINATORS) as Terminator[]) {
    const whole: Uint8Array[] = []
    const pieces: Uint8Array[] = []
    for (const [into, cut] of [
      [whole, Uint8Array.of(39)],
      [pieces, sizes],
    ] as const) {
      const reader = lineReader(
        terminator,
        (code) => into.push(code),
        () => into.push(Uint8Array.of()),
      )
      inPieces(bytes, cut, reader.take)
      reader.pause()
      if (reader.pending() !== 0) throw new Error('something is kept after a pause')
    }
    if (!equalBytes(concat(...whole), concat(...pieces))) throw new Error('the pieces make other codes')
    for (const code of pieces) {
      if (code.length > MAX_CODE_BYTES) throw new Error('longer than a code')
      const { aim, raw } = splitAim(code)
      if (raw.length + (aim === undefined ? 0 : 3) !== code.length) throw new Error('bytes got lost')
    }
    words.push(`${terminator} ${Math.min(3, pieces.length)}`)
  }
  return words.join()
}

function ssi(bytes: Uint8Array, sizes: Uint8Array): string {
  let decoding: SsiDecoding = NOTHING_DECODED
  const words = new Set<string>()
  const reader = ssiReader(
    (packet) => {
      if (packet.data.length > 251) throw new Error('longer than a packet')
      if (packet.opcode !== SSI.decodeData) return void words.add('other')
      const { next, result } = takeDecodeData(decoding, packet)
      decoding = next
      if (next.length > MAX_CODE_BYTES && next.parts.length > 0) throw new Error('too much is kept')
      if (result.kind === 'code' && result.raw.length > MAX_CODE_BYTES) throw new Error('longer than a code')
      words.add(result.kind)
    },
    () => void words.add('damaged'),
  )
  inPieces(bytes, sizes, reader.take)
  reader.pause()
  return [...words].sort().join()
}

export const target = {
  name: 'codes of scan engines',
  run(bytes: Uint8Array): string {
    const choices = choicesOf(bytes)
    const sizes = choices.bytes(8)
    // Good packets between any bytes, some with a bit turned.
    const packets = Array.from({ length: choices.below(24) }, () => {
      const packet: SsiPacket = {
        opcode: choices.pick([SSI.decodeData, SSI.decodeData, SSI.decodeData, SSI.ack, 0xf6]),
        status: choices.below(4),
        data: choices.bytes(choices.pick([0, 1, 5, 251])),
      }
      const encoded = encodeSsi(packet, 0)
      if (choices.below(8) === 7) encoded[choices.below(encoded.length)]! ^= 1 << choices.below(8)
      return choices.below(8) === 7 ? concat(encoded, choices.bytes(choices.below(6))) : encoded
    })
    return `${lines(bytes, sizes)} ${ssi(bytes, sizes)} ${ssi(concat(...packets), sizes)}`
  },
}
