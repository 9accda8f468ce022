// The open world's end of the bridge, and the pipes, over real sockets.
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock, systemRandom } from '../../../hal/base/clock.js'
import { silentLog } from '../../../hal/base/log.js'
import { backOffMs } from '../../../runtime/open/back-off.js'
import { type Bridge, connectBridge } from '../../../runtime/open/bridge/bridge-client.js'
import { createPipes, type Pipes } from '../../../runtime/open/bridge/pipes.js'
import { until } from '../socket-pair.js'
import { type SecureWorld, startSecureWorld, TERMINAL } from './secure-world.js'
import { switchedNetwork } from './switched-network.js'

const folder = mkdtempSync(join(tmpdir(), 'postern-bridge-'))
t.teardown(() => import('node:fs').then(({ rmSync }) => rmSync(folder, { recursive: true })))
const nothing = {
  'gateway.send': () => null,
  'apps.freeze': () => null,
  'apps.thaw': () => null,
  'payments.changed': () => null,
  'terminal.changed': () => null,
}

t.test('the wait before a try grows, is jittered and bounded', async (t) => {
  const options = { firstMs: 100, mostMs: 2000 }
  t.equal(
    backOffMs(options, 0, () => new Uint8Array([0, 0])),
    10,
  )
  t.equal(
    backOffMs(options, 0, () => new Uint8Array([255, 255])),
    100,
  )
  t.equal(
    backOffMs(options, 1, () => new Uint8Array([255, 255])),
    200,
  )
  t.equal(
    backOffMs(options, 99, () => new Uint8Array([255, 255])),
    2000,
  )
  const waits = new Set(Array.from({ length: 50 }, () => backOffMs(options, 9, systemRandom)))
  t.ok(waits.size > 20)
})

t.test('the secure world may start later, die and come back', async (t) => {
  const path = join(folder, 'a.sock')
  const states: boolean[] = []
  const bridge = connectBridge({
    socketPath: path,
    serve: {
      ...nothing,
      'pipe.open': () => ({ pipe: 1 }),
      'pipe.write': () => null,
      'pipe.close': () => null,
    },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })
  bridge.on(() => {
    throw new Error('a bad listener')
  })
  bridge.on((connected) => states.push(connected))
  await t.rejects(bridge.secure['terminal.info'](null), { code: 'DISCONNECTED' })
  await t.rejects(bridge.whenConnected(50), { code: 'SECURE_WORLD_AWAY' })
  await t.rejects(bridge.whenConnected(60_000, AbortSignal.abort()), { code: 'ABORTED' })

  let hold: (() => void) | undefined
  const world = await startSecureWorld(path, {
    'session.signIn': () =>
      new Promise((resolve) => {
        hold = () => resolve(null)
      }),
  })
  await bridge.whenConnected(60_000)
  t.same(await bridge.secure['terminal.info'](null), TERMINAL)
  const signIn = bridge.secure['session.signIn']({ owner: { app: 'courier', name: 'Courier' } })
  await until('the call', () => hold !== undefined)
  await world.kill()
  await t.rejects(signIn, { code: 'DISCONNECTED' })
  await until('noticing', () => !bridge.connected())
  await world.start()
  await bridge.whenConnected(60_000)
  await bridge.whenConnected(0)
  t.same(await bridge.secure['terminal.info'](null), TERMINAL)
  t.same(states, [true, false, true])
  await bridge.close()
  t.equal(bridge.connected(), false)
  await world.kill()
})

