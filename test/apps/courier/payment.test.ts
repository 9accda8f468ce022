// A parcel and its money: every outcome, every moment of a crash, every way of taking back.
import t from 'tap'
import {
  collect,
  type Desk,
  giveBack,
  resolveOpen,
  settle,
  settledBy,
  undo,
} from '../../../apps/courier/payment.js'
import { RpcError } from '../../../runtime/api/json-rpc.js'
import { PAYMENT_OUTCOMES, type PaymentView } from '../../../runtime/api/payments.js'
import { deskWith, eur, type FakeHost, fakeHost, openDesk, parcel } from './fake-host.js'

const W = 'PH-100001'
const ask = { amount: eur(1000), becomes: 'delivered', description: 'Parcel' } as const
const take = (desk: Desk) => collect(desk, desk.round.stop(W)!, ask)
const takeBack = (desk: Desk) => undo(desk, desk.round.stop(W)!, 'reason')
const away = () => new RpcError('SECURE_WORLD_AWAY', 'away')
const viewOf = (key: string, outcome: PaymentView['outcome']): PaymentView => ({
  key,
  outcome,
  reference: W,
  amount: eur(1000),
  message: '',
  tender: 'card',
})

t.test('each outcome: paid, not paid or not yet known', async (t) => {
  for (const outcome of PAYMENT_OUTCOMES) {
    const world = fakeHost()
    const { round, ...rest } = await deskWith(world, parcel(1))
    const desk = { round, ...rest }
    const collecting = { key: 'key-0001', amount: eur(1000), becomes: 'delivered', operator: '77' } as const
    await round.change(W, (stop) => ({ stop: { ...stop, collecting } }))
    await settle(desk, W, viewOf('key-0001', outcome))
    await settle(desk, W, viewOf('key-0001', outcome))
    const stop = round.stop(W)!
    const expected = outcome === 'approved' ? 'paid' : outcome === 'inProgress' ? 'open' : 'notPaid'
    t.equal(settledBy(outcome), expected, outcome)
    t.equal(stop.state, expected === 'paid' ? 'delivered' : 'open', outcome)
    t.equal(stop.collecting !== undefined, expected === 'open', outcome)
    t.equal(stop.paid !== undefined, expected === 'paid', outcome)
    t.equal(world.statuses().length, expected === 'paid' ? 1 : 0, `${outcome}: told once`)
    if (expected === 'paid') t.equal(world.statuses()[0]?.operator, '77', 'by whoever collected')
  }
})

const STEPS = ['storage.set', 'payments.collect', 'messages.publish'] as const

t.test('a collect survives a crash at each step: the truth is learnt, nothing is paid twice', async (t) => {
  for (const method of STEPS)
    for (const moment of ['dieBefore', 'dieAfter'] as const)
      for (let at = 1; at <= (method === 'storage.set' ? 4 : 1); at++) {
        const name = `${moment} ${method} ${at}`
        const world = fakeHost()
        const desk = await deskWith(world, parcel(1))
        world.fail(method, (call) => (call === at ? moment : undefined))
        await take(desk).catch(() => undefined)
        t.ok(world.calls.filter((call) => call === method).length >= at, `${name} was reached`)
        world.mend()

        const again = await openDesk(world)
        t.ok(await resolveOpen(again), name)
        await again.round.tellAgain()
        if (again.round.stop(W)!.state === 'open') t.match(await take(again), { kind: 'ended' }, name)

        const charged = world.charged()
        t.equal(charged.length, 1, `${name}: paid once`)
        const { state, paid, collecting, untold } = again.round.stop(W)!
        t.same(
          [state, paid?.key, collecting, untold],
          ['delivered', charged[0]!.view.key, undefined, undefined],
          name,
        )
        const told = world.statuses()
        t.ok(told.length >= 1 && told.length <= 2, `${name}: told ${told.length} times`)
        for (const [index, status] of told.entries()) {
          t.match(status, { waybill: W, status: 'delivered', paid: { key: charged[0]!.view.key } }, name)
          if (index > 0) t.ok(status.sequence > told[index - 1]!.sequence, `${name}: numbered higher`)
        }
      }
})

