// The hardware's end of the bus socket: the virtual handheld serves one half of its devices to one world.
import { chmodSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { isPosternError, PosternError } from '../base/errors.js'
import type { Bus } from './bus.js'
import {
  BUS_VERSION,
  type BusRole,
  commandShape,
  MAX_LINE_BYTES,
  type PeripheralName,
  peripheralsOf,
} from './bus-protocol.js'
import { jsonLines } from './json-lines.js'

export interface HardwareServer {
  readonly socketPath: string
  /** Connections now open. */
  clients(): number
  /** Ends every connection and removes the socket. Idempotent. */
  close(): Promise<void>
}

/** Longest path of a unix socket. unix(7): 108 bytes with the closing zero */
const MAX_PATH_BYTES = 107
/** Connections that one socket takes; the secure world opens one a device. */
const MAX_CLIENTS = 64

/**
 * Serves `role`'s half of the hardware on a unix socket with mode `mode` (0600 unless told), where several clients
 * may be connected at a time. A socket file that a crashed process left is replaced; a live one is not.
 * @throws PosternError `SOCKET_IN_USE` where somebody else serves there, `SOCKET_PATH` where the path is too long
 */
export async function serveHardware(
  hardware: { bus(role: BusRole): Bus },
  socketPath: string,
  role: BusRole,
  { mode = 0o600 }: { mode?: number } = {},
): Promise<HardwareServer> {
  if (Buffer.byteLength(socketPath) > MAX_PATH_BYTES) {
    throw new PosternError('SOCKET_PATH', `a unix socket's path has at most ${MAX_PATH_BYTES} bytes`, {
      path: socketPath,
    })
  }
  if (await answers(socketPath)) {
    throw new PosternError('SOCKET_IN_USE', `another process serves ${socketPath}`, { path: socketPath })
  }
  rmSync(socketPath, { force: true })
  const sockets = new Set<Socket>()
  const check = paramsChecker()
  const server = createServer((socket) => {
    if (sockets.size >= MAX_CLIENTS) {
      socket.destroy()
      return
    }
    sockets.add(socket)
    serveClient(socket, hardware.bus(role), role, check, () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath, resolve)
  })
  chmodSync(socketPath, mode)
  let closed: Promise<void> | undefined
  return {
    socketPath,
    clients: () => sockets.size,
    close() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
      return closed
    },
  }
}

function serveClient(
  socket: Socket,
  bus: Bus,
  role: BusRole,
  check: (name: PeripheralName, op: string, params: unknown) => string | undefined,
  onGone: () => void,
): void {
  const reach = peripheralsOf(role)
  const lines = jsonLines(
    socket,
    MAX_LINE_BYTES,
    (message) => void answer(message),
    () => {
      onGone()
      void bus.close()
    },
  )

  async function answer({ id, to, op, params }: Record<string, unknown>): Promise<void> {
    if (typeof id !== 'number') return lines.end()
    const refuse = (code: string, message: string) => void lines.send({ id, error: { code, message } })
    const name = reach.find((each) => each === to)
    if (name === undefined || typeof op !== 'string') return refuse('DEVICE_PROTOCOL', 'no such peripheral')
    const fault = check(name, op, params)
    if (fault !== undefined) return refuse('DEVICE_PROTOCOL', fault)
    try {
      const result = await bus.port(name).call(op as never, params as never)
      if (!lines.send({ id, result: result ?? {} }))
        refuse('DEVICE_PROTOCOL', 'the answer is beyond the bound')
    } catch (error) {
      refuse(isPosternError(error) ? error.code : 'DEVICE_PROTOCOL', String((error as Error).message))
    }
  }

  lines.send({ hello: { version: BUS_VERSION, role } })
  for (const name of reach) {
    bus.port(name).on((event) => lines.send({ event: name, ...toWire(event) }))
  }
  lines.send({ ready: true })
}

function toWire(event: { type: string; state?: unknown; event?: unknown }): object {
  return { type: event.type, body: event.type === 'attached' ? event.state : event.event }
}

/** Says what is wrong with a command, or undefined. */
function paramsChecker(): (name: PeripheralName, op: string, params: unknown) => string | undefined {
  const compiled = new Map<TSchema, ReturnType<typeof Compile>>()
  return (name, op, params) => {
    const shape = commandShape(name, op)
    if (shape === undefined) return `${name} has no command of that name`
    const validator = compiled.get(shape.params) ?? Compile(shape.params)
    compiled.set(shape.params, validator)
    if (validator.Check(params)) return undefined
    const first = validator.Errors(params)[0]
    return `${name}.${op}${first?.instancePath ?? ''}: ${first?.message ?? 'not as the protocol asks'}`
  }
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socketPath)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}
