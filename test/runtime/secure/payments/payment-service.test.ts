// What a payment may become, one case each; and the promises that hold across payments: once a key, once a reference.
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { PosternError } from '../../../../hal/base/errors.js'
import { createLog } from '../../../../hal/base/pino-log.js'
import { checker } from '../../../../runtime/api/contract.js'
import type { PaymentView } from '../../../../runtime/api/payments.js'
import { SecureMethods } from '../../../../runtime/bridge/contract.js'
import type { StartOutcome } from '../../../../runtime/secure/card-transaction.js'
import { servePayments } from '../../../../runtime/secure/payments/bridge-payments.js'
import type { Session } from '../../../../runtime/secure/session.js'
import {
  authorisation,
  COURIER,
  cardSaysNo,
  FACTS,
  finalApproved,
  OWNER,
  prompts,
  request,
  settle,
  startTerminal,
  TestHost,
  testClock,
  until,
} from './support.js'

const isView = checker(SecureMethods['payments.collect'].result)
const isTotals = checker(SecureMethods['round.totals'].result)
const isClose = checker(SecureMethods['round.close'].result)

t.test(
  'an approved payment: every step before its act, the receipt complete, the change queued',
  async (t) => {
    const host = new TestHost()
    const steps: string[] = []
    const terminal = startTerminal({
      folder: t.testdir(),
      host,
      card: { onFinish: () => steps.push(terminal.journal.payment('key-0001')!.state) },
    })
    const view = await terminal.service.collect(request('key-0001'), OWNER)
    t.equal(isView(view), undefined)
    t.match(view, { outcome: 'approved', message: 'Approved.', amount: { minor: '1250', currency: 'EUR' } })
    t.match(view.receipt, {
      type: 'sale',
      outcome: 'approved',
      stan: '000001',
      receiptNumber: '000001',
      authorisationCode: 'A12345',
      operator: '17',
      card: { panLast4: '0119', cryptogramType: 'TC' },
    })
    t.strictSame(steps, ['CARD_FINAL'], 'the card is let go only when its approval is durable')
    t.strictSame(terminal.calls, ['start', 'hostAnswer answered', 'finish true'])
    t.match(terminal.service.unacknowledged(), [{ app: 'courier', view: { outcome: 'approved' } }])
    terminal.service.acknowledge(terminal.service.unacknowledged()[0]!.sequence)
    t.strictSame(terminal.service.unacknowledged(), [])
    const stored = JSON.stringify(terminal.journal.show('key-0001').map(({ body }) => body))
    t.notMatch(stored, /CCCCCC|BBBBBB/i, 'neither card data nor PIN block are stored')
    t.match(terminal.journal.verify(), { sound: true })
    await terminal.close()
  },
)

t.test('the display is given back however a payment ends', async (t) => {
  let open = 0
  const counted = () => {
    open++
    return { ...prompts, close: () => void open-- }
  }
  const host = new TestHost()
  let online = true
  const terminal = startTerminal({ folder: t.testdir(), host, prompts: counted, isOnline: () => online })
  await terminal.service.collect(request('key-0001'), OWNER)
  t.equal(open, 0)
  online = false
  await terminal.service.collect(request('key-0002'), OWNER)
  t.equal(open, 0)
  await terminal.close()
})

t.test('a signature is asked for in words', async (t) => {
  const card = { final: () => ({ ...finalApproved(), signatureRequired: true }) as never }
  const terminal = startTerminal({ folder: t.testdir(), host: new TestHost(), card })
  const view = await terminal.service.collect(request('key-0001'), OWNER)
  t.match(view, { outcome: 'approved', code: 'SIGNATURE', message: /sign/ })
  await terminal.close()
})