t.test('a payment still under way at the restart is settled by its event', async (t) => {
  const world = fakeHost()
  const desk = await deskWith(world, parcel(1))
  world.outcome = 'inProgress'
  world.fail('payments.collect', () => 'dieAfter')
  await take(desk).catch(() => undefined)
  world.mend()
  const again = await openDesk(world)
  t.notOk(await resolveOpen(again))
  const { key } = again.round.stop(W)!.collecting!
  await settle(again, W, viewOf(key, 'approved'))
  t.match(again.round.stop(W), { state: 'delivered', paid: { key } })
})

t.test('a refused collect: the journal is asked; where that is away the stop stays marked', async (t) => {
  const world = fakeHost()
  const desk = await deskWith(world, parcel(1))
  world.fail('payments.collect', () => new RpcError('NO_OPERATOR', 'nobody'))
  t.match(await take(desk), { kind: 'refused', error: { code: 'NO_OPERATOR' } })
  t.equal(desk.round.stop(W)!.collecting, undefined, 'it never began')
  world.fail('payments.collect', away)
  world.fail('payments.status', away)
  t.match(await take(desk), { kind: 'refused', error: { code: 'SECURE_WORLD_AWAY' } })
  const { key } = desk.round.stop(W)!.collecting!
  t.same(await take(desk), { kind: 'changed' }, 'not asked for a second time')
  t.notOk(await resolveOpen(desk, W))
  world.mend()
  world.setPayment(key, 'approved')
  t.ok(await resolveOpen(desk, W))
  t.match(desk.round.stop(W), { state: 'delivered', paid: { key } })
})

t.test('an answer that is lost on the way is asked for', async (t) => {
  const world = fakeHost()
  const desk = await deskWith(world, parcel(1))
  world.fail('payments.collect', (_call, params) => {
    world.setPayment((params as { key: string }).key, 'approved')
    return away()
  })
  t.match(await take(desk), { kind: 'ended', view: { outcome: 'approved' } })
  t.equal(desk.round.stop(W)!.state, 'delivered')
})

t.test("paid before under a key that is not known here: the terminal's books tell", async (t) => {
  const world = fakeHost()
  const desk = await deskWith(world, parcel(1))
  world.setPayment('an-older-key', 'approved', W, '400')
  t.same(await take(desk), { kind: 'found', amount: eur(400) })
  t.match(desk.round.stop(W), { state: 'partlyAccepted', paid: { key: 'an-older-key', amount: eur(400) } })
  t.equal(world.charged().length, 1)
})

t.test(
  'a parcel that the depot changed or withdrew meanwhile is not collected on the old facts',
  async (t) => {
    const world = fakeHost()
    const desk = await deskWith(world, parcel(1))
    const seen = desk.round.stop(W)!
    await desk.round.merge({
      round: 'R-1',
      date: '2026-11-22',
      depot: 'D',
      parcels: [parcel(1, { due: eur(2) })],
    })
    t.same(await collect(desk, seen, ask), { kind: 'changed' })
    await desk.round.merge({ round: 'R-1', date: '2026-11-22', depot: 'D', parcels: [], withdrawn: [W] })
    t.same(await collect(desk, seen, ask), { kind: 'changed' })
    t.notOk(world.calls.includes('payments.collect'))
  },
)

t.test('withdrawn during the payment: gone where it failed, kept where it was paid', async (t) => {
  for (const outcome of ['declined', 'approved'] as const) {
    const world = fakeHost()
    const desk = await deskWith(world, parcel(1))
    world.outcome = outcome
    world.fail('payments.collect', () => {
      void desk.round.merge({ round: 'R-1', date: '2026-11-22', depot: 'D', parcels: [], withdrawn: [W] })
      return undefined
    })
    await take(desk)
    t.equal(desk.round.stop(W)?.state, outcome === 'approved' ? 'delivered' : undefined)
  }
})

