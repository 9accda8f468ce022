// The power-cut table: power fails at every step of terminal, card and host in turn; afterwards the terminal's totals
// and the host's ledger agree, nothing is owed, and nobody was told what is not so.
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { PaymentView } from '../../../../runtime/api/payments.js'
import type { ScreenResult } from '../../../../runtime/api/screens.js'
import { openJournal } from '../../../../runtime/secure/payments/journal.js'
import {
  type CardScript,
  cardSaysNo,
  FACTS,
  type HostRule,
  OWNER,
  offlineApproved,
  powerUntil,
  request,
  settle,
  startTerminal,
  type Terminal,
  TestHost,
  testClock,
  until,
} from './support.js'

interface Story {
  readonly name: string
  readonly card?: CardScript
  readonly rules?: readonly HostRule[]
  readonly reversals?: readonly ('ok' | 'silent' | 'lost')[]
  /** No network until the power is back. */
  readonly offline?: boolean
  /** To every question of the secure world; yes where absent. */
  readonly answers?: ScreenResult
  /** What the operator does; answers what they were told. */
  readonly act: (terminal: Terminal, host: TestHost) => Promise<PaymentView[]>
}

const pay = async ({ service }: Terminal) => [await service.collect(request('key-0001'), OWNER)]
const STORIES: readonly Story[] = [
  { name: 'approved', act: pay },
  { name: 'declined', rules: [{ decide: 'decline' }], act: pay },
  { name: 'answer lost', rules: [{ decide: 'approve', answer: 'timeout' }], act: pay },
  { name: 'request lost', rules: [{ decide: 'lose', answer: 'lineLost' }], act: pay },
  {
    name: 'answer lost, and twice that of its reversal',
    rules: [{ decide: 'approve', answer: 'badMac' }],
    reversals: ['silent', 'lost'],
    act: pay,
  },
  { name: 'card says no', card: { final: cardSaysNo }, act: pay },
  {
    name: 'card removed',
    card: { final: () => ({ kind: 'ended', reason: 'removed', facts: FACTS }) },
    act: pay,
  },
  {
    name: 'two payments, one voided',
    act: async ({ service }) => [
      await service.collect(request('key-0001'), OWNER),
      await service.collect(request('key-0002', '300'), OWNER),
      await service.voidPayment({ key: 'void-001', original: 'key-0001', reason: 'wrong' }, OWNER),
    ],
  },
  {
    name: 'round closed',
    act: async (terminal) => {
      const views = await pay(terminal)
      await terminal.service.closeRound()
      return views
    },
  },
  {
    name: 'the host has lost a payment and asks for the batch (95)',
    act: async ({ service }, host) => {
      const views = [
        await service.collect(request('key-0001'), OWNER),
        await service.collect(request('key-0002', '300'), OWNER),
      ]
      host.ledger.delete([...host.ledger.keys()][0]!)
      await service.closeRound()
      return views
    },
  },
  {
    name: 'approved offline, then advised',
    card: { offline: offlineApproved },
    offline: true,
    act: async (terminal) => {
      const views = await pay(terminal)
      return [...views, terminal.service.status('key-0001')]
    },
  },
  {
    name: 'a referral settled by telephone',
    rules: [{ decide: 'refer' }],
    answers: { type: 'submitted', values: { code: 'AB12' } },
    act: pay,
  },
  {
    name: 'a part is approved and refused',
    rules: [{ decide: 'approve', part: 500n }],
    answers: { type: 'declined' },
    act: async ({ service }) => [await service.collect({ ...request('key-0001'), partial: true }, OWNER)],
  },
  {
    name: 'a sale and its refund',
    act: async (terminal) => [
      ...(await pay(terminal)),
      await terminal.service.refund(
        {
          key: 'back-001',
          amount: { minor: '500', currency: 'EUR' },
          reference: 'B',
          original: 'key-0001',
          reason: 'x',
        },
        OWNER,
      ),
    ],
  },
  {
    name: 'reserved, increased and completed',
    act: async ({ service }) => {
      const about = (key: string, minor: string) => ({
        key,
        original: 'hold-001',
        amount: { minor, currency: 'EUR' },
      })
      return [
        await service.preauthorise({ ...request('hold-001', '2000') }, OWNER),
        await service.increment(about('more-001', '500'), OWNER),
        await service.complete(about('take-001', '2200'), OWNER),
      ]
    },
  },
]

/** Outcomes that no power cut may take back once they were told. */
const FOR_GOOD = ['approved', 'declined', 'voided', 'cancelled']