t.test(
  'the same key again is the same payment, during and after; another payment under it is refused',
  async (t) => {
    const host = new TestHost()
    let letGo = (_: StartOutcome) => {}
    const start = () => new Promise<StartOutcome>((resolve) => (letGo = resolve))
    const terminal = startTerminal({ folder: t.testdir(), host, card: { start } })
    const { service } = terminal
    const first = service.collect(request('key-0001'), OWNER)
    await settle()
    t.match(service.status('key-0001'), { outcome: 'inProgress' })
    t.match(await service.collect(request('key-0002'), OWNER), { outcome: 'busy' })
    t.match(await service.collect(request('key-0003', '99', 'REF-key-0001'), OWNER), { outcome: 'busy' })
    const second = service.collect(request('key-0001'), OWNER)
    letGo({ kind: 'online', authorisation: authorisation() })
    t.strictSame(await second, await first)
    t.strictSame(await service.collect(request('key-0001'), OWNER), await first)
    t.equal(host.ledger.size, 1)
    await t.rejects(service.collect(request('key-0001', '1251'), OWNER), { code: 'KEY_REUSED' })
    await t.rejects(service.collect(request('key-0001'), { app: 'other', name: 'Other' }), {
      code: 'KEY_REUSED',
    })
    t.match(
      await service.collect(request('key-0004', '1250', 'REF-key-0001'), OWNER),
      { outcome: 'alreadyPaid' },
      'a paid reference is not paid again',
    )
    t.match(service.status('key-0004'), { outcome: 'unknown' })
    await terminal.close()
  },
)

t.test('declined by the host: nothing is taken and the card hears it', async (t) => {
  const host = new TestHost()
  host.rules = [{ decide: 'decline' }]
  const terminal = startTerminal({ folder: t.testdir(), host })
  const view = await terminal.service.collect(request('key-0001'), OWNER)
  t.match(view, { outcome: 'declined', code: 'RESPONSE_51', message: /not enough funds/ })
  t.match(view.receipt, { outcome: 'declined', responseCode: '51', reason: /not enough funds/ })
  t.strictSame(terminal.calls, ['start', 'hostAnswer answered', 'finish false'])
  await terminal.close()
})

t.test('what happens at the card before anything is sent leaves nothing to take back', async (t) => {
  const cases: [StartOutcome, Partial<PaymentView>][] = [
    [{ kind: 'ended', reason: 'cancelled' }, { outcome: 'cancelled' }],
    [
      { kind: 'ended', reason: 'timeout' },
      { outcome: 'cancelled', code: 'NO_CARD' },
    ],
    [{ kind: 'ended', reason: 'removed' }, { outcome: 'cardRemoved' }],
    [
      { kind: 'ended', reason: 'mute' },
      { outcome: 'cardUnusable', code: 'CARD_MUTE' },
    ],
    [
      { kind: 'ended', reason: 'blocked', facts: FACTS },
      { outcome: 'cardUnusable', code: 'CARD_BLOCKED' },
    ],
    [
      { kind: 'ended', reason: 'cardError' },
      { outcome: 'cardUnusable', code: 'CARD_ERROR' },
    ],
    [
      { kind: 'declinedOffline', facts: FACTS, de55: new Uint8Array(), reason: 'x', adviceRequired: false },
      { outcome: 'declined', code: 'CARD_AAC' },
    ],
    [
      {
        kind: 'approvedOffline',
        authorisation: authorisation(),
        signatureRequired: false,
        adviceRequired: false,
      },
      { outcome: 'declined', code: 'OFFLINE_NOT_ALLOWED' },
    ],
  ]
  const host = new TestHost()
  let outcome: StartOutcome = { kind: 'ended', reason: 'mute' }
  const terminal = startTerminal({ folder: t.testdir(), host, card: { start: () => outcome } })
  for (const [i, [start, expected]] of cases.entries()) {
    outcome = start
    const view = await terminal.service.collect(request(`key-000${i}`), OWNER)
    t.equal(isView(view), undefined)
    t.match(view, expected, `${start.kind} ${'reason' in start ? start.reason : ''}`)
  }
  t.strictSame(host.log, [])
  t.strictSame(terminal.journal.openPayments(), [])
  await terminal.close()
})

t.test('a reader that is lost is an outcome, and a fault after the approval is taken back', async (t) => {
  const host = new TestHost()
  const lost = () => Promise.reject(new PosternError('DEVICE_LOST', 'gone'))
  const script: { start?: () => Promise<StartOutcome>; final?: () => Promise<never> } = { start: lost }
  const terminal = startTerminal({ folder: t.testdir(), host, card: script })
  t.match(await terminal.service.collect(request('key-0001'), OWNER), {
    outcome: 'cardUnusable',
    code: 'DEVICE_LOST',
  })
  delete script.start
  script.final = lost
  t.match(await terminal.service.collect(request('key-0002'), OWNER), { outcome: /revers/ })
  await settle()
  t.match(terminal.service.status('key-0002'), { outcome: 'reversed' })
  t.match([...host.ledger.values()], [{ state: 'reversed' }])
  await terminal.close()
})