async function paid(world: FakeHost): Promise<Desk> {
  const desk = await deskWith(world, parcel(1))
  await take(desk)
  return desk
}

t.test('undo without money takes the state back; with money it is voided first', async (t) => {
  const world = fakeHost()
  const desk = await deskWith(world, parcel(1))
  await desk.round.change(W, (stop) => ({ stop: { ...stop, state: 'refused', reason: 'damaged' } }))
  t.equal(await takeBack(desk), undefined)
  t.match(world.statuses().at(-1), { status: 'undone' })
  t.notMatch(desk.round.stop(W), { reason: 'damaged' })
  await take(desk)
  const { key } = desk.round.stop(W)!.paid!
  t.match(await takeBack(desk), { kind: 'ended', view: { outcome: 'voided' } })
  t.match(desk.round.stop(W), { state: 'open' })
  t.match(world.statuses().at(-1), { status: 'undone', voided: { original: key } })
  t.equal(world.charged().length, 0)
  await take(desk)
  t.equal(world.charged().length, 1, 'it can be paid again')
})

t.test('an undo that is not granted, not possible or not heard leaves the parcel paid', async (t) => {
  for (const [outcome, code] of [
    ['cancelled', 'NOT_AUTHORISED'],
    ['needsNetwork', 'NO_NETWORK'],
    ['declined', 'ROUND_CLOSED'],
    ['busy', undefined],
  ] as const) {
    const world = fakeHost()
    const desk = await paid(world)
    world.voidOutcome = outcome
    world.voidCode = code
    t.match(await takeBack(desk), { kind: 'ended', view: { outcome } })
    t.match(desk.round.stop(W), { state: 'delivered', undoing: undefined }, outcome)
    world.fail('payments.void', away)
    t.match(await takeBack(desk), { kind: 'refused' }, 'the journal says that it still stands')
    t.match(desk.round.stop(W), { state: 'delivered', undoing: undefined })
    t.equal(world.statuses().length, 1)
  }
})

t.test('a void that the acquirer has not confirmed stays marked until its event', async (t) => {
  const world = fakeHost()
  const desk = await paid(world)
  const { key } = desk.round.stop(W)!.paid!
  world.voidOutcome = 'reversing'
  await takeBack(desk)
  t.match(desk.round.stop(W), { state: 'delivered', undoing: { original: key } })
  t.notOk(await resolveOpen(desk))
  await settle(desk, W, viewOf(key, 'voided'))
  await settle(desk, W, viewOf(key, 'voided'))
  t.match(desk.round.stop(W), { state: 'open', undoing: undefined })
  t.equal(world.statuses().filter(({ status }) => status === 'undone').length, 1)
})

t.test('an undo survives a crash at each step', async (t) => {
  for (const method of ['storage.set', 'payments.void', 'messages.publish'] as const)
    for (const moment of ['dieBefore', 'dieAfter'] as const)
      for (let at = 1; at <= (method === 'storage.set' ? 4 : 1); at++) {
        const name = `${moment} ${method} ${at}`
        const world = fakeHost()
        const desk = await paid(world)
        world.fail(method, (call) => (call === at ? moment : undefined))
        await takeBack(desk).catch(() => undefined)
        world.mend()
        const again = await openDesk(world)
        t.ok(await resolveOpen(again), name)
        await again.round.tellAgain()
        const isVoided = world.charged().length === 0
        t.equal(again.round.stop(W)!.state, isVoided ? 'open' : 'delivered', name)
        t.equal(world.statuses().at(-1)?.status, isVoided ? 'undone' : 'delivered', name)
      }
})

