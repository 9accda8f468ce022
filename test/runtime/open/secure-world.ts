// A secure world for tests: listens on a real unix socket, answers what a test tells it to, can be killed and come back.
import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { type Client, connectContract, type Served } from '../../../runtime/api/contract.js'
import { RpcError, type RpcPeer } from '../../../runtime/api/json-rpc.js'
import { OpenMethods, SecureMethods, type TerminalInfo } from '../../../runtime/bridge/contract.js'

export const TERMINAL: TerminalInfo = {
  terminalId: 'T0000001',
  merchantName: 'Blue Parcel',
  merchantId: 'M00000000000001',
  currency: 'EUR',
  locale: 'en',
  operator: null,
}

export interface SecureWorld {
  /** The open world's methods; undefined until it has connected. */
  readonly open: Client<typeof OpenMethods> | undefined
  readonly asked: { readonly method: string; readonly params: unknown }[]
  kill(): Promise<void>
  start(): Promise<void>
}

/** `serve` overrides methods; the others answer the least that is right. */
export async function startSecureWorld(
  path: string,
  serve: Partial<Served<typeof SecureMethods>> = {},
): Promise<SecureWorld> {
  const asked: SecureWorld['asked'] = []
  const unable = () => {
    throw new RpcError('NOT_IN_THIS_TEST', 'this test did not expect the call')
  }
  const base: Partial<Served<typeof SecureMethods>> = {
    'terminal.info': () => TERMINAL,
    'status.set': () => null,
    'payments.unacknowledged': () => [],
    'payments.acknowledge': () => null,
    'pipe.data': () => null,
    'pipe.closed': () => null,
    'session.signOut': () => null,
    'screens.update': () => null,
  }
  const table: Record<string, unknown> = {}
  for (const name of Object.keys(SecureMethods) as (keyof typeof SecureMethods)[]) {
    table[name] = (params: never, signal: AbortSignal) => {
      asked.push({ method: name, params })
      return (serve[name] ?? base[name] ?? unable)(params, signal)
    }
  }
  let server: Server | undefined
  let peer: RpcPeer | undefined
  let open: Client<typeof OpenMethods> | undefined
  const start = async () => {
    rmSync(path, { force: true })
    server = createServer((socket) => {
      const joined = connectContract(socket, SecureMethods, table as never, OpenMethods)
      peer = joined.peer
      open = joined.remote
      void joined.peer.closed.then(() => {
        if (peer === joined.peer) open = undefined
      })
    })
    await new Promise<void>((resolve) => server!.listen(path, resolve))
  }
  await start()
  return {
    get open() {
      return open
    },
    asked,
    start,
    kill: async () => {
      peer?.close('killed')
      await new Promise((resolve) => server!.close(resolve))
    },
  }
}
