// Approvals without the bank, their limits and advices, card data that is sealed and destroyed, and what a person ends.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fromHex } from '../../../../hal/base/bytes.js'
import type { Screen, ScreenResult } from '../../../../runtime/api/screens.js'
import { openCardVault } from '../../../../runtime/secure/payments/sealed-cards.js'
import {
  authorisation,
  type CardScript,
  FACTS,
  memoryStore,
  OWNER,
  offlineApproved,
  request,
  startTerminal,
  type TerminalOptions,
  TestHost,
  testClock,
  until,
} from './support.js'

/** A terminal whose network the test switches. */
function terminalOf(folder: string, more: Partial<TerminalOptions> = {}) {
  const host = (more.host as TestHost | undefined) ?? new TestHost()
  host.capabilities = { ...host.capabilities, offlineFloorMinor: 5000n }
  const clock = more.clock ?? testClock()
  const net = { online: false }
  const asked: Screen[] = []
  const start = () =>
    startTerminal({
      card: { offline: offlineApproved },
      ...more,
      folder,
      host,
      clock,
      isOnline: () => net.online,
      ask: (screen) => {
        asked.push(screen)
        return more.ask?.(screen) ?? { type: 'confirmed' }
      },
    })
  return { host, clock, net, asked, start }
}

t.test(
  'network off: limits, risk, TC; network back: advised once, card data destroyed, totals agree',
  async (t) => {
    const folder = t.testdir()
    const { host, clock, net, asked, start } = terminalOf(folder)
    const { service, journal, close } = start()
    const view = await service.collect(request('key-0001'), OWNER)
    t.match(view, { outcome: 'approved', code: 'OFFLINE', receipt: { outcome: 'approved' } })
    t.match(asked, [{ kind: 'confirm', amount: { minor: '1250' } }], 'the operator saw the risk')
    t.match(journal.payment('key-0001'), {
      state: 'ADVICE_PENDING',
      advice: { responseCode: 'Y3', attempts: 0 },
    })
    t.strictSame(host.log, [], 'nothing was sent')
    const { sealed } = journal.payment('key-0001')!.sealedCard!
    t.ok(sealed.length > 60)
    const disk =
      readFileSync(join(folder, 'journal.db')).toString('latin1') +
      readFileSync(join(folder, 'journal.db-wal')).toString('latin1')
    t.notOk(disk.toUpperCase().includes('CC'.repeat(16)), "the host's ciphertext is not on disk either")
    const before = memoryStore(folder).records.get('offline-cards')!
    t.equal(before.length, 40)
    t.equal((await service.collect(request('key-0001'), OWNER)).outcome, 'approved', 'the same key pays once')
    t.match(service.stuck(), { items: [{ key: 'key-0001', kind: 'advice', endable: false }] })

    net.online = true
    service.roadChanged()
    await until(clock, () => journal.payment('key-0001')?.state === 'ADVISED')
    t.match(host.log, [/^0220 offlineSale 1 Y3/])
    t.strictSame(host.advisedCards, ['CC'.repeat(32)], 'as the seam gave it')
    await until(clock, () => memoryStore(folder).records.get('offline-cards')!.length === 0)
    t.equal(journal.payment('key-0001')!.sealedCard!.sealed, '')
    const round = await service.closeRound()
    t.match(round, {
      agreement: 'agrees',
      totals: { tenders: [{ sales: 1, salesMinor: '1250' }], unresolved: [] },
    })
    t.equal(journal.payment('key-0001')!.state, 'SETTLED')
    await close()
  },
)

