// What every simulated driver does first: reach the bus, and let the device's presence follow the plug.
import { type Static, Type } from 'typebox'
import type { DriverContext } from '../board.js'
import type { Presence } from '../device.js'
import type { Bus, BusPort } from './bus.js'
import type { PeripheralEvent, PeripheralName, PeripheralState } from './bus-protocol.js'
import { connectHardware } from './connect-hardware.js'

/** Options of a simulated driver: the socket of the virtual handheld. A unix socket's path has at most 107 bytes. */
export const busOptionFields = { socket: Type.String({ minLength: 1, maxLength: 107 }) } as const
export const BusOptions = Type.Object(busOptionFields, { additionalProperties: false })
export type BusOptions = Static<typeof BusOptions>

/** How a driver comes to its bus; the driver closes it. */
export type BusConnector = (options: BusOptions, context: DriverContext) => Bus

/** Over the virtual handheld's socket, each device with a connection of its own. */
export const socketBus: BusConnector = ({ socket }, context) => connectHardware(socket, context)

export interface PeripheralHandlers<P extends PeripheralName> {
  /** The device is there. A text returned says why it can't be used; it then counts as lost. */
  attached(state: PeripheralState<P>, port: BusPort<P>): string | undefined
  event?(event: PeripheralEvent<P>): void
  detached?(): void
}

/** What joining needs of a device's base. */
export interface Joinable {
  readonly device: { status(): { readonly presence: Presence } }
  update(change: { presence: Presence; detail?: string | undefined }): void
  onClose(cleanup: () => void | Promise<void>): void
}

/**
 * Joins a device to its peripheral and resolves once it is known whether it is there. `attached` runs while presence
 * is still `lost`, so that a caller who sees `ready` also sees the state that came with it.
 */
export async function joinPeripheral<P extends PeripheralName>(
  base: Joinable,
  bus: Bus,
  name: P,
  handlers: PeripheralHandlers<P>,
): Promise<BusPort<P>> {
  const port = bus.port(name)
  let there = false
  const stop = port.on((event) => {
    if (event.type === 'attached') {
      const problem = handlers.attached(event.state, port)
      there = problem === undefined
      base.update(there ? { presence: 'ready' } : { presence: 'lost', detail: problem })
    } else if (event.type === 'detached') {
      there = false
      base.update({ presence: 'lost', detail: 'unplugged, or the virtual handheld is not running' })
      handlers.detached?.()
    } else if (there) handlers.event?.(event.event)
  })
  base.onClose(() => bus.close())
  base.onClose(stop)
  await bus.settled()
  if (!there && base.device.status().presence === 'starting') {
    base.update({ presence: 'lost', detail: 'the virtual handheld is not running' })
  }
  return port
}
