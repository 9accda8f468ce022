// The small engine that every driver stands on: status and listeners, counters, operations that end when they must.
import { PosternError } from './base/errors.js'
import type { DriverContext } from './board.js'
import type {
  Device,
  DeviceClass,
  DeviceError,
  DeviceErrorCode,
  DeviceEvent,
  DeviceStatus,
  Presence,
} from './device.js'
import { type CounterName, createCounters } from './statistics.js'

/** How long an aborted operation may take to let go of the device before its caller is told anyway. */
const LET_GO_MS = 200

export interface OperationOptions {
  /** The caller's signal. */
  readonly signal?: AbortSignal | undefined
  /** Operations of one lane exclude each other; without a lane the operation may run beside any other. */
  readonly lane?: string
}

/** What a driver gets to build on. `device` holds the members that it spreads into its own object. */
export interface DeviceBase<C extends DeviceClass, State extends string, Event> {
  readonly device: {
    readonly id: string
    readonly deviceClass: C
    readonly driver: string
  } & Pick<Device<State, Event>, 'status' | 'on' | 'statistics' | 'close'>
  /** Fires when the device closes, for timers and retry loops. */
  readonly closing: AbortSignal
  /**
   * Changes the status and tells the listeners if it differs. Presence `lost` ends every operation under way with
   * `DEVICE_LOST` and counts a communication error; a closed device no longer changes.
   */
  update(change: { presence?: Presence; state?: State; detail?: string | undefined }): void
  /** An event of the class. Dropped where nobody listens. */
  emit(event: Event): void
  /** True while at least one listener is there. */
  hasListeners(): boolean
  count(name: CounterName<C>, by?: number): void
  /**
   * Runs one operation. Its signal fires on the caller's abort, on loss and on close, and carries the typed error
   * that the caller will get; `run` should let go within 200 ms.
   * @throws DeviceError `DEVICE_CLOSED`, `DEVICE_LOST`, `DEVICE_BUSY`, `ABORTED`, and whatever `run` throws
   */
  operation<T>(options: OperationOptions, run: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Work for `close()`, in reverse order of registration. */
  onClose(cleanup: () => void | Promise<void>): void
}

/** Makes a device error; a driver adds no codes of its own. */
export function deviceError(
  code: DeviceErrorCode,
  message: string,
  details: Readonly<Record<string, string | number | boolean>> = {},
  cause?: unknown,
): DeviceError {
  return new PosternError(code, message, details, cause)
}

/** The engine of one device. It starts in presence `starting`. */
export function createDeviceBase<C extends DeviceClass, State extends string, Event = never>(
  context: DriverContext,
  deviceClass: C,
  driver: string,
  initial: State,
): DeviceBase<C, State, Event> {
  const { id, clock, log } = context
  const counters = createCounters(id, deviceClass, clock, context.statistics)
  const listeners = new Set<(event: DeviceEvent<State, Event>) => void>()
  const underWay = new Set<AbortController>()
  const lanes = new Set<string>()
  const cleanups: (() => void | Promise<void>)[] = []
  const closing = new AbortController()
  let status: DeviceStatus<State> = { presence: 'starting', state: initial }
  let closed: Promise<void> | undefined

  const tell = (event: DeviceEvent<State, Event>) => {
    for (const listener of [...listeners]) {
      try {
        listener(event)
      } catch (error) {
        log.error('device.listener-failed', { device: id, error: String(error) })
      }
    }
  }
  const endAll = (error: DeviceError) => {
    for (const controller of [...underWay]) controller.abort(error)
  }
  const set = (next: DeviceStatus<State>) => {
    const { presence, state, detail } = status
    if (next.presence === presence && next.state === state && next.detail === detail) return
    status = next
    if (presence !== next.presence) {
      log.info('device.presence', { device: id, presence: next.presence, detail: next.detail })
      if (next.presence === 'lost') {
        if (presence === 'ready') counters.count('CommunicationErrorCount')
        endAll(deviceError('DEVICE_LOST', `${id} is gone`, { device: id }))
      }
    }
    tell({ type: 'status', status: next })
  }

  async function operation<T>(
    { signal, lane }: OperationOptions,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (closed !== undefined) throw deviceError('DEVICE_CLOSED', `${id} is closed`, { device: id })
    if (signal?.aborted) throw deviceError('ABORTED', 'cancelled', { device: id })
    if (status.presence !== 'ready') throw deviceError('DEVICE_LOST', `${id} is not there`, { device: id })
    if (lane !== undefined && lanes.has(lane)) {
      throw deviceError('DEVICE_BUSY', `${id} is busy: ${lane}`, { device: id, operation: lane })
    }
    const controller = new AbortController()
    const onAbort = () => controller.abort(deviceError('ABORTED', 'cancelled', { device: id }))
    signal?.addEventListener('abort', onAbort, { once: true })
    underWay.add(controller)
    if (lane !== undefined) lanes.add(lane)
    // The lane stays taken until the driver has really let go, even where the caller was told earlier.
    const running = (async () => run(controller.signal))().finally(() => {
      if (lane !== undefined) lanes.delete(lane)
      underWay.delete(controller)
      signal?.removeEventListener('abort', onAbort)
    })
    const ended = new Promise<never>((_, reject) => {
      controller.signal.addEventListener(
        'abort',
        () => {
          const timer = setTimeout(() => reject(controller.signal.reason), LET_GO_MS)
          const now = () => {
            clearTimeout(timer)
            reject(controller.signal.reason)
          }
          running.then(now, now)
        },
        { once: true },
      )
    })
    ended.catch(() => undefined)
    try {
      const result = await Promise.race([running, ended])
      if (controller.signal.aborted) throw controller.signal.reason
      return result
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error
    }
  }

  async function shutDown(): Promise<void> {
    closing.abort(deviceError('DEVICE_CLOSED', `${id} was closed`, { device: id }))
    endAll(deviceError('DEVICE_CLOSED', `${id} was closed`, { device: id }))
    for (const cleanup of cleanups.reverse()) {
      try {
        await cleanup()
      } catch (error) {
        log.warn('device.close-failed', { device: id, error: String(error) })
      }
    }
    counters.close()
    set({ presence: 'closed', state: status.state })
    listeners.clear()
  }

  return {
    device: {
      id,
      deviceClass,
      driver,
      status: () => status,
      on(listener) {
        // A wrapper, so that one function registered twice is heard twice and removed once.
        const own = (event: DeviceEvent<State, Event>) => listener(event)
        listeners.add(own)
        return () => void listeners.delete(own)
      },
      statistics: () => counters.snapshot(),
      close: () => (closed ??= shutDown()),
    },
    closing: closing.signal,
    update(change) {
      if (closed !== undefined) return
      const detail = 'detail' in change ? change.detail : change.presence ? undefined : status.detail
      set({
        presence: change.presence ?? status.presence,
        state: change.state ?? status.state,
        ...(detail === undefined ? {} : { detail }),
      })
    },
    emit(event) {
      if (closed === undefined) tell(event)
    },
    hasListeners: () => listeners.size > 0,
    count: (name, by) => counters.count(name, by),
    operation,
    onClose: (cleanup) => void cleanups.push(cleanup),
  }
}
