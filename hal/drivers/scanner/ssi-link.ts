// The talk with an SSI engine: commands one at a time until they are acknowledged, packets acknowledged as they come.
import type { Clock } from '../../base/clock.js'
import type { BytePort } from '../../byte-port.js'
import { onSilence } from '../silence.js'
import { NOTHING_DECODED, takeDecodeData } from './ssi-decode.js'
import { encodeSsi, NAK, SSI, SSI_STATUS, ssiReader } from './ssi-packet.js'

/** An engine answers within 200 ms or so; it and we send a packet at most three times. */
const ANSWER_MS = 500
const TRIES = 3
/** Bytes of a packet follow each other; a gap means that the rest is lost. */
const GAP_MS = 400

export interface SsiLink {
  /** Sends a command; true once it was acknowledged, false where it was denied or nobody answered. */
  command(opcode: number, data?: Uint8Array): Promise<boolean>
}

export interface SsiHeard {
  code(type: number, raw: Uint8Array): void
  dropped(): void
  /** Something came that was no packet. */
  damaged(): void
}

/** Speaks over `port` until `signal` fires. */
export function ssiLink(port: BytePort, clock: Clock, signal: AbortSignal, heard: SsiHeard): SsiLink {
  let decoding = NOTHING_DECODED
  let answer: ((cause: number | 'ack') => void) | undefined
  let commands: Promise<unknown> = Promise.resolve()

  const send = (opcode: number, data: Uint8Array = new Uint8Array(0), status = 0) =>
    port.write(encodeSsi({ opcode, status, data }))
  const reply = (opcode: number, data?: Uint8Array) => void send(opcode, data).catch(() => undefined)

  const reader = ssiReader(
    (packet) => {
      switch (packet.opcode) {
        case SSI.ack:
          return answer?.('ack')
        case SSI.nak:
          return answer?.(packet.data[0] ?? NAK.denied)
        case SSI.decodeData: {
          const { next, result } = takeDecodeData(decoding, packet)
          decoding = next
          reply(SSI.ack)
          if (result.kind === 'code') heard.code(result.type, result.raw)
          else if (result.kind === 'dropped') heard.dropped()
          return
        }
        default:
          // Events and replies that nobody asked for are acknowledged, so that the engine goes on.
          return reply(SSI.ack)
      }
    },
    () => askAgain(),
  )
  const askAgain = () => {
    reply(SSI.nak, Uint8Array.of(NAK.resend))
    heard.damaged()
  }
  const gap = onSilence(clock, GAP_MS, signal, () => {
    if (reader.pause()) askAgain()
  })
  port.onData((bytes) => {
    gap.heard()
    reader.take(bytes)
  })

  async function attempt(
    opcode: number,
    data: Uint8Array,
    status: number,
  ): Promise<number | 'ack' | undefined> {
    const late = new AbortController()
    const answered = new Promise<number | 'ack'>((resolve) => {
      answer = resolve
    })
    try {
      await send(opcode, data, status)
      const overdue = clock.sleep(ANSWER_MS, AbortSignal.any([late.signal, signal])).then(
        () => undefined,
        () => undefined,
      )
      return await Promise.race([answered, overdue])
    } finally {
      answer = undefined
      late.abort()
    }
  }

  async function command(opcode: number, data: Uint8Array = new Uint8Array(0)): Promise<boolean> {
    for (let tried = 0; tried < TRIES && !signal.aborted; tried++) {
      const result = await attempt(opcode, data, tried === 0 ? 0 : SSI_STATUS.retransmit)
      if (result === 'ack') return true
      if (result !== undefined && result !== NAK.resend) return false
    }
    return false
  }

  return {
    command(opcode, data) {
      const turn = commands.then(() => command(opcode, data))
      commands = turn.catch(() => undefined)
      return turn
    },
  }
}
