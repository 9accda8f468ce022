// What every device class shares: identity, a status with change events, statistics, one exclusive lease, closing.
import type { PosternError } from './base/errors.js'

/** The device classes; each has its interface in the file of that name beside this one. */
export const DEVICE_CLASSES = [
  'chip-card-reader',
  'contactless-reader',
  'magnetic-stripe-reader',
  'keypad',
  'display',
  'printer',
  'scanner',
  'indicators',
  'power',
  'signature-pad',
  'tamper',
  'secure-element',
  'fiscal-signer',
] as const
export type DeviceClass = (typeof DEVICE_CLASSES)[number]

/** Is the device reachable at all? `lost` devices come back by themselves; the driver keeps trying. */
export type Presence = 'starting' | 'ready' | 'lost' | 'closed'

/** A snapshot; `state` is the class's own word (`paperOut`, `cardPresent`…), `detail` says it for people. */
export interface DeviceStatus<State extends string = string> {
  readonly presence: Presence
  readonly state: State
  readonly detail?: string
}

/** Counters by UnifiedPOS statistic name (`HoursPoweredCount`, `CommunicationErrorCount`, `GoodReadCount`…). */
export type Statistics = Readonly<Record<string, number>>

/** Faults that any driver may raise. A driver adds no codes of its own; it explains in message and details. */
export type DeviceErrorCode =
  | 'DEVICE_LOST' // unplugged, powered off, or its daemon is gone
  | 'DEVICE_BUSY' // another owner holds the lease or another program the port
  | 'DEVICE_TIMEOUT' // the device did not answer within the bound given
  | 'DEVICE_PROTOCOL' // it answered something its protocol does not allow
  | 'DEVICE_CLOSED' // used after close()
  | 'DEVICE_UNSUPPORTED' // the capability is not there; `capabilities` said so
  | 'ABORTED' // the caller's AbortSignal fired
export type DeviceError = PosternError<DeviceErrorCode>

/**
 * What a driver's author promises, whatever the class:
 *
 * - The factory resolves even if the device is absent: presence is then `lost`, and the driver retries with a
 *   back-off of at most 5 s until it returns. No restart, no user action.
 * - `status()` is a snapshot without I/O. Each change calls every listener once, in order, after `status()` already
 *   returns the new value; a listener that throws harms neither the driver nor other listeners.
 * - Every operation takes an AbortSignal. After abort it rejects with `ABORTED` within 250 ms, or as soon as the
 *   device can be interrupted where its class says so, and leaves the device usable.
 * - One operation at a time unless the class says otherwise; a second one is refused with `DEVICE_BUSY`, never queued.
 * - When the device goes, operations under way reject with `DEVICE_LOST` within 1 s.
 * - `close()` is idempotent, ends what is under way with `DEVICE_CLOSED`, and frees port, lock and timers.
 * - Counters only grow. Statistics never hold user data.
 */
export interface Device<State extends string = string, Event = never> {
  /** The profile's name for it, such as `printer`. */
  readonly id: string
  readonly deviceClass: DeviceClass
  /** The driver's name, as in the board profile. */
  readonly driver: string
  status(): DeviceStatus<State>
  /** Calls `listener` on every status change and class event. Returns the unsubscriber. */
  on(listener: (event: DeviceEvent<State, Event>) => void): () => void
  statistics(): Statistics
  close(): Promise<void>
}

/** A status change, or an event of the device's own class. */
export type DeviceEvent<State extends string, Event> =
  | { readonly type: 'status'; readonly status: DeviceStatus<State> }
  | Event
