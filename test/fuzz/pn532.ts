// Fuzz target: frames of the PN532 among noise, cut at any place: every whole frame is found, none is made up, nothing throws.
import { concat, toHex } from '../../hal/base/bytes.js'
import { isPosternError } from '../../hal/base/errors.js'
import { readTargets } from '../../hal/drivers/pn532/commands.js'
import { ACK, createFrameReader, encodeFrame, NACK, type Pn532Frame } from '../../hal/drivers/pn532/frames.js'
import { choicesOf } from './support/choices.js'

const shown = (frame: Pn532Frame) =>
  frame.kind === 'data' ? `${frame.tfi} ${toHex(frame.data)}` : frame.kind

export const target = {
  name: 'PN532 frames',
  run(bytes: Uint8Array): string {
    const choices = choicesOf(bytes)
    const sent: string[] = []
    const stream: Uint8Array[] = []
    for (let count = choices.below(6); count > 0; count--) {
      switch (choices.below(4)) {
        case 0:
          // Noise without a start code, which could swallow what follows.
          stream.push(choices.bytes(choices.below(12)).map((byte) => (byte === 0xff ? 0xfe : byte)))
          break
        case 1:
          stream.push(choices.pick([ACK, NACK]))
          sent.push(stream.at(-1) === ACK ? 'ack' : 'nack')
          break
        default: {
          const data = choices.bytes(1 + choices.below(choices.pick([8, 264])))
          stream.push(encodeFrame(data, 0xd5))
          sent.push(`${0xd5} ${toHex(data)}`)
        }
      }
    }
    const good = concat(...stream)
    const whole = createFrameReader().push(good).map(shown)
    if (whole.join() !== sent.join()) throw new Error(`read ${whole.join()} of ${sent.join()}`)

    // Any bytes at all: however they are cut, the same frames come out.
    const any = concat(good, choices.bytes(choices.below(64)), bytes)
    const once = createFrameReader().push(any).map(shown)
    const reader = createFrameReader()
    const pieces: string[] = []
    for (let at = 0; at < any.length; ) {
      const length = 1 + choices.below(9)
      pieces.push(...reader.push(any.subarray(at, at + length)).map(shown))
      at += length
    }
    if (pieces.join() !== once.join()) throw new Error('cut differently, read differently')

    const words = (['A', 'B'] as const).map((technology) => {
      try {
        const targets = readTargets(bytes, technology)
        for (const { atr } of targets)
          if (atr !== undefined && (atr.length < 5 || atr.length > 20)) throw new Error('no ATR')
        return String(targets.length)
      } catch (error) {
        if (!isPosternError(error, 'DEVICE_PROTOCOL')) throw error
        return 'refused'
      }
    })
    return `${once.length > sent.length ? 'more' : 'same'} ${words.join()}`
  },
}
