// The open world composed: storage that survives damage, scans, battery, and the whole from app to cloud and back.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock, systemRandom } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import { type Log, silentLog } from '../../../hal/base/log.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import type { Power, PowerReading } from '../../../hal/power.js'
import type { Scanner } from '../../../hal/scanner.js'
import { type MqttSession, openMqttSession } from '../../../runtime/open/link/mqtt-session.js'
import { deviceTopics } from '../../../runtime/open/link/topics.js'
import { type OpenConfig, openConfigFrom } from '../../../runtime/open/open-config.js'
import { startOpenWorld } from '../../../runtime/open/open-world.js'
import { reportPower } from '../../../runtime/open/peripherals/power-reports.js'
import { createScannerService, scannedText } from '../../../runtime/open/peripherals/scanner-service.js'
import { openSettings } from '../../../runtime/open/settings.js'
import { MAX_APP_STORAGE, openAppStorage } from '../../../runtime/open/storage.js'
import { until } from '../socket-pair.js'
import { embeddedBroker, makeCredentials } from './brokers.js'
import { startSecureWorld, TERMINAL } from './secure-world.js'
import { switchedNetwork } from './switched-network.js'

const folder = mkdtempSync(join(tmpdir(), 'postern-open-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function listening(): { log: Log; events: string[] } {
  const events: string[] = []
  const note = (event: string) => void events.push(event)
  return { log: { debug: note, info: note, warn: note, error: note }, events }
}

t.test('storage: durable, bounded, and back to the generation before when a file is damaged', async (t) => {
  const place = join(folder, 'storage')
  const file = join(place, 'storage.json')
  const { log, events } = listening()
  let storage = openAppStorage(place, log)
  t.equal(storage.get('a'), null)
  storage.set('a', { n: 1 })
  storage.set('a', { n: 2 })
  storage.set('none', undefined)
  storage.delete('never there')
  storage = openAppStorage(place, log)
  t.same(storage.get('a'), { n: 2 })
  t.equal(storage.get('none'), null)
  t.equal(storage.get('constructor'), null, 'names of JavaScript are ordinary keys')
  t.same(events, [])

  storage.set('a', { n: 3 })
  const whole = readFileSync(file)
  writeFileSync(file, whole.subarray(0, whole.length - 3))
  storage = openAppStorage(place, log)
  t.same(storage.get('a'), { n: 2 }, 'torn: the generation before')
  t.same(events.splice(0), ['storage.fell-back'])
  storage.set('a', { n: 4 })
  t.same(openAppStorage(place, log).get('a'), { n: 4 }, 'and it goes on from there')

  writeFileSync(file, 'x')
  writeFileSync(`${file}.previous`, 'y')
  storage = openAppStorage(place, log)
  t.equal(storage.get('a'), null)
  t.same(events.splice(0), ['storage.damaged'])
  t.ok(existsSync(`${file}.damaged`), 'laid aside, for whoever wants to look')

  t.throws(() => storage.set('big', 'x'.repeat(49_200)), { code: 'VALUE_TOO_LARGE' })
  for (let i = 0; i < 21; i++) storage.set(`k${i}`, 'x'.repeat(48_000))
  t.throws(() => storage.set('k21', 'x'.repeat(48_000)), { code: 'STORAGE_FULL' })
  storage.set('k20', 'small')
  storage.set('k21', 'x'.repeat(40_000))
  t.ok(readFileSync(file).length < MAX_APP_STORAGE + 200)

  const settings = openSettings(place, log)
  t.same([settings.nextSession(), settings.nextSession()], [1, 2])
  t.equal(openSettings(place, log).nextSession(), 3, 'never the same number twice')
})

t.test('storage: a disk that refuses changes nothing', async (t) => {
  const place = join(folder, 'refusing')
  const storage = openAppStorage(place, silentLog)
  storage.set('a', 1)
  const file = join(place, 'storage.json')
  rmSync(file)
  mkdirSync(file)
  t.throws(() => storage.set('a', 2))
  t.throws(() => storage.delete('a'))
  t.equal(storage.get('a'), 1)
  rmSync(file, { recursive: true })
  storage.set('a', 3)
  t.equal(openAppStorage(place, silentLog).get('a'), 3)
})

/** A scanner and a battery whose drivers the test plays. */
function fakeDevices() {
  const scanListeners = new Set<(event: never) => void>()
  const powerListeners = new Set<(event: never) => void>()
  let reading: PowerReading = { source: 'battery', percent: 80.4, temperatureC: undefined }
  let state: 'ok' | 'low' | 'critical' = 'ok'
  let fault: PosternError | undefined
  let triggers = 0
  const base = { driver: 'test', statistics: () => ({}), close: async () => undefined }
  const scanner: Scanner = {
    ...base,
    id: 'scanner',
    deviceClass: 'scanner',
    status: () => ({ presence: 'ready', state: 'idle' }),
    on: (listener) => {
      scanListeners.add(listener as never)
      return () => scanListeners.delete(listener as never)
    },
    trigger: async () => {
      triggers++
      if (fault) throw fault
    },
  }
  const power: Power = {
    ...base,
    id: 'power',
    deviceClass: 'power',
    status: () => ({ presence: 'ready', state }),
    reading: () => reading,
    on: (listener) => {
      powerListeners.add(listener as never)
      return () => powerListeners.delete(listener as never)
    },
  }
  return {
    scanner,
    power,
    triggers: () => triggers,
    fail: (error: PosternError | undefined) => {
      fault = error
    },
    scan: (raw: Uint8Array, aim?: string) =>
      scanListeners.forEach((listener) => void listener({ type: 'scan', raw, aim } as never)),
    setPower: (next: PowerReading, word: typeof state) => {
      reading = next
      state = word
      powerListeners.forEach((listener) => void listener({ type: 'reading', reading } as never))
    },
  }
}

t.test('scans are text; the scanner’s troubles are refusals', async (t) => {
  t.same(scannedText({ raw: Buffer.from('包裹 1'), aim: 'Q1' }), { text: '包裹 1', aim: 'Q1' })
  t.same(
    scannedText({ raw: new Uint8Array([0x41, 0xe9]), aim: undefined }),
    { text: 'Aé' },
    'Latin-1 where it is not UTF-8',
  )
  t.equal(scannedText({ raw: new Uint8Array(9000).fill(65), aim: undefined }).text.length, 4096)
  const devices = fakeDevices()
  const service = createScannerService(devices.scanner)
  const heard: string[] = []
  const stop = service.on(({ text }) => heard.push(text))
  devices.scan(Buffer.from('WB-1'))
  stop()
  devices.scan(Buffer.from('WB-2'))
  t.same(heard, ['WB-1'])
  await service.trigger(never)
  devices.fail(new PosternError('DEVICE_BUSY', 'lit'))
  await service.trigger(never)
  devices.fail(new PosternError('DEVICE_LOST', 'gone'))
  await t.rejects(service.trigger(never), { code: 'SCANNER_UNAVAILABLE' })
  await t.rejects(createScannerService(undefined).trigger(never), { code: 'NO_SCANNER' })
})

t.test(
  'the battery is reported when it changes its state or its source, not at every per cent',
  async (t) => {
    const devices = fakeDevices()
    const sent: unknown[] = []
    const stop = reportPower(
      devices.power,
      { put: (topic, body) => `${sent.push([topic, body])}` },
      silentLog,
    )
    devices.setPower({ source: 'battery', percent: 79, temperatureC: 30 }, 'ok')
    devices.setPower({ source: 'battery', percent: 14.6, temperatureC: 30 }, 'low')
    devices.setPower({ source: 'external', percent: 15, temperatureC: 30 }, 'low')
    stop()
    devices.setPower({ source: 'battery', percent: 1, temperatureC: 30 }, 'critical')
    t.same(sent, [
      ['evt/power', { state: 'ok', source: 'battery', percent: 80 }],
      ['evt/power', { state: 'low', source: 'battery', percent: 15 }],
      ['evt/power', { state: 'low', source: 'external', percent: 15 }],
    ])
  },
)

const never = new AbortController().signal

t.test('the whole: app, secure world, cloud', async (t) => {
  const credentials = makeCredentials()
  const broker = await embeddedBroker(credentials)
  const devices = fakeDevices()
  const network = switchedNetwork()
  const topics = deviceTopics('T1')
  const reports: Record<string, unknown>[] = []
  const events: string[] = []
  const service: MqttSession = await openMqttSession(
    {
      endpoint: broker.endpoint('delivery-service'),
      clientId: 'delivery-service',
      sessionExpiryS: 0,
      subscriptions: [`${topics.base}/app/+/up/#`, `${topics.base}/evt/+`],
      onMessage: (topic, payload) => {
        const { id, body } = JSON.parse(Buffer.from(payload).toString())
        if (topic.includes('/evt/')) events.push(topic.slice(topics.base.length + 1))
        else reports.push(body)
        void service.publish(topics.ack, JSON.stringify({ v: 1, ids: [id] }))
      },
    },
    never,
  )
  const report = async (what: string, fits: (report: Record<string, unknown>) => boolean) => {
    await until(what, () => reports.some(fits))
    return reports.splice(reports.findIndex(fits), 1)[0]!
  }
  const asRoot = process.getuid?.() === 0
  const place = join(folder, 'world')
  mkdirSync(place)
  const config: OpenConfig = openConfigFrom({
    terminalId: 'T1',
    bridgeSocket: join(place, 'bridge.sock'),
    dataDir: join(place, 'data'),
    mqtt: broker.endpoint('T1'),
    acquirerEndpoints: [],
    apps: ['probe'],
    board: 'none',
    boardParams: {},
    logLevel: 'info',
    // An app needs to read what it is made of; in a root-only checkout it can not under another name.
    ...(asRoot && canBeReadByOthers() ? { appUser: { uid: 64_001, gid: 64_001 } } : {}),
  })
  const statuses: Record<string, unknown>[] = []
  const serve = {
    'status.set': (status: Record<string, unknown>) => {
      statuses.push(status)
      return null
    },
    'session.signIn': () => ({ id: '7', name: 'Ada', role: 'courier' as const, locale: 'zh' }),
  }
  const world = await startOpenWorld(
    config,
    {
      printer: undefined,
      scanner: devices.scanner,
      power: devices.power,
      network,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    },
    {
      sources: join(packageRoot, 'test/runtime/open/probe-apps'),
      built: join(packageRoot, 'dist/test/runtime/open/probe-apps'),
    },
  )
  t.teardown(() => world.close())
  t.match(world.status(), { bridge: false, apps: { probe: 'starting' } }, 'it starts without a secure world')
  const secure = await startSecureWorld(config.bridgeSocket, serve)
  const ready = await report('the app', (one) => one['event'] === 'ready')
  t.match(ready['context'], {
    terminalId: TERMINAL.terminalId,
    currency: 'EUR',
    locale: 'en',
    online: true,
    operator: null,
  })
  await until(
    'the status row',
    () => statuses.at(-1)?.['cloud'] === 'connected' && statuses.at(-1)?.['outbox'] === 0,
  )
  t.match(statuses.at(-1), { network: 'online', printer: 'none' })
  t.ok(events.includes('evt/power'))

  let id = 0
  const tell = (command: unknown) =>
    service.publish(
      topics.down('probe', 'do'),
      JSON.stringify({ v: 1, id: `m${++id}`, at: 1, body: command }),
    )
  await tell({ do: 'env' })
  const env = await report('its environment', (one) => 'env' in one)
  if (config.appUser) t.equal(env['uid'], 64_001, 'under a user of its own')
  await tell({ do: 'call', method: 'printer.print', params: { blocks: [{ kind: 'text', text: 'x' }] } })
  t.match(await report('printing', (one) => one['method'] === 'printer.print'), {
    result: { outcome: 'offline' },
  })
  await tell({ do: 'call', method: 'scanner.trigger', params: null })
  t.match(await report('triggering', (one) => one['method'] === 'scanner.trigger'), { result: null })
  t.equal(devices.triggers(), 1)
  devices.scan(Buffer.from('WB-77'), 'C1')
  t.match(await report('the scan', (one) => one['event'] === 'scan'), { text: 'WB-77', aim: 'C1' })
  await secure.open!['terminal.changed']({
    ...TERMINAL,
    operator: { id: '7', name: 'Ada', role: 'courier', locale: 'zh' },
  })
  t.match(await report('the operator', (one) => one['event'] === 'context'), { operator: { name: 'Ada' } })
  await t.rejects(secure.open!['pipe.open']({ host: '127.0.0.1', port: 1 }), { code: 'PIPE_NOT_ALLOWED' })

  network.set(false)
  await until(
    'the status row says so',
    () => statuses.at(-1)?.['network'] === 'offline' && statuses.at(-1)?.['cloud'] === 'offline',
  )
  network.set(true)
  t.match(await report('the context', (one) => one['event'] === 'context' && one['online'] === true), {
    online: true,
  })

  // The secure world dies while the apps are frozen: nobody else would thaw them.
  await secure.open!['apps.freeze'](null)
  await secure.kill()
  await until('noticed', () => !world.status().bridge)
  await secure.start()
  await until('back', () => world.status().bridge)
  await until('the cloud', () => world.status().cloud === 'connected')
  await tell({ do: 'call', method: 'storage.set', params: { key: 'a', value: 1 } })
  t.match(await report('it goes on', (one) => one['method'] === 'storage.set'), { result: null })

  await world.close()
  await secure.kill()
  await service.end()
  await broker.kill()
  rmSync(credentials.folder, { recursive: true })
})

t.test('a bad configuration is refused by key', async (t) => {
  t.throws(() => openConfigFrom({}), { code: 'CONFIG_INVALID' })
  t.throws(() => openConfigFrom(null), { code: 'CONFIG_INVALID', message: /open world's configuration/ })
})

function canBeReadByOthers(): boolean {
  return packageRoot
    .split('/')
    .slice(0, -1)
    .map((_, index, parts) => parts.slice(0, index + 1).join('/') || '/')
    .every((path) => (statSync(path).mode & 0o005) === 0o005)
}