t.test('cancel works until the card is read, and not after', async (t) => {
  let letGo = (_: StartOutcome) => {}
  const start = () => new Promise<StartOutcome>((resolve) => (letGo = resolve))
  const host = new TestHost()
  const terminal = startTerminal({ folder: t.testdir(), host, card: { start } })
  const { service } = terminal
  const first = service.collect(request('key-0001'), OWNER)
  await settle()
  t.strictSame(service.cancel('key-0009'), { cancelled: false })
  t.strictSame(service.cancel('key-0001'), { cancelled: true })
  letGo({ kind: 'online', authorisation: authorisation() })
  t.match(await first, { outcome: 'cancelled', code: 'CANCELLED' })
  t.equal(host.ledger.size, 0)

  const leaving = new AbortController()
  const second = service.collect(request('key-0002'), OWNER, leaving.signal)
  await settle()
  leaving.abort() // the open world is gone
  letGo({ kind: 'ended', reason: 'removed' })
  t.match(await second, { outcome: 'cancelled' })

  const third = service.collect(request('key-0003'), OWNER, AbortSignal.abort())
  await settle()
  letGo({ kind: 'online', authorisation: authorisation() })
  t.match(await third, { outcome: 'cancelled' })
  t.strictSame(service.cancel('key-0003'), { cancelled: false })
  await terminal.close()
})

t.test(
  'no network: the card is not asked for; a network lost meanwhile ends the card in order',
  async (t) => {
    const host = new TestHost()
    let online = false
    let atCard = () => {}
    const card = {
      start: () => {
        atCard()
        return { kind: 'online' as const, authorisation: authorisation() }
      },
    }
    const terminal = startTerminal({ folder: t.testdir(), host, card, isOnline: () => online })
    const { service, calls } = terminal
    t.match(await service.collect(request('key-0001'), OWNER), {
      outcome: 'needsNetwork',
      code: 'NO_NETWORK',
    })
    t.strictSame(calls, [])
    online = true
    atCard = () => {
      online = false
    }
    t.match(await service.collect(request('key-0002'), OWNER), { outcome: 'needsNetwork' })
    t.strictSame(calls, ['start', 'hostAnswer unableToGoOnline', 'finish false'])
    online = true
    atCard = () => {}
    host.reachable = false
    t.match(await service.collect(request('key-0003'), OWNER), {
      outcome: 'needsNetwork',
      code: 'ROAD_CLOSED',
    })
    t.strictSame(terminal.journal.openPayments(), [], 'nothing was sent, so nothing has to be taken back')
    t.equal(host.ledger.size, 0)
    await terminal.close()
  },
)

t.test('an unknown answer is never "declined": it is taken back, before the next payment', async (t) => {
  for (const answer of ['timeout', 'badMac', 'unreadable', 'lineLost'] as const) {
    for (const decide of ['approve', 'lose'] as const) {
      const host = new TestHost()
      host.rules = [{ decide, answer }]
      host.reversalRules = ['silent', 'silent']
      const clock = testClock()
      const terminal = startTerminal({ folder: t.testdir(), host, clock })
      const { service } = terminal
      const view = await service.collect(request('key-0001'), OWNER)
      t.match(view, { outcome: 'reversing', message: /nothing will be charged/ }, `${answer}, ${decide}`)
      t.equal(view.receipt, undefined)
      t.match(
        await service.collect(request('key-0002'), OWNER),
        { outcome: 'needsNetwork', code: 'REVERSAL_FIRST' },
        'no sale goes out before its reversal was acknowledged',
      )
      await until(clock, () => service.status('key-0001').outcome === 'reversed')
      t.match(service.receipt('key-0001'), { outcome: 'reversed' })
      t.match(await service.collect(request('key-0003'), OWNER), { outcome: 'approved' })
      t.match(host.log, ['sale 1', `0400 1 ${answer}`, `0401 1 ${answer}`, `0401 1 ${answer}`, /sale/])
      t.match(
        service.unacknowledged().map(({ view }) => `${view.key} ${view.outcome}`),
        ['key-0001 reversed', 'key-0002 needsNetwork', 'key-0001 reversed', 'key-0003 approved'],
      )
      const close = await service.closeRound()
      t.match(close, { agreement: 'agrees', differences: [] })
      t.match(close.totals.tenders, [{ sales: 1, voids: 0 }])
      await terminal.close()
    }
  }
})

