// The network's state from the kernel in a private network namespace, and from NetworkManager on a private bus.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { packageRoot } from '../../../hal/base/package-root.js'
import { parseBoard } from '../../../hal/board.js'
import { factOf } from '../../../hal/drivers/network/netlink-network.js'
import { factOfManager } from '../../../hal/drivers/network/network-manager.js'
import { eventually, within } from '../conformance/support.js'

t.setTimeout(240_000)

interface Line {
  readonly event: string
  readonly online?: boolean
  readonly detail?: string
  readonly same?: boolean
}

/** The follower, started by `wrap` (its last word is the shell's `exec "$@"`). */
function follow(network: object, [command, ...wrap]: readonly [string, ...string[]]) {
  const script = join(packageRoot, 'dist', 'test', 'hal', 'drivers', 'watch-network.js')
  const args = [...wrap, process.execPath, script, JSON.stringify(network)]
  const child: ChildProcess = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: Line[] = []
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(JSON.parse(line) as Line))
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
  return {
    lines,
    pid: child.pid!,
    /** Waits for the next news of `online`, and returns how it is explained. */
    async until(online: boolean, from: number): Promise<string | undefined> {
      const news = () => lines.slice(from).findLast(({ event }) => event === 'network.changed')
      await eventually(`online ${online}`, () => news()?.online === online)
      return news()?.detail
    },
    async end() {
      child.stdin!.end()
      return within('end', ended)
    },
  }
}

function namespaceMissing(): string | undefined {
  try {
    execFileSync('unshare', ['-rn', 'ip', 'link', 'add', 'a0', 'type', 'veth', 'peer', 'name', 'b0'], {
      stdio: 'pipe',
    })
    return undefined
  } catch {
    return 'no network namespaces with veth here (unshare -rn, iproute2)'
  }
}
const skip = namespaceMissing() ?? false

await t.test('link, address and route make the state; each that is lost ends it', { skip }, async (t) => {
  const follower = follow({ source: 'netlink', defaultRoute: true }, ['unshare', '-rn'])
  await eventually('opened', () => follower.lines.some(({ event }) => event === 'opened'))
  t.equal(follower.lines.find(({ event }) => event === 'opened')?.online, false, 'nothing but loopback')
  const ip = (...words: string[]) => {
    const pid = String(follower.pid)
    const inside = ['-t', pid, '-U', '-n', '--preserve-credentials', 'ip', ...words]
    execFileSync('nsenter', inside, { stdio: 'pipe' })
    return follower.lines.length
  }
  const dad = () => {
    // An IPv6 address that is still tested would come later; IPv4 is what is tested here.
    for (const name of ['v0', 'v1']) ip('link', 'set', name, 'addrgenmode', 'none')
  }
  ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1')
  dad()
  ip('link', 'set', 'v1', 'up')
  ip('link', 'set', 'v0', 'up')
  let from = ip('address', 'add', '10.9.8.7/24', 'dev', 'v0')
  await eventually('the link', () => follower.lines.some(({ detail }) => detail === 'v0: no default route'))
  t.notOk(
    follower.lines.some(({ event }) => event === 'told'),
    'offline all the while',
  )
  from = ip('route', 'add', 'default', 'via', '10.9.8.1')
  t.equal(await follower.until(true, from), 'v0')
  from = ip('link', 'set', 'v1', 'down')
  t.equal(await follower.until(false, from), 'no link is up with an address', 'the cable was pulled')
  from = ip('link', 'set', 'v1', 'up')
  t.equal(await follower.until(true, from), 'v0', 'and put back')
  from = ip('route', 'del', 'default')
  t.equal(await follower.until(false, from), 'v0: no default route')
  from = ip('route', 'add', 'default', 'via', '10.9.8.1')
  await follower.until(true, from)
  from = ip('address', 'del', '10.9.8.7/24', 'dev', 'v0')
  t.equal(await follower.until(false, from), 'no link is up with an address')
  const tellings = () => follower.lines.filter(({ event }) => event === 'told')
  await eventually('the last is told', () => tellings().length >= 6)
  const told = tellings()
  t.same(
    told.map(({ online }) => online),
    [true, false, true, false, true, false],
    'each change is told once',
  )
  t.ok(
    told.every(({ same }) => same),
    'online() says the new value already',
  )

  // The watcher dies: the state is followed all the same.
  const watchers = execFileSync('pgrep', ['-P', String(follower.pid), '-x', 'ip'], {
    encoding: 'utf8',
  }).trim()
  process.kill(Number(watchers.split('\n')[0]))
  await eventually('noticed', () => follower.lines.some(({ event }) => event === 'network.watcher-ended'))
  from = ip('address', 'add', '10.9.8.9/24', 'dev', 'v0')
  from = Math.min(from, ip('route', 'add', 'default', 'via', '10.9.8.1'))
  t.equal(await follower.until(true, from), 'v0')
  t.equal(await follower.end(), 0)
  t.equal(follower.lines.at(-1)?.event, 'closed')
})

