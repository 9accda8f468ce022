// A seeded day at the door, in one process: payments of every kind, closes, people who end what is stuck, a host that
// answers or not, a clock that jumps, trace numbers that wrap, a journal that is pruned; and at seeded steps of it the
// secure world, the open world, the acquirer or the network falls over. A seed replays a day.
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { silentLog } from '../../hal/base/log.js'
import { openSqlite, type Sqlite } from '../../hal/base/sqlite.js'
import type { PaymentView } from '../../runtime/api/payments.js'
import type { Screen, ScreenResult } from '../../runtime/api/screens.js'
import { pruneJournal } from '../../runtime/secure/payments/journal-export.js'
import { recordStray } from '../../runtime/secure/payments/late-answers.js'
import {
  type CardScript,
  cardSaysNo,
  FACTS,
  finalApproved,
  type HostRule,
  OWNER,
  offlineApproved,
  request,
  settle,
  startTerminal,
  type Terminal,
  type TestClock,
  testClock,
  until,
} from '../runtime/secure/payments/support.js'
import { bookFaults, visibleFaults } from './books.js'
import { type Random, randomOf } from './seeded.js'
import { type Strike, type StrikeAt, strike, TornHost, VICTIMS, type Victim } from './strikes.js'

/** Starts of the terminal in a day; each may end in a strike. */
const STARTS = 10
/** Starts for which a strike at a named step is kept up. */
const WAITS = 2
const DAY_MS = 86_400_000

const RULES: readonly HostRule[] = [
  { decide: 'approve' },
  { decide: 'approve' },
  { decide: 'approve' },
  { decide: 'decline' },
  { decide: 'refer' },
  { decide: 'approve', answer: 'timeout' },
  { decide: 'lose', answer: 'timeout' },
  { decide: 'approve', answer: 'badMac' },
  { decide: 'decline', answer: 'lineLost' },
]
/** Where the terminal's clock stands after a start, beside where it should. */
const JUMPS_MS = [-DAY_MS, -3_600_000, 40_000, 3 * DAY_MS, 30 * 365 * DAY_MS]

/** Who is to fall, and when. */
export interface Planned {
  readonly victim: Victim
  readonly at: StrikeAt
}

/** A strike that hit: who fell, and at which step. */
export interface Hit {
  readonly victim: Victim
  readonly at: string
}

export interface DayResult {
  /** What does not hold, in words; empty when all does. */
  readonly faults: readonly string[]
  readonly hits: readonly Hit[]
  /** Every step that the day went through. */
  readonly steps: ReadonlySet<string>
  readonly payments: number
}

/** What the day knows of itself beside the terminal's disk. */
interface Day {
  readonly random: Random
  readonly host: TornHost
  readonly folder: string
  clock: TestClock
  online: boolean
  keys: number
  /** Payments, refunds and holds by how they were told, the last time. */
  readonly told: Map<string, { outcome: PaymentView['outcome']; minor: string }>
  readonly approved: string[]
  readonly held: string[]
}

const newKey = (day: Day, kind: string) => {
  if (day.random(5) > 0) day.keys++
  return `${kind}-${String(day.keys).padStart(5, '0')}`
}