t.test(
  'the host says yes and the card says no, or leaves: taken back, and never called approved',
  async (t) => {
    const host = new TestHost()
    let final: () => ReturnType<typeof cardSaysNo> = cardSaysNo
    const terminal = startTerminal({ folder: t.testdir(), host, card: { final: () => final() } })
    const { service, calls } = terminal
    t.match(await service.collect(request('key-0001'), OWNER), { outcome: 'declined', code: 'CARD_AAC' })
    final = () => ({ kind: 'ended', reason: 'removed', facts: FACTS })
    t.match(await service.collect(request('key-0002'), OWNER), {
      outcome: 'cardRemoved',
      code: 'CARD_REMOVED',
    })
    final = () => ({ kind: 'ended', reason: 'cardError', facts: FACTS })
    t.match(await service.collect(request('key-0003'), OWNER), { outcome: /revers/, code: 'CARD_ERROR' })
    await settle()
    t.strictSame(
      [...host.ledger.values()].map(({ state }) => state),
      ['reversed', 'reversed', 'reversed'],
    )
    t.notOk(calls.includes('finish true'))
    t.match(service.status('key-0003'), { outcome: 'reversed' })
    t.match(service.status('key-0001'), { outcome: 'declined' })
    t.match(await service.closeRound(), { agreement: 'agrees', totals: { tenders: [{ sales: 0 }] } })
    await terminal.close()
  },
)

t.test('a reversal never expires: six failures tell the operator, and it is tried on', async (t) => {
  const host = new TestHost()
  host.rules = [{ decide: 'approve', answer: 'timeout' }]
  host.reversalRules = Array(9).fill('lost')
  const clock = testClock()
  const terminal = startTerminal({ folder: t.testdir(), host, clock })
  const { service } = terminal
  await service.collect(request('key-0001'), OWNER)
  await until(clock, () => terminal.notices.length > 0)
  t.match(terminal.notices, [/REF-key-0001 of €12.50/])
  t.match(service.status('key-0001'), { outcome: 'reversing', code: 'STUCK' })
  t.match(service.totals().unresolved, [{ key: 'key-0001', state: 'REVERSAL_STUCK' }])
  await until(clock, () => service.status('key-0001').outcome === 'reversed', 60_000)
  t.equal(host.log.filter((line) => line.startsWith('0401')).length, 9, 'the first, and nine repeats')
  t.equal(terminal.notices.length, 1, 'told once')
  await terminal.close()
})

t.test('void: with a supervisor, once, of an approved payment of the open round', async (t) => {
  const host = new TestHost()
  const folder = t.testdir()
  let terminal = startTerminal({ folder, host, supervisor: undefined })
  await terminal.service.collect(request('key-0001'), OWNER)
  const ask = (key: string, original = 'key-0001', owner = OWNER) =>
    terminal.service.voidPayment({ key, original, reason: 'wrong parcel' }, owner)
  t.match(await ask('void-001'), { outcome: 'cancelled', code: 'NOT_AUTHORISED' })
  t.match(terminal.service.status('key-0001'), { outcome: 'approved' })
  await terminal.close()

  terminal = startTerminal({ folder, host })
  t.match(await ask('void-001', 'key-0404'), { outcome: 'declined', code: 'NOT_FOUND' })
  t.match(await ask('void-001', 'key-0001', { app: 'other', name: 'Other' }), { code: 'NOT_FOUND' })
  const view = await ask('void-001')
  t.equal(isView(view), undefined)
  t.match(view, { key: 'void-001', outcome: 'voided', receipt: { type: 'void', receiptNumber: '000002' } })
  t.strictSame(await ask('void-001'), view, 'the same key again: the same result')
  t.match(await ask('void-002'), { outcome: 'declined', code: 'ALREADY_VOIDED' })
  t.match(terminal.service.status('key-0001'), { outcome: 'voided', receipt: { outcome: 'reversed' } })
  t.match(terminal.service.status('void-001'), { outcome: 'voided' })
  await t.rejects(terminal.service.collect(request('void-001'), OWNER), { code: 'KEY_REUSED' })
  await t.rejects(ask('key-0001'), { code: 'KEY_REUSED' })
  t.match(
    await terminal.service.collect(request('key-0002', '800', 'REF-key-0001'), OWNER),
    { outcome: 'approved' },
    'the reference may be paid again',
  )
  const totals = terminal.service.totals()
  t.equal(isTotals(totals), undefined)
  t.match(totals.tenders, [{ sales: 2, salesMinor: '2050', voids: 1, voidsMinor: '1250' }])
  t.match(await terminal.service.closeRound(), { agreement: 'agrees' })
  t.match(await ask('void-003', 'key-0002'), { outcome: 'declined', code: 'ROUND_CLOSED' })
  t.match(
    terminal.journal.payment('key-0001'),
    { operator: '17', void: { operator: '17', supervisor: '99', reason: 'wrong parcel' } },
    'the record names who did it and who agreed',
  )
  await terminal.close()
})

