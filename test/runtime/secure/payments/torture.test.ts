// Seeded days at the door: payments, voids, closes, a network that comes and goes, a host that answers or not, cards that
// do as they like, and power that fails anywhere; in the end terminal and ledger agree to the cent. A seed replays a day.
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { PaymentView } from '../../../../runtime/api/payments.js'
import {
  type CardScript,
  cardSaysNo,
  FACTS,
  finalApproved,
  type HostRule,
  OWNER,
  powerUntil,
  request,
  settle,
  startTerminal,
  type Terminal,
  TestHost,
  testClock,
  until,
} from './support.js'

const SEEDS = 40
const ACTS = 14

/** Numbers of a seed: mulberry32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const RULES: readonly HostRule[] = [
  { decide: 'approve' },
  { decide: 'approve' },
  { decide: 'decline' },
  { decide: 'approve', answer: 'timeout' },
  { decide: 'lose', answer: 'timeout' },
  { decide: 'approve', answer: 'badMac' },
  { decide: 'decline', answer: 'lineLost' },
]

interface Told {
  readonly view: PaymentView
  readonly minor: string
}

async function day(
  t: Pick<typeof import('tap').t, 'ok' | 'equal' | 'strictSame' | 'match'>,
  seed: number,
  folder: string,
) {
  const random = randomOf(seed)
  const host = new TestHost()
  const clock = testClock()
  let online = true
  let generation = 0
  let keys = 0
  const approved: string[] = []
  const told: Told[] = []
  const card: CardScript = {
    final: () => {
      const die = random(6)
      if (die === 0) return cardSaysNo()
      return die === 1 ? { kind: 'ended', reason: 'removed', facts: FACTS } : finalApproved()
    },
  }
  const start = (power = powerUntil(0)): Terminal =>
    startTerminal({
      folder: join(folder, String(generation)),
      host,
      clock,
      card,
      power,
      isOnline: () => online,
    })

  /** Power fails: the files stay as they are, the process is forgotten. */
  function cut(terminal: Terminal | undefined): void {
    const before = join(folder, String(generation))
    generation++
    cpSync(before, join(folder, String(generation)), { recursive: true })
    terminal?.journal.close()
    rmSync(before, { recursive: true })
  }

  async function act({ service }: Terminal): Promise<void> {
    const die = random(10)
    if (die < 6) {
      host.rules = [RULES[random(RULES.length)]!]
      if (random(3) === 0) host.reversalRules.push(random(2) === 0 ? 'silent' : 'lost')
      // Sometimes the same key again, sometimes the same parcel.
      if (random(5) > 0) keys++
      const key = `key-${String(keys).padStart(5, '0')}`
      const minor = String(100 + keys)
      const reference = random(6) === 0 ? 'REF-shared' : `REF-${key}`
      const view = await service.collect(request(key, minor, reference), OWNER).catch(() => undefined)
      if (view !== undefined) told.push({ view, minor })
      if (view?.outcome === 'approved') approved.push(key)
    } else if (die < 8) {
      const original = approved[random(approved.length + 1)] ?? 'key-none1'
      const key = `void-${String(random(50)).padStart(4, '0')}`
      await service.voidPayment({ key, original, reason: 'x' }, OWNER).catch(() => undefined)
    } else if (die === 8) {
      online = !online
      host.reachable = random(4) > 0
      service.roadChanged()
      clock.advance(random(400_000))
      await settle()
    } else await service.closeRound().catch(() => undefined)
  }

  let terminal: Terminal | undefined
  for (let i = 0; i < ACTS; i++) {
    const power = powerUntil(random(3) === 0 ? 1 + random(30) : 0)
    try {
      terminal = start(power)
      for (let j = 0; j <= random(4) && !power.off; j++) await Promise.race([act(terminal), settle(80)])
    } catch {
      // Power failed while it was starting.
    }
    await settle()
    cut(terminal)
    terminal = undefined
  }

  online = true
  host.reachable = true
  host.reversalRules = []
  terminal = start()
  const { service, journal } = terminal
  await until(clock, () => journal.openPayments().length === 0, 60_000)
  await service.closeRound().catch(() => undefined)
  await until(clock, () => journal.openRounds().length === 0, 60_000)

  const label = `seed ${seed}`
  t.match(journal.verify(), { sound: true }, label)
  const payments = journal.list(1000)
  const standing = payments.filter(({ state }) => state === 'SETTLED')
  const theirs = [...host.ledger.values()].filter(({ state }) => state === 'approved')
  const sum = (minors: (bigint | string)[]) =>
    minors.reduce<bigint>((total, minor) => total + BigInt(minor), 0n)
  t.equal(
    sum(standing.map(({ minor }) => minor)),
    sum(theirs.map(({ minor }) => minor)),
    `${label}: to the cent`,
  )
  t.equal(standing.length, theirs.length, `${label}: as many`)
  const perReference = new Map<string, number>()
  for (const { reference } of standing) perReference.set(reference, (perReference.get(reference) ?? 0) + 1)
  t.ok(
    [...perReference.values()].every((count) => count === 1),
    `${label}: no parcel is paid twice`,
  )
  for (const { view, minor } of told) {
    const now = service.status(view.key)
    const fits = now.outcome === view.outcome || (view.outcome === 'approved' && now.outcome === 'voided')
    const interim = ['reversing', 'busy', 'alreadyPaid', 'inProgress', 'unknown'].includes(view.outcome)
    t.ok(fits || interim, `${label}: ${view.key} told ${view.outcome}, now ${now.outcome}`)
    if (now.outcome !== 'unknown') t.equal(now.amount.minor, minor, label)
  }
  const stans = payments
    .flatMap(({ stan, reversal }) => [stan, reversal?.stan])
    .filter((n) => n !== undefined)
  t.equal(new Set(stans).size, stans.length, `${label}: no trace number twice`)
  const rounds = new Set(payments.map(({ round }) => round))
  for (const id of rounds) {
    const round = journal.round(id)!
    if (round.agreement !== undefined && round.closing !== undefined)
      t.strictSame(host.totalsOf(round.batch), round.closing.totals, `${label}: batch ${round.batch}`)
  }
  await terminal.close()
}

for (let group = 0; group < 4; group++) {
  t.test(`days of the seeds ${group * (SEEDS / 4) + 1} and on`, async (t) => {
    const folder = t.testdir()
    for (let n = 1; n <= SEEDS / 4; n++) {
      const seed = group * (SEEDS / 4) + n
      await day(t as never, seed, join(folder, String(seed)))
      rmSync(join(folder, String(seed)), { recursive: true, force: true })
    }
  })
}
