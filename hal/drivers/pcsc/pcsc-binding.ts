// The native PC/SC library behind a narrow trait: one of two, whichever is built for the Node that runs.
import { connect } from 'node:net'
import { PosternError } from '../../base/errors.js'

/** A reader as the daemon knows it. Calls are the daemon's own, one at a time a reader. */
export interface PcscReader {
  readonly name: string
  /** Powers and opens the card for us alone, also where it is powered already. @throws the binding's error, see `pcscFailure` */
  connect(): Promise<'T=0' | 'T=1'>
  /** Powers the card off. */
  disconnect(): Promise<void>
  transmit(command: Uint8Array, protocol: 'T=0' | 'T=1'): Promise<Uint8Array>
  /** Must not be called while a call is under way: the library would block the process. */
  close(): void
}

export interface PcscEvents {
  reader(reader: PcscReader): void
  /** State bits (`STATE`) and, with a card that answers, its ATR. */
  state(reader: PcscReader, state: number, atr: Uint8Array): void
  readerGone(reader: PcscReader): void
  /** The daemon is gone; the watch is over. */
  failed(reason: string): void
}

export interface PcscBinding {
  /** The npm package. */
  readonly library: string
  /** Resolves where the daemon answers. @throws PosternError `DEVICE_LOST` saying what to install or start */
  probe(): Promise<void>
  /** Tells of every reader, those that are there already included. Returns what ends it. */
  watch(events: PcscEvents): () => void
}

/** Longest response APDU: 256 bytes and the status words. ISO/IEC 7816-4, short length fields */
export const MAX_RESPONSE = 258
const PROBE_MS = 1000

/** libpcsclite's own rule for where the daemon listens. */
function daemonSocket(): string {
  return process.env['PCSCLITE_CSOCK_NAME'] ?? '/run/pcscd/pcscd.comm'
}

/** The library's constructor spins until the daemon is there, so it is only called when the socket answers. */
export function probeDaemon(): Promise<void> {
  const path = daemonSocket()
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const fail = (cause?: unknown) => {
      socket.destroy()
      reject(
        new PosternError(
          'DEVICE_LOST',
          'the PC/SC daemon does not answer: install pcscd and start it (systemctl start pcscd.socket)',
          { path },
          cause,
        ),
      )
    }
    socket.setTimeout(PROBE_MS, fail)
    socket.once('error', fail)
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
  })
}
