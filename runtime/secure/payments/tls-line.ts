// The line to an acquirer as its document says: TLS that ends here, framing, TPDU and time-outs.
import type { Duplex } from 'node:stream'
import type { Clock } from '../../../hal/base/clock.js'
import { type AcquirerEntry, framingOf } from './acquirer-document.js'
import { createHostLine, type HostLine, type OnStray } from './host-line.js'
import { clientIdentity } from './roads/client-identity.js'
import { createTlsRoad } from './roads/tls-road.js'

const CONNECT_MS = 15_000
const HOST_MS = 45_000
const LINGER_MS = 5_000

export interface TlsLineOptions {
  readonly entry: AcquirerEntry
  /** Where the key to our certificate lies. */
  readonly dataDir: string
  /** Opens the bytes below. */
  readonly carrier: (host: string, port: number, signal: AbortSignal) => Promise<Duplex>
  readonly clock: Clock
}

/** @throws PosternError `KEY_UNAVAILABLE` when our certificate has no key here */
export function tlsLine({ entry, dataDir, carrier, clock }: TlsLineOptions): (onStray: OnStray) => HostLine {
  const { host, port, tls, tpdu, timeouts } = entry
  const road = createTlsRoad({
    carrier: (signal) => carrier(host, port, signal),
    serverName: tls.serverName,
    ca: tls.ca,
    ...clientIdentity(entry, dataDir),
    connectMs: timeouts?.connectMs ?? CONNECT_MS,
  })
  const waits = { hostMs: timeouts?.hostMs ?? HOST_MS, lingerMs: timeouts?.lingerMs ?? LINGER_MS }
  return (onStray) => createHostLine(road, { tpdu, framing: framingOf(entry) }, waits, clock, onStray)
}