t.test('voided earlier, the answer lost: undoing again finds it voided', async (t) => {
  const world = fakeHost()
  const desk = await paid(world)
  world.setPayment(desk.round.stop(W)!.paid!.key, 'voided')
  t.match(await takeBack(desk), { kind: 'ended', view: { outcome: 'voided' } })
  t.equal(desk.round.stop(W)!.state, 'open')
})

t.test('a payment told as taken and taken back later opens the parcel again', async (t) => {
  const world = fakeHost()
  const desk = await paid(world)
  await settle(desk, W, viewOf(desk.round.stop(W)!.paid!.key, 'reversed'))
  t.match(desk.round.stop(W), { state: 'open', paid: undefined })
  t.match(world.statuses().at(-1), { status: 'undone' })
})

t.test('a refund survives a crash at each step: given back once, and the cloud is told', async (t) => {
  for (const method of ['storage.set', 'payments.refund', 'messages.publish'] as const)
    for (const moment of ['dieBefore', 'dieAfter'] as const)
      for (let at = 1; at <= (method === 'storage.set' ? 4 : 1); at++) {
        const name = `${moment} ${method} ${at}`
        const world = fakeHost()
        const desk = await paid(world)
        const back = (from: Desk) => giveBack(from, from.round.stop(W)!, { amount: eur(400), reason: 'r' })
        world.fail(method, (call) => (call === at ? moment : undefined))
        await back(desk).catch(() => undefined)
        world.mend()
        const again = await openDesk(world)
        t.ok(await resolveOpen(again), name)
        await again.round.tellAgain()
        if (again.round.stop(W)!.refunded === undefined) t.match(await back(again), { kind: 'ended' }, name)
        t.match(again.round.stop(W), { state: 'delivered', refunded: eur(400), refunding: undefined }, name)
        const given = world.charged().filter(({ view }) => view.type === 'refund')
        t.equal(given.length, 1, `${name}: given back once`)
        t.match(world.statuses().at(-1), { status: 'delivered', refunded: eur(400) }, name)
      }
})

t.test('a refund that is not granted leaves nothing behind; several add up', async (t) => {
  const world = fakeHost()
  const desk = await paid(world)
  const back = (minor: number) => giveBack(desk, desk.round.stop(W)!, { amount: eur(minor), reason: 'r' })
  world.outcome = 'cancelled'
  t.match(await back(100), { kind: 'ended', view: { outcome: 'cancelled' } })
  t.match(desk.round.stop(W), { refunding: undefined, refunded: undefined })
  world.outcome = 'approved'
  await back(100)
  await back(300)
  t.match(desk.round.stop(W), { refunded: eur(400) })
})

t.test('reserved, then less is taken; or released; the cloud hears of the money only', async (t) => {
  const world = fakeHost()
  const desk = await deskWith(world, parcel(1), parcel(2))
  const hold = (waybill: string) => collect(desk, desk.round.stop(waybill)!, { ...ask, becomes: 'held' })
  await hold(W)
  t.match(desk.round.stop(W), { state: 'open', held: { amount: eur(1000) } })
  await desk.round.merge({ round: 'R-1', date: '2026-11-22', depot: 'D', parcels: [], withdrawn: [W] })
  t.match(desk.round.stop(W), { withdrawn: true }, 'what is reserved is not dropped')
  t.equal(world.statuses().length, 0)
  await collect(desk, desk.round.stop(W)!, { ...ask, amount: eur(700), becomes: 'partlyAccepted' })
  t.match(desk.round.stop(W), { state: 'partlyAccepted', held: undefined, paid: { amount: eur(700) } })
  t.match(world.statuses(), [{ status: 'partlyAccepted', paid: { amount: eur(700) } }])
  await hold('PH-100002')
  const released = await undo(desk, desk.round.stop('PH-100002')!, 'reason')
  t.match(released, { kind: 'ended', view: { outcome: 'voided' } })
  t.match(desk.round.stop('PH-100002'), { state: 'open', held: undefined })
  t.equal(world.statuses().length, 1)
})
