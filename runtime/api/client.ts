// What an app imports: the typed connection to its host on file descriptor 3.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { AppMethods, HostMethods } from './app-contract.js'
import { type Client, connectContract, type Served } from './contract.js'
import type { RpcPeer } from './json-rpc.js'

export type Host = Client<typeof HostMethods>
export type AppHandlers = Served<typeof AppMethods>

/** Connects to the host. `stream` is fd 3 unless a test passes another. */
export function connectHost(
  handlers: AppHandlers,
  stream: Duplex = new Socket({ fd: 3 }),
): { readonly host: Host; readonly peer: RpcPeer } {
  const { remote, peer } = connectContract(stream, AppMethods, handlers, HostMethods)
  return { host: remote, peer }
}
