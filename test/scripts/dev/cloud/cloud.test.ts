// The development cloud as its own process, with the terminal's real link against it, over both kinds of broker.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Deliveries, type HandIn, type ParcelStatus } from '../../../../apps/courier/messages.js'
import { systemClock, systemRandom } from '../../../../hal/base/clock.js'
import { silentLog } from '../../../../hal/base/log.js'
import { packageRoot } from '../../../../hal/base/package-root.js'
import { checker } from '../../../../runtime/api/contract.js'
import type { PaymentView } from '../../../../runtime/api/payments.js'
import { createInbox } from '../../../../runtime/open/link/inbox.js'
import { startLink } from '../../../../runtime/open/link/link.js'
import { openLinkDatabase } from '../../../../runtime/open/link/link-database.js'
import { createOutbox } from '../../../../runtime/open/link/outbox.js'
import { alwaysOnline } from '../../../../runtime/open/peripherals/always-online.js'
import { commonNameOf, mayPublish, maySubscribe } from '../../../../scripts/dev/cloud/broker.js'
import { readCloudConfig } from '../../../../scripts/dev/cloud/config.js'
import { openDeliveryBook } from '../../../../scripts/dev/cloud/delivery-book.js'
import { readDeliveries } from '../../../../scripts/dev/cloud/start-cloud.js'
import { hasMosquitto, makeCredentials, mosquitto } from '../../../runtime/open/brokers.js'
import { until } from '../../../runtime/socket-pair.js'

const credentials = makeCredentials()
t.teardown(() => rmSync(credentials.folder, { recursive: true }))

interface State {
  service: string
  terminals: { id: string; online: boolean }[]
  rounds: { round: string; takenAt?: number; handIn?: HandIn; parcels: number }[]
  parcels: {
    waybill: string
    recipient: string
    status?: string
    reason?: string
    paid?: { amount: { minor: string }; confirmed: boolean; card?: { last4: string } }
  }[]
  payments: { key: string; outcome: string; reference: string }[]
}

const approved = (key: string, reference: string, minor: string): PaymentView => ({
  key,
  outcome: 'approved',
  reference,
  amount: { minor, currency: 'EUR' },
  message: 'Approved',
  tender: 'card',
  receipt: {
    merchant: { name: 'Parcel House', address: [], merchantId: 'M', terminalId: 'T1' },
    type: 'sale',
    outcome: 'approved',
    amount: { minor, currency: 'EUR' },
    at: '2026-01-01T10:00:00+01:00',
    reference,
    operator: '1001',
    stan: '000001',
    receiptNumber: '1',
    authorisationCode: '123456',
    card: { label: 'Credit', aid: 'A0000000000000', panLast4: '4242', entryMode: 'chip', cvm: 'pin' },
  },
})

t.test('the samples are what the app understands, and fit a line of its wire', async (t) => {
  const { depot, parcels } = readDeliveries()
  const message = { round: 'R-1', date: '2026-01-01', depot, parcels }
  t.equal(checker(Deliveries)(message), undefined)
  t.ok(Buffer.byteLength(JSON.stringify(message)) < 56 * 1024)
  t.equal(new Set(parcels.map(({ waybill }) => waybill)).size, parcels.length)
  t.ok(parcels.some(({ rules }) => rules.partialAllowed) && parcels.some(({ due }) => due.minor === '0'))
  t.ok(parcels.some(({ recipient }) => /\p{Script=Han}/u.test(recipient)))
  const full = Array.from({ length: 40 }, () => parcels[1]!)
  t.ok(
    Buffer.byteLength(JSON.stringify({ ...message, parcels: full })) < 56 * 1024,
    'so does the most that is allowed',
  )
})

t.test('who may use which topic', async (t) => {
  for (const topic of ['presence', 'taken', 'evt/payments', 'app/courier/up/status', 'app/courier/up/a/b'])
    t.ok(mayPublish('T1', `pos/v1/d/T1/${topic}`), topic)
  for (const topic of [
    'pos/v1/d/T2/presence',
    'pos/v1/d/T1/ack',
    'pos/v1/d/T1/app/courier/down/x',
    'pos/v1/d/T1',
    'other',
    '$SYS/x',
  ])
    t.notOk(mayPublish('T1', topic), topic)
  for (const filter of ['pos/v1/d/T1/ack', 'pos/v1/d/T1/app/+/down/#', 'pos/v1/d/T1/app/courier/down/x'])
    t.ok(maySubscribe('T1', filter), filter)
  for (const filter of [
    '#',
    'pos/v1/d/+/ack',
    'pos/v1/d/T2/ack',
    'pos/v1/d/T1/#',
    'pos/v1/d/T1/app/#',
    '$share/g/#',
  ])
    t.notOk(maySubscribe('T1', filter), filter)
  t.equal(commonNameOf(credentials.client('delivery-service').cert), 'delivery-service')
})