t.test('limits: amount, card, shift and device; no floor, no question', async (t) => {
  const folder = t.testdir()
  const { host, net, asked, start } = terminalOf(folder)
  let token = 0
  const card = {
    offline: offlineApproved,
    start: () => ({
      kind: 'online' as const,
      authorisation: { ...authorisation(), cardToken: String(token).padStart(64, '0') },
    }),
  }
  const again = terminalOf(folder, { card, host })
  const { service, close } = again.start()
  const pay = async (key: string, minor = '100') => (await service.collect(request(key, minor), OWNER)).code
  t.equal(await pay('key-0001', '5001'), 'OFFLINE_AMOUNT', 'before the card is asked for')
  t.equal(await pay('key-0002'), 'OFFLINE')
  t.equal(await pay('key-0003'), 'OFFLINE_CARD', 'the same card again')
  for (token = 1; token < 5; token++) t.equal(await pay(`key-001${token}`), 'OFFLINE')
  t.equal(await pay('key-0020'), 'OFFLINE_SHIFT', 'five in this shift')
  host.capabilities = { ...host.capabilities, offlineLimits: { shiftCount: 100, deviceMinor: '550' } }
  t.equal(await pay('key-0021'), 'OFFLINE_DEVICE')
  host.capabilities = { ...host.capabilities, offlineLimits: { shiftMinor: '10', deviceCount: 50 } }
  t.equal(await pay('key-0022'), 'OFFLINE_SHIFT')
  const { offlineFloorMinor: _, ...none } = host.capabilities
  host.capabilities = none
  const before = again.asked.length
  t.equal(await pay('key-0023'), 'NO_NETWORK')
  t.equal(again.asked.length, before)
  t.notOk(net.online || asked.length > 0 || start === undefined)
  await close()
})

t.test(
  'the operator says no, the card says no, the card leaves: nothing is taken and no key is left',
  async (t) => {
    const cases = [
      ['OFFLINE_DECLINED', {}, () => ({ type: 'declined' }) as ScreenResult],
      ['CARD_AAC', { offline: undefined }, undefined],
      [
        'CARD_ERROR',
        { offline: () => ({ kind: 'ended', reason: 'removed', facts: authorisation().facts }) },
        undefined,
      ],
    ] as const
    for (const [code, card, ask] of cases) {
      const folder = t.testdir()
      const { host, net, clock, start } = terminalOf(folder, {
        card: { offline: offlineApproved, ...card } as never,
        ...(ask && { ask }),
        store: code,
      })
      const { service, journal, close } = start()
      const key = `key-${code}`
      t.match(await service.collect(request(key), OWNER), { code })
      t.notMatch(journal.payment(key), { advice: {} })
      t.equal(memoryStore(code).records.get('offline-cards')?.length ?? 0, 0, code)
      net.online = true
      service.roadChanged()
      await until(clock, () => journal.openPayments().length === 0)
      t.strictSame(host.log, [])
      await close()
    }
  },
)

t.test(
  'a card that approves by itself (Y1) with a network is advised at once, without a question',
  async (t) => {
    const start = () => ({
      kind: 'approvedOffline' as const,
      authorisation: authorisation(),
      signatureRequired: true,
      adviceRequired: false,
    })
    const made = terminalOf(t.testdir(), { card: { start } })
    made.net.online = true
    const { service, journal, close } = made.start()
    t.match(await service.collect(request('key-0001'), OWNER), { outcome: 'approved' })
    await until(made.clock, () => journal.payment('key-0001')?.state === 'ADVISED')
    t.match(made.host.log, [/^0220 offlineSale 1 Y1/])
    t.strictSame(made.asked, [])
    await close()
  },
)

t.test(
  'a road that does not open counts as no network; a sent sale never becomes an offline one',
  async (t) => {
    const made = terminalOf(t.testdir())
    made.net.online = true
    made.host.reachable = false
    const { service, journal, close } = made.start()
    t.match(await service.collect(request('key-0001'), OWNER), { outcome: 'approved', code: 'OFFLINE' })
    made.host.reachable = true
    made.host.rules = [{ decide: 'approve', answer: 'timeout' }]
    t.match(await service.collect(request('key-0002'), OWNER), { outcome: /^revers/ })
    await until(made.clock, () => journal.openPayments().length === 0)
    t.match(journal.payment('key-0002'), { state: 'REVERSED' })
    t.match(await service.closeRound(), { agreement: 'agrees' })
    await close()
  },
)

t.test(
  'advices are repeated until answered, also over restarts; a close without them compares nothing yet',
  async (t) => {
    const folder = t.testdir()
    const made = terminalOf(folder)
    let terminal = made.start()
    await terminal.service.collect(request('key-0001'), OWNER)
    t.match(await terminal.service.closeRound(), { agreement: 'notCompared', differences: [/./] })
    await terminal.close()
    made.host.adviceRules = ['lost', 'silent', 'silent', 'lost', 'silent', 'silent']
    made.net.online = true
    terminal = made.start()
    await until(made.clock, () => terminal.journal.payment('key-0001')?.state === 'SETTLED')
    const lines = made.host.log.filter((line) => line.includes('offlineSale'))
    t.match(lines[0], /^0220/)
    for (const line of lines.slice(1)) t.match(line, /^0221 offlineSale 1 /)
    t.equal(lines.length, 7)
    t.match(terminal.notices[0], /could not be reported yet/, 'after six failures a person is told')
    t.equal(
      terminal.journal.lastRound()!.agreement,
      'agrees',
      'compared later, with the advice in the same batch',
    )
    t.equal([...made.host.ledger.values()].length, 1)
    await terminal.close()
  },
)

