// The courier's round: what the depot sends, what a restart finds, in which order the cloud is told.
import t from 'tap'
import type { Report, Stop } from '../../../apps/courier/round.js'
import { MOST_STOPS } from '../../../apps/courier/round.js'
import { RpcError } from '../../../runtime/api/json-rpc.js'
import { deskWith, eur, fakeHost, openDesk, parcel, START_MS } from './fake-host.js'

const day = { round: 'R-1', date: '2026-11-22', depot: 'Depot' }
const report = (status: Report['status']): Report => ({ status, operator: '1001', at: START_MS })
const finish = (state: 'delivered' | 'refused' | 'notAtHome') => (stop: Stop) => ({
  stop: { ...stop, state },
  report: report(state),
})

t.test("messages of one round add up, in the depot's order, and a restart finds them", async (t) => {
  const world = fakeHost()
  const { round } = await deskWith(world, parcel(2), parcel(3))
  await round.merge({ ...day, parcels: [parcel(1), parcel(3, { due: eur(1) })] })
  const again = (await openDesk(world)).round
  t.same(
    again.stops().map((stop) => [stop.parcel.stop, stop.parcel.due.minor, stop.state, stop.round]),
    [
      [1, '1000', 'open', 'R-1'],
      [2, '2000', 'open', 'R-1'],
      [3, '1', 'open', 'R-1'],
    ],
  )
  t.match(again.head(), day)
})

t.test('finished stops stay as they are; withdrawn ones go only while they are open', async (t) => {
  const world = fakeHost()
  const { round } = await deskWith(world, parcel(1), parcel(2))
  await round.change('PH-100001', finish('refused'))
  await round.merge({ ...day, parcels: [parcel(1, { due: eur(5) })], withdrawn: ['PH-100001', 'PH-100002'] })
  for (const { stop, stops } of [round, (await openDesk(world)).round]) {
    t.equal(stops().length, 1)
    t.match(stop('PH-100001'), { state: 'refused', parcel: { due: eur(1000) } })
  }
  t.notOk(world.storage.has('stop.PH-100002'))
})

t.test('a message of an earlier day does not turn the day back', async (t) => {
  const { round } = await deskWith(fakeHost(), parcel(1))
  await round.merge({ round: 'R-0', date: '2026-11-21', depot: 'Depot', parcels: [parcel(9)] })
  t.equal(round.head()?.round, 'R-1')
  t.equal(round.stop('PH-100009')?.round, 'R-0', 'its status goes to the round it came with')
})

t.test('handed in: finished stops are gone and do not come back with the same round', async (t) => {
  const world = fakeHost()
  const { round } = await deskWith(world, parcel(1), parcel(2))
  await round.change('PH-100001', finish('notAtHome'))
  await round.handedIn()
  await round.merge({ ...day, parcels: [parcel(1), parcel(2), parcel(3)] })
  const after = (await openDesk(world)).round
  t.same(
    after.stops().map(({ parcel }) => parcel.stop),
    [2, 3],
  )
  await after.merge({ ...day, round: 'R-2', date: '2026-11-23', parcels: [parcel(1)] })
  t.equal(after.stop('PH-100001')?.state, 'open', 'a second attempt on another round')
})

t.test('a delivery that was paid leaves its proof at the hand-in; the newest are kept', async (t) => {
  const world = fakeHost()
  const { round } = await deskWith(world, parcel(1), parcel(2))
  const paid = { key: 'key-of-sale', amount: eur(1000), tender: 'card' as const }
  await round.change('PH-100001', (stop) => ({
    stop: { ...stop, state: 'delivered', paid },
    report: { ...report('delivered'), paid },
  }))
  await round.change('PH-100002', finish('refused'))
  await round.handedIn()
  const proofs = () => world.storage.get('proofs') as { waybill: string; report: unknown }[]
  t.match(proofs(), [
    { waybill: 'PH-100001', report: { status: 'delivered', at: START_MS, operator: '1001', paid } },
  ])
  t.equal(proofs().length, 1, 'nothing was paid for the other')

  for (let day = 2; day <= 4; day++) {
    const address = ['x'.repeat(60), 'y'.repeat(60)]
    const parcels = Array.from({ length: 60 }, (_, at) => parcel(day * 100 + at, { address }))
    await round.merge({ round: `R-${day}`, date: `2026-11-2${day}`, depot: 'Depot', parcels })
    for (const { waybill } of parcels)
      await round.change(waybill, (stop) => ({
        stop: { ...stop, state: 'delivered', paid },
        report: { ...report('delivered'), paid },
      }))
    await round.handedIn()
  }
  t.ok(Buffer.byteLength(JSON.stringify(proofs())) <= 40 * 1024)
  t.equal(proofs().at(-1)?.waybill, 'PH-100459')
  t.ok(proofs().length > 60, 'more than a day')
})