t.test('a void whose answer is lost counts as voided only when the host acknowledges', async (t) => {
  const host = new TestHost()
  const clock = testClock()
  host.reversalRules = ['silent']
  const terminal = startTerminal({ folder: t.testdir(), host, clock })
  const { service } = terminal
  await service.collect(request('key-0001'), OWNER)
  const view = await service.voidPayment({ key: 'void-001', original: 'key-0001', reason: 'x' }, OWNER)
  t.match(view, { outcome: 'reversing', code: 'VOID' })
  t.match(service.totals().tenders, [{ sales: 1, voids: 0 }])
  await until(clock, () => service.status('void-001').outcome === 'voided')
  t.match(service.unacknowledged().at(-1), { view: { key: 'key-0001', outcome: 'voided' } })
  t.match(service.totals().tenders, [{ sales: 1, voids: 1 }])
  await terminal.close()
})

t.test(
  'closing a round: compared, differences in words, without network, and the answer asked for again',
  async (t) => {
    const host = new TestHost()
    const clock = testClock()
    let online = true
    const terminal = startTerminal({ folder: t.testdir(), host, clock, isOnline: () => online })
    const { service } = terminal
    await service.collect(request('key-0001'), OWNER)
    const first = await service.closeRound()
    t.equal(isClose(first), undefined)
    t.match(first, { agreement: 'agrees', totals: { operator: '17', tenders: [{ sales: 1 }] } })
    t.match(terminal.journal.payment('key-0001'), { state: 'SETTLED', batch: 1 })
    t.strictSame(await service.closeRound(), first, 'asked again: the same answer')
    t.match(service.totals(), { round: '-', tenders: [{ sales: 0 }] })

    await service.collect(request('key-0002'), OWNER)
    ;[...host.ledger.values()][1]!.minor = 1n
    const second = await service.closeRound()
    t.match(second, {
      agreement: 'differs',
      differences: ['Sales: the terminal has 1 for EUR 12.50, the bank 1 for EUR 0.01.'],
    })
    t.equal(terminal.journal.payment('key-0002')!.batch, 2)

    await service.collect(request('key-0003'), OWNER)
    online = false
    const third = await service.closeRound()
    t.match(third, { agreement: 'notCompared', totals: { tenders: [{ sales: 1 }] } })
    online = true
    service.roadChanged()
    await until(clock, () => terminal.journal.openRounds().length === 0)
    t.match(
      terminal.journal.round(third.totals.round),
      { agreement: 'agrees' },
      'compared when there was a network',
    )
    await terminal.close()
  },
)

t.test('nobody signed in, wrong amounts, and another courier on an open round are refused', async (t) => {
  const host = new TestHost()
  const folder = t.testdir()
  const nobody = startTerminal({ folder, host, operator: null })
  await t.rejects(nobody.service.collect(request('key-0001'), OWNER), { code: 'NO_OPERATOR' })
  t.throws(() => nobody.service.closeRound(), { code: 'NO_OPERATOR' })
  await nobody.close()

  const terminal = startTerminal({ folder, host })
  const { service } = terminal
  await t.rejects(service.collect(request('key-0001', '0'), OWNER), { code: 'MONEY_INVALID' })
  await t.rejects(
    service.collect({ ...request('key-0001'), amount: { minor: '1', currency: 'USD' } }, OWNER),
    { code: 'MONEY_INVALID' },
  )
  const other = { id: '18', name: 'Bo', role: 'courier', locale: 'zh' } as const
  t.equal(service.beginRound(COURIER), undefined)
  t.equal(service.beginRound(other), undefined, 'an empty round is closed for the next courier')
  t.equal(service.beginRound(COURIER), undefined)
  await service.collect(request('key-0002'), OWNER)
  t.match(service.beginRound(other), /Anna/)
  t.equal(service.beginRound({ ...other, role: 'supervisor' }), undefined)
  t.equal(service.beginRound(COURIER), undefined, 'the same courier goes on with it')
  t.equal(terminal.journal.openRounds().length, 1)
  await terminal.close()
})

