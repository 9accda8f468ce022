// The link against real brokers: the embedded one and mosquitto, over TLS with client certificates.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../hal/base/clock.js'
import { silentLog } from '../../../hal/base/log.js'
import { createInbox, MOST_WAITING_PER_APP } from '../../../runtime/open/link/inbox.js'
import { keepConnected } from '../../../runtime/open/link/keep-connected.js'
import { startLink, WINDOW } from '../../../runtime/open/link/link.js'
import { openLinkDatabase } from '../../../runtime/open/link/link-database.js'
import { type MqttSession, openMqttSession } from '../../../runtime/open/link/mqtt-session.js'
import { createOutbox, MOST_WAITING } from '../../../runtime/open/link/outbox.js'
import { deviceTopics, type UpEnvelope } from '../../../runtime/open/link/topics.js'
import { until } from '../socket-pair.js'
import { embeddedBroker, hasMosquitto, makeCredentials, mosquitto } from './brokers.js'
import { switchedNetwork } from './switched-network.js'

const credentials = makeCredentials()
t.teardown(() => rmSync(credentials.folder, { recursive: true }))
const never = new AbortController().signal
let databases = 0
const database = () => openLinkDatabase(join(credentials.folder, `link-${++databases}.db`))
/** Waits a tenth as long as the machine's, so that back-offs do not make a test slow. */
const hurried: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 10, signal) }

t.test('the outbox keeps order, ids and bounds, over a restart', async (t) => {
  const path = join(credentials.folder, 'outbox.db')
  let file = openLinkDatabase(path)
  let outbox = createOutbox(file, systemClock, systemRandom)
  const ids = [1, 2, 3].map((n) => outbox.put('app/a/up/x', { n }))
  t.equal(new Set(ids).size, 3)
  t.equal(outbox.put('evt/payments', { n: 4 }, { id: 'payment-4' }), 'payment-4')
  outbox.put('evt/payments', { n: 'other' }, { id: 'payment-4' })
  t.equal(outbox.size(), 4, 'an id is queued once')
  file.close()
  file = openLinkDatabase(path)
  outbox = createOutbox(file, systemClock, systemRandom)
  t.same(
    outbox.next(0, 9).map(({ body }) => body),
    ['{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}'],
  )
  outbox.acknowledge([ids[1]!, 'never heard of'])
  t.equal(outbox.size(), 3)
  t.same(
    outbox.next(1, 1).map(({ id }) => id),
    [ids[2]],
  )
  file.exec(`with recursive n(i) as (select 1 union all select i + 1 from n where i < ${MOST_WAITING - 3})
    insert into outbox (id, topic, body, at_ms) select 'x' || i, 't', '{}', 0 from n`)
  outbox = createOutbox(file, systemClock, systemRandom)
  t.throws(() => outbox.put('a', {}), { code: 'OUTBOX_FULL' })
  t.ok(outbox.put('evt/payments', {}, { important: true }), 'payments have a reserve')
  file.pragma('user_version = 99')
  file.close()
  t.throws(() => openLinkDatabase(path), { code: 'DATABASE_VERSION' })
})

t.test('the inbox takes a message once, and remembers it when it is taken', async (t) => {
  const file = database()
  const inbox = createInbox(file, systemClock)
  const taken: string[] = []
  inbox.onTaken((id) => taken.push(id))
  t.equal(inbox.receive('a', 'm1', 'x', { n: 1 }), 'new')
  t.equal(inbox.receive('a', 'm1', 'x', { n: 2 }), 'waiting')
  t.equal(inbox.receive('b', 'm1', 'x', null), 'new', 'ids are per app')
  t.match(inbox.waiting('a', 0, 9), [{ id: 'm1', topic: 'x', payload: { n: 1 } }])
  t.ok(inbox.acknowledge('a', 'm1'))
  t.notOk(inbox.acknowledge('a', 'm1'))
  t.same(taken, ['m1'])
  t.equal(inbox.receive('a', 'm1', 'x', {}), 'taken')
  t.same(inbox.waiting('a', 0, 9), [])
  for (let i = 0; i < MOST_WAITING_PER_APP; i++) inbox.receive('a', `n${i}`, 'x', i)
  t.equal(inbox.receive('a', 'one more', 'x', 1), 'full')
  file.close()
})

