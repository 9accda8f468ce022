// The courier's whole app over a real connection: what a person sees and does, and what comes in between.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCourier } from '../../../apps/courier/courier.js'
import { REFUSAL_REASONS, STATUSES, TENDERS } from '../../../apps/courier/messages.js'
import type { Stop } from '../../../apps/courier/round.js'
import { createTexts, pieces, readTables } from '../../../apps/courier/texts.js'
import { listItems, stopsByDigits, waybillIn } from '../../../apps/courier/today.js'
import type { Ui } from '../../../apps/courier/ui.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { RpcError } from '../../../runtime/api/json-rpc.js'
import { PrintResult } from '../../../runtime/api/print-document.js'
import { deskWith, eur, type FakeHost, fakeHost, parcel } from './fake-host.js'

const folder = join(packageRoot, 'apps', 'courier')
const tables = readTables(join(folder, 'i18n'))
const day = { round: 'R-1', date: '2026-11-22', depot: 'Depot' }

/** The app, started on what the world has stored; it ends with the test. */
function start(t: Test, world: FakeHost): Promise<string> {
  const ended = runCourier({ tables, stream: world.connect(), onStop: () => undefined })
  t.teardown(async () => {
    world.cut()
    await ended.catch(() => undefined)
  })
  return ended
}
async function startWith(t: Test, ...parcels: ReturnType<typeof parcel>[]): Promise<FakeHost> {
  const world = fakeHost()
  await deskWith(world, ...parcels)
  start(t, world)
  return world
}
const send = (world: FakeHost, payload: unknown, topic = 'deliveries', id = 'm-1') =>
  world.app()['event.message']({ id, topic, payload })