t.test('voided before the bank ever heard of it: nobody is told, and the card data are gone', async (t) => {
  const folder = t.testdir()
  const made = terminalOf(folder)
  const { service, journal, close } = made.start()
  await service.collect(request('key-0001'), OWNER)
  const voiding = { key: 'void-001', original: 'key-0001', reason: 'wrong parcel' }
  t.match(await service.voidPayment(voiding, OWNER), { outcome: 'voided', receipt: { type: 'void' } })
  t.match(await service.voidPayment(voiding, OWNER), { outcome: 'voided' })
  t.equal(service.status('key-0001').outcome, 'voided')
  t.equal(memoryStore(folder).records.get('offline-cards')!.length, 0)
  made.net.online = true
  service.roadChanged()
  await until(made.clock, () => journal.openPayments().length === 0)
  t.match(await service.closeRound(), { agreement: 'agrees', totals: { tenders: [{ sales: 0, voids: 0 }] } })
  t.notMatch(made.host.log, [/offlineSale/])
  await close()
})

t.test(
  'the bank refuses an advice: a person sends it again, or ends it with a reason and a code',
  async (t) => {
    const folder = t.testdir()
    const script: ScreenResult[] = []
    const shown: Screen[] = []
    const made = terminalOf(folder, {
      ask: (screen) => {
        shown.push(screen)
        return screen.kind === 'confirm' ? { type: 'confirmed' } : (script.shift() ?? { type: 'back' })
      },
    })
    const { service, journal, notices, close } = made.start()
    await service.collect(request('key-0001'), OWNER)
    made.host.adviceRules = ['refuse', 'refuse']
    made.net.online = true
    service.roadChanged()
    const isRefused = () => journal.payment('key-0001')?.state === 'ADVICE_REFUSED'
    await until(made.clock, isRefused)
    t.match(notices, [/will not take payment/])
    t.match(service.status('key-0001'), { outcome: 'approved', code: 'ADVICE_REFUSED' })
    t.match(service.stuck(), { items: [{ endable: true, code: '05' }] })
    script.push({ type: 'selected', id: 'i0' }, { type: 'selected', id: 'retry' })
    script.push({ type: 'submitted', values: { reason: 'bank called' } }, { type: 'back' })
    await service.review()
    t.match(journal.payment('key-0001'), {
      resolution: { how: 'retried', supervisor: '99', reason: 'bank called' },
    })
    await until(made.clock, () => made.host.adviceRules.length === 0 && isRefused())
    script.push({ type: 'selected', id: 'i0' }, { type: 'selected', id: 'end' })
    script.push({ type: 'submitted', values: { reason: 'written off' } }, { type: 'back' })
    await service.review()
    t.match(journal.payment('key-0001'), {
      state: 'ENDED_BY_OPERATOR',
      sealedCard: { sealed: '' },
      resolution: { how: 'ended', operator: '17', supervisor: '99', reason: 'written off' },
    })
    t.equal(memoryStore(folder).records.get('offline-cards')!.length, 0)
    t.match(service.stuck(), { items: [] })
    t.match(journal.lastRound(), { supervised: { overrides: 2 } })
    t.match(await service.closeRound(), { agreement: 'agrees', totals: { tenders: [{ sales: 0 }] } })
    t.match(journal.verify(), { sound: true })
    await close()
  },
)