/** Plays the day of `seed` below `folder`; `at` says for each start where it is struck. */
export async function playDay(
  seed: number,
  folder: string,
  at: (random: Random) => Planned | undefined,
): Promise<DayResult> {
  const random = randomOf(seed)
  const host = new TornHost()
  host.capabilities = {
    ...host.capabilities,
    offlineFloorMinor: 5000n,
    offlineLimits: { cardCount: 50, shiftCount: 50, deviceCount: 50 },
  }
  const day: Day = {
    random,
    host,
    folder,
    clock: testClock(),
    online: true,
    keys: 0,
    told: new Map(),
    approved: [],
    held: [],
  }
  const hits: Hit[] = []
  const steps = new Set<string>()
  const faults: string[] = []
  let generation = 0
  const here = () => join(folder, String(generation))
  const wrapsAt = random(4) === 0 ? 1 + random(STARTS - 2) : -1

  let planned: Planned | undefined
  let waited = 0
  const isDue = (one: Planned | undefined) => one !== undefined && 'step' in one.at
  for (let n = 0; n < STARTS; n++) {
    if (random(4) === 0) day.clock = testClock(day.clock.nowMs() + JUMPS_MS[random(JUMPS_MS.length)]!)
    // A trace number that has wrapped is told from the old one by its time.
    day.clock.advance(1 + random(100_000))
    if (n === wrapsAt) nearlyWrap(here())
    // A step that did not come is waited for in the next starts too.
    waited = isDue(planned) && waited < WAITS ? waited + 1 : 0
    if (waited === 0) planned = at(random)
    const blow = strike(planned?.victim, planned?.at ?? { n: 0 }, (victim) => fall(day, victim))
    let terminal: Terminal | undefined
    let reader: Sqlite | undefined
    try {
      terminal = start(day, here(), `${folder} cards`, blow)
      if (random(6) === 0) reader = holdLog(here())
      for (let acts = 1 + random(5); acts > 0 && !blow.off; acts--) {
        await Promise.race([act(day, terminal, blow), settle(80)])
        if (!blow.off) faults.push(...visibleFaults(terminal))
      }
    } catch {
      // It fell over while it was starting.
    }
    await settle()
    for (const step of blow.seen) steps.add(step)
    if (blow.fell !== undefined) {
      hits.push({ victim: blow.fell, at: blow.fellAt! })
      planned = undefined
    }
    // The files stay as they are, the process is forgotten.
    const before = here()
    generation++
    cpSync(before, here(), { recursive: true, filter: (path) => !path.endsWith('-shm') })
    terminal?.journal.close()
    reader?.close()
    rmSync(before, { recursive: true })
    host.mend()
    host.find()
    day.online = true
  }

  host.reversalRules = []
  host.adviceRules = []
  host.uploadRules = []
  const terminal = start(
    day,
    here(),
    `${folder} cards`,
    strike(undefined, { n: 0 }, () => undefined),
  )
  try {
    const { service, journal } = terminal
    const isOwed = () => journal.openPayments().some(({ state }) => state !== 'ADVICE_REFUSED')
    await until(day.clock, () => !isOwed(), 60_000)
    await settleByPerson(terminal)
    await until(day.clock, () => journal.openPayments().length === 0, 60_000)
    await service.closeRound().catch(() => undefined)
    await until(day.clock, () => journal.openRounds().length === 0, 60_000)
    faults.push(...bookFaults(terminal, host, join(folder, 'exports'), day.told))
    return { faults, hits, steps, payments: day.told.size }
  } catch (error) {
    return { faults: [...faults, `does not settle: ${(error as Error).message}`], hits, steps, payments: 0 }
  } finally {
    await terminal.close()
  }
}

/** Everyone but the secure world: a line that is lost, and for the terminal no network where its own side of it fell. */
function fall(day: Day, victim: Victim): void {
  day.host.cut()
  if (victim !== 'acquirer') day.online = false
}

/** Trace numbers are about to run out: those of open payments are still taken. */
function nearlyWrap(folder: string): void {
  const db = openSqlite(join(folder, 'journal.db'))
  db.prepare("UPDATE counters SET value = 999997 WHERE name = 'stan'").run()
  db.close()
}

/** A reader that keeps SQLite from emptying its log. */
function holdLog(folder: string): Sqlite {
  const reader = openSqlite(join(folder, 'journal.db'), { readonly: true })
  reader.prepare('BEGIN').run()
  reader.prepare('SELECT count(*) FROM entries').get()
  return reader
}

function start(day: Day, folder: string, store: string, power: Strike): Terminal {
  const { random, host } = day
  const card: CardScript = {
    final: () => {
      const die = random(8)
      if (die === 0) return cardSaysNo()
      return die === 1 ? { kind: 'ended', reason: 'removed', facts: FACTS } : finalApproved()
    },
    offline: () => (random(5) === 0 ? cardSaysNo() : offlineApproved()),
  }
  return startTerminal({
    folder,
    host,
    clock: day.clock,
    card,
    power,
    store,
    isOnline: () => day.online,
    ask: (screen) => person(day.random, screen),
  })
}

/** Somebody who reads every screen and decides by the dice. */
function person(random: Random, screen: Screen): ScreenResult {
  switch (screen.kind) {
    case 'list': {
      const ends = screen.items.filter(({ mark }) => mark === 'attention')
      const one = ends[random(ends.length + 1)]
      return one === undefined ? { type: 'back' } : { type: 'selected', id: one.id }
    }
    case 'details': {
      const items = screen.items ?? []
      const one = items[random(items.length + 1)]
      return one === undefined ? { type: 'back' } : { type: 'selected', id: one.id }
    }
    case 'form':
      return { type: 'submitted', values: { reason: 'asked the bank', code: 'AB12' } }
    case 'amount':
      return { type: 'amount', amount: { minor: String(random(20)), currency: 'EUR' } }
    default:
      return { type: random(4) === 0 ? 'declined' : 'confirmed' }
  }
}

/** At the end of the day somebody ends what no host will settle. */
async function settleByPerson({ service, journal }: Terminal): Promise<void> {
  for (let tries = 0; tries < 20 && journal.openPayments().length > 0; tries++) await service.review()
}