t.test('pipes', async (t) => {
  const acquirer = createServer()
  const accepted: Socket[] = []
  acquirer.on('connection', (socket) => {
    accepted.push(socket)
    socket.on('error', () => undefined)
  })
  acquirer.listen(0, '127.0.0.1')
  await once(acquirer, 'listening')
  const { port } = acquirer.address() as AddressInfo
  const dead = createServer()
  dead.listen(0, '127.0.0.1')
  await once(dead, 'listening')
  const deadPort = (dead.address() as AddressInfo).port
  dead.close()

  const network = switchedNetwork()
  const path = join(folder, 'p.sock')
  const received: string[] = []
  const closed: { pipe: number; reason: string }[] = []
  let slow = 0
  const world: SecureWorld = await startSecureWorld(path, {
    'pipe.data': async ({ data }) => {
      if (slow > 0) await new Promise((resolve) => setTimeout(resolve, slow))
      received.push(Buffer.from(data, 'base64').toString('latin1'))
      return null
    },
    'pipe.closed': (params) => {
      closed.push(params)
      return null
    },
  })
  let bridge: Bridge
  const pipes: Pipes = createPipes({
    allowed: [
      { host: '127.0.0.1', port },
      { host: '127.0.0.1', port: deadPort },
    ],
    network,
    secure: () => bridge.secure,
    log: silentLog,
  })
  bridge = connectBridge({
    socketPath: path,
    serve: { ...nothing, ...pipes.serve },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })
  bridge.on((connected) => {
    if (!connected) pipes.closeAll('the secure world is away')
  })
  await bridge.whenConnected(60_000)
  await until('the other end', () => world.open !== undefined)
  const open = world.open!

  await t.rejects(open['pipe.open']({ host: '127.0.0.1', port: 22 }), { code: 'PIPE_NOT_ALLOWED' })
  await t.rejects(open['pipe.open']({ host: 'localhost', port }), { code: 'PIPE_NOT_ALLOWED' })
  await t.rejects(open['pipe.open']({ host: '127.0.0.1', port: deadPort }), { code: 'CONNECT_FAILED' })
  await t.rejects(open['pipe.write']({ pipe: 77, data: '' }), { code: 'PIPE_CLOSED' })
  t.equal(accepted.length, 0, 'nothing was dialled that is not in the list')

  const { pipe } = await open['pipe.open']({ host: '127.0.0.1', port })
  await until('the connection', () => accepted.length === 1)
  await open['pipe.write']({ pipe, data: Buffer.from('hello').toString('base64') })
  const [heard] = (await once(accepted[0]!, 'data')) as [Buffer]
  t.equal(String(heard), 'hello')
  const big = Buffer.alloc(500_000, 'abcdefghij')
  slow = 1
  accepted[0]!.write(big)
  await until('all of it, in order', () => received.join('').length === big.length)
  slow = 0
  t.ok(received.join('') === big.toString('latin1'))
  t.ok(received.every((frame) => frame.length <= 32 * 1024))
  accepted[0]!.end('bye')
  await until('the end', () => closed.length === 1)
  t.equal(received.at(-1), 'bye', 'what came before the end arrives before it')
  t.equal(closed[0]!.pipe, pipe)
  await t.rejects(open['pipe.write']({ pipe, data: 'AAAA' }), { code: 'PIPE_CLOSED' })

  const second = await open['pipe.open']({ host: '127.0.0.1', port })
  t.not(second.pipe, pipe, 'numbers are not used again')
  network.set(false)
  await until('the network takes it down', () => closed.length === 2)
  t.match(closed[1]!.reason, /network/)
  await t.rejects(open['pipe.open']({ host: '127.0.0.1', port }), { code: 'NETWORK_DOWN' })
  network.set(true)

  const four = await Promise.all([1, 2, 3, 4].map(() => open['pipe.open']({ host: '127.0.0.1', port })))
  await t.rejects(open['pipe.open']({ host: '127.0.0.1', port }), { code: 'TOO_MANY_PIPES' })
  await open['pipe.write']({ pipe: four[0]!.pipe, data: Buffer.from('last words').toString('base64') })
  await open['pipe.close']({ pipe: four[0]!.pipe })
  const first = accepted[2]!
  const words: Buffer[] = []
  first.on('data', (chunk) => words.push(chunk))
  await once(first, 'end')
  t.equal(Buffer.concat(words).toString(), 'last words', 'closing loses nothing that was written')
  first.end()

  // An acquirer that does not read: writes are refused before they cost memory.
  accepted[3]!.pause()
  const chunk = Buffer.alloc(32_000).toString('base64')
  const writes = Array.from({ length: 200 }, () => open['pipe.write']({ pipe: four[1]!.pipe, data: chunk }))
  const ends = Promise.allSettled(writes)
  await world.kill()
  for (const socket of accepted.slice(3)) socket.resume()
  await until('every pipe ended with the bridge', () =>
    accepted.slice(3).every((socket) => socket.destroyed || socket.readableEnded),
  )
  t.ok((await ends).some((end) => end.status === 'rejected'))

  await world.start()
  await bridge.whenConnected(60_000)
  await until('the new world', () => world.open !== undefined)
  t.ok(await world.open!['pipe.open']({ host: '127.0.0.1', port }), 'after a restart pipes open again')
  await bridge.close()
  pipes.close()
  await world.kill()
  for (const socket of accepted) socket.destroy()
  acquirer.close()
})