await t.test('without the tools an address of any interface must do, and it is said', { skip }, async (t) => {
  const follower = follow({ source: 'network-manager', defaultRoute: true }, [
    'unshare',
    '-rn',
    'env',
    'PATH=/nonexistent',
  ])
  await eventually('opened', () => follower.lines.some(({ event }) => event === 'opened'))
  t.match(follower.lines[0], { event: 'network.changed', online: false, detail: /busctl is not installed/ })
  t.equal(await follower.end(), 0)
})

await t.test('what the tools say, as facts', async (t) => {
  const up = { ifname: 'wwan0', flags: ['POINTOPOINT', 'UP', 'LOWER_UP'], operstate: 'UNKNOWN' }
  const address = { scope: 'global', local: '10.0.0.2' }
  const route = { dst: 'default', dev: 'wwan0', flags: [] }
  const online = (links: object[], routes: object[], routed = true) => factOf(links, routes, routed).online
  t.equal(online([{ ...up, addr_info: [address] }], [route]), true, 'a modem whose link knows no state')
  t.equal(online([{ ...up, addr_info: [{ ...address, scope: 'link' }] }], [route]), false, 'link-local only')
  t.equal(
    online([{ ...up, addr_info: [{ ...address, tentative: true }] }], [route]),
    false,
    'an address under test',
  )
  t.equal(online([{ ...up, addr_info: [address] }], [{ ...route, dev: 'eth0' }]), false, 'a route elsewhere')
  t.equal(online([{ ...up, addr_info: [address] }], [{ ...route, flags: ['linkdown'] }]), false)
  t.equal(online([{ ...up, addr_info: [address] }], [{ ...route, type: 'unreachable' }]), false)
  t.equal(
    online([{ ...up, addr_info: [address] }], [], false),
    true,
    'a private network without a default route',
  )
  t.equal(
    online(
      [{ ...up, addr_info: [address] }],
      [{ dst: 'default', nexthops: [{ dev: 'eth0' }, { dev: 'wwan0' }] }],
    ),
    true,
    'one of several ways',
  )
  t.equal(
    online([{ ...up, operstate: 'DORMANT', addr_info: [address] }], [route]),
    false,
    'not yet authenticated',
  )

  t.same(factOfManager(70, 4, 'gsm', true), { online: true, detail: 'gsm: connected, connectivity full' })
  t.same(factOfManager(70, 0, '802-11-wireless', true), {
    online: true,
    detail: '802-11-wireless: connected',
  })
  t.match(factOfManager(70, 2, '802-11-wireless', true), { online: false, detail: /behind a portal/ })
  t.match(factOfManager(40, 1, '', true), { online: false, detail: /^no connection: connecting/ })
  t.equal(factOfManager(50, 1, 'gsm', true).online, false)
  t.equal(factOfManager(50, 1, 'gsm', false).online, true)
})

await t.test('a board says who knows the network', async (t) => {
  const read = (network: unknown) => parseBoard({ name: 'b', devices: {}, network }, [], { world: 'open' })
  t.same(read({ source: 'netlink' }).profile.network, { source: 'netlink', defaultRoute: true })
  t.same(read(undefined).profile.network, undefined)
  t.match(read({ source: 'dbus' }).problems, [
    { key: '/network/source', value: '"dbus"', allowed: 'has to be "netlink" or "network-manager"' },
  ])
  t.match(read({ source: 'netlink', route: 1 }).problems, [
    { key: '/network/route', allowed: /no known key; there are source/ },
  ])
})
