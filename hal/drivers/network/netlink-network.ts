// The network state from the kernel itself: links, addresses and default routes, through iproute2 (rtnetlink(7)).
import { anyAddress } from './interface-network.js'
import type { NetworkFact, NetworkSource } from './watched-network.js'

interface Link {
  readonly ifname?: string
  readonly flags?: readonly string[]
  readonly operstate?: string
  readonly addr_info?: readonly {
    readonly scope?: string
    readonly local?: string
    readonly tentative?: boolean
    readonly dadfailed?: boolean
  }[]
}
interface Route {
  readonly dst?: string
  readonly dev?: string
  readonly type?: string
  readonly flags?: readonly string[]
  readonly nexthops?: readonly { readonly dev?: string }[]
}

/** `operstate` of a link that carries traffic; tunnels and modems know no better than UNKNOWN. RFC 2863, ifOperStatus */
const CARRIES = ['UP', 'UNKNOWN']

/**
 * Online is a default route over a link that is up and has an address of its own that is in use. A board that only
 * reaches a private network has no default route: `routed` false asks for link and address alone.
 */
export function factOf(links: readonly Link[], routes: readonly Route[], routed: boolean): NetworkFact {
  const usable = links.filter(
    ({ flags = [], operstate = '', addr_info = [] }) =>
      !flags.includes('LOOPBACK') &&
      flags.includes('LOWER_UP') &&
      CARRIES.includes(operstate) &&
      addr_info.some(({ scope, tentative, dadfailed }) => scope === 'global' && !tentative && !dadfailed),
  )
  const names = usable.map(({ ifname }) => ifname ?? '')
  if (usable.length === 0) return { online: false, detail: 'no link is up with an address' }
  if (!routed) return { online: true, detail: names.join(', ') }
  const out = routes.filter(
    ({ dst, type = 'unicast', flags = [] }) =>
      dst === 'default' && type === 'unicast' && !flags.includes('linkdown') && !flags.includes('dead'),
  )
  const through = out.flatMap(({ dev, nexthops }) => [dev, ...(nexthops ?? []).map((hop) => hop.dev)])
  const way = names.find((name) => through.includes(name))
  return way === undefined
    ? { online: false, detail: `${names.join(', ')}: no default route` }
    : { online: true, detail: way }
}

function list<Row>(json: string): readonly Row[] {
  const value: unknown = json.trim() === '' ? [] : JSON.parse(json)
  return Array.isArray(value) ? (value as Row[]) : []
}

/** The source; needs `ip` of iproute2. Where it is missing any address of an interface must do. */
export function netlinkSource(routed: boolean): NetworkSource {
  return {
    watch: ['ip', 'monitor', 'link', 'address', 'route'],
    async read(run) {
      const [links, four, six] = await Promise.all([
        run('ip', '-json', 'address', 'show'),
        run('ip', '-json', 'route', 'show', 'default'),
        run('ip', '-json', '-6', 'route', 'show', 'default'),
      ])
      return factOf(list<Link>(links), [...list<Route>(four), ...list<Route>(six)], routed)
    },
    fallback: anyAddress,
  }
}
