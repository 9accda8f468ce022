// The open world's end of the bridge: a connection to the secure world that comes back by itself.
import { connect, type Socket } from 'node:net'
import type { Clock, Random } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import { type Client, connectContract, type Served } from '../../api/contract.js'
import { RpcError } from '../../api/json-rpc.js'
import { OpenMethods, SecureMethods } from '../../bridge/contract.js'
import { backOffMs } from '../back-off.js'

const BACK_OFF = { firstMs: 100, mostMs: 2000 } as const
const CONNECT_TIMEOUT_MS = 5000

export type SecureClient = Client<typeof SecureMethods>

export interface Bridge {
  /** Calls to the secure world; `DISCONNECTED` at once while it is away. */
  readonly secure: SecureClient
  connected(): boolean
  /** Resolves when connected. @throws RpcError `SECURE_WORLD_AWAY` after `timeoutMs`, `ABORTED` */
  whenConnected(timeoutMs: number, signal?: AbortSignal): Promise<void>
  /** Called with every change, after `connected()` already says so. Returns the unsubscriber. */
  on(listener: (connected: boolean) => void): () => void
  close(): Promise<void>
}

export interface BridgeOptions {
  readonly socketPath: string
  readonly serve: Served<typeof OpenMethods>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

function open(path: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const fail = (error: Error) => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      reject(error)
    }
    const onAbort = () => fail(new Error('cancelled'))
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => fail(new Error('no answer')))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', fail)
    socket.once('connect', () => {
      socket.removeListener('error', fail)
      socket.setTimeout(0)
      signal.removeEventListener('abort', onAbort)
      resolve(socket)
    })
  })
}

/** Connects, and keeps connecting whenever the secure world was restarted, until `close`. */
export function connectBridge({ socketPath, serve, clock, random, log }: BridgeOptions): Bridge {
  const closing = new AbortController()
  const listeners = new Set<(connected: boolean) => void>()
  let remote: SecureClient | undefined

  const tell = (connected: boolean) => {
    for (const listener of [...listeners]) {
      try {
        listener(connected)
      } catch (error) {
        log.error('bridge.listener-failed', { error: String(error) })
      }
    }
  }

  async function run(): Promise<void> {
    for (let attempt = 0; !closing.signal.aborted; attempt++) {
      try {
        const socket = await open(socketPath, closing.signal)
        const joined = connectContract(socket, OpenMethods, serve, SecureMethods, (method, error) =>
          log.error('bridge.fault', { method, error: String(error) }),
        )
        const onClosing = () => joined.peer.close('the open world ends')
        closing.signal.addEventListener('abort', onClosing, { once: true })
        const beganMs = clock.monotonicMs()
        remote = joined.remote
        log.info('bridge.connected')
        tell(true)
        const reason = await joined.peer.closed
        remote = undefined
        closing.signal.removeEventListener('abort', onClosing)
        log.warn('bridge.lost', { reason })
        tell(false)
        // A world that falls over again and again must not be hammered.
        if (clock.monotonicMs() - beganMs > BACK_OFF.mostMs) attempt = 0
      } catch (error) {
        log.debug('bridge.away', { error: (error as Error).message })
      }
      await clock.sleep(backOffMs(BACK_OFF, attempt, random), closing.signal).catch(() => undefined)
    }
  }
  const running = run()

  const secure: Record<string, (params: never, signal?: AbortSignal) => Promise<unknown>> = {}
  for (const name of Object.keys(SecureMethods) as (keyof typeof SecureMethods)[]) {
    secure[name] = async (params, signal) => {
      if (remote === undefined) throw new RpcError('DISCONNECTED', 'the secure world is away')
      return remote[name](params, signal)
    }
  }

  return {
    secure: secure as SecureClient,
    connected: () => remote !== undefined,
    whenConnected: (timeoutMs, signal) =>
      new Promise((resolve, reject) => {
        if (remote !== undefined) return resolve()
        const end = (error?: RpcError) => {
          stop()
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
          if (error === undefined) resolve()
          else reject(error)
        }
        const onAbort = () => end(new RpcError('ABORTED', 'cancelled'))
        const timer = setTimeout(
          () => end(new RpcError('SECURE_WORLD_AWAY', 'the secure world is being restarted')),
          timeoutMs,
        )
        const listener = (connected: boolean) => {
          if (connected) end()
        }
        listeners.add(listener)
        const stop = () => listeners.delete(listener)
        signal?.addEventListener('abort', onAbort, { once: true })
        if (signal?.aborted) onAbort()
      }),
    on: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => {
      closing.abort()
      await running
      listeners.clear()
    },
  }
}