t.test('a journal that cannot be written stops everything, and nobody is told "approved"', async (t) => {
  const host = new TestHost()
  const folder = t.testdir()
  const { powerUntil } = await import('./support.js')
  const power = powerUntil(0)
  const failing = {
    ...power,
    step(name: string) {
      if (name === 'before payment.cardApproved') throw new PosternError('JOURNAL_FAILED', 'disk full')
    },
  }
  const terminal = startTerminal({ folder, host, power: failing })
  await t.rejects(terminal.service.collect(request('key-0001'), OWNER), { code: 'JOURNAL_FAILED' })
  t.match(terminal.fatal, [{ code: 'JOURNAL_FAILED' }])
  t.notOk(terminal.calls.includes('finish true'))
  terminal.journal.close()
  const again = startTerminal({ folder, host })
  await settle()
  t.match(again.service.status('key-0001'), { outcome: 'reversed' })
  t.match([...host.ledger.values()], [{ state: 'reversed' }])
  await again.close()
})

t.test("another app's payment: its status, receipt, cancel and void are as good as unknown", async (t) => {
  const other = { app: 'other', name: 'Other' }
  let letGo = (_: StartOutcome) => {}
  const start = () => new Promise<StartOutcome>((resolve) => (letGo = resolve))
  const host = new TestHost()
  const terminal = startTerminal({ folder: t.testdir(), host, card: { start } })
  const { service } = terminal
  const bridge = servePayments(service, {} as Session)
  const signal = new AbortController().signal
  const of = (owner: typeof OWNER, key: string) => [
    bridge['payments.status']({ owner, key }, signal),
    bridge['payments.receipt']({ owner, key }, signal),
  ]
  const voiding = async (owner: typeof OWNER, key: string) =>
    bridge['payments.void']({ owner, request: { key, original: 'key-0001', reason: 'x' } }, signal)

  const paying = service.collect(request('key-0001'), OWNER)
  await settle()
  t.strictSame(await bridge['payments.cancel']({ owner: other, key: 'key-0001' }, signal), {
    cancelled: false,
  })
  t.match(await voiding(other, 'void-009'), { outcome: 'busy', reference: '-', amount: { minor: '0' } })
  t.match(await voiding(OWNER, 'void-008'), { outcome: 'busy', reference: 'REF-key-0001' })
  letGo({ kind: 'online', authorisation: authorisation() })
  t.match(await paying, { outcome: 'approved' }, 'the stranger did not cancel it')

  t.match(of(other, 'key-0001'), [{ outcome: 'unknown', reference: '-' }, null])
  t.match(of(OWNER, 'key-0001'), [{ outcome: 'approved' }, { type: 'sale' }])
  t.match(await voiding(OWNER, 'void-001'), { outcome: 'voided' })
  t.match(of(other, 'void-001'), [{ outcome: 'unknown', reference: '-' }, null])
  t.match(of(OWNER, 'void-001'), [{ outcome: 'voided' }, { type: 'void' }])
  await t.rejects(voiding(other, 'void-001'), { code: 'KEY_REUSED' })
  await terminal.close()
})

t.test('an acknowledgement of what was not handed out writes nothing', async (t) => {
  const terminal = startTerminal({ folder: t.testdir(), host: new TestHost() })
  const { service, journal } = terminal
  await service.collect(request('key-0001'), OWNER)
  const { sequence } = service.unacknowledged()[0]!
  service.acknowledge(sequence)
  t.strictSame(service.unacknowledged(), [])
  const before = journal.verify()
  for (const unknown of [sequence, 0, -1, 1e300]) service.acknowledge(unknown)
  t.strictSame(journal.verify(), before)
  await terminal.close()
})

t.test('log lines name the payment and the fault in fields that the log does not blank', async (t) => {
  const folder = t.testdir()
  const file = join(folder, 'log')
  const descriptor = openSync(file, 'w')
  const host = new TestHost()
  const card = {
    final: () => {
      throw new PosternError('DEVICE_LOST', 'the reader is gone')
    },
  }
  const terminal = startTerminal({
    folder,
    host,
    card,
    log: createLog('secure', 'info', descriptor),
  })
  await terminal.service.collect(request('key-0001'), OWNER)
  await terminal.close()
  closeSync(descriptor)
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  t.match(
    lines.map((line) => JSON.parse(line)),
    [
      { event: 'payment.cardFault', payment: 'key-0001', fault: 'DEVICE_LOST' },
      { event: 'reversal.acknowledged', payment: 'key-0001' },
    ],
  )
  t.notMatch(lines.join(), /redacted/)
})