t.test('what is not settled or not told is not dropped by a hand-in', async (t) => {
  const world = fakeHost()
  const { round } = await deskWith(world, parcel(1), parcel(2))
  const undoing = { key: 'key-of-void', original: 'key-of-sale', amount: eur(1000), operator: '1001' }
  await round.change('PH-100001', (stop) => ({ stop: { ...stop, state: 'delivered', undoing } }))
  world.fail('messages.publish', () => new RpcError('OUTBOX_FULL', 'full'))
  await round.change('PH-100002', finish('delivered'))
  await round.handedIn()
  t.same(
    round.stops().map(({ parcel }) => parcel.stop),
    [1, 2],
  )
})

t.test(
  'the cloud is told in order; what could not be queued is told later, before a restart or after',
  async (t) => {
    const world = fakeHost()
    const { round } = await deskWith(world, parcel(1), parcel(2), parcel(3))
    world.fail('messages.publish', () => new RpcError('OUTBOX_FULL', 'full'))
    t.ok(await round.change('PH-100001', finish('delivered')), 'a full outbox holds nobody up')
    world.mend()
    await round.change('PH-100002', finish('refused'))
    t.same(
      world.statuses().map(({ waybill, status }) => [waybill, status]),
      [
        ['PH-100001', 'delivered'],
        ['PH-100002', 'refused'],
      ],
    )
    world.fail('messages.publish', () => new RpcError('OUTBOX_FULL', 'full'))
    await round.change('PH-100003', finish('notAtHome'))
    world.mend()
    const again = (await openDesk(world)).round
    await again.tellAgain()
    await again.tellAgain()
    const sequences = world.statuses().map(({ sequence }) => sequence)
    t.equal(sequences.length, 3, 'each once')
    t.same(
      sequences,
      [...sequences].sort((a, b) => a - b),
    )
    t.equal(new Set(sequences).size, 3)
    t.notMatch(again.stop('PH-100003'), { untold: {} })
  },
)

t.test('changes are decided one after another, on the stop as it then is', async (t) => {
  const { round } = await deskWith(fakeHost(), parcel(1))
  const collecting = { key: 'key-1', amount: eur(1000), becomes: 'delivered', operator: '1' } as const
  const [begun, , second] = await Promise.all([
    round.change('PH-100001', (stop) => ({ stop: { ...stop, collecting } })),
    round.merge({ ...day, parcels: [parcel(1, { due: eur(7) })], withdrawn: ['PH-100001'] }),
    round.change('PH-100001', (stop) => (stop.collecting ? undefined : { stop })),
  ])
  t.same([begun, second], [true, false])
  t.match(round.stop('PH-100001'), { collecting, withdrawn: true, parcel: { due: eur(1000) } })
})

t.test('more stops than can be kept are refused, and what came before stays', async (t) => {
  const world = fakeHost()
  const { round } = await openDesk(world)
  const many = Array.from({ length: MOST_STOPS }, (_, index) => parcel(index + 1))
  for (let from = 0; from < many.length; from += 40)
    await round.merge({ ...day, parcels: many.slice(from, from + 40) })
  await t.rejects(round.merge({ ...day, parcels: [parcel(1, { waybill: 'PH-999999' })] }), {
    code: 'STORAGE_FULL',
  })
  t.equal((await openDesk(world)).round.stops().length, MOST_STOPS)
  t.ok(JSON.stringify(world.storage.get('round')).length < 48 * 1024, 'the head fits one value')
})

t.test('however large the parcels, room is left for how they end and for the hand-in', async (t) => {
  const world = fakeHost()
  const { round } = await openDesk(world)
  const fat = {
    recipient: '长'.repeat(60),
    note: '注'.repeat(200),
    contents: '物'.repeat(60),
    shipper: '寄'.repeat(60),
  }
  await t.rejects(
    (async () => {
      for (let stop = 1; stop <= MOST_STOPS; stop++)
        await round.merge({ ...day, parcels: [parcel(stop, fat)] })
    })(),
    { code: 'STORAGE_FULL' },
  )
  const stored = Buffer.byteLength(JSON.stringify([...world.storage]))
  t.ok(stored > 500 * 1024 && stored < 700 * 1024, `${stored} bytes`)
})