/** Waits until it holds, at most a minute. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 12_000) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

t.test('from sign-in to the hand-in', async (t) => {
  const world = fakeHost()
  world.operator = null
  start(t, world)
  world.signsIn = null
  await world.yes('Sign in to begin')
  await until(() => world.calls.includes('session.signIn'), 'given up')
  world.signsIn = { id: '1001', name: 'Anna', role: 'courier', locale: 'en' }
  await world.yes('Sign in to begin')
  await world.sees('No parcels yet')
  await send(world, { ...day, parcels: [parcel(1), parcel(2, { due: eur(0) }), parcel(3)] })
  await world.choose('Today 0 of 3', 'PH-100001')
  await world.choose('Collect €10.00', 'collect')
  await world.yes('Print the courier')
  t.same(world.acknowledged, ['m-1'])
  await world.choose('Today 1 of 3', 'PH-100002')
  await world.choose(['Deliver', 'nothing'], 'deliver')
  await world.yes('Handed to Recipient 2')
  await world.choose('Today 2 of 3', 'PH-100003')
  await world.choose('Collect €30.00', 'refused')
  await world.choose('Why', 'damaged')
  await world.yes('Take the parcel of Recipient 3 back')
  t.same(
    world.statuses().map(({ status, sequence }) => [status, sequence]),
    [
      ['delivered', 1],
      ['delivered', 2],
      ['refused', 3],
    ],
  )
  t.same(
    world.receipts.map(({ copy }) => copy),
    ['customer', 'merchant'],
  )

  await world.sees('Today 3 of 3', { type: 'softKey', id: 'menu' })
  await world.choose('End of round', 'end')
  await world.choose(['Close and hand in', '1, €10.00'], 'close')
  await world.yes('Terminal and acquirer agree')
  await world.sees('Sign in to begin')
  const handIn = world.published.find(({ topic }) => topic === 'hand-in')?.payload
  t.match(handIn, {
    round: 'R-1',
    operator: '1001',
    counts: { delivered: 2, refused: 1, open: 0 },
    tenders: [{ tender: 'card', count: 1, amount: eur(1000) }],
    agreement: 'agrees',
    differences: [],
  })
  t.match(JSON.stringify(world.printed), /countersignature/)
  t.notOk(world.storage.has('closing'))

  await world.yes('Sign in to begin')
  await world.sees("Today's parcels", { type: 'softKey', id: 'menu' })
  await world.choose('Print last hand-in', 'slip')
  await world.sees("Today's parcels")
  t.equal(world.printed.length, 2)
})

t.test("another amount: by the shipper's rules, or by a supervisor who knows it and is named", async (t) => {
  const rules = { partialAllowed: true, minimum: eur(500) }
  const world = await startWith(t, parcel(1, { rules }), parcel(2))
  await world.choose('Today', 'PH-100001')
  await world.choose('Other amount', 'partly')
  const amount = await world.sees('Of €10.00', { type: 'amount', amount: eur(600) })
  t.match(amount, { min: eur(500), max: eur(1000) })
  await world.sees('Print the courier', { type: 'declined' })
  t.match(world.statuses()[0], { status: 'partlyAccepted', paid: { amount: eur(600) }, note: undefined })

  for (const granted of [false, true]) {
    world.granted = granted
    if (!granted) await world.choose('Today', 'PH-100002')
    await world.choose('Other amount', 'partly')
    await world.yes('Ask a supervisor')
    await world.sees('Of €20.00', { type: 'amount', amount: eur(100) })
    await until(() => world.asked.length === (granted ? 2 : 1), 'asked a supervisor')
  }
  await world.sees('Print the courier', { type: 'declined' })
  await world.sees('Today 2 of 2')
  t.same(world.asked, ['PH-100002: €1.00 of €20.00', 'PH-100002: €1.00 of €20.00'])
  t.match(world.statuses()[1], { status: 'partlyAccepted', note: 'amount allowed by 9001' })
})

t.test('what comes in while a screen stands', async (t) => {
  const world = await startWith(t, parcel(1))
  await world.sees('Recipient 1')
  await send(world, { at: 1, text: 'Bring milk' }, 'notice', 'n-1')
  await world.yes('Bring milk')
  await world.sees('Today 0 of 1')
  await send(world, { ...day, parcels: [parcel(2)] })
  await world.choose('Today 0 of 2', 'PH-100001')
  await world.sees('Collect €10.00')
  await send(world, { ...day, parcels: [parcel(1, { due: eur(1100) })] }, 'deliveries', 'm-2')
  await world.choose('Collect €11.00', 'notAtHome')
  await world.sees('not at home?')
  await send(world, { ...day, parcels: [], withdrawn: ['PH-100001'] }, 'deliveries', 'm-3')
  await until(() => world.acknowledged.includes('m-3'), 'withdrawn')
  await world.yes('not at home?')
  await world.yes('has just changed this parcel')
  await world.yes('took the parcel of Recipient 1 off')
  await world.choose('Today 0 of 1', 'PH-100002')
  await world.sees('Collect €20.00')
  await world.app()['event.scan']({ text: 'nothing-of-ours' })
  await world.yes('NOTHING-OF-OURS'.toLowerCase())
  t.equal(world.statuses().length, 0)
  await send(world, { round: 'no' }, 'deliveries', 'bad')
  await until(() => world.acknowledged.includes('bad'), 'a bad message is not kept for ever')
})

t.test('parcels that do not fit are not acknowledged, and come after the hand-in', async (t) => {
  const world = await startWith(t, parcel(1))
  world.fail('storage.set', (_call, params) =>
    (params as { key: string }).key === 'stop.PH-100002' ? new RpcError('STORAGE_FULL', 'full') : undefined,
  )
  await world.sees('Recipient 1')
  await send(world, { ...day, parcels: [parcel(2)] })
  await world.yes('more parcels than')
  t.same(world.acknowledged, [])
  world.mend()
  await world.sees('Today', { type: 'softKey', id: 'menu' })
  await world.choose('Sign out', 'signOut')
  await world.yes('Sign out?')
  await until(() => world.acknowledged.includes('m-1'), 'kept')
})

t.test('what the host refuses is said in words, and the courier stays where they are', async (t) => {
  const world = await startWith(t, parcel(1), parcel(2))
  world.fail('scanner.trigger', () => new RpcError('NO_SCANNER', 'none'))
  await world.sees('Today', { type: 'softKey', id: 'scan' })
  await world.yes('has no scanner')
  await world.choose('Today', 'PH-100001')
  world.fail('payments.collect', () => new RpcError('SOMETHING_NEW', 'x'))
  await world.choose('Collect', 'collect')
  await world.yes('SOMETHING_NEW')
  world.fail('storage.set', () => new RpcError('INTERNAL', 'disk'))
  await world.choose('Collect', 'notAtHome')
  await world.yes('not at home?')
  await world.yes('INTERNAL')
  world.mend()
  world.fail('printer.receipt', (call) => (call === 1 ? new RpcError('NO_RECEIPT', 'none') : undefined))
  await world.choose('Collect', 'collect')
  await world.yes('no receipt for this payment')
  await world.choose('Print again', 'again')
  await world.sees('Print the courier', { type: 'declined' })
  await world.sees('Today 1 of 2', { type: 'softKey', id: 'menu' })
  world.fail('round.totals', () => new RpcError('SECURE_WORLD_AWAY', 'away'))
  await world.choose('End of round', 'end')
  await world.yes('Wait a moment and try again')
  await world.sees('Today 1 of 2', { type: 'softKey', id: 'menu' })
  world.mend()
  world.fail('round.close', () => new RpcError('BUSY', 'busy'))
  await world.choose('End of round', 'end')
  await world.choose('Close and hand in', 'close')
  await world.yes('1 parcels are still open')
  await world.yes('A payment is under way')
  await world.sees('Today 1 of 2')
  t.notOk(world.storage.has('closing'), 'it was not closed')
})

t.test('texts that the terminal refuses are left out and can be read elsewhere', async (t) => {
  const world = await startWith(
    t,
    parcel(1, { recipient: 'Pin', note: 'x' }),
    parcel(2, { recipient: 'Enter your PIN here' }),
  )
  await world.choose(['PH-100001', 'PH-100002'], 'PH-100001')
  await world.choose(['Stop 1', 'Read the texts'], 'read')
  await world.yes('Street 1')
  await world.choose(['Stop 1', 'Collect €10.00'], 'collect')
  await world.sees('Print the courier', { type: 'declined' })
  t.match(await world.sees('Today 1 of 2'), { items: [{ label: 'PH-100001' }, { label: 'PH-100002' }] })
  t.equal(world.charged().length, 1)
})

t.test('a host that goes away during a payment: the next start knows, and goes on', async (t) => {
  const world = await startWith(t, parcel(1))
  world.fail('payments.collect', () => 'dieAfter')
  await world.choose('Today', 'PH-100001')
  await world.choose('Collect', 'collect')
  await until(() => world.charged().length === 1, 'collected')
  world.mend()
  start(t, world)
  await world.choose('Today 1 of 1', 'PH-100001')
  await world.choose(['Delivered, €10.00', 'Undo'], 'receipt')
  await world.choose("Courier's copy", 'merchant')
  await world.choose('Undo', 'undo')
  await world.yes('back to the card')
  await world.yes('€10.00 were given back')
  await world.sees('Collect €10.00')
  t.same(
    world.receipts.map(({ copy }) => copy),
    ['merchant', 'customer'],
  )
  t.same(
    world.statuses().map(({ status }) => status),
    ['delivered', 'undone'],
  )
})

t.test('paper that is low, or a printer that is not ready, is said before money is asked for', async (t) => {
  for (const printer of ['paperLow', 'problem'] as const) {
    const world = fakeHost()
    world.printer = printer
    await deskWith(world, parcel(1))
    const running = start(t, world)
    running.catch(() => undefined)
    await world.choose('Today', 'PH-100001')
    await world.choose('Collect', 'collect')
    await world.choose('Before you collect', 'mend')
    t.equal(world.keys().length, 0, `${printer}: nothing was asked for`)
    await world.choose('Collect', 'collect')
    await world.choose('Before you collect', 'collect')
    await world.sees('Print the courier', { type: 'declined' })
    t.equal(world.charged().length, 1)
  }
})

t.test('a hand-in that is cut off goes on, whether the round was closed or not', async (t) => {
  for (const method of ['round.close', 'messages.publish', 'printer.print'] as const)
    for (const moment of ['dieBefore', 'dieAfter'] as const)
      for (const isSignedOut of [false, true]) {
        const name = `${moment} ${method}${isSignedOut ? ', signed out' : ''}`
        const world = fakeHost()
        await deskWith(world, parcel(1))
        const first = start(t, world)
        await world.choose('Today', 'PH-100001')
        await world.choose('Collect', 'collect')
        await world.sees('Print the courier', { type: 'declined' })
        await world.sees('Today 1 of 1', { type: 'softKey', id: 'menu' })
        world.fail(method, () => moment)
        await world.choose('End of round', 'end')
        await world.choose('Close and hand in', 'close')
        await first
        world.mend()
        if (isSignedOut) world.operator = null
        start(t, world)
        if (isSignedOut) await world.yes('Sign in to begin')
        await world.yes('"title":"End of round"')
        await world.sees('Sign in to begin')
        const told = world.published.filter(({ topic }) => topic === 'hand-in').map(({ payload }) => payload)
        t.ok(told.length >= 1 && told.length <= 2, name)
        for (const handIn of told)
          t.match(
            handIn,
            { counts: { delivered: 1 }, tenders: [{ count: 1, amount: eur(1000) }], differences: [] },
            name,
          )
        t.notOk(world.storage.has('closing') || world.storage.has('stop.PH-100001'), name)
      }
})

t.test('a hand-in that cannot be sent yet does not keep the courier from the parcels', async (t) => {
  const world = await startWith(t, parcel(1))
  world.fail('messages.publish', () => new RpcError('OUTBOX_FULL', 'full'))
  await world.sees('Today', { type: 'softKey', id: 'menu' })
  await world.choose('End of round', 'end')
  await world.choose('Close and hand in', 'close')
  await world.yes('1 parcels are still open')
  await world.yes('Go where there is a signal')
  start(t, world)
  await world.yes('Go where there is a signal')
  await world.choose('Today 0 of 1', 'PH-100001')
  await world.sees('Collect €10.00', { type: 'back' })
  world.mend()
  await world.sees('Today 0 of 1', { type: 'softKey', id: 'menu' })
  await world.choose('End of round', 'end')
  await world.yes('Terminal and acquirer agree')
  await world.sees('Sign in to begin')
  t.equal(world.published.filter(({ topic }) => topic === 'hand-in').length, 1)
})

t.test('differences between parcels and terminal are named on screen, slip and message', async (t) => {
  const world = await startWith(t, parcel(1))
  world.extraTaken = 250n
  await world.sees('Today', { type: 'softKey', id: 'menu' })
  await world.choose('End of round', 'end')
  await world.choose(['Parcels say €0.00, the terminal took €2.50'], 'close')
  await world.yes('1 parcels are still open')
  await world.yes('Terminal and acquirer agree')
  await world.sees('Sign in to begin')
  t.match(world.published.at(-1)?.payload, { differences: [/Parcels say/], counts: { open: 1 } })
  t.match(JSON.stringify(world.printed), /! Parcels say/)
})

t.test("the clock is the terminal's, told anew and not counted twice", async (t) => {
  const world = await startWith(t, parcel(1))
  await world.sees('Today')
  world.nowMs += 3_600_000
  for (let times = 0; times < 3; times++) await world.app()['event.context'](world.context())
  await world.choose('Today', 'PH-100001')
  await world.choose('Collect', 'notAtHome')
  await world.yes('not at home?')
  await world.sees('Today 1 of 1')
  const { at } = world.statuses()[0] as unknown as { at: number }
  t.ok(at >= world.nowMs && at < world.nowMs + 60_000)
})

t.test('an operator who is gone, and the next one in their language', async (t) => {
  const world = await startWith(t, parcel(1))
  await world.choose('Today', 'PH-100001')
  await world.sees('Collect')
  world.operator = null
  await world.app()['event.context'](world.context())
  world.signsIn = { id: '1002', name: 'Li', role: 'courier', locale: 'zh' }
  await world.yes('Sign in to begin')
  await world.choose('今日 0/1', 'PH-100001')
  await world.choose('收款', 'notAtHome')
  await world.yes('Recipient 1不在家')
  await world.sees('今日 1/1')
  t.match(world.statuses()[0], { operator: '1002' })
})

t.test('found by scan, by the end of the waybill, by the stop', (t) => {
  const stops = [1, 2, 12].map((stop): Stop => ({ parcel: parcel(stop), round: 'R', state: 'open' }))
  t.equal(waybillIn(' ph-100002\r\n', stops), 'PH-100002')
  t.equal(waybillIn('https://parcel.example/t/PH-100012?x=1', stops), 'PH-100012')
  t.equal(waybillIn('PH-100001 PH-100002', stops), undefined, 'two are none')
  t.same(
    stopsByDigits('2', stops).map(({ parcel }) => parcel.stop),
    [2, 12],
  )
  t.same(
    stopsByDigits('012', stops).map(({ parcel }) => parcel.stop),
    [12],
  )
  t.same(stopsByDigits('77', stops), [])
  t.end()
})

t.test('a list that is too long for one screen says how many more there are', (t) => {
  const ui = { texts: () => createTexts(tables, 'en') } as Ui
  const stops = Array.from(
    { length: 400 },
    (_, index): Stop => ({
      parcel: parcel(index + 1, { recipient: '长'.repeat(60), address: ['址'.repeat(60)] }),
      round: 'R',
      state: index < 50 ? 'delivered' : 'open',
    }),
  )
  const items = listItems(stops, ui, false)
  t.ok(items.length <= 200 && Buffer.byteLength(JSON.stringify(items)) <= 48 * 1024)
  t.equal(items[0]?.id, 'PH-100051', 'finished ones go first')
  t.equal(items.at(-1)?.label, `${400 - (items.length - 1)} more: find by number`)
  t.same(pieces('a'.repeat(30), 80), ['a'.repeat(30)])
  t.equal(
    pieces('word '.repeat(40).trim(), 80).join(' '),
    'word '.repeat(40).trim(),
    'nothing of a note is lost',
  )
  t.end()
})

t.test(
  'every text that the code asks for exists in English and Chinese, with the parameters it is given',
  (t) => {
    const outcomes = (PrintResult.properties.outcome as unknown as { enum: string[] }).enum
    /** What stands in a key for `${…}`. */
    const variants: Record<string, readonly string[]> = {
      state: ['open', ...STATUSES.filter((status) => status !== 'undone')],
      reason: REFUSAL_REASONS,
      tender: TENDERS,
      printer: outcomes.filter((outcome) => outcome !== 'printed'),
      paper: ['paperLow', 'problem'],
      action: [
        'deliver',
        'collect',
        'partly',
        'refused',
        'notAtHome',
        'receipt',
        'undo',
        'refund',
        'check',
        'read',
        'typed',
        'hold',
        'release',
      ],
      receipt: ['customer', 'merchant'],
      menu: ['find', 'end', 'signOut', 'slip', 'unresolved', 'refund'],
      end: ['agrees', 'differs', 'notCompared'],
      'end.paper': ['agrees', 'differs', 'notCompared'],
    }
    const used = new Set<string>()
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.ts'))) {
      const code = readFileSync(join(folder, file), 'utf8')
      for (const [, key] of code.matchAll(/\bt\(\s*'([^']+)'/g)) used.add(key!)
      for (const [, key] of code.matchAll(/\['(row\.\w+)'/g)) used.add(key!)
      for (const [, prefix] of code.matchAll(/\bt\(`([\w.]+)\.\$\{/g)) {
        t.ok(variants[prefix!], `the test knows what follows ${prefix}`)
        for (const variant of variants[prefix!] ?? []) used.add(`${prefix}.${variant}`)
      }
      for (const [, key, given] of code.matchAll(/\bt\(\s*'([^']+)',\s*\{([^}]*)\}/g)) {
        const wanted = [...(tables['en']![key!] ?? '').matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
        for (const name of wanted) t.match(given, new RegExp(`\\b${name}\\b`), `${key} is given ${name}`)
      }
    }
    for (const language of ['en', 'zh']) {
      const missing = [...used].filter((key) => !tables[language]![key])
      t.same(missing, [], language)
    }
    const unused = Object.keys(tables['en']!).filter((key) => !used.has(key) && !key.startsWith('fault.'))
    t.same(unused, [], 'no text is left over')
    t.same(Object.keys(tables['zh']!).sort(), Object.keys(tables['en']!).sort())
    t.end()
  },
)

t.test('a notice that a payment is being taken back follows it to its end', async (t) => {
  const world = await startWith(t, parcel(1))
  world.outcome = 'reversing'
  await world.choose('Today 0 of 1', 'PH-100001')
  await world.choose('Collect €10.00', 'collect')
  await world.sees('It is reversing')
  const [key] = world.keys()
  await world
    .app()
    ['event.payment']({ ...world.payment(key!)!, outcome: 'reversed', message: 'It is reversed' })
  await world.yes('It is reversed')
  t.equal(
    (await world.sees('Collect €10.00')).kind,
    'details',
    'back at the parcel, which may be tried again',
  )
})
