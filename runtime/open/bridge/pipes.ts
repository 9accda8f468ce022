// Pipes: the open world carries bytes between the secure world and an acquirer; the TLS session inside is not its own.
import { connect, type Socket } from 'node:net'
import type { Log } from '../../../hal/base/log.js'
import type { NetworkState } from '../../../hal/network-state.js'
import type { Served } from '../../api/contract.js'
import { RpcError } from '../../api/json-rpc.js'
import type { OpenMethods } from '../../bridge/contract.js'
import type { SecureClient } from './bridge-client.js'

const MOST_PIPES = 4
const CONNECT_TIMEOUT_MS = 10_000
/** What may wait for a slow acquirer before writes are refused. */
const MOST_UNSENT = 256 * 1024
/** Bytes a `pipe.data`: well under a line of the wire in base64. */
const FRAME = 24 * 1024

export interface PipesOptions {
  /** The only addresses that may be opened. */
  readonly allowed: readonly { readonly host: string; readonly port: number }[]
  readonly network: NetworkState
  readonly secure: () => Pick<SecureClient, 'pipe.data' | 'pipe.closed'>
  readonly log: Log
}

export interface Pipes {
  readonly serve: Pick<Served<typeof OpenMethods>, 'pipe.open' | 'pipe.write' | 'pipe.close'>
  /** The secure world went away, or the network: every pipe ends. */
  closeAll(reason: string): void
  close(): void
}

interface Pipe {
  readonly id: number
  readonly socket: Socket
  /** Grows a promise a frame, so that frames and the end arrive in order. */
  forwarding: Promise<void>
  reading: boolean
}

/** Dials; the signal ends an attempt under way. */
function dial(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true, signal })
    const refuse = (code: string, message: string) => {
      socket.destroy()
      reject(new RpcError(code, message))
    }
    socket.pause()
    socket.setMaxListeners(0) // one a write under way
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => refuse('CONNECT_TIMEOUT', `${host}:${port} does not answer`))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      refuse('CONNECT_FAILED', `${host}:${port}: ${error.code ?? error.message}`),
    )
    socket.once('connect', () => {
      socket.setTimeout(0)
      socket.removeAllListeners('error')
      resolve(socket)
    })
  })
}

/** Serves the pipe methods of the bridge. Numbers are never used twice while this process lives. */
export function createPipes({ allowed, network, secure, log }: PipesOptions): Pipes {
  const pipes = new Map<number, Pipe>()
  const dialling = new Set<AbortController>()
  let nextId = 1

  const forward = (pipe: Pipe, send: () => Promise<unknown>) => {
    pipe.forwarding = pipe.forwarding
      .then(send)
      .then(() => undefined)
      .catch((error: Error) => {
        log.warn('pipe.forward-failed', { pipe: pipe.id, error: error.message })
        pipe.socket.destroy()
      })
  }
  const end = (pipe: Pipe, reason: string) => {
    if (!pipes.delete(pipe.id)) return
    pipe.socket.destroy()
    log.info('pipe.closed', { pipe: pipe.id, reason })
    forward(pipe, () => secure()['pipe.closed']({ pipe: pipe.id, reason: reason.slice(0, 200) }))
  }
  const onData = (pipe: Pipe, chunk: Buffer) => {
    pipe.socket.pause()
    for (let at = 0; at < chunk.length; at += FRAME) {
      const data = chunk.subarray(at, at + FRAME).toString('base64')
      forward(pipe, () => secure()['pipe.data']({ pipe: pipe.id, data }))
    }
    void pipe.forwarding.then(() => pipe.socket.resume())
  }
  const closeAll = (reason: string) => {
    for (const controller of dialling) controller.abort()
    for (const pipe of [...pipes.values()]) end(pipe, reason)
  }
  const stopWatching = network.on((online) => {
    if (!online) closeAll('the network is gone')
  })

  return {
    closeAll,
    close: () => {
      stopWatching()
      closeAll('the open world ends')
    },
    serve: {
      'pipe.open': async ({ host, port }, signal) => {
        if (!allowed.some((endpoint) => endpoint.host === host && endpoint.port === port)) {
          throw new RpcError('PIPE_NOT_ALLOWED', `${host}:${port} is not one of the configured acquirers`)
        }
        if (!network.online()) throw new RpcError('NETWORK_DOWN', 'there is no network')
        if (pipes.size + dialling.size >= MOST_PIPES)
          throw new RpcError('TOO_MANY_PIPES', `at most ${MOST_PIPES} pipes at once`)
        const controller = new AbortController()
        dialling.add(controller)
        const socket = await dial(host, port, AbortSignal.any([signal, controller.signal])).finally(() =>
          dialling.delete(controller),
        )
        const pipe: Pipe = { id: nextId++, socket, forwarding: Promise.resolve(), reading: false }
        if (signal.aborted) {
          socket.destroy()
          throw new RpcError('ABORTED', 'cancelled')
        }
        pipes.set(pipe.id, pipe)
        socket.on('data', (chunk) => onData(pipe, chunk))
        socket.on('end', () => end(pipe, 'the other side closed the connection'))
        socket.on('error', (error: NodeJS.ErrnoException) => end(pipe, error.code ?? error.message))
        socket.on('close', () => end(pipe, 'closed'))
        // Attaching `data` makes it flow; nothing may be read before the caller knows the pipe's number.
        socket.pause()
        log.info('pipe.opened', { pipe: pipe.id, host, port })
        return { pipe: pipe.id }
      },
      'pipe.write': async ({ pipe: id, data }) => {
        const pipe = pipes.get(id)
        if (pipe === undefined) throw new RpcError('PIPE_CLOSED', `pipe ${id} is closed`)
        const { socket } = pipe
        if (socket.writableLength > MOST_UNSENT)
          throw new RpcError('PIPE_FULL', 'the other side does not read')
        await new Promise<void>((resolve, reject) => {
          const gone = () => reject(new RpcError('PIPE_CLOSED', `pipe ${id} was closed`))
          socket.once('close', gone)
          socket.write(Buffer.from(data, 'base64'), (error) => {
            socket.removeListener('close', gone)
            if (error) gone()
            else resolve()
          })
          // NOTE: the client of a TLS session speaks first (RFC 8446, 2), so reading may begin with the first write.
          if (!pipe.reading) {
            pipe.reading = true
            socket.resume()
          }
        })
        return null
      },
      'pipe.close': ({ pipe: id }) => {
        const pipe = pipes.get(id)
        if (pipe !== undefined) {
          pipes.delete(id)
          log.info('pipe.closed', { pipe: id, reason: 'closed by the secure world' })
          // What was written last, such as a close_notify, still leaves.
          pipe.socket.end()
          pipe.socket.setTimeout(2000, () => pipe.socket.destroy())
          pipe.socket.removeAllListeners('data')
          pipe.socket.on('data', () => undefined).resume()
        }
        return null
      },
    },
  }
}
