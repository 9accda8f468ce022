// The drivers' end of the bus socket. It reconnects by itself; while it can't, every peripheral is unplugged.
import { connect } from 'node:net'
import { Compile } from 'typebox/compile'
import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { DeviceErrorCode } from '../device.js'
import { deviceError } from '../device-base.js'
import type { Bus, BusPort, PortEvent } from './bus.js'
import {
  BUS_VERSION,
  type BusRole,
  MAX_LINE_BYTES,
  PERIPHERALS,
  type PeripheralName,
} from './bus-protocol.js'
import { type JsonLines, jsonLines } from './json-lines.js'

const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 2_000
const SETTLE_MS = 1_500
const CODES: readonly string[] = ['DEVICE_LOST', 'DEVICE_BUSY', 'DEVICE_PROTOCOL', 'DEVICE_UNSUPPORTED']

/** Connects to a virtual handheld's socket, now and whenever it is lost, with a back-off of 50 ms to 2 s. */
export function connectHardware(socketPath: string, { clock, log }: { clock: Clock; log: Log }): Bus {
  const known = new Map<PeripheralName, unknown>()
  const listeners = new Map<PeripheralName, Set<(event: PortEvent<PeripheralName>) => void>>()
  const pending = new Map<
    number,
    { name: PeripheralName; resolve: (v: unknown) => void; reject: (e: unknown) => void }
  >()
  const validators = new Map<string, ReturnType<typeof Compile>>()
  const stop = new AbortController()
  let wire: JsonLines | undefined
  let role: BusRole | undefined
  let lastId = 0
  let settle: () => void = () => undefined
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })

  const lost = (name: PeripheralName) =>
    deviceError('DEVICE_LOST', `${name} is not on the bus`, { peripheral: name })
  const dropCalls = (name?: PeripheralName) => {
    for (const [id, call] of [...pending]) {
      if (name !== undefined && call.name !== name) continue
      pending.delete(id)
      call.reject(lost(call.name))
    }
  }
  const tell = (name: PeripheralName, event: PortEvent<PeripheralName>) => {
    for (const listener of [...(listeners.get(name) ?? [])]) listener(event)
  }
  const detach = (name: PeripheralName) => {
    dropCalls(name)
    if (known.delete(name)) tell(name, { type: 'detached' })
  }
  const fits = (name: PeripheralName, part: 'state' | 'events', value: unknown): boolean => {
    const key = `${name}/${part}`
    const validator = validators.get(key) ?? Compile(PERIPHERALS[name][part])
    validators.set(key, validator)
    if (validator.Check(value)) return true
    log.warn('bus.bad-message', { peripheral: name, part })
    return false
  }

  const onMessage = (message: Record<string, unknown>) => {
    if ('hello' in message) {
      const hello = message['hello'] as { version?: unknown; role?: unknown }
      if (hello.version !== BUS_VERSION) {
        log.error('bus.version', { theirs: Number(hello.version), ours: BUS_VERSION })
        return wire?.end()
      }
      role = hello.role === 'open' ? 'open' : 'secure'
    } else if (message['ready'] === true) {
      settle()
    } else if (typeof message['id'] === 'number') {
      const call = pending.get(message['id'])
      pending.delete(message['id'])
      const error = message['error'] as { code?: string; message?: string } | undefined
      if (error === undefined) return call?.resolve(message['result'])
      const code = (CODES.includes(error.code ?? '') ? error.code : 'DEVICE_PROTOCOL') as DeviceErrorCode
      call?.reject(deviceError(code, String(error.message ?? 'refused').slice(0, 200)))
    } else if (typeof message['event'] === 'string' && Object.hasOwn(PERIPHERALS, message['event'])) {
      const name = message['event'] as PeripheralName
      const body = message['body']
      if (message['type'] === 'detached') detach(name)
      else if (message['type'] === 'attached' && fits(name, 'state', body)) {
        known.set(name, body)
        tell(name, { type: 'attached', state: body as never })
      } else if (message['type'] === 'event' && known.has(name) && fits(name, 'events', body)) {
        tell(name, { type: 'event', event: body as never })
      }
    }
  }

  /** One connection from start to end. True if it had worked. */
  const once = () =>
    new Promise<boolean>((resolve) => {
      let worked = false
      const socket = connect(socketPath)
      const end = () => {
        stop.signal.removeEventListener('abort', onStop)
        wire = undefined
        for (const name of [...known.keys()]) detach(name)
        dropCalls()
        resolve(worked)
      }
      const lines = jsonLines(socket, MAX_LINE_BYTES, onMessage, end)
      socket.once('connect', () => {
        worked = true
        wire = lines
      })
      const onStop = () => lines.end()
      stop.signal.addEventListener('abort', onStop, { once: true })
    })

  async function keepConnected(): Promise<void> {
    let retryMs = FIRST_RETRY_MS
    while (!stop.signal.aborted) {
      const worked = await once()
      settle()
      retryMs = worked ? FIRST_RETRY_MS : Math.min(retryMs * 2, MAX_RETRY_MS)
      await clock.sleep(retryMs, stop.signal).catch(() => undefined)
    }
  }
  const running = keepConnected()

  return {
    get role() {
      return role
    },
    port: <P extends PeripheralName>(name: P): BusPort<P> => ({
      call: (op, params) =>
        new Promise((resolve, reject) => {
          if (wire === undefined || !known.has(name)) return reject(lost(name))
          const id = ++lastId
          pending.set(id, { name, resolve: resolve as (v: unknown) => void, reject })
          if (!wire.send({ id, to: name, op, params })) {
            pending.delete(id)
            reject(deviceError('DEVICE_PROTOCOL', `${name}.${op} does not fit the bus`))
          }
        }),
      on(listener) {
        const own = listener as (event: PortEvent<PeripheralName>) => void
        const all = listeners.get(name) ?? new Set()
        listeners.set(name, all.add(own))
        if (known.has(name)) own({ type: 'attached', state: known.get(name) as never })
        return () => void all.delete(own)
      },
    }),
    async settled() {
      const timer = new AbortController()
      await Promise.race([settled, clock.sleep(SETTLE_MS, timer.signal).catch(() => undefined)])
      timer.abort()
    },
    async close() {
      stop.abort()
      settle()
      await running
      listeners.clear()
    },
  }
}
