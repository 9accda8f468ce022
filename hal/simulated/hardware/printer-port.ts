// The printer's port: a byte wire that a printer machine is attached to.
import type { BytePort } from '../../byte-port.js'
import { deviceError } from '../../device-base.js'
import type { Peripheral } from '../bus.js'
import type { MachineIo } from './machine.js'

/** Longest piece that goes over the bus at a time, in bytes. */
const PIECE = 4_096

/** Attaches printer machines. */
export interface PrinterPort {
  attached(): boolean
  /** Plugs a printer in, in place of the one that was there. Returns what unplugs it. */
  attach(printer: BytePort): () => void
}

export function createPrinterPort(io: MachineIo<'printer'>): {
  readonly printer: PrinterPort
  readonly peripheral: Peripheral
} {
  let current: BytePort | undefined
  const attach = (port: BytePort) => {
    current = port
    port.onData((bytes) => {
      if (current !== port) return
      for (let at = 0; at < bytes.length; at += PIECE) {
        const piece = Buffer.from(bytes.subarray(at, at + PIECE))
        io.send({ type: 'data', bytes: piece.toString('base64') })
      }
    })
    const unplug = () => {
      if (current !== port) return
      current = undefined
      io.changed()
    }
    port.onLost(unplug)
    io.changed()
    return unplug
  }
  return {
    printer: { attached: () => current !== undefined, attach },
    peripheral: {
      state: () => ({}),
      async command(_op, params: { bytes: string }) {
        if (current === undefined) throw deviceError('DEVICE_LOST', 'no printer is plugged in')
        await current.write(new Uint8Array(Buffer.from(params.bytes, 'base64')))
        return {}
      },
    },
  }
}