async function act(day: Day, terminal: Terminal, blow: Strike): Promise<void> {
  const { random, host, clock } = day
  const { service, journal } = terminal
  const note = (view: PaymentView | undefined, minor: string) => {
    // What left no record behind may be tried again under the same key.
    if (view === undefined || journal.payment(view.key) === undefined) return
    day.told.set(view.key, { outcome: view.outcome, minor })
    if (view.outcome === 'approved') (view.type === 'preauth' ? day.held : day.approved).push(view.key)
  }
  const quietly = <T>(work: Promise<T>) => work.catch(() => undefined)
  const money = (minor: string) => ({ minor, currency: 'EUR' })
  host.rules = [RULES[random(RULES.length)]!]
  if (random(3) === 0) host.reversalRules.push(random(2) === 0 ? 'silent' : 'lost')
  if (random(4) === 0) host.adviceRules.push((['refuse', 'silent', 'lost'] as const)[random(3)]!)
  const minor = String(100 + day.keys)
  const die = random(20)
  if (die < 8) {
    const key = newKey(day, 'sale')
    const amount = String(100 + day.keys)
    const reference = random(6) === 0 ? 'REF-shared' : `REF-${key}`
    const more = random(4) === 0 ? { partial: true } : {}
    // A part of it, whether it was allowed or not.
    if (random(6) === 0) host.rules = [{ decide: 'approve', part: 50n }]
    note(await quietly(service.collect({ ...request(key, amount, reference), ...more }, OWNER)), amount)
  } else if (die < 10) {
    const key = newKey(day, 'hold')
    note(
      await quietly(service.preauthorise(request(key, String(100 + day.keys)), OWNER)),
      String(100 + day.keys),
    )
  } else if (die < 11 && day.held.length > 0) {
    const original = day.held[random(day.held.length)]!
    const key = newKey(day, 'more')
    note(await quietly(service.increment({ key, original, amount: money(minor) }, OWNER)), minor)
  } else if (die < 12 && day.held.length > 0) {
    const original = day.held[random(day.held.length)]!
    const key = newKey(day, 'take')
    note(await quietly(service.complete({ key, original, amount: money('90') }, OWNER)), '90')
  } else if (die < 13) {
    const original = day.approved[random(day.approved.length + 1)] ?? 'sale-none1'
    const key = newKey(day, 'back')
    const back = { key, original, amount: money('10'), reference: `BACK-${key}`, reason: 'damaged' }
    note(await quietly(service.refund(back, OWNER)), '10')
  } else if (die < 15) {
    const all = [...day.approved, ...day.held]
    const original = all[random(all.length + 1)] ?? 'sale-none1'
    const key = `void-${String(random(50)).padStart(4, '0')}`
    await quietly(service.voidPayment({ key, original, reason: 'x' }, OWNER))
  } else if (die < 16) {
    // The network goes, or comes back.
    day.online = !day.online
    if (day.online && blow.fell === undefined) host.mend()
    service.roadChanged()
    clock.advance(random(400_000))
    await settle()
  } else if (die < 17) {
    // A late or double answer of some payment arrives.
    const all = journal.list(20)
    const late = all[random(all.length + 1)]
    recordStray(journal, silentLog, {
      acquirer: host.id,
      mti: '0210',
      stan: late?.stan ?? 999,
    })
  } else if (die < 18) {
    // The open world takes what it was told; or a person looks at what is stuck.
    if (random(2) === 0) await service.review()
    for (const { sequence } of service.unacknowledged()) service.acknowledge(sequence)
  } else if (die < 19) {
    pruneJournal(journal, join(day.folder, 'exports'), clock.nowMs() + 100 * DAY_MS, 20)
  } else await close(day, terminal)
}

/** A close, now and then with a host that has lost payments of the batch: it asks for the upload (95). */
async function close(day: Day, { service, journal }: Terminal): Promise<void> {
  const { host, random } = day
  const standing = journal.list(50).filter(({ state }) => state === 'COMPLETED' || state === 'ADVISED')
  const ids = new Set(standing.map(({ stan, preparedAtMs }) => `${stan} ${preparedAtMs}`))
  const mine = [...host.ledger].filter(
    ([id, { state, kind }]) => state === 'approved' && kind === 'sale' && ids.has(id),
  )
  if (random(2) === 0) host.lose(mine.slice(-1 - random(3)).map(([id]) => id))
  await service.closeRound().catch(() => undefined)
  host.find()
}

/** Half of the strikes fall at a step of the journal by name, the others at any instant. */
export function seededStrike(steps: readonly string[]): (random: Random) => Planned | undefined {
  return (random) => {
    if (random(4) === 0) return undefined
    const victim = VICTIMS[random(VICTIMS.length)]!
    const step = steps[random(steps.length)]
    return random(2) === 0 && step !== undefined
      ? { victim, at: { step } }
      : { victim, at: { n: 1 + random(40) } }
  }
}
