// The app host with real processes: what an app is given, what it may do, and what happens when it misbehaves.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { RpcError } from '../../../runtime/api/json-rpc.js'
import type { PaymentView } from '../../../runtime/api/payments.js'
import { type AppHost, startAppHost } from '../../../runtime/open/app-host/app-host.js'
import { manifestFrom, nameIn, readManifest, servesSdk } from '../../../runtime/open/app-host/manifest.js'
import { processTree, standsStill } from '../../../runtime/open/app-host/process-tree.js'
import { createRateLimit } from '../../../runtime/open/app-host/rate-limit.js'
import { afterCrash, FRESH, RESTART_RULES } from '../../../runtime/open/app-host/restart-policy.js'
import { troubleScreen } from '../../../runtime/open/app-host/trouble-screen.js'
import { connectBridge } from '../../../runtime/open/bridge/bridge-client.js'
import { createInbox } from '../../../runtime/open/link/inbox.js'
import { openLinkDatabase } from '../../../runtime/open/link/link-database.js'
import { createOutbox } from '../../../runtime/open/link/outbox.js'
import { createPaymentEvents } from '../../../runtime/open/link/payment-events.js'
import type { ScannedText } from '../../../runtime/open/peripherals/scanner-service.js'
import { openAppStorage } from '../../../runtime/open/storage.js'
import { until } from '../socket-pair.js'
import { startSecureWorld, TERMINAL } from './secure-world.js'

const view = (key: string, outcome: PaymentView['outcome']): PaymentView => ({
  key,
  outcome,
  reference: 'WB-1',
  amount: { minor: '1250', currency: 'EUR' },
  message: 'as it is',
  tender: 'card',
})

type Report = Record<string, unknown>

/** A host with everything real but printer, scanner and secure world, whose methods a test overrides. */
async function rig(
  t: Test,
  apps: string[],
  serve: Parameters<typeof startSecureWorld>[1] = {},
  rules = RESTART_RULES,
  eventTimeoutMs = 30_000,
) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-apps-'))
  const events: { event: string; fields: Record<string, unknown> | undefined }[] = []
  const note = (event: string, fields?: Record<string, unknown>) => void events.push({ event, fields })
  const log: Log = { debug: note, info: note, warn: note, error: note }
  const path = join(folder, 's.sock')
  const world = await startSecureWorld(path, serve)
  const database = openLinkDatabase(join(folder, 'link.db'))
  const outbox = createOutbox(database, systemClock, systemRandom)
  const inbox = createInbox(database, systemClock)
  let host: AppHost | undefined
  const bridge = connectBridge({
    socketPath: path,
    clock: systemClock,
    random: systemRandom,
    log,
    serve: {
      'pipe.open': () => ({ pipe: 1 }),
      'pipe.write': () => null,
      'pipe.close': () => null,
      'gateway.send': () => null,
      'apps.freeze': async () => {
        await host!.freeze()
        return null
      },
      'apps.thaw': () => {
        host!.thaw()
        return null
      },
      'payments.changed': () => {
        void payments.fetch()
        return null
      },
      'terminal.changed': () => null,
    },
  })
  const payments = createPaymentEvents({ database, outbox, bridge, log })
  await bridge.whenConnected(60_000)
  const scanListeners = new Set<(scan: ScannedText) => void>()
  let online = true
  const printed: unknown[] = []
  const start = () => {
    host = startAppHost({
      apps,
      sources: join(packageRoot, 'test/runtime/open/probe-apps'),
      built: join(packageRoot, 'dist/test/runtime/open/probe-apps'),
      user: undefined,
      rules,
      eventTimeoutMs,
      services: {
        bridge,
        locale: () => 'en',
        context: async () => ({
          apiVersion: '1.0',
          terminalId: TERMINAL.terminalId,
          merchantName: TERMINAL.merchantName,
          currency: 'EUR',
          locale: 'en',
          now: Date.now(),
          online,
          operator: null,
        }),
        storage: (app) => openAppStorage(join(folder, app), log),
        outbox,
        inbox,
        payments,
        printing: {
          print: async (document) => {
            printed.push(document)
            return { outcome: 'printed' }
          },
          receipt: async (facts, options) => {
            printed.push({ facts, options })
            return { outcome: 'paperOut', job: 'print-1' }
          },
          resume: async (job, locale) => {
            printed.push({ job, locale })
            return { outcome: 'printed' }
          },
        },
        scanner: {
          trigger: async () => {
            throw new RpcError('NO_SCANNER', 'none')
          },
          on: (listener) => {
            scanListeners.add(listener)
            return () => scanListeners.delete(listener)
          },
        },
        clock: systemClock,
        log,
      },
    })
    return host
  }
  start()
  let read = 0
  const reports: Report[] = []
  /** The next report that fits, in the order in which they came. */
  const report = async (what: string, fits: (report: Report) => boolean): Promise<Report> => {
    let found: Report | undefined
    await until(what, () => {
      for (const message of outbox.next(read, 50)) {
        read = message.seq
        if (message.topic === 'app/probe/up/report') reports.push(JSON.parse(message.body) as Report)
      }
      const index = reports.findIndex(fits)
      if (index >= 0) found = reports.splice(index, 1)[0]
      return found !== undefined
    })
    return found!
  }
  let id = 0
  const tell = (command: Report) => inbox.receive('probe', `m-${++id}`, 'do', command)
  const call = async (method: string, params: unknown) => {
    tell({ do: 'call', method, params })
    const { method: _method, ...rest } = await report(method, (one) => one['method'] === method)
    return rest
  }
  const ready = () => report('the app being ready', (one) => one['event'] === 'ready')
  const close = async () => {
    await host!.close()
    await bridge.close()
    await world.kill()
    database.close()
    rmSync(folder, { recursive: true })
  }
  t.teardown(() => host?.close())
  return {
    world,
    events,
    printed,
    inbox,
    outbox,
    payments,
    report,
    tell,
    call,
    ready,
    start,
    close,
    host: () => host!,
    folder,
    scan: (scan: ScannedText) => scanListeners.forEach((listener) => void listener(scan)),
    setOnline: (next: boolean) => {
      online = next
      host!.contextChanged()
    },
  }
}

