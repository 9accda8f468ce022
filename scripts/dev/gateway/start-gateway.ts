// Puts the development gateway together: a unix socket for terminals' open worlds, TLS lines to acquirers.
import { chmodSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { systemClock } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import { type Client, connectContract } from '../../../runtime/api/contract.js'
import type { RpcPeer } from '../../../runtime/api/json-rpc.js'
import { LocalGatewayMethods, LocalTerminalMethods } from '../../../runtime/bridge/gateway.js'
import type { GatewayConfig } from './config.js'
import { createForwarder } from './forward.js'
import { createGateway } from './gateway.js'
import { openReversedMemory } from './reversed-memory.js'

/** Terminals at once. */
const MAX_TERMINALS = 64

export interface RunningGateway {
  close(): Promise<void>
}

/** @throws PosternError `LISTEN_FAILED` */
export async function startGateway(config: GatewayConfig, log: Log): Promise<RunningGateway> {
  const reversed = openReversedMemory(config.reversed)
  const forwarder = createForwarder(config.acquirers, config.lingerMs, log)
  /** Where a terminal was heard last: its answers go there. */
  const terminals = new Map<string, Client<typeof LocalTerminalMethods>>()
  const peers = new Set<RpcPeer>()
  const gateway = createGateway({
    forward: forwarder.forward,
    reversed,
    clock: systemClock,
    answer(answer, terminalId) {
      if (answer.kind === 'refused')
        log.warn('refused', { terminal: terminalId, id: answer.id, reason: answer.reason })
      // A terminal that is away takes its payment back.
      terminals
        .get(terminalId)
        ?.['answer.take'](answer)
        .catch(() => undefined)
    },
  })
  const server = createServer((socket) => {
    if (peers.size >= MAX_TERMINALS) return void socket.destroy()
    const { remote, peer } = connectContract(
      socket,
      LocalGatewayMethods,
      {
        'envelope.take': (request) => {
          terminals.set(request.terminalId, remote)
          log.info('envelope', {
            terminal: request.terminalId,
            acquirer: request.acquirer,
            reversal: request.reversal,
          })
          void gateway.take(request)
          return null
        },
      },
      LocalTerminalMethods,
    )
    peers.add(peer)
    void peer.closed.then(() => {
      peers.delete(peer)
      for (const [id, client] of terminals) if (client === remote) terminals.delete(id)
    })
  })
  rmSync(config.socket, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new PosternError('LISTEN_FAILED', 'the gateway cannot listen', {}, error)),
    )
    server.listen(config.socket, resolve)
  })
  chmodSync(config.socket, 0o600)
  return {
    close: () =>
      new Promise((closed) => {
        for (const peer of peers) peer.close('the gateway ends')
        forwarder.close()
        server.close(() => {
          reversed.close()
          closed()
        })
      }),
  }
}
