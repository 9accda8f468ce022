// The network state as NetworkManager tells it over D-Bus (org.freedesktop.NetworkManager, version 1.42): modems and
// Wi-Fi that it manages, and whether a captive portal is in the way.
import { anyAddress } from './interface-network.js'
import type { NetworkFact, NetworkSource } from './watched-network.js'

const NAME = 'org.freedesktop.NetworkManager'
const PATH = '/org/freedesktop/NetworkManager'

/** NMState. */
const STATE: Readonly<Record<number, string>> = {
  0: 'unknown',
  10: 'asleep',
  20: 'disconnected',
  30: 'disconnecting',
  40: 'connecting',
  50: 'connected on the local link only',
  60: 'connected on this site only',
  70: 'connected',
}
const CONNECTED_LOCAL = 50
const CONNECTED_SITE = 60
/** NMConnectivityState. */
const CONNECTIVITY: Readonly<Record<number, string>> = {
  0: 'not checked',
  1: 'none',
  2: 'behind a portal',
  3: 'limited',
  4: 'full',
}
const PORTAL = 2

/**
 * Online is a connection that leads off this link. NetworkManager looks for a portal only where it is told whom to ask;
 * where it found one, no acquirer is reached. `routed` false takes a link of its own for enough.
 */
export function factOfManager(
  state: number,
  connectivity: number,
  type: string,
  routed: boolean,
): NetworkFact {
  const word = STATE[state] ?? `state ${state}`
  const check = connectivity === 0 ? '' : `, connectivity ${CONNECTIVITY[connectivity] ?? connectivity}`
  return {
    online: state >= (routed ? CONNECTED_SITE : CONNECTED_LOCAL) && connectivity !== PORTAL,
    detail: `${type === '' ? 'no connection' : type}: ${word}${check}`,
  }
}

/** Values of `busctl --json=short get-property`, a line each: `{"type":"u","data":70}`. */
function valuesOf(output: string): readonly unknown[] {
  return output
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { data?: unknown }).data)
}

/** The source; needs busctl (systemd) and gdbus (libglib2.0-bin). Where no manager answers any address must do. */
export function networkManagerSource(routed: boolean): NetworkSource {
  return {
    watch: ['gdbus', 'monitor', '--system', '--dest', NAME, '--object-path', PATH],
    async read(run) {
      const [state, connectivity, type] = valuesOf(
        await run(
          'busctl',
          '--system',
          '--json=short',
          'get-property',
          NAME,
          PATH,
          NAME,
          'State',
          'Connectivity',
          'PrimaryConnectionType',
        ),
      )
      return factOfManager(Number(state), Number(connectivity), String(type ?? ''), routed)
    },
    fallback: anyAddress,
  }
}
