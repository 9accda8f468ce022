// The loop that keeps a session to a broker open: full jitter, patience where the broker says so, rest without network.
import type { Clock, Random } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import type { NetworkState } from '../../../hal/network-state.js'
import { backOffMs } from '../back-off.js'
import type { MqttSession } from './mqtt-session.js'

const BACK_OFF = { firstMs: 2000, mostMs: 20_000 } as const
/** MQTT 5, 4.13: another client took over our session. Two devices of one name must not throw each other out at speed. */
const SESSION_TAKEN_OVER = 0x8e
const TAKEN_OVER_WAIT_MS = 60_000
/** A connection that held so long was a good one. */
const HELD_MS = 30_000

export type ConnectionState = 'connected' | 'connecting' | 'offline'

export interface KeepConnectedOptions {
  readonly open: (signal: AbortSignal) => Promise<MqttSession>
  /** Called with each session that opened; its promise ends before the next one is opened. */
  readonly use: (session: MqttSession) => Promise<void>
  readonly onState: (state: ConnectionState) => void
  readonly network: NetworkState
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly name: string
}

/** Runs until `close`, which says goodbye to the broker. */
export function keepConnected(options: KeepConnectedOptions): { close(): Promise<void> } {
  const { open, use, onState, network, clock, random, log, name } = options
  const closing = new AbortController()
  /** Fires on every change of the network; a new one follows. */
  let change = new AbortController()
  const stopWatching = network.on((online) => {
    log.info(`${name}.network`, { online })
    const fired = change
    change = new AbortController()
    fired.abort()
  })
  const changed = () => AbortSignal.any([change.signal, closing.signal])
  const fires = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })

  async function run(): Promise<void> {
    let attempt = 0
    while (!closing.signal.aborted) {
      if (!network.online()) {
        onState('offline')
        await fires(changed())
        attempt = 0
        continue
      }
      onState('connecting')
      let waitMs: number | undefined
      try {
        const networkChange = changed()
        const session = await open(networkChange)
        const beganMs = clock.monotonicMs()
        onState('connected')
        log.info(`${name}.connected`)
        const using = use(session).catch((error: unknown) => {
          log.error(`${name}.failed`, { error: String(error) })
          session.drop('a fault of our own')
        })
        await Promise.race([session.closed, fires(networkChange)])
        if (closing.signal.aborted) await session.end()
        else session.drop('the network is gone')
        const { reason, reasonCode } = await session.closed
        await using
        if (!closing.signal.aborted) log.warn(`${name}.lost`, { reason })
        if (reasonCode === SESSION_TAKEN_OVER) waitMs = TAKEN_OVER_WAIT_MS
        if (clock.monotonicMs() - beganMs > HELD_MS) attempt = 0
      } catch (error) {
        if (!closing.signal.aborted)
          log.warn(`${name}.unreachable`, { error: (error as Error).message, attempt })
      }
      if (closing.signal.aborted) break
      onState(network.online() ? 'connecting' : 'offline')
      waitMs ??= backOffMs(BACK_OFF, attempt++, random)
      await clock.sleep(waitMs, changed()).catch(() => undefined)
    }
    onState('offline')
  }
  const running = run()

  return {
    close: async () => {
      stopWatching()
      closing.abort()
      await running
    },
  }
}
