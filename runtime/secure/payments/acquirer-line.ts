// The line to an acquirer as its document says: its roads in their order, framing, TPDU and time-outs.
import type { Duplex } from 'node:stream'
import type { Clock, Random } from '../../../hal/base/clock.js'
import type { GatewayTransport } from '../../bridge/gateway.js'
import { type AcquirerEntry, framingOf, hostMsOf, roadsOf } from './acquirer-document.js'
import { createHostLine, type HostLine, type OnStray } from './host-line.js'
import { clientIdentity } from './roads/client-identity.js'
import { createGatewayLine } from './roads/gateway-road.js'
import type { RoadKind } from './roads/road.js'
import { createRoadsLine } from './roads/roads-line.js'
import { createTlsRoad } from './roads/tls-road.js'

const CONNECT_MS = 15_000
const LINGER_MS = 5_000

export interface AcquirerLineOptions {
  readonly entry: AcquirerEntry
  /** Where the key to our certificate lies. */
  readonly dataDir: string
  /** Opens the bytes below a TLS session. */
  readonly carrier: (host: string, port: number, signal: AbortSignal) => Promise<Duplex>
  readonly gateway: GatewayTransport
  readonly random: Random
  readonly clock: Clock
}

/** @throws PosternError `KEY_UNAVAILABLE` when our certificate has no key here */
export function acquirerLine(options: AcquirerLineOptions): (onStray: OnStray) => HostLine {
  const { entry, dataDir, carrier, gateway, random, clock } = options
  const { id, terminalId, tpdu, timeouts } = entry
  const hostMs = hostMsOf(entry)
  const make: Readonly<Record<RoadKind, () => (onStray: OnStray) => HostLine>> = {
    tls() {
      const { host = '', port = 0, tls } = entry
      const road = createTlsRoad({
        carrier: (signal) => carrier(host, port, signal),
        serverName: tls?.serverName ?? '',
        ca: tls?.ca ?? '',
        ...clientIdentity(entry, dataDir),
        connectMs: timeouts?.connectMs ?? CONNECT_MS,
      })
      const waits = { hostMs, lingerMs: timeouts?.lingerMs ?? LINGER_MS }
      const framed = { tpdu, framing: framingOf(entry) }
      return (onStray) => createHostLine(road, framed, waits, clock, onStray)
    },
    gateway: () => (onStray) =>
      createGatewayLine({ transport: gateway, acquirer: id, terminalId, hostMs, random, clock }, onStray),
  }
  const makers = roadsOf(entry).map((kind) => ({ kind, line: make[kind]() }))
  return (onStray) => {
    const roads = makers.map(({ kind, line }) => ({
      kind,
      line: line(onStray),
      ...(kind === 'gateway' ? { isOpen: gateway.connected } : {}),
    }))
    return roads.length === 1 ? roads[0]!.line : createRoadsLine(roads, clock)
  }
}
