// Packets of Zebra's Simple Serial Interface: length, opcode, source, status, data, checksum. SSI Programmer's Guide 72E-40451, chapter 3.

export const SSI = {
  ack: 0xd0,
  nak: 0xd1,
  decodeData: 0xf3,
  startSession: 0xe4,
  stopSession: 0xe5,
  beep: 0xe6,
  paramSend: 0xc6,
} as const

/** Causes of CMD_NAK. */
export const NAK = { resend: 0x01, badContext: 0x02, denied: 0x06 } as const

/** Bits of the status byte. */
export const SSI_STATUS = { retransmit: 0x01, continues: 0x02 } as const

const HOST = 0x04
const HEADER = 4
/** Length is one byte and counts itself, not the checksum. */
export const MAX_SSI_DATA = 0xff - HEADER

export interface SsiPacket {
  readonly opcode: number
  readonly status: number
  readonly data: Uint8Array
}

/** Two's complement of the sum of all bytes before it, 16 bits. */
function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (const byte of bytes) sum += byte
  return -sum & 0xffff
}

/**
 * A packet as it goes over the wire, from the host unless told otherwise. `data` is at most 251 bytes.
 * @example encodeSsi({ opcode: SSI.startSession, status: 0, data: new Uint8Array() }) // 04 E4 04 00 FF 14
 */
export function encodeSsi({ opcode, status, data }: SsiPacket, source = HOST): Uint8Array {
  const length = HEADER + Math.min(data.length, MAX_SSI_DATA)
  const out = new Uint8Array(length + 2)
  out.set([length, opcode, source, status])
  out.set(data.subarray(0, MAX_SSI_DATA), HEADER)
  const sum = checksum(out.subarray(0, length))
  out[length] = sum >> 8
  out[length + 1] = sum & 0xff
  return out
}

export interface SsiReader {
  take(bytes: Uint8Array): void
  /** A gap inside a packet: what came of it is noise. True where something was dropped. */
  pause(): boolean
}

/** Reads packets out of a stream; `damaged` is told of each whose checksum is wrong. Zero bytes between packets wake. */
export function ssiReader(packet: (packet: SsiPacket) => void, damaged: () => void): SsiReader {
  const buffer = new Uint8Array(0xff + 2)
  let used = 0
  return {
    take(bytes) {
      for (const byte of bytes) {
        // No packet is shorter than its header: such a byte is noise or a wake-up.
        if (used === 0 && byte < HEADER) continue
        buffer[used++] = byte
        const length = buffer[0]!
        if (used < length + 2) continue
        const sum = checksum(buffer.subarray(0, length))
        const whole = buffer[length] === sum >> 8 && buffer[length + 1] === (sum & 0xff)
        const [, opcode = 0, , status = 0] = buffer
        const data = buffer.slice(HEADER, length)
        used = 0
        if (whole) packet({ opcode, status, data })
        else damaged()
      }
    },
    pause() {
      const dropped = used > 0
      used = 0
      return dropped
    },
  }
}
