// The native PC/SC library behind a narrow trait, so that another one (`smartcard`, N-API) can take its place here.
import { connect } from 'node:net'
import { PosternError } from '../../base/errors.js'
import { pcscFailure } from './pcsc-codes.js'

/** A reader as the daemon knows it. Calls are the daemon's own, one at a time a reader. */
export interface PcscReader {
  readonly name: string
  /** Powers and opens the card for us alone. @throws the binding's error, see `pcscFailure` */
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
  /** Resolves where the daemon answers. @throws PosternError `DEVICE_LOST` saying what to install or start */
  probe(): Promise<void>
  /** Tells of every reader, those that are there already included. Returns what ends it. */
  watch(events: PcscEvents): () => void
}

/** Longest response APDU: 256 bytes and the status words. ISO/IEC 7816-4, short length fields */
const MAX_RESPONSE = 258
const PROBE_MS = 1000

type Lite = typeof import('@pokusew/pcsclite')
type LiteReader = Parameters<Parameters<ReturnType<Lite>['on']>[1]>[0]

/** libpcsclite's own rule for where the daemon listens. */
function daemonSocket(): string {
  return process.env['PCSCLITE_CSOCK_NAME'] ?? '/run/pcscd/pcscd.comm'
}

/** The library's constructor spins until the daemon is there, so it is only called when the socket answers. */
function probe(): Promise<void> {
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

function asReader(native: LiteReader): PcscReader {
  const code = { 'T=0': native.SCARD_PROTOCOL_T0, 'T=1': native.SCARD_PROTOCOL_T1 } as const
  const call = <T>(start: (done: (error: unknown, value: T) => void) => void): Promise<T> =>
    new Promise((resolve, reject) => {
      start((error, value) => (error ? reject(error) : resolve(value)))
    })
  return {
    name: native.name,
    async connect() {
      const options = { share_mode: native.SCARD_SHARE_EXCLUSIVE, protocol: code['T=0'] | code['T=1'] }
      const protocol = await call<number>((done) => native.connect(options, done))
      return protocol === code['T=1'] ? 'T=1' : 'T=0'
    },
    async disconnect() {
      await call<void>((done) =>
        native.disconnect(native.SCARD_UNPOWER_CARD, (error) => done(error, undefined)),
      )
    },
    async transmit(command, protocol) {
      // A PIN may be in the command: our copy is erased, the library frees its own.
      const bytes = Buffer.from(command)
      try {
        const response = await call<Buffer>((done) =>
          native.transmit(bytes, MAX_RESPONSE, code[protocol], done),
        )
        const out = new Uint8Array(response)
        response.fill(0)
        return out
      } finally {
        bytes.fill(0)
      }
    },
    close: () => void setImmediate(() => native.close()),
  }
}

/**
 * Loads `@pokusew/pcsclite`.
 * @throws PosternError `DEVICE_UNSUPPORTED` saying what to install, where it was not built
 */
export async function loadPcscBinding(): Promise<PcscBinding> {
  let lite: Lite
  try {
    lite = ((await import('@pokusew/pcsclite')) as unknown as { default: Lite }).default
  } catch (cause) {
    throw new PosternError(
      'DEVICE_UNSUPPORTED',
      'the PC/SC library is not built here: install libpcsclite-dev, pcscd and a C++ compiler, then npm rebuild @pokusew/pcsclite',
      { package: '@pokusew/pcsclite' },
      cause,
    )
  }
  return {
    probe,
    watch(events) {
      const pcsc = lite()
      let over = false
      // The library calls its listeners, and what they resolve, with the reader's lock held: a close() from there
      // would wait for itself for ever.
      const later = (act: () => void) => void setImmediate(() => !over && act())
      const fail = (error: unknown) => {
        // close() makes the library report its own cancelling (0x80100002) as an error.
        if (over || pcscFailure(error) === 'cancelled') return
        later(() => {
          over = true
          events.failed('the PC/SC daemon went away')
        })
      }
      pcsc.on('error', fail)
      pcsc.on('reader', (native) => {
        const reader = asReader(native)
        let gone = false
        const end = () =>
          later(() => {
            if (!gone) events.readerGone(reader)
            gone = true
          })
        native.on('error', end)
        native.on('end', end)
        native.on('status', ({ state, atr }) => {
          const bytes = new Uint8Array(atr ?? [])
          later(() => {
            if (!gone) events.state(reader, state, bytes)
          })
        })
        later(() => events.reader(reader))
      })
      return () => {
        over = true
        setImmediate(() => pcsc.close())
      }
    },
  }
}
