// `@pokusew/pcsclite` (NAN, compiled for one Node) behind the PC/SC trait.
import type { PcscBinding, PcscReader } from './pcsc-binding.js'
import { MAX_RESPONSE, probeDaemon } from './pcsc-binding.js'
import { pcscFailure } from './pcsc-codes.js'

type Lite = typeof import('@pokusew/pcsclite')
type LiteReader = Parameters<Parameters<ReturnType<Lite>['on']>[1]>[0]

/**
 * close() cancels the library's waiting thread five times in 50 ms and then joins it, come what may: a thread that had
 * not begun to wait by then blocks the process for ever. It begins right after it told of something, so nothing is closed
 * until it has been quiet for so long.
 */
const QUIET_MS = 500

/** Puts off a close until the thread has come to rest. */
function whenQuiet() {
  let sinceMs = performance.now()
  return {
    heard() {
      sinceMs = performance.now()
    },
    close: (act: () => void) => void setTimeout(act, Math.max(0, sinceMs + QUIET_MS - performance.now())),
  }
}

function asReader(native: LiteReader, quiet: ReturnType<typeof whenQuiet>): PcscReader {
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
    close: () => quiet.close(() => native.close()),
  }
}

/** Loads the library. @throws where it was not built */
export async function pcscliteBinding(): Promise<PcscBinding> {
  const lite = ((await import('@pokusew/pcsclite')) as unknown as { default: Lite }).default
  return {
    library: '@pokusew/pcsclite',
    probe: probeDaemon,
    watch(events) {
      const pcsc = lite()
      const quiet = whenQuiet()
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
        quiet.heard()
        const readerQuiet = whenQuiet()
        const reader = asReader(native, readerQuiet)
        let gone = false
        const end = () =>
          later(() => {
            if (!gone) events.readerGone(reader)
            gone = true
          })
        native.on('error', end)
        native.on('end', end)
        native.on('status', ({ state, atr }) => {
          readerQuiet.heard()
          const bytes = new Uint8Array(atr ?? [])
          later(() => {
            if (!gone) events.state(reader, state, bytes)
          })
        })
        later(() => events.reader(reader))
      })
      return () => {
        over = true
        quiet.close(() => pcsc.close())
      }
    },
  }
}