t.test('manifests: errors name the key and what is allowed', async (t) => {
  const good = JSON.parse(
    readFileSync(join(packageRoot, 'test/runtime/open/probe-apps/probe/manifest.json'), 'utf8'),
  ) as Record<string, unknown>
  const manifest = manifestFrom('probe', good)
  t.equal(nameIn(manifest, 'zh-CN'), '探针')
  t.equal(nameIn(manifest, 'fr'), 'probe')
  for (const [change, message] of [
    [{ id: 'Probe' }, /: id: .*lower-case letters/],
    [{ id: 'other' }, /: id: is other in a folder named probe/],
    [{ version: '1.0' }, /: version: .*three numbers/],
    [{ sdk: '1.0' }, /: sdk: .*caret/],
    [{ sdk: '^2.0' }, /: sdk: \^2\.0 is not served; this host serves 1\.0/],
    [{ name: { zh: '探针' } }, /: name: .*en at least/],
    [{ name: { en: 'x'.repeat(25) } }, /: name: /],
    [{ description: undefined }, /: description: /],
    [{ capabilities: [] }, /: capabilities: unknown key; the keys are id, version/],
  ] as const) {
    t.throws(() => manifestFrom('probe', { ...good, ...change }), { code: 'MANIFEST_INVALID', message })
  }
  t.throws(() => manifestFrom('postern', { ...good, id: 'postern' }), { message: /the terminal's own name/ })
  t.throws(() => manifestFrom('probe', 7), { code: 'MANIFEST_INVALID' })
  t.throws(() => readManifest('none', '/nowhere'), {
    code: 'MANIFEST_INVALID',
    message: /apps\/none\/manifest\.json/,
  })
  t.equal(servesSdk('^1.0', '1.3'), true)
  t.equal(servesSdk('^1.4', '1.3'), false)
  t.equal(servesSdk('^1.0', '2.0'), false)
})

t.test('restarts: doubled waits, a long run forgives, many crashes are a quarantine', async (t) => {
  let state = FRESH
  const waits: number[] = []
  for (let crash = 0; crash < RESTART_RULES.crashes; crash++) {
    const after = afterCrash(state, crash * 1000, 100, RESTART_RULES)
    state = after.state
    waits.push(after.decision.kind === 'restart' ? after.decision.afterMs : -after.decision.forMs)
  }
  t.same(waits, [250, 500, 1000, 2000, -600_000])
  t.same(state, FRESH, 'after the quarantine it begins anew')
  let slow = FRESH
  for (let crash = 1; crash < 20; crash++) {
    const after = afterCrash(slow, crash * 200_000, 190_000, RESTART_RULES)
    slow = after.state
    t.same(after.decision, { kind: 'restart', afterMs: 250 })
  }
  let nowMs = 0
  const take = createRateLimit({ ...systemClock, monotonicMs: () => nowMs }, 10, 3)
  t.same([take(), take(), take(), take()], [true, true, true, false])
  nowMs = 100
  t.same([take(), take()], [true, false])
})

t.test('an app gets a clean process, and its calls go where they belong', async (t) => {
  const asked: unknown[] = []
  const r = await rig(t, ['probe', 'no-such-app'], {
    'screens.show': ({ owner, id }) => {
      asked.push({ owner, id })
      return id === 'hold' ? new Promise(() => undefined) : { type: 'selected', id: 'a' }
    },
    'session.signIn': () => ({ id: '7', name: 'Ada', role: 'courier', locale: 'en' }),
    'session.authorise': () => ({ granted: true, supervisor: '9' }),
    'payments.receipt': ({ owner, key }) => (owner.app !== 'probe' || key === 'key-unknown' ? null : facts),
    'payments.status': ({ owner, key }) => view(key, owner.app === 'probe' ? 'approved' : 'unknown'),
    'payments.cancel': ({ owner }) => ({ cancelled: owner.app === 'probe' }),
    'round.totals': () => {
      throw new RpcError('NO_OPERATOR', 'sign in first')
    },
  })
  const ready = await r.ready()
  t.match(ready['context'], { terminalId: TERMINAL.terminalId, apiVersion: '1.0', online: true })
  t.equal(r.host().states()['no-such-app'], 'stopped')
  t.ok(
    r.events.some(
      ({ event, fields }) => event === 'app.refused' && /manifest\.json/.test(String(fields?.['error'])),
    ),
  )
  const output = r.events.find(({ event }) => event === 'app.output')
  t.match(output?.fields?.['text'], /411111\*+1111/, 'card numbers in its output are masked')

  r.tell({ do: 'env' })
  const env = await r.report('its environment', (one) => 'env' in one)
  t.same(
    Object.keys(env['env'] as object)
      .filter((key) => key !== 'TZ' && !/TAPJS|NODE_OPTIONS/.test(key)) // the runner's own
      .sort(),
    ['LANG', 'NODE_ENV'],
  )
  t.match(env['cwd'], /probe-apps\/probe$/)
  const foreign = (env['descriptors'] as string[]).filter((name) => /link\.db|\.sock|node_modules/.test(name))
  t.same(foreign, [], 'no descriptor of ours')
  t.equal((env['descriptors'] as string[]).filter((name) => name.startsWith('socket:')).length <= 3, true)
  t.equal(env['noNewPrivileges'], '1')
  if (process.getuid?.() === 0) {
    t.match(env['capabilities'], /^0+$/, 'no capability')
    t.match(env['bounding'], /^0+$/)
  }

  const screen = { kind: 'message', title: 'Hello', text: 'there' }
  t.same(await r.call('screens.show', { id: 's1', screen }), { result: { type: 'selected', id: 'a' } })
  t.same(
    asked[0],
    { owner: { app: 'probe', name: 'probe' }, id: 's1' },
    'who asks is known from the descriptor',
  )
  t.same(await r.call('screens.update', { id: 's1', screen }), { code: 'NOT_SHOWN' })
  r.tell({ do: 'abort', method: 'screens.show', params: { id: 'hold', screen } })
  t.match(await r.report('an aborted screen', (one) => one['method'] === 'screens.show'), { code: 'ABORTED' })
  t.match(await r.call('session.signIn', null), { result: { name: 'Ada' } })
  t.same(await r.call('session.authorise', { action: 'refund', reason: 'r' }), {
    result: { granted: true, supervisor: '9' },
  })
  t.same(await r.call('round.totals', null), { code: 'NO_OPERATOR' }, 'refusals cross two hops')
  t.same(await r.call('payments.status', { key: 'k' }), { code: 'INVALID_PARAMS' })
  t.match(await r.call('payments.status', { key: 'key-known-1' }), { result: { outcome: 'approved' } })
  t.same(await r.call('payments.cancel', { key: 'key-known-1' }), { result: { cancelled: true } })
  const stranger = { key: 'key-known-1', owner: { app: 'other', name: 'Other' } }
  t.same(await r.call('payments.status', stranger), { code: 'INVALID_PARAMS' }, 'no app names its owner')
  t.same(await r.call('printer.receipt', { key: 'key-unknown', copy: 'customer' }), { code: 'NO_RECEIPT' })
  t.same(await r.call('printer.receipt', { key: 'key-known-1', copy: 'merchant' }), {
    result: { outcome: 'paperOut', job: 'print-1' },
  })
  t.match(r.printed[0], { facts, options: { copy: 'merchant', locale: 'en' } })
  t.same(await r.call('printer.print', { blocks: [{ kind: 'rule' }] }), { result: { outcome: 'printed' } })
  t.same(await r.call('scanner.trigger', null), { code: 'NO_SCANNER' })
  t.same(await r.call('storage.set', { key: 'a', value: { n: [1] } }), { result: null })
  t.same(await r.call('storage.get', { key: 'a' }), { result: { value: { n: [1] } } })
  t.same(await r.call('storage.set', { key: 'big', value: 'x'.repeat(50_000) }), { code: 'VALUE_TOO_LARGE' })
  t.same(await r.call('storage.delete', { key: 'a' }), { result: null })
  t.same(await r.call('storage.get', { key: 'a' }), { result: { value: null } })
  t.same(await r.call('storage.get', { key: '__proto__' }), { code: 'INVALID_PARAMS' })
  t.same(await r.call('log.write', { level: 'info', event: 'x', text: 'card 4111111111111111' }), {
    result: null,
  })
  t.match(r.events.find(({ event }) => event === 'app.log')?.fields, {
    app: 'probe',
    text: 'card 411111******1111',
  })

  r.tell({ do: 'calls', method: 'storage.get', params: { key: 'a' }, count: 300 })
  t.equal((await r.report('a burst', (one) => 'refused' in one))['refused'], 0, 'a burst is welcome')
  r.tell({ do: 'calls', method: 'storage.get', params: { key: 'a' }, count: 2000 })
  t.ok(
    ((await r.report('a flood', (one) => 'refused' in one))['refused'] as number) > 0,
    'a flood is refused',
  )

  r.scan({ text: 'WB-123', aim: 'C1' })
  t.match(await r.report('the scan', (one) => one['event'] === 'scan'), { text: 'WB-123', aim: 'C1' })
  r.setOnline(false)
  t.match(await r.report('the context', (one) => one['event'] === 'context'), { online: false })
  const { pid } = ready as { pid: number }
  await r.close()
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'it ended with its host')
})

t.test('messages and payments arrive until they are taken, over crashes', async (t) => {
  const pending = [{ app: 'probe', sequence: 5, view: view('key-early-1', 'reversed') }]
  let finish: (() => void) | undefined
  const r = await rig(t, ['probe'], {
    'payments.unacknowledged': () => pending.slice(0, 20),
    'payments.acknowledge': ({ sequence }) => {
      pending.splice(0, pending.length, ...pending.filter((one) => one.sequence !== sequence))
      return null
    },
    'payments.collect': ({ request }) =>
      new Promise((resolve) => {
        finish = () => resolve(view(request.key, 'approved'))
      }),
  })
  await r.ready()
  await r.payments.fetch()
  t.match(await r.report('a payment from before', (one) => one['event'] === 'payment'), {
    key: 'key-early-1',
    outcome: 'reversed',
  })
  t.equal(pending.length, 0, 'acknowledged in the secure world')
  await until('taken', () => r.payments.waiting('probe', 0).length === 0)
  t.equal(
    r.outbox.next(0, 500).filter(({ topic }) => topic === 'evt/payments').length,
    1,
    'the cloud hears of it',
  )
  pending.push({ app: 'probe', sequence: 5, view: view('key-early-1', 'reversed') })
  await r.payments.fetch()
  t.equal(
    r.outbox.next(0, 500).filter(({ topic }) => topic === 'evt/payments').length,
    1,
    'once, even if told twice',
  )
  t.match(await r.report('again, to the app', (one) => one['event'] === 'payment'), { key: 'key-early-1' })

  // While a collect is under way its outcome is for the caller; an app that dies then hears of it at restart.
  const collect = { key: 'key-live-01', amount: { minor: '1', currency: 'EUR' }, reference: 'WB-2' }
  r.tell({ do: 'call', method: 'payments.collect', params: collect })
  await until('the collect', () => finish !== undefined)
  pending.push({ app: 'probe', sequence: 6, view: view('key-live-01', 'approved') })
  await r.world.open!['payments.changed'](null)
  await until('the event being here', () => r.payments.waiting('probe', 0).length === 1)
  finish!()
  t.match(await r.report('the result', (one) => one['method'] === 'payments.collect'), {
    result: { outcome: 'approved' },
  })
  t.equal(r.payments.waiting('probe', 0).length, 1, 'kept for a while: the app may not have stored it yet')
  r.tell({ do: 'call', method: 'storage.get', params: { key: 'x' }, keep: true })
  await r.report('the kept message', (one) => one['method'] === 'storage.get')
  r.tell({ do: 'exit', code: 9 })
  const second = await r.ready()
  t.ok(second['pid'])
  t.match(await r.report('the result again', (one) => one['event'] === 'payment'), {
    key: 'key-live-01',
    outcome: 'approved',
  })
  await r.report('the message that was not acknowledged, again', (one) => one['method'] === 'storage.get')

  // A second life of the host: what was not acknowledged is still there.
  await r.host().close()
  r.start()
  await r.ready()
  await r.report('again after a restart of the host', (one) => one['method'] === 'storage.get')
  await r.close()
})

t.test('a payment survives a restart of the secure world, and so does a screen', async (t) => {
  let shows = 0
  let collects = 0
  let stands: PaymentView['outcome'] = 'inProgress'
  const r = await rig(t, ['probe'], {
    'screens.show': () => (++shows === 1 ? new Promise(() => undefined) : { type: 'confirmed' }),
    'payments.collect': () => {
      collects++
      return new Promise(() => undefined)
    },
    'payments.status': ({ key }) => {
      const was = stands
      stands = 'reversing'
      return view(key, key === 'key-never-1' ? 'unknown' : was)
    },
  })
  await r.ready()
  r.tell({
    do: 'call',
    method: 'screens.show',
    params: { id: 's', screen: { kind: 'message', title: '', text: '' } },
  })
  r.tell({
    do: 'call',
    method: 'payments.collect',
    params: { key: 'key-crash-1', amount: { minor: '1', currency: 'EUR' }, reference: 'W' },
  })
  await until('both under way', () => shows === 1 && collects === 1)
  await r.world.kill()
  await r.world.start()
  t.match(await r.report('the screen', (one) => one['method'] === 'screens.show'), {
    result: { type: 'confirmed' },
  })
  t.match(await r.report('the payment', (one) => one['method'] === 'payments.collect'), {
    result: { outcome: 'reversing' },
  })
  t.equal(collects, 1, 'it was not asked for twice')
  r.tell({
    do: 'call',
    method: 'payments.collect',
    params: { key: 'key-never-1', amount: { minor: '1', currency: 'EUR' }, reference: 'W' },
  })
  await until('under way', () => collects === 2)
  await r.world.kill()
  await r.world.start()
  t.match(await r.report('the payment', (one) => one['method'] === 'payments.collect'), {
    code: 'SECURE_WORLD_AWAY',
  })
  await r.close()
})

t.test('frozen apps stand still, children included, and nothing counts against them', async (t) => {
  const r = await rig(t, ['probe'])
  const ready = await r.ready()
  const pid = ready['pid'] as number
  r.tell({ do: 'fork' })
  const { forked } = (await r.report('the child', (one) => 'forked' in one)) as { forked: number }
  t.same(processTree(pid).sort(), [pid, forked].sort())
  t.notOk(standsStill(pid))
  await r.world.open!['apps.freeze'](null)
  t.ok(standsStill(pid) && standsStill(forked), 'every thread is stopped when the call resolves')
  r.tell({ do: 'call', method: 'storage.get', params: { key: 'a' } })
  r.scan({ text: 'during the PIN' })
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.ok(standsStill(pid) && standsStill(forked))
  t.equal(r.inbox.waiting('probe', 0, 9).length, 1)
  await r.world.open!['apps.freeze'](null)
  await r.world.open!['apps.thaw'](null)
  await r.report('it goes on', (one) => one['method'] === 'storage.get')
  t.match(await r.report('the scan, later', (one) => one['event'] === 'scan'), { text: 'during the PIN' })
  t.equal(r.host().states()['probe'], 'running')

  // A freeze while it spins: a busy loop can be stopped as well.
  r.tell({ do: 'hang' })
  await until('the hang', () => r.inbox.waiting('probe', 0, 9).length === 0)
  await r.world.open!['apps.freeze'](null)
  t.ok(standsStill(pid))
  r.host().thaw()
  process.kill(forked, 'SIGKILL')
  await r.close()
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'an app that hangs is ended all the same')
})

