// A serial line (UART, USB adapter, pty) as a byte port, through the serialport library.
import { SerialPort } from 'serialport'
import { Type } from 'typebox'
import { PosternError } from '../base/errors.js'
import type { BytePort, OpenBytePort } from '../byte-port.js'

/** Options of a serial line in a board profile. */
export const SerialPortOptions = {
  /** The device file, such as `/dev/ttyS1` or a stable link under `/dev/serial/by-id`. */
  path: Type.String({ minLength: 1, maxLength: 256, pattern: '^/' }),
  baudRate: Type.Integer({ minimum: 1200, maximum: 3_000_000, default: 115_200 }),
  /** RTS/CTS handshake; leave it off where the lines are not wired (and on ptys, which have none). */
  rtscts: Type.Optional(Type.Boolean()),
}
export interface SerialPortSettings {
  readonly path: string
  readonly baudRate: number
  readonly rtscts?: boolean
}

/** The library tells its errors apart by text only; these are the open(2) and flock(2) failures that it passes on. */
function openError(path: string, error: Error): PosternError {
  const busy = /cannot lock port|resource temporarily unavailable|device or resource busy/i.test(
    error.message,
  )
  const denied = /permission denied/i.test(error.message)
  const reason = busy
    ? `${path} is held by another program`
    : denied
      ? `${path} may not be opened by this user: add it to the group dialout`
      : `${path} can not be opened`
  return new PosternError(busy ? 'DEVICE_BUSY' : 'DEVICE_LOST', reason, { path }, error)
}

/** Opens a line with 8 data bits, no parity, one stop bit, locked against a second opener. */
export function serialPortOpener(settings: SerialPortSettings): OpenBytePort {
  return () =>
    new Promise((resolve, reject) => {
      const { path, baudRate, rtscts = false } = settings
      const line = new SerialPort({ path, baudRate, rtscts, autoOpen: false, lock: true })
      // Errors of reading and writing also end in `close`; without a listener they would end the process.
      line.on('error', () => undefined)
      line.open((error) => (error ? reject(openError(path, error)) : resolve(asBytePort(line, path))))
    })
}

function asBytePort(line: SerialPort, path: string): BytePort {
  const early: Uint8Array[] = []
  let onData: ((bytes: Uint8Array) => void) | undefined
  let onLost: ((reason: string) => void) | undefined
  let lostBecause: string | undefined
  let closed = false

  line.on('data', (bytes: Buffer) => {
    const copy = new Uint8Array(bytes)
    // It may be a track: the library's buffer is no place for it to stay.
    bytes.fill(0)
    if (onData) onData(copy)
    else early.push(copy)
  })
  line.on('close', (error: Error | null) => {
    lostBecause = `${path} went away${error ? `: ${error.message}` : ''}`
    if (!closed) onLost?.(lostBecause)
  })

  return {
    write(bytes) {
      if (closed) return Promise.reject(new PosternError('DEVICE_CLOSED', `${path} is closed`))
      return new Promise((resolve, reject) => {
        const gone = () => {
          line.off('close', gone)
          reject(new PosternError('DEVICE_LOST', `${path} went away`, { path }))
        }
        if (lostBecause !== undefined) return gone()
        line.once('close', gone)
        line.write(Buffer.from(bytes), (error) => {
          line.off('close', gone)
          if (error) reject(new PosternError('DEVICE_LOST', `${path} can not be written`, { path }, error))
          else resolve()
        })
      })
    },
    onData(listener) {
      onData = listener
      for (const bytes of early.splice(0)) listener(bytes)
    },
    onLost(listener) {
      onLost = listener
      if (lostBecause !== undefined) listener(lostBecause)
    },
    async close() {
      if (closed) return
      closed = true
      if (line.isOpen) await new Promise<void>((resolve) => line.close(() => resolve()))
    },
  }
}
