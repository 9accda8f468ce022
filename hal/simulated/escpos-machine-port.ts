// A machine at the end of a paced wire, as a byte port: the printer's socket in process, with a plug that can be pulled.
import type { Clock } from '../base/clock.js'
import { PosternError } from '../base/errors.js'
import type { BytePort, OpenBytePort } from '../byte-port.js'
import type { EscposMachine } from './escpos-machine.js'
import { type PacedWire, pacedWire } from './paced-wire.js'

export interface MachineSocket {
  readonly open: OpenBytePort
  /** Pulls the plug or puts it back: pulled, the open port is lost and none opens; the printer loses its power. */
  setPlugged(plugged: boolean): void
}

/** Joins a machine to ports that `open` gives out, one at a time as a serial port does. */
export function machineSocket(
  machine: EscposMachine,
  clock: Clock,
  options: { readonly baudRate?: number; readonly flowControl?: boolean } = {},
): MachineSocket {
  const baudRate = options.baudRate ?? 115_200
  let plugged = true
  let current: { readonly wire: PacedWire; readonly back: PacedWire; lose(reason: string): void } | undefined

  machine.on((event) => {
    if (event.type === 'transmit') void current?.back.write(event.bytes).catch(() => {})
    else if (event.type === 'busy' && options.flowControl) current?.wire.hold(event.busy)
  })

  return {
    async open() {
      if (!plugged) throw new PosternError('DEVICE_LOST', 'the printer is unplugged')
      if (current !== undefined) throw new PosternError('DEVICE_BUSY', 'the port is open elsewhere')
      const early: Uint8Array[] = []
      let onData: ((bytes: Uint8Array) => void) | undefined
      let onLost: ((reason: string) => void) | undefined
      let lostBecause: string | undefined
      let closed = false
      const wire = pacedWire(clock, baudRate, (bytes) => machine.receive(bytes))
      const back = pacedWire(clock, baudRate, (bytes) => (onData ? onData(bytes) : early.push(bytes)))
      const socket = {
        wire,
        back,
        lose(reason: string) {
          lostBecause = reason
          if (!closed) onLost?.(reason)
        },
      }
      current = socket
      const port: BytePort = {
        write(bytes) {
          if (closed) return Promise.reject(new PosternError('DEVICE_CLOSED', 'the port is closed'))
          return wire.write(bytes)
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
          closed = true
          wire.cut()
          back.cut()
          if (current === socket) current = undefined
        },
      }
      return port
    },
    setPlugged(next) {
      if (next === plugged) return
      plugged = next
      if (next) return
      machine.reset()
      const socket = current
      current = undefined
      socket?.wire.cut()
      socket?.back.cut()
      socket?.lose('the plug was pulled')
    },
  }
}