t.test('the loop waits longer and longer, and very long for one who took our name', async (t) => {
  const waits: number[] = []
  const ends: { reason: string; reasonCode?: number }[] = []
  let opened = 0
  const clock: Clock = {
    ...systemClock,
    sleep: async (ms) => {
      waits.push(ms)
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
  const loop = keepConnected({
    name: 'test',
    network: switchedNetwork(),
    clock,
    random: (length) => new Uint8Array(length).fill(255),
    log: silentLog,
    onState: () => undefined,
    use: async (session) => void (await session.closed),
    open: async () => {
      if (++opened <= 6) throw new Error('refused')
      const end = opened === 7 ? { reason: 'taken', reasonCode: 0x8e } : { reason: 'lost' }
      ends.push(end)
      return {
        publish: async () => undefined,
        closed: Promise.resolve(end),
        end: async () => undefined,
        drop: () => undefined,
      }
    },
  })
  await until('nine tries', () => waits.length >= 9)
  await loop.close()
  t.same(waits.slice(0, 9), [2000, 4000, 8000, 16_000, 20_000, 20_000, 60_000, 20_000, 20_000])
})

for (const kind of ['embedded', 'mosquitto'] as const) {
  const skip =
    kind === 'mosquitto' && !hasMosquitto() && 'mosquitto is not installed: apt-get install mosquitto'
  t.test(`${kind}: nothing is lost, nothing comes twice`, { skip }, async (t) => {
    const broker = await (kind === 'embedded' ? embeddedBroker : mosquitto)(credentials)
    t.teardown(() => broker.kill())
    const topics = deviceTopics('T1')
    const heard: { topic: string; body: UpEnvelope }[] = []
    const presence: boolean[] = []
    const taken: string[] = []
    let acknowledge = true
    let service: MqttSession
    const openService = async () => {
      service = await openMqttSession(
        {
          endpoint: broker.endpoint('delivery-service'),
          clientId: 'delivery-service',
          sessionExpiryS: 0,
          subscriptions: [
            'pos/v1/d/+/presence',
            'pos/v1/d/+/taken',
            'pos/v1/d/+/evt/+',
            'pos/v1/d/+/app/+/up/#',
          ],
          onMessage: (topic, payload) => {
            const body = JSON.parse(Buffer.from(payload).toString())
            if (topic === topics.presence) presence.push(body.online)
            else if (topic === topics.taken) taken.push(...body.ids)
            else {
              heard.push({ topic, body })
              if (acknowledge)
                void service
                  .publish(topics.ack, JSON.stringify({ v: 1, ids: [body.id] }))
                  .catch(() => undefined)
            }
          },
        },
        never,
      )
    }
    await openService()

    const file = database()
    const outbox = createOutbox(file, systemClock, systemRandom)
    const inbox = createInbox(file, systemClock)
    const network = switchedNetwork()
    const states: string[] = []
    let sessions = 0
    for (let n = 0; n < 40; n++) outbox.put('app/courier/up/status', { n })
    const link = startLink({
      terminalId: 'T1',
      endpoint: broker.endpoint('T1'),
      apps: ['courier'],
      outbox,
      inbox,
      onDocument: () => undefined,
      nextSession: () => ++sessions,
      network,
      clock: hurried,
      random: systemRandom,
      log: silentLog,
      ackTimeoutMs: 4000,
    })
    link.on((state) => states.push(state))
    await until('all acknowledged', () => outbox.size() === 0)
    t.same(
      heard.map(({ body }) => (body.body as { n: number }).n),
      Array.from({ length: 40 }, (_, n) => n),
      'in order',
    )
    t.equal(heard[0]!.topic, `${topics.base}/app/courier/up/status`)
    t.equal(link.state(), 'connected')
    await until('presence', () => presence.at(-1) === true)

    // Not acknowledged: a window of them is sent, and again after a while; acknowledged by the application only.
    heard.length = 0
    acknowledge = false
    for (let n = 0; n < WINDOW + 10; n++) outbox.put('evt/payments', { n })
    await until('a window', () => new Set(heard.map(({ body }) => body.id)).size === WINDOW)
    await until('again', () => heard.length >= 2 * WINDOW)
    t.equal(
      new Set(heard.map(({ body }) => body.id)).size,
      WINDOW,
      'no more than the window, though the broker has them',
    )
    t.equal(outbox.size(), WINDOW + 10)
    acknowledge = true
    await until('the rest', () => outbox.size() === 0)

    // Down: kept once however often it is sent; the cloud hears when the app has it.
    const down = JSON.stringify({ v: 1, id: 'd1', at: 1, body: { parcels: 1 } })
    for (let i = 0; i < 3; i++) await service!.publish(topics.down('courier', 'deliveries'), down)
    await service!.publish(topics.down('other', 'x'), down)
    await service!.publish(topics.down('courier', 'bad'), '{"v":2}')
    await service!.publish(topics.down('courier', 'Bad Name'), down)
    await service!.publish(
      topics.down('courier', 'large'),
      JSON.stringify({ v: 1, id: 'd2', at: 1, body: 'x'.repeat(60_000) }),
    )
    await service!.publish(
      topics.down('courier', 'notice'),
      JSON.stringify({ v: 1, id: 'd3', at: 1, body: null }),
    )
    await until('the last', () => inbox.waiting('courier', 0, 9).length === 2)
    t.match(inbox.waiting('courier', 0, 9), [
      { id: 'd1', topic: 'deliveries', payload: { parcels: 1 } },
      { id: 'd3', topic: 'notice', payload: null },
    ])
    inbox.acknowledge('courier', 'd1')
    await until('taken', () => taken.includes('d1'))
    await service!.publish(topics.down('courier', 'deliveries'), down)
    await until('taken, said again', () => taken.filter((id) => id === 'd1').length === 2)
    t.equal(inbox.waiting('courier', 0, 9).length, 1)

    // The network goes: nothing is sent; it comes back: everything is.
    network.set(false)
    await until('offline', () => link.state() === 'offline')
    heard.length = 0
    for (let n = 0; n < 5; n++) outbox.put('app/courier/up/status', { later: n })
    await until('the will', () => presence.at(-1) === false)
    t.equal(heard.length, 0)
    network.set(true)
    await until('all of it', () => outbox.size() === 0)
    t.equal(new Set(heard.map(({ body }) => body.id)).size, 5)
    await until('present again', () => presence.at(-1) === true)

    // The broker dies with messages under way.
    heard.length = 0
    acknowledge = false
    for (let n = 0; n < 30; n++) outbox.put('app/courier/up/status', { n })
    await until('some under way', () => heard.length > 3)
    await broker.kill()
    await until('noticed', () => link.state() !== 'connected')
    acknowledge = true
    await broker.start()
    await openService()
    await until('everything after all', () => outbox.size() === 0)
    t.equal(new Set(heard.map(({ body }) => (body.body as { n: number }).n)).size, 30)
    t.ok(states.includes('connecting') && states.includes('offline'))

    // Other people's topics, other people's names, no certificate.
    const heardBefore = heard.length
    const spy = {
      clientId: 'T2',
      endpoint: broker.endpoint('T2'),
      sessionExpiryS: 0,
      onMessage: () => undefined,
    }
    const other = await openMqttSession({ ...spy, subscriptions: [deviceTopics('T2').ack] }, never)
    await other
      .publish(`${topics.base}/app/courier/up/status`, '{"v":1,"id":"forged","seq":1,"at":1,"body":{}}')
      .catch(() => undefined)
    await other.publish(topics.presence, '{"online":false}', { retain: true }).catch(() => undefined)
    other.drop('done')
    if (kind === 'embedded') {
      // mosquitto grants such a subscription and then sends nothing on it.
      await t.rejects(openMqttSession({ ...spy, subscriptions: [topics.allDown] }, never), {
        code: 'MQTT_REFUSED',
      })
      await t.rejects(openMqttSession({ ...spy, clientId: 'T1', subscriptions: [] }, never), {
        code: 'MQTT_REFUSED',
      })
    }
    await t.rejects(
      openMqttSession(
        { ...spy, endpoint: { ...spy.endpoint, ca: spy.endpoint.cert }, subscriptions: [] },
        never,
      ),
      { code: 'MQTT_UNREACHABLE' },
      'a broker of another authority is not trusted',
    )
    await t.rejects(
      openMqttSession({ ...spy, endpoint: { ...spy.endpoint, key: '/nowhere' }, subscriptions: [] }, never),
      { code: 'MQTT_FILES' },
    )
    await t.rejects(openMqttSession({ ...spy, subscriptions: [] }, AbortSignal.abort()), { code: 'ABORTED' })
    const bare = connectTls({ host: '127.0.0.1', port: broker.port, ca: readFileSync(credentials.ca) })
    bare.on('data', () => t.fail('the broker talks to one without a certificate'))
    await new Promise<void>((resolve) => {
      bare.on('error', () => resolve())
      bare.on('close', () => resolve())
    })
    t.equal(heard.length, heardBefore, 'nothing forged arrived')
    t.equal(presence.at(-1), true)

    await link.close()
    await until('a goodbye', () => presence.at(-1) === false)
    await service!.end()
    file.close()
  })
}