t.test('the book: later statuses win, undone opens again, payments confirm', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-book-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  let book = openDeliveryBook(folder, silentLog)
  const { depot, parcels } = readDeliveries()
  const { round } = book.roundOf('T1', '2026-01-01', depot, parcels)
  t.equal(book.roundOf('T1', '2026-01-01', depot, []).round, round, 'a day has one round')
  const paid = { key: 'key-00001', amount: { minor: '2450', currency: 'EUR' }, tender: 'card' as const }
  const status = (sequence: number, word: ParcelStatus['status'], more = {}): ParcelStatus => ({
    round,
    waybill: 'PH-100001',
    sequence,
    status: word,
    at: 1,
    operator: '1001',
    ...more,
  })
  book.status('T1', status(2, 'delivered', { paid }))
  book.status('T1', status(1, 'notAtHome'))
  const first = () => book.parcels()[0]!
  t.match(first(), { status: 'delivered', paid: { confirmed: false } })
  book.payment('T1', 2, approved('key-00001', 'PH-100001', '2451'))
  t.match(first(), { paid: { confirmed: false } }, 'another amount confirms nothing')
  book.payment('T1', 3, approved('key-00001', 'PH-100001', '2450'))
  t.match(first(), { paid: { confirmed: true, card: { last4: '4242' } } })
  book.payment('T1', 1, { ...approved('key-00001', 'PH-100001', '2450'), outcome: 'declined' })
  t.match(first(), { paid: { confirmed: true } }, 'an older word about it changes nothing')
  book = openDeliveryBook(folder, silentLog)
  t.match(first(), { status: 'delivered', paid: { confirmed: true } }, 'kept on disk')
  book.status(
    'T1',
    status(3, 'undone', { voided: { key: 'key-00002', original: 'key-00001', amount: paid.amount } }),
  )
  t.equal(first().status, undefined)
  book.status('T1', status(4, 'refused', { reason: 'damaged' }))
  t.match(first(), { status: 'refused', reason: 'damaged' })
  book.roundOf('T1', '2026-01-02', depot, parcels.slice(0, 2))
  t.equal(book.parcels().length, 2, 'the newest day is shown')
})

