// Scan engines at the far end of a wire: one that sends raw lines, one that speaks SSI with its faults.
import { concat, toHex } from '../../../hal/base/bytes.js'
import {
  encodeSsi,
  SSI,
  SSI_STATUS,
  type SsiPacket,
  ssiReader,
} from '../../../hal/drivers/scanner/ssi-packet.js'

export interface Engine {
  /** Bytes from the host. */
  take(bytes: Uint8Array): void
  scan(raw: Uint8Array, aim?: string): void
  lit(): boolean
  /** What the host said, in hex, one entry a command. */
  readonly heard: string[]
}

/** Honeywell's commands, codes with a prefix and a terminator. */
export function lineEngine(
  say: (bytes: Uint8Array) => void,
  { end, aim }: { readonly end: readonly number[]; readonly aim: boolean },
): Engine {
  let lit = false
  const heard: string[] = []
  return {
    heard,
    take(bytes) {
      heard.push(toHex(bytes))
      const all = heard.join('')
      lit = all.lastIndexOf('16540D') > all.lastIndexOf('16550D')
    },
    scan(raw, id = 'C0') {
      say(concat(aim ? Buffer.from(`]${id}`) : new Uint8Array(0), raw, Uint8Array.from(end)))
    },
    lit: () => lit,
  }
}

export interface SsiEngine extends Engine {
  /** The next packet goes out with a wrong checksum. */
  damageNext(): void
  /** The next acknowledgement of the host is not heard: the packet is sent again. */
  missNextAck(): void
  /** Says nothing and takes nothing. */
  dead(on: boolean): void
  /** Sends a packet of its own. */
  send(packet: SsiPacket): void
}

const TYPES: Readonly<Record<string, number>> = { C0: 0x03, C1: 0x0f, E0: 0x0b, Q0: 0x1c }
const RESEND_MS = 1500

/** A decoder that sends its codes in packets of at most `pieceBytes` and waits for each ACK, three times. */
export function ssiEngine(say: (bytes: Uint8Array) => void, pieceBytes = 240): SsiEngine {
  let lit = false
  let dead = false
  let damage = false
  let missAck = false
  const heard: string[] = []
  const queue: SsiPacket[] = []
  let tries = 0
  let timer: NodeJS.Timeout | undefined
  const transmit = (packet: SsiPacket) => {
    const bytes = encodeSsi(packet, 0)
    if (damage) bytes[bytes.length - 1]! ^= 0xff
    damage = false
    if (!dead) say(bytes)
  }
  const push = () => {
    const [packet] = queue
    if (packet === undefined) return
    transmit(tries === 0 ? packet : { ...packet, status: packet.status | SSI_STATUS.retransmit })
    timer = setTimeout(() => {
      if (++tries > 2) end()
      else push()
    }, RESEND_MS)
    timer.unref()
  }
  const end = () => {
    clearTimeout(timer)
    queue.shift()
    tries = 0
    push()
  }
  const reader = ssiReader(
    ({ opcode, data }) => {
      heard.push(`${opcode.toString(16)}${toHex(data)}`)
      if (opcode === SSI.ack) {
        if (missAck) missAck = false
        else if (queue.length > 0) end()
        return
      }
      if (opcode === SSI.nak) {
        clearTimeout(timer)
        if (++tries > 2) end()
        else push()
        return
      }
      if (opcode === SSI.startSession) lit = true
      if (opcode === SSI.stopSession) lit = false
      transmit({ opcode: SSI.ack, status: 0, data: new Uint8Array(0) })
    },
    () => transmit({ opcode: SSI.nak, status: 0, data: Uint8Array.of(1) }),
  )
  return {
    heard,
    take(bytes) {
      if (!dead) reader.take(bytes)
    },
    scan(raw, aim = 'C0') {
      if (dead) return
      const idle = queue.length === 0
      for (let at = 0; at === 0 || at < raw.length; at += pieceBytes) {
        const data = concat(Uint8Array.of(TYPES[aim] ?? 0), raw.subarray(at, at + pieceBytes))
        const status = at + pieceBytes < raw.length ? SSI_STATUS.continues : 0
        queue.push({ opcode: SSI.decodeData, status, data })
      }
      if (idle) push()
    },
    lit: () => lit && !dead,
    damageNext: () => {
      damage = true
    },
    missNextAck: () => {
      missAck = true
    },
    dead(on) {
      dead = on
      lit = false
    },
    send: transmit,
  }
}