/** Plays the story with power failing at step `target`; false when it came to its end without reaching it. */
async function playCut(t: Tap, story: Story, target: number, folder: string): Promise<boolean> {
  const host = new TestHost()
  if (story.offline) host.capabilities = { ...host.capabilities, offlineFloorMinor: 5000n }
  host.rules = [...(story.rules ?? [])]
  host.reversalRules = [...(story.reversals ?? [])]
  const clock = testClock()
  const power = powerUntil(target)
  const before = join(folder, `${target}-before`)
  const told: PaymentView[] = []
  const label = () => `${story.name}, step ${target}: ${power.steps.at(-1)}`

  let closeJournal = () => {}
  try {
    const terminal = startTerminal({
      folder: before,
      host,
      clock,
      power,
      store: `${story.name} ${target}`,
      isOnline: () => story.offline !== true,
      ...(story.answers && { ask: () => story.answers! }),
      ...(story.card && { card: story.card }),
    })
    closeJournal = () => terminal.journal.close()
    const acting = story.act(terminal, host).then(
      (views) => told.push(...views),
      () => undefined,
    )
    await Promise.race([acting, settle(60)])
    await settle()
  } catch {
    // Power failed while the terminal was starting.
  }
  // A cut leaves the files as they are: no clean close.
  const after = join(folder, `${target}-after`)
  cpSync(before, after, { recursive: true })
  closeJournal()
  rmSync(before, { recursive: true })

  const terminal = startTerminal({ folder: after, host, clock, store: `${story.name} ${target}` })
  const { service, journal } = terminal
  await until(clock, () => journal.openPayments().length === 0)
  for (const view of told.filter(({ outcome }) => FOR_GOOD.includes(outcome))) {
    const now = service.status(view.key).outcome
    const voidedLater = view.outcome === 'approved' && (now === 'voided' || now === 'reversing')
    t.ok(now === view.outcome || voidedLater, `${label()}: told ${view.outcome}, now ${now}`)
  }
  const unheard = service.unacknowledged().map(({ view }) => view.key)
  for (const { key, state } of journal.list(10))
    t.ok(unheard.includes(key), `${label()}: ${key} in ${state} is told to the open world`)

  const close = await service.closeRound().catch(() => undefined)
  if (close !== undefined) {
    const round = journal.lastRound()!
    await until(clock, () => journal.openRounds().length === 0)
    t.equal(journal.round(round.id)!.agreement, 'agrees', `${label()}: totals agree`)
    const [tender] = close.totals.tenders
    const { tender: _, currency: __, ...totals } = tender!
    t.strictSame(totals, host.totalsOf(round.batch), label())
  }
  const held = ['preauth', 'increment']
  const standing = [...host.ledger.values()].filter(
    ({ state, kind = 'sale' }) => state === 'approved' && !held.includes(kind),
  )
  const kept = journal.list(10).filter(({ state }) => state === 'SETTLED')
  t.equal(kept.length, standing.length, `${label()}: the host holds what the terminal holds`)
  t.match(journal.verify(), { sound: true }, label())
  await terminal.close()
  rmSync(after, { recursive: true })
  return power.off
}

type Tap = Pick<typeof t, 'ok' | 'equal' | 'strictSame' | 'match'>

let cuts = 0
for (const story of STORIES) {
  t.test(`power cut at every step of: ${story.name}`, async (t) => {
    const folder = t.testdir()
    let target = 1
    while (await playCut(t, story, target, folder)) {
      cuts++
      target++
      if (target > 200) throw new Error('the story does not end')
    }
    t.ok(target > 8, `${target - 1} cuts`)
  })
}

t.test('enough cuts were made to mean something', (t) => {
  t.ok(cuts >= 120, `${cuts} cuts`)
  t.end()
})

t.test('power cut during the recovery, and during the recovery after that', async (t) => {
  const folder = t.testdir()
  const host = new TestHost()
  host.rules = [{ decide: 'approve', answer: 'timeout' }]
  host.reversalRules = ['lost', 'silent']
  const clock = testClock()
  let cutAt = 8
  for (let start = 0; start < 40; start++) {
    const power = powerUntil(cutAt)
    const terminal = (() => {
      try {
        return startTerminal({ folder, host, clock, power })
      } catch {
        return undefined
      }
    })()
    if (terminal !== undefined) {
      if (start === 0) void terminal.service.collect(request('key-0001'), OWNER).catch(() => undefined)
      clock.advance(600_000)
      await settle(40)
      const { outcome } = terminal.service.status('key-0001')
      terminal.journal.close()
      if (!power.off) {
        t.equal(outcome, 'reversed')
        break
      }
    }
    cutAt = 1 + (start % 6)
  }
  t.match([...host.ledger.values()], [{ state: 'reversed' }])
  const journal = openJournal(join(folder, 'journal.db'), clock)
  t.match(journal.verify(), { sound: true })
  const repeats = host.log.filter((line) => line.startsWith('04'))
  t.ok(repeats.length > 2, 'it was sent again and again')
  for (const line of repeats.slice(1)) t.match(line, /^0401/, 'a resend is a repeat, across restarts too')
  journal.close()
})