for (const kind of ['embedded', 'mosquitto'] as const) {
  const skip =
    kind === 'mosquitto' && !hasMosquitto() && 'mosquitto is not installed: apt-get install mosquitto'
  t.test(`a round over the ${kind} broker`, { skip }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-cloud-'))
    const external = kind === 'mosquitto' ? await mosquitto(credentials) : undefined
    const config = join(folder, 'cloud.json')
    const { ca, server } = credentials
    const document = {
      mqtt: { host: '127.0.0.1', port: 0, ca, ...server },
      ...(external ? { broker: { host: '127.0.0.1', port: external.port } } : {}),
      http: { host: '127.0.0.1', port: 0 },
      service: credentials.client('delivery-service'),
      terminals: ['T1'],
      stateDir: join(folder, 'state'),
      repeatMs: 300,
    }
    writeFileSync(config, JSON.stringify(document))
    const start = async () => {
      const child: ChildProcess = spawn(
        process.execPath,
        [join(packageRoot, 'dist/scripts/dev/cloud/main.js'), config],
        {
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      )
      let out = ''
      child.stdout!.on('data', (chunk) => (out += chunk))
      await until('the cloud', () => out.includes('"ready":true'))
      const line = out.split('\n').find((text) => text.includes('"ready":true'))!
      return { child, ...(JSON.parse(line) as { mqttPort: number; httpPort: number }) }
    }
    let cloud = await start()
    t.teardown(async () => {
      cloud.child.kill('SIGKILL')
      await external?.kill()
      rmSync(folder, { recursive: true })
    })
    const state = async () =>
      (await (await fetch(`http://127.0.0.1:${cloud.httpPort}/state`)).json()) as State
    await until('the service', async () => (await state()).service === 'connected')
    t.match(await state(), { terminals: [{ id: 'T1', online: false }], payments: [] })

    mkdirSync(join(folder, 'terminal'))
    const database = openLinkDatabase(join(folder, 'terminal', 'link.db'))
    const outbox = createOutbox(database, systemClock, systemRandom)
    const inbox = createInbox(database, systemClock)
    const connect = () =>
      startLink({
        terminalId: 'T1',
        endpoint: { host: '127.0.0.1', port: cloud.mqttPort, ca, ...credentials.client('T1') },
        apps: ['courier'],
        outbox,
        inbox,
        onDocument: () => undefined,
        nextSession: (() => {
          let n = 0
          return () => ++n
        })(),
        network: alwaysOnline,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        ackTimeoutMs: 2000,
      })
    let link = connect()
    await until('the deliveries', () => inbox.waiting('courier', 0, 1).length === 1)
    const [message] = inbox.waiting('courier', 0, 1)
    t.equal(message!.topic, 'deliveries')
    t.equal(checker(Deliveries)(message!.payload), undefined)
    const { round, parcels } = message!.payload as Deliveries
    t.match((await state()).terminals, [{ online: true }])
    t.equal((await state()).rounds[0]!.takenAt, undefined, 'arrived is not taken')
    await new Promise((resolve) => setTimeout(resolve, 700))
    t.equal(inbox.waiting('courier', 0, 9).length, 1, 'repeated, and here once')
    inbox.acknowledge('courier', message!.id)
    await until('taken', async () => (await state()).rounds[0]!.takenAt !== undefined)

    const put = (topic: string, body: unknown) => outbox.put(`app/courier/up/${topic}`, body)
    const status = { round, at: 1_700_000_000_000, operator: '1001' }
    outbox.put(
      'evt/payments',
      { app: 'courier', sequence: 1, payment: approved('key-00001', parcels[0]!.waybill, '2450') },
      { important: true },
    )
    put('status', {
      ...status,
      waybill: parcels[0]!.waybill,
      sequence: 1,
      status: 'delivered',
      paid: { key: 'key-00001', amount: { minor: '2450', currency: 'EUR' }, tender: 'card' },
    })
    put('status', {
      ...status,
      waybill: parcels[1]!.waybill,
      sequence: 2,
      status: 'refused',
      reason: 'damaged',
    })
    put('status', { ...status, waybill: parcels[2]!.waybill, sequence: 3, status: 'eaten by the dog' })
    put('status', {
      ...status,
      waybill: parcels[3]!.waybill,
      sequence: 4,
      status: 'partlyAccepted',
      paid: { key: 'key-cash-1', amount: { minor: '20000', currency: 'EUR' }, tender: 'cash' },
    })
    await until('acknowledged, even what makes no sense', () => outbox.size() === 0)
    const after = await state()
    t.match(after.parcels[0], {
      status: 'delivered',
      paid: { amount: { minor: '2450' }, confirmed: true, card: { last4: '4242' } },
    })
    t.match(after.parcels[1], { status: 'refused', reason: 'damaged' })
    t.equal(after.parcels[2]!.status, undefined)
    t.match(after.parcels[3], {
      status: 'partlyAccepted',
      paid: { amount: { minor: '20000' }, confirmed: false },
    })
    t.match(after.payments, [{ key: 'key-00001', outcome: 'approved' }])

    // The cloud falls over; what is said meanwhile waits; it comes back with all it knew.
    const gone = once(cloud.child, 'exit')
    cloud.child.kill('SIGKILL')
    await gone
    put('status', { ...status, waybill: parcels[4]!.waybill, sequence: 5, status: 'notAtHome' })
    const handIn: HandIn = {
      round,
      operator: '1001',
      at: 1_700_000_000_000,
      counts: { delivered: 1, refused: 1, notAtHome: 1, partlyAccepted: 1, open: 6 },
      tenders: [{ tender: 'card', count: 1, amount: { minor: '2450', currency: 'EUR' } }],
      agreement: 'agrees',
      differences: [],
    }
    put('hand-in', handIn)
    await link.close()
    cloud = await start()
    link = connect()
    await until('all of it', () => outbox.size() === 0)
    const last = await state()
    t.match(last.parcels[0], { status: 'delivered', paid: { confirmed: true } })
    t.match(last.parcels[4], { status: 'notAtHome' })
    t.match(last.rounds[0], { round, handIn: { agreement: 'agrees' } })

    const page = await fetch(`http://127.0.0.1:${cloud.httpPort}/`)
    t.match(page.headers.get('content-security-policy'), /default-src 'self'/)
    t.match(await page.text(), /Parcels of the day/)
    for (const path of ['page.js', 'page.css'])
      t.equal((await fetch(`http://127.0.0.1:${cloud.httpPort}/${path}`)).status, 200)
    t.equal((await fetch(`http://127.0.0.1:${cloud.httpPort}/../main.ts`)).status, 404)
    t.equal((await fetch(`http://127.0.0.1:${cloud.httpPort}/state`, { method: 'POST' })).status, 405)
    const foreign = await new Promise<number | undefined>((resolve) => {
      request(
        { host: '127.0.0.1', port: cloud.httpPort, path: '/state', headers: { host: 'evil.test' } },
        (response) => {
          response.resume()
          resolve(response.statusCode)
        },
      ).end()
    })
    t.equal(foreign, 403, 'a page elsewhere can not read it through a name of its own')

    await link.close()
    database.close()
    const ended = once(cloud.child, 'exit')
    cloud.child.kill('SIGTERM')
    t.same(await ended, [0, null])
  })
}

t.test('a bad configuration is refused by key', async (t) => {
  const path = join(credentials.folder, 'bad.json')
  writeFileSync(path, JSON.stringify({ http: { host: '0.0.0.0', port: 1 } }))
  t.throws(() => readCloudConfig(path), { code: 'CONFIG_INVALID' })
  writeFileSync(path, JSON.stringify({ depot: 'x', parcels: [] }))
  t.throws(() => readDeliveries(path), { code: 'DELIVERIES_INVALID', message: /\/parcels/ })
})