t.test('apps that break the wire, crash in a loop or hang', async (t) => {
  const rules = { firstMs: 5, mostMs: 20, crashes: 3, windowMs: 60_000, quarantineMs: 60_000 }
  let retry: (() => void) | undefined
  const troubles: unknown[] = []
  const serve = {
    'screens.show': ({ owner, screen }: { owner: unknown; screen: { kind: string } }) => {
      troubles.push({ owner, screen })
      return new Promise<{ type: 'softKey'; id: string }>((resolve) => {
        retry = () => resolve({ type: 'softKey', id: 'retry' })
      })
    },
  }
  const r = await rig(t, ['probe', 'crasher'], serve, { ...rules, crashes: 5 })
  const first = await r.ready()
  await until('the quarantine', () => r.host().states()['crasher'] === 'quarantined')
  t.equal(
    r.events.filter(({ event, fields }) => event === 'app.started' && fields?.['app'] === 'crasher').length,
    5,
  )
  t.match(r.events.find(({ event }) => event === 'app.quarantined')?.fields, {
    app: 'crasher',
    how: 'exit code 3',
  })
  t.equal(r.host().states()['probe'], 'running', 'others do not suffer')
  await until('the screen that says so', () => troubles.length === 1)
  t.match(troubles[0], {
    owner: { app: 'postern' },
    screen: {
      kind: 'message',
      tone: 'error',
      text: /^crasher has stopped .* in 1 minutes/,
      softKeys: [{ id: 'retry' }],
    },
  })
  t.match(troubleScreen('快递员', 10, 'zh-CN'), { title: '应用已停止', text: /^快递员 .*10 分钟/ })
  retry!()
  await until('another try, and laid up again', () => troubles.length === 2)

  r.tell({ do: 'call', text: 'x'.repeat(70_000) })
  r.tell({ do: 'call', method: 'storage.get', params: { key: 'a' } })
  await r.report('what comes behind a message that fits no line', (one) => one['method'] === 'storage.get')
  for (const [text, count] of [
    ['x', 70_000],
    ['not json\n', 1],
    ['{"jsonrpc":"2.0","id":[],"method":"a"}\n', 1],
  ]) {
    r.tell({ do: 'raw', text, count })
    const again = await r.ready()
    t.not(again['pid'], first['pid'], 'disconnected, ended, started anew')
  }
  t.equal(
    r.events.filter(
      ({ event, fields }) => event === 'app.ended' && /the peer sent/.test(String(fields?.['how'])),
    ).length,
    3,
  )
  await r.close()
})

