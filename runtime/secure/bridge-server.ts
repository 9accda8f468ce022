// The secure world's end of the bridge: a unix socket that takes one open world at a time.
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import type { Log } from '../../hal/base/log.js'
import { type Client, connectContract, type Served } from '../api/contract.js'
import { RpcError } from '../api/json-rpc.js'
import { OpenMethods, SecureMethods } from '../bridge/contract.js'

export type OpenClient = Client<typeof OpenMethods>

export interface BridgeServer {
  /** The open world that is connected. @throws RpcError `DISCONNECTED` on every call while there is none */
  readonly open: OpenClient
  connected(): boolean
  close(): Promise<void>
}

export interface BridgeServerOptions {
  readonly socketPath: string
  /** 0600, or 0660 where the open world has a user of its own and the folder lets only its group in. */
  readonly mode: number
  readonly serve: Served<typeof SecureMethods>
  readonly log: Log
  /** Called with every change. While it is false nothing of the open world is on the screen or under way. */
  readonly onConnected: (connected: boolean) => void
}

/** Listens. A second connection replaces the first: the open world that was there is dead or hung. */
export async function serveBridge(options: BridgeServerOptions): Promise<BridgeServer> {
  let current: { readonly remote: OpenClient; readonly socket: Socket } | undefined

  const server = createServer((socket) => {
    if (current !== undefined) {
      // Its pipes and screens go first: the new one counts its pipes from 1 again.
      current.socket.destroy()
      current = undefined
      options.log.warn('bridge.disconnected', { reason: 'another open world has connected' })
      options.onConnected(false)
    }
    const { remote, peer } = connectContract(
      socket,
      SecureMethods,
      options.serve,
      OpenMethods,
      (method, error) => options.log.error('bridge.fault', { method, error }),
    )
    const mine = { remote, socket }
    current = mine
    options.log.info('bridge.connected')
    options.onConnected(true)
    void peer.closed.then((reason) => {
      if (current !== mine) return
      current = undefined
      options.log.warn('bridge.disconnected', { reason })
      options.onConnected(false)
    })
  })
  rmSync(options.socketPath, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.socketPath, resolve)
  })
  chmodSync(options.socketPath, options.mode)

  const open: Record<string, (params: never, signal?: AbortSignal) => Promise<unknown>> = {}
  for (const name of Object.keys(OpenMethods) as (keyof typeof OpenMethods)[]) {
    open[name] = async (params, signal) => {
      if (current === undefined) throw new RpcError('DISCONNECTED', 'the open world is not connected')
      return current.remote[name](params, signal)
    }
  }
  return {
    open: open as unknown as OpenClient,
    connected: () => current !== undefined,
    close: () =>
      new Promise((resolve) => {
        current?.socket.destroy()
        server.close(() => resolve())
      }),
  }
}