t.test(
  'a stuck reversal is ended by a person: that acquirer takes payments again, and the key tells how',
  async (t) => {
    const folder = t.testdir()
    const script: ScreenResult[] = []
    const made = terminalOf(folder, { ask: () => script.shift() ?? { type: 'back' } })
    made.net.online = true
    const { service, journal, clock, close } = { ...made.start(), clock: made.clock }
    made.host.rules = [{ decide: 'approve', answer: 'timeout' }]
    made.host.reversalRules = new Array(40).fill('silent')
    await service.collect(request('key-0001'), OWNER)
    await until(clock, () => journal.payment('key-0001')?.state === 'REVERSAL_STUCK', 60_000)
    t.match(await service.collect(request('key-0002', '6000'), OWNER), { code: 'REVERSAL_FIRST' })
    t.match(service.stuck(), { items: [{ key: 'key-0001', kind: 'reversal', endable: true }] })
    for (const keys of [[], ['x']] as const) {
      script.push({ type: 'selected', id: 'i0' }, { type: 'selected', id: 'end' })
      script.push(
        keys.length === 0 ? { type: 'back' } : { type: 'submitted', values: { reason: 'bank confirms' } },
      )
      script.push({ type: 'back' })
      await service.review()
    }
    t.match(journal.payment('key-0001'), {
      state: 'ENDED_BY_OPERATOR',
      resolution: { reason: 'bank confirms' },
    })
    t.equal(service.status('key-0001').outcome, 'endedByOperator')
    t.match(service.unacknowledged().at(-1), { view: { key: 'key-0001', outcome: 'endedByOperator' } })
    t.match(await service.collect(request('key-0003', '6000'), OWNER), { outcome: 'approved' })
    await close()
  },
)

t.test(
  'caps: what a supervisor may agree to in a shift is bounded, and a new shift begins anew',
  async (t) => {
    const made = terminalOf(t.testdir())
    made.net.online = true
    const { service, close } = made.start()
    for (let i = 1; i <= 3; i++) await service.collect(request(`key-000${i}`, '40000'), OWNER)
    const voiding = (i: number) =>
      service.voidPayment({ key: `void-00${i}`, original: `key-000${i}`, reason: 'x' }, OWNER)
    t.match(await voiding(1), { outcome: 'voided' })
    t.match(await voiding(2), { outcome: 'voided' })
    t.match(await voiding(3), { outcome: 'declined', code: 'CAP_REACHED' }, '1,000.00 in a shift')
    await service.closeRound()
    await service.collect(request('key-0004', '40000'), OWNER)
    t.match(await voiding(4), { outcome: 'voided' })
    await close()
  },
)

t.test(
  'the vault: bound to its payment, whole or refused, full at a hundred, and destroyed for good',
  async (t) => {
    const store = memoryStore('vault')
    const random = (n: number) => new Uint8Array(n).map(() => Math.floor(Math.random() * 256))
    const vault = await openCardVault(store, random)
    const card = authorisation().cardData
    const sealed = await vault.seal('key-0001', card)
    t.strictSame(vault.open('key-0001', sealed), card)
    t.throws(() => vault.open('key-0002', sealed), { code: 'SEAL_BROKEN' })
    const altered = { ...sealed, sealed: sealed.sealed.replace(/.$/, (last) => (last === '0' ? '1' : '0')) }
    t.throws(() => vault.open('key-0001', altered), { code: 'SEAL_BROKEN' })
    t.throws(() => vault.open('key-0001', { ...sealed, sealed: '00' }), { code: 'SEAL_BROKEN' })
    const again = await openCardVault(store, random)
    t.strictSame(again.open('key-0001', sealed), card, 'after a restart')
    for (let i = 1; i < 100; i++) await vault.seal(`key-${i}`, card)
    await t.rejects(vault.seal('key-more', card), { code: 'VAULT_FULL' })
    let writes = 0
    const write = (name: string, bytes: Uint8Array) => {
      writes++
      return store.write(name, bytes)
    }
    const watched = await openCardVault({ ...store, write }, random)
    await watched.destroy(watched.ids())
    t.equal(writes, 2, 'twice, so that no former generation keeps them')
    t.throws(() => watched.open('key-0001', sealed), { code: 'SEAL_BROKEN' })
    await t.rejects(
      (await openCardVault({ ...store, write: async () => Promise.reject(new Error('disk')) }, random)).seal(
        'k',
        card,
      ),
      /disk/,
    )
  },
)