t.test(
  'an app that does not listen is ended and started again; one that does not want to end is killed',
  { timeout: 60_000 },
  async (t) => {
    const r = await rig(
      t,
      ['mute'],
      {},
      { firstMs: 5, mostMs: 20, crashes: 9, windowMs: 60_000, quarantineMs: 60_000 },
      200,
    )
    await until('ready', () => r.host().states()['mute'] === 'running')
    r.inbox.receive('mute', 'm1', 'do', {})
    await until('the third time-out', () => r.events.some(({ event }) => event === 'app.ended'))
    t.match(r.events.find(({ event }) => event === 'app.ended')?.fields, { how: /did not serve its events/ })
    const started = () => r.events.filter(({ event }) => event === 'app.started').length
    await until('running again', () => started() >= 2 && r.host().states()['mute'] === 'running')
    await r.close()
    t.ok(
      r.events.some(({ event }) => event === 'app.killed'),
      'SIGTERM did nothing',
    )
  },
)

const facts = {
  merchant: { name: 'Blue Parcel', address: [], merchantId: 'M', terminalId: 'T' },
  type: 'sale' as const,
  outcome: 'approved' as const,
  amount: { minor: '1', currency: 'EUR' },
  at: '2026-01-01T00:00:00Z',
  reference: 'WB-1',
  operator: '7',
  stan: '1',
  receiptNumber: '1',
}
