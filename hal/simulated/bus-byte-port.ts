// The virtual handheld's printer port as a byte port, for the printer driver that knows the printer's language.
import type { BytePort, OpenBytePort } from '../byte-port.js'
import { deviceError } from '../device-base.js'
import type { Bus } from './bus.js'

/** Longest piece that one bus command carries. */
const PIECE = 4_096

/** Opens the printer's wire on `bus`, which stays the caller's to close. */
export function busPrinterPort(bus: Bus): OpenBytePort {
  return async () => {
    await bus.settled()
    const wire = bus.port('printer')
    const early: Uint8Array[] = []
    let onData: ((bytes: Uint8Array) => void) | undefined
    let onLost: ((reason: string) => void) | undefined
    let there = false
    let gone: string | undefined
    let closed = false
    const stop = wire.on((event) => {
      if (event.type === 'attached') there = true
      else if (event.type === 'detached') {
        if (gone !== undefined || closed) return
        gone = 'unplugged'
        onLost?.(gone)
      } else {
        const bytes = new Uint8Array(Buffer.from(event.event.bytes, 'base64'))
        if (onData === undefined) early.push(bytes)
        else onData(bytes)
      }
    })
    if (!there) {
      stop()
      throw deviceError('DEVICE_LOST', 'the printer port is not on the bus')
    }
    const port: BytePort = {
      async write(bytes) {
        for (let at = 0; at < bytes.length; at += PIECE) {
          if (closed) throw deviceError('DEVICE_CLOSED', 'the printer port was closed')
          if (gone !== undefined) throw deviceError('DEVICE_LOST', 'the printer port is gone')
          const piece = Buffer.from(bytes.subarray(at, at + PIECE))
          await wire.call('write', { bytes: piece.toString('base64') })
        }
      },
      onData(listener) {
        onData = listener
        for (const bytes of early.splice(0)) listener(bytes)
      },
      onLost(listener) {
        onLost = listener
        if (gone !== undefined) listener(gone)
      },
      async close() {
        closed = true
        stop()
      },
    }
    return port
  }
}
