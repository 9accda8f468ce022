// The way to a payment gateway on this machine, for development: a unix socket that comes back by itself.
import { connect } from 'node:net'
import type { Clock, Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import type { NetworkState } from '../../../hal/network-state.js'
import { type Client, connectContract } from '../../api/contract.js'
import { type GatewayTransport, LocalGatewayMethods, LocalTerminalMethods } from '../../bridge/gateway.js'
import { backOffMs } from '../back-off.js'

const BACK_OFF = { firstMs: 100, mostMs: 5000 } as const

export interface LocalGatewayOptions {
  readonly socketPath: string
  /** A gateway is somewhere else, even here: without a network there is no way to it. */
  readonly network: NetworkState
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Connects, and keeps connecting until `close`. */
export function connectLocalGateway(options: LocalGatewayOptions): {
  readonly transport: GatewayTransport
  close(): void
} {
  const { socketPath, network, clock, random, log } = options
  const closing = new AbortController()
  const messages = new Set<(message: unknown) => void>()
  const states = new Set<(connected: boolean) => void>()
  let remote: Client<typeof LocalGatewayMethods> | undefined
  let hangUp = () => {}
  let nap = new AbortController()

  const change = (next: typeof remote) => {
    remote = next
    for (const listener of [...states]) listener(next !== undefined)
  }

  /** One connection, to its end; whether there was one. */
  async function session(): Promise<boolean> {
    const socket = connect(socketPath)
    hangUp = () => socket.destroy()
    const opened = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('close', () => resolve(false))
      socket.on('error', (error) => log.debug('gateway.lost', { error: error.message }))
    })
    if (!opened) return false
    const joined = connectContract(
      socket,
      LocalTerminalMethods,
      {
        'answer.take': (answer) => {
          for (const listener of [...messages]) listener(answer)
          return null
        },
      },
      LocalGatewayMethods,
    )
    change(joined.remote)
    await joined.peer.closed
    change(undefined)
    return true
  }

  async function run(): Promise<void> {
    for (let attempt = 0; !closing.signal.aborted; attempt++) {
      if (network.online() && (await session())) attempt = 0
      if (closing.signal.aborted) return
      nap = new AbortController()
      const wait = AbortSignal.any([nap.signal, closing.signal])
      await clock.sleep(backOffMs(BACK_OFF, attempt, random), wait).catch(() => undefined)
    }
  }
  void run()
  const stopWatching = network.on((online) => (online ? nap.abort() : hangUp()))

  return {
    transport: {
      connected: () => remote !== undefined,
      async send(request) {
        if (remote === undefined) throw new PosternError('ROAD_CLOSED', 'there is no way to the gateway')
        await remote['envelope.take'](request)
      },
      onMessage(listener) {
        messages.add(listener)
        return () => messages.delete(listener)
      },
      onState(listener) {
        states.add(listener)
        return () => states.delete(listener)
      },
    },
    close() {
      stopWatching()
      closing.abort()
      hangUp()
    },
  }
}
