// Several acquirers at once: whom a payment goes to, what fails over and what never does, and who waits for whom.
import t from 'tap'
import { createAcquirers } from '../../../../runtime/secure/payments/acquirers.js'
import { OWNER, request, startTerminal, TestHost, testClock, until } from './support.js'

function two(folder: string, order = ['first', 'second']) {
  const first = new TestHost('first', 'TERM0001')
  const second = new TestHost('second', 'TERM0002')
  const clock = testClock()
  const acquirers = createAcquirers([first, second], () => order)
  const start = () => startTerminal({ folder, host: first, clock, acquirers })
  return { first, second, clock, start, acquirers }
}
const payments = ({ log }: TestHost) => log.filter((line) => !line.startsWith('totals'))

t.test('a road that does not open has sent nothing: the next acquirer takes the payment', async (t) => {
  const { first, second, start } = two(t.testdir())
  const terminal = start()
  t.teardown(() => terminal.close())
  first.reachable = false
  t.match(await terminal.service.collect(request('key-0001'), OWNER), { outcome: 'approved' })
  t.match(terminal.journal.payment('key-0001'), { acquirer: 'second', terminalId: 'TERM0002' })
  t.same([payments(first), payments(second).length], [[], 1])
  first.reachable = true
  t.match(await terminal.service.collect(request('key-0002'), OWNER), { outcome: 'approved' })
  t.match(terminal.journal.payment('key-0002'), { acquirer: 'first', terminalId: 'TERM0001' })
  const close = await terminal.service.closeRound()
  t.equal(close.agreement, 'agrees', 'each compared its own part')
  t.same(
    [first, second].map((host) => host.totalsOf(1).sales),
    [1, 1],
  )
})

t.test('a payment that was sent is never sent to another acquirer', async (t) => {
  const { first, second, start } = two(t.testdir())
  const terminal = start()
  t.teardown(() => terminal.close())
  for (const answer of ['timeout', 'badMac', 'unreadable', 'lineLost'] as const) {
    first.rules = [{ decide: 'approve', answer }]
    first.reversalRules = []
    t.match(await terminal.service.collect(request(`key-${answer}`), OWNER), { outcome: /^revers/ })
    t.match(terminal.journal.payment(`key-${answer}`), { acquirer: 'first' })
  }
  t.same(payments(second), [])
})

t.test(
  'a reversal that its host refuses keeps back that acquirer, and no other payment or reversal',
  async (t) => {
    const { first, second, clock, start } = two(t.testdir())
    const terminal = start()
    t.teardown(() => terminal.close())
    first.rules = [{ decide: 'approve', answer: 'timeout' }]
    first.reversalRules = new Array(4).fill('silent')
    await terminal.service.collect(request('key-0001'), OWNER)
    t.match(await terminal.service.collect(request('key-0002'), OWNER), { outcome: 'approved' })
    t.match(terminal.journal.payment('key-0002'), { acquirer: 'second' })

    second.rules = [{ decide: 'approve', answer: 'timeout' }]
    await terminal.service.collect(request('key-0003'), OWNER)
    t.match(terminal.journal.payment('key-0003'), { acquirer: 'second' })
    await until(clock, () => terminal.journal.payment('key-0003')?.state === 'REVERSED')
    await until(clock, () => terminal.journal.payment('key-0001')?.state === 'REVERSED')
    t.match(await terminal.service.collect(request('key-0004'), OWNER), { outcome: 'approved' })
    t.match(terminal.journal.payment('key-0004'), { acquirer: 'first' }, 'and then it is the first again')
  },
)

t.test(
  'what is owed to an acquirer that the document no longer has waits, and is shown as stuck',
  async (t) => {
    const folder = t.testdir()
    const { first, second, clock, start } = two(folder)
    const terminal = start()
    first.rules = [{ decide: 'approve', answer: 'timeout' }]
    first.reversalRules = new Array(99).fill('silent')
    await terminal.service.collect(request('key-0001'), OWNER)
    await terminal.close()
    const later = startTerminal({
      folder,
      host: second,
      clock,
      acquirers: createAcquirers([second], () => ['second']),
    })
    t.teardown(() => later.close())
    t.match(await later.service.collect(request('key-0002'), OWNER), { outcome: 'approved' })
    await until(clock, () => later.journal.payment('key-0001')?.state === 'REVERSAL_STUCK')
    t.match(later.journal.payment('key-0001'), {
      acquirer: 'first',
      reversal: { lastFailure: 'ACQUIRER_GONE' },
    })
    t.equal(later.notices.length, 1)
  },
)

t.test('no acquirer takes it: told before the card is asked for', async (t) => {
  const { start } = two(t.testdir(), [])
  const terminal = start()
  t.teardown(() => terminal.close())
  t.match(await terminal.service.collect(request('key-0001'), OWNER), {
    outcome: 'needsNetwork',
    code: 'NO_ACQUIRER',
  })
  t.same(
    terminal.calls.filter((call) => call === 'start'),
    [],
  )
})
