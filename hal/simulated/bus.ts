// The bus between the virtual handheld and the simulated drivers, and its form inside one process.
import type { Clock } from '../base/clock.js'
import { deviceError } from '../device-base.js'
import {
  type BusRole,
  type CommandName,
  type CommandParams,
  type CommandResult,
  type PeripheralEvent,
  type PeripheralName,
  type PeripheralState,
  peripheralsOf,
} from './bus-protocol.js'

/** What a port tells: the peripheral came, went, or said something. */
export type PortEvent<P extends PeripheralName> =
  | { readonly type: 'attached'; readonly state: PeripheralState<P> }
  | { readonly type: 'detached' }
  | { readonly type: 'event'; readonly event: PeripheralEvent<P> }

/** One peripheral as a driver sees it. */
export interface BusPort<P extends PeripheralName> {
  /**
   * Sends one command.
   * @throws DeviceError `DEVICE_LOST` while the peripheral is unplugged or the bus is down, `DEVICE_PROTOCOL` where
   * the hardware refuses the command
   */
  call<O extends CommandName<P>>(op: O, params: CommandParams<P, O>): Promise<CommandResult<P, O>>
  /** Listens; a peripheral that is attached already is told at once. Returns the unsubscriber. */
  on(listener: (event: PortEvent<P>) => void): () => void
}

/** The wires to the peripherals of one role. */
export interface Bus {
  readonly role: BusRole | undefined
  port<P extends PeripheralName>(name: P): BusPort<P>
  /** Resolves once it is known whether the hardware is there, within 2 s; never rejects. */
  settled(): Promise<void>
  close(): Promise<void>
}

/** A peripheral's side of the bus: what the physical model of one device offers. */
export interface Peripheral {
  state(): unknown
  command(op: string, params: never): unknown
}

/** All the peripherals of one handheld with their plugs. */
export interface Backplane {
  readonly clock: Clock
  /** Added to every command and event, in milliseconds. */
  latencyMs(): number
  peripheral(name: PeripheralName): Peripheral
  attached(name: PeripheralName): boolean
  /** Plug, unplug and class events of every peripheral. Returns the unsubscriber. */
  subscribe(listener: (name: PeripheralName, event: PortEvent<PeripheralName>) => void): () => void
}

/** A bus inside the hardware's own process: the same rules as over the socket, without the socket. */
export function createLocalBus(backplane: Backplane, role: BusRole): Bus {
  const reach = new Set(peripheralsOf(role))
  const listeners = new Map<PeripheralName, Set<(event: PortEvent<PeripheralName>) => void>>()
  const pending = new Map<PeripheralName, Set<(reason: unknown) => void>>()
  let open = true
  let late = Promise.resolve()
  let waiting = 0

  const lost = (name: PeripheralName) =>
    deviceError('DEVICE_LOST', `${name} is not on the bus`, { peripheral: name })
  const dropCalls = (name: PeripheralName) => {
    for (const reject of [...(pending.get(name) ?? [])]) reject(lost(name))
  }
  const tell = (name: PeripheralName, event: PortEvent<PeripheralName>) => {
    if (!open) return
    if (event.type === 'detached') dropCalls(name)
    for (const listener of [...(listeners.get(name) ?? [])]) listener(event)
  }
  const unsubscribe = backplane.subscribe((name, event) => {
    if (!reach.has(name)) return
    const delayMs = backplane.latencyMs()
    // A slow wire delays events too, but never reorders them.
    if (delayMs === 0 && waiting === 0) return tell(name, event)
    waiting++
    const until = backplane.clock.monotonicMs() + delayMs
    late = late.then(async () => {
      await backplane.clock.sleep(Math.max(0, until - backplane.clock.monotonicMs()))
      waiting--
      tell(name, event)
    })
  })

  async function call(name: PeripheralName, op: string, params: unknown): Promise<unknown> {
    if (!open || !reach.has(name) || !backplane.attached(name)) throw lost(name)
    const work = async () => {
      const delayMs = backplane.latencyMs()
      if (delayMs > 0) await backplane.clock.sleep(delayMs)
      if (!backplane.attached(name)) throw lost(name)
      return backplane.peripheral(name).command(op, params as never)
    }
    let drop: ((reason: unknown) => void) | undefined
    const dropped = new Promise<never>((_, reject) => {
      drop = reject
    })
    const calls = pending.get(name) ?? new Set()
    pending.set(name, calls.add(drop!))
    try {
      return await Promise.race([work(), dropped])
    } finally {
      calls.delete(drop!)
    }
  }

  return {
    role,
    port: <P extends PeripheralName>(name: P): BusPort<P> => ({
      call: (op, params) => call(name, op, params) as never,
      on(listener) {
        const own = listener as (event: PortEvent<PeripheralName>) => void
        const all = listeners.get(name) ?? new Set()
        listeners.set(name, all.add(own))
        if (reach.has(name) && backplane.attached(name)) {
          own({ type: 'attached', state: backplane.peripheral(name).state() as never })
        }
        return () => void all.delete(own)
      },
    }),
    settled: () => Promise.resolve(),
    async close() {
      if (!open) return
      open = false
      unsubscribe()
      for (const name of reach) dropCalls(name)
      listeners.clear()
    },
  }
}
