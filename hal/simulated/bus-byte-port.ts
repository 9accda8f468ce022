// The virtual handheld's printer port as a byte port, for the printer driver that knows the printer's language.
import type { DriverContext } from '../board.js'
import type { BytePort, OpenBytePort } from '../byte-port.js'
import { deviceError } from '../device-base.js'
import { type BusConnector, type BusOptions, socketBus } from './bus-device.js'

/** Longest piece that one bus command carries. */
const PIECE = 4_096

/**
 * Opener of the virtual handheld's printer port. Each port that it opens is a connection of its own.
 * @example escposDriver('simulated', busOptionFields, busPrinterPort())
 */
export function busPrinterPort(
  connect: BusConnector = socketBus,
): (options: BusOptions, context: DriverContext) => OpenBytePort {
  return (options, context) => async () => {
    const bus = connect(options, context)
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
    const close = async () => {
      closed = true
      stop()
      await bus.close()
    }
    await bus.settled()
    if (!there) {
      await close()
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
      close,
    }
    return port
  }
}
