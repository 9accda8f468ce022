// What the physical model of each device is given: time, chance, a way to tell the bus and the people who watch.
import type { Clock } from '../../base/clock.js'
import type { PeripheralEvent, PeripheralName } from '../bus-protocol.js'

/** The surroundings of one physical device. */
export interface MachineIo<P extends PeripheralName> {
  readonly clock: Clock
  /** Uniform in 0 to 1, from the hardware's seed: a scenario plays the same each time. */
  readonly random: () => number
  /** Fires when the hardware is switched off. */
  readonly off: AbortSignal
  /** An event on the bus; lost while the device is unplugged. */
  send(event: PeripheralEvent<P>): void
  /** Something that a person can see or hear has changed. */
  changed(): void
}

/** Small seeded generator (mulberry32); for bounce and noise, never for keys. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