t.test(
  'a decline that its issuer wants to hear of: journalled, sent after a restart, no money held up by it',
  async (t) => {
    const folder = t.testdir()
    const started: { is: ReturnType<NonNullable<CardScript['start']>> | undefined } = { is: undefined }
    const declines: CardScript = {
      declineAdvice: true,
      start: () => started.is ?? { kind: 'online', authorisation: authorisation() },
    }
    const { host, clock, net, start } = terminalOf(folder, { card: declines })
    host.capabilities = { ...host.capabilities, offlineFloorMinor: 5000n, declineAdvices: true }
    const first = start()
    const aac = {
      kind: 'declinedOffline',
      facts: FACTS,
      de55: fromHex('9F2701089F2608C1C2C3C4C5C6C7C8'),
    } as const
    started.is = { ...aac, reason: 'terminal action analysis', adviceRequired: true }
    const view = await first.service.collect(request('key-0001'), OWNER)
    t.match(view, { outcome: 'declined', code: 'CARD_AAC', receipt: { outcome: 'declined' } })
    t.match(first.journal.payment('key-0001'), { state: 'DECLINE_PENDING', advice: { responseCode: 'Z1' } })
    t.match(first.service.stuck().items, [{ key: 'key-0001', kind: 'advice', endable: false }])
    started.is = undefined
    t.match(await first.service.collect(request('key-0002'), OWNER), { outcome: 'declined' })
    t.match(first.journal.payment('key-0002'), { state: 'DECLINE_PENDING', advice: { responseCode: 'Z3' } })
    t.equal(first.journal.payment('key-0002')?.stan, 2)
    await first.close()

    const { service, journal, close } = start()
    t.match(service.status('key-0001'), { outcome: 'declined' })
    t.match(await service.collect(request('key-0001'), OWNER), { outcome: 'declined' }, 'the same key')
    net.online = true
    host.adviceRules = ['lost', 'ok', 'refuse']
    service.roadChanged()
    await until(clock, () => !service.stuck().items.some(({ endable }) => !endable))
    t.match(host.log, [/^0220 offlineDecline 1 Z1/])
    t.ok(
      host.log.some((line) => line.startsWith('0221 offlineDecline')),
      'a lost one is repeated as such',
    )
    const states = ['key-0001', 'key-0002'].map((key) => journal.payment(key)?.state)
    t.same(states.sort(), ['DECLINED', 'DECLINE_REFUSED'])

    // The host declines, and the card wants an advice of that: a message of its own.
    host.rules = [{ decide: 'decline' }]
    host.adviceRules = ['silent', 'silent', 'silent', 'silent', 'silent', 'silent', 'silent']
    t.match(await service.collect(request('key-0003'), OWNER), { outcome: 'declined', code: /^RESPONSE_/ })
    const third = journal.payment('key-0003')!
    t.match(third, { state: 'DECLINE_PENDING', advice: { own: { stan: third.stan! + 1 } } })
    t.match(await service.closeRound(), { agreement: 'agrees' }, 'no money hangs on it')
    await until(clock, () => journal.payment('key-0003')?.state === 'DECLINED')
    t.ok(host.log.some((line) => line.startsWith(`0221 offlineDecline ${third.stan! + 1} `)))
    t.ok(journal.verify().sound)
    await close()
  },
)

t.test(
  'the bank refuses a decline for good: a person ends it; without the capability nothing is owed',
  async (t) => {
    const aac = {
      kind: 'declinedOffline',
      facts: FACTS,
      de55: new Uint8Array(),
      reason: 'x',
      adviceRequired: true,
    } as const
    const answers: ScreenResult[] = [
      { type: 'selected', id: 'i0' },
      { type: 'selected', id: 'end' },
      { type: 'submitted', values: { reason: 'bank said so' } },
    ]
    const { host, clock, net, start } = terminalOf(t.testdir(), {
      card: { start: () => aac },
      ask: () => answers.shift() ?? { type: 'back' },
    })
    const { service, journal, close, notices } = start()
    await service.collect(request('key-0000'), OWNER)
    t.match(journal.payment('key-0000'), { state: 'DECLINED', advice: undefined })
    host.capabilities = { ...host.capabilities, declineAdvices: true }
    host.adviceRules = ['refuse']
    net.online = true
    await service.collect(request('key-0001'), OWNER)
    await until(clock, () => journal.payment('key-0001')?.state === 'DECLINE_REFUSED')
    t.match(notices, [/No money hangs on it/])
    t.match(service.stuck().items, [{ key: 'key-0001', endable: true, code: '05' }])
    await service.review()
    t.match(journal.payment('key-0001'), {
      state: 'DECLINED',
      resolution: { how: 'ended', reason: 'bank said so' },
    })
    t.same(service.stuck().items, [])
    await close()
  },
)
