// Refunds, pre-authorisations, parts, tips, cash, duplicates and calls to the bank: sums that are never exceeded, keys that
// never do a thing twice, and totals that agree.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writeDurable } from '../../../../hal/base/durable-file.js'
import { PosternError } from '../../../../hal/base/errors.js'
import type { SignatureOutcome, SignaturePad } from '../../../../hal/signature-pad.js'
import { checker } from '../../../../runtime/api/contract.js'
import { type CollectRequest, PaymentView } from '../../../../runtime/api/payments.js'
import type { Screen, ScreenResult } from '../../../../runtime/api/screens.js'
import type { FinalOutcome } from '../../../../runtime/secure/card-transaction.js'
import { disputeBundle, openBundle, signBundle } from '../../../../scripts/cli/dispute.js'
import { attachedFile } from '../../../../scripts/cli/dispute-evidence.js'
import { developmentKey } from '../../../../scripts/hal/report.js'
import {
  authorisation,
  cardSaysNo,
  finalApproved,
  MERCHANT,
  OWNER,
  request,
  startTerminal,
  type TerminalOptions,
  TestHost,
  testClock,
  until,
} from './support.js'

const money = (minor: string) => ({ minor, currency: 'EUR' })
const isView = checker(PaymentView)

function made(
  t: Pick<typeof import('tap').t, 'testdir' | 'teardown' | 'equal'>,
  more: Partial<TerminalOptions> = {},
) {
  const host = new TestHost()
  const clock = testClock()
  const asked: Screen[] = []
  const answers: ScreenResult[] = []
  const net = { online: true }
  let cards = 0
  const terminal = startTerminal({
    folder: t.testdir(),
    host,
    clock,
    isOnline: () => net.online,
    // Another card each time, unless a test says which.
    card: {
      start: () => ({
        kind: 'online',
        authorisation: { ...authorisation(), cardToken: String(cards++).padStart(64, '0') },
      }),
    },
    ask: (screen) => {
      asked.push(screen)
      return answers.shift() ?? { type: 'confirmed' }
    },
    ...more,
  })
  t.teardown(() => terminal.close())
  const collect = (key: string, minor = '1000', extra: Partial<CollectRequest> = {}) =>
    terminal.service.collect({ ...request(key, minor), ...extra }, OWNER)
  const agrees = async () => {
    const close = await terminal.service.closeRound()
    t.equal(close.agreement, 'agrees')
    return close.totals.tenders[0]!
  }
  return { ...terminal, host, clock, asked, answers, net, collect, agrees }
}

t.test(
  'a linked refund: without its card, never more than is left, once a key, after the close too',
  async (t) => {
    const { service, host, journal, collect, agrees } = made(t)
    await collect('sale-0001')
    const refund = (key: string, minor: string, original = 'sale-0001') =>
      service.refund({ key, amount: money(minor), reference: 'REF-back', original, reason: 'broken' }, OWNER)
    const view = await refund('back-0001', '400')
    t.equal(isView(view), undefined)
    t.match(view, { outcome: 'approved', type: 'refund', amount: money('400'), receipt: { type: 'refund' } })
    t.match(host.requests.at(-1), {
      card: undefined,
      original: { stan: 1, kind: 'sale' },
      facts: { kind: 'refund' },
    })
    t.match(journal.payment('back-0001'), { supervisor: '99', reason: 'broken', state: 'COMPLETED' })
    t.same(await refund('back-0001', '400'), view, 'the same key again')
    await t.rejects(refund('back-0001', '401'), { code: 'KEY_REUSED' })
    t.match(await refund('back-0002', '601'), { outcome: 'declined', code: 'REFUND_TOO_MUCH' })
    host.rules = [{ decide: 'approve', answer: 'timeout' }]
    host.reversalRules = ['silent']
    t.match(await refund('back-0003', '600'), { outcome: 'reversing' })
    t.match(
      await refund('back-0004', '600'),
      { code: 'REFUND_TOO_MUCH' },
      'while one may stand with the bank',
    )
    t.match(await refund('back-0005', '1', 'sale-none'), { code: 'NOT_FOUND' })
    t.match(await refund('back-0006', '1', 'back-0001'), { code: 'NOT_APPROVED' }, 'of a refund')
    t.match(await agrees(), { sales: 1, salesMinor: '1000', refunds: 1, refundsMinor: '400' })
    t.match(await refund('back-0007', '600'), { outcome: 'approved' }, 'a settled payment')
    t.match(await agrees(), { sales: 0, refunds: 1, refundsMinor: '600' })
    t.match(
      await service.voidPayment({ key: 'void-0001', original: 'back-0007', reason: 'x' }, OWNER),
      { outcome: 'declined' },
      'a refund is not voided',
    )
  },
)

t.test(
  'a refund without a payment: with the card, under a cap, and only where a supervisor agrees',
  async (t) => {
    const { service, host, journal, agrees, net } = made(t)
    const refund = (key: string, minor: string) =>
      service.refund({ key, amount: money(minor), reference: 'REF-back', reason: 'goodwill' }, OWNER)
    t.match(await refund('back-0001', '10001'), { code: 'CAP_REACHED' })
    net.online = false
    t.match(await refund('back-0002', '900'), { outcome: 'needsNetwork' })
    t.equal(journal.payment('back-0002'), undefined, 'nothing is left behind')
    net.online = true
    const [view, other] = await Promise.all([refund('back-0002', '900'), refund('back-0003', '900')])
    t.match(view, { outcome: 'approved', type: 'refund' })
    t.equal(other.outcome, 'busy')
    t.match(host.requests.at(-1), { card: {}, facts: { kind: 'refund' } })
    t.match(await agrees(), { refunds: 1, refundsMinor: '900' })
    host.capabilities = { ...host.capabilities, refund: false }
    t.match(await refund('back-0004', '1'), { code: 'REFUND_NOT_ALLOWED' })
    const alone = made(t, { supervisor: undefined })
    const refused = { key: 'back-0001', amount: money('5'), reference: 'R', reason: 'x' }
    t.match(await alone.service.refund(refused, OWNER), { outcome: 'cancelled', code: 'NOT_AUTHORISED' })
  },
)

t.test(
  'pre-authorisation: reserved over rounds, increased, completed up to what is reserved, advised',
  async (t) => {
    const { service, host, journal, clock, net, agrees } = made(t)
    const hold = { key: 'hold-0001', amount: money('5000'), reference: 'ROOM-1' }
    t.match(await service.preauthorise(hold, OWNER), { outcome: 'approved', type: 'preauth' })
    t.match(await agrees(), { sales: 0 }, 'what is reserved is no money yet')
    const about = (key: string, minor: string) => ({ key, original: 'hold-0001', amount: money(minor) })
    t.match(await service.increment(about('more-0001', '1000'), OWNER), {
      outcome: 'approved',
      type: 'increment',
    })
    host.rules = [{ decide: 'decline' }]
    t.match(await service.increment(about('more-0002', '9000'), OWNER), { outcome: 'declined' })
    t.match(await service.complete(about('take-0001', '6001'), OWNER), { code: 'COMPLETION_TOO_MUCH' })
    net.online = false
    const view = await service.complete(about('take-0002', '5500'), OWNER)
    t.match(view, { outcome: 'approved', type: 'completion', code: 'OFFLINE' }, 'needs no network')
    t.match(journal.payment('hold-0001'), { state: 'CAPTURED' })
    t.match(journal.payment('more-0001'), { state: 'CAPTURED' })
    t.match(await service.complete(about('take-0003', '1'), OWNER), { code: 'NOT_HELD' })
    t.same((await service.complete(about('take-0002', '5500'), OWNER)).outcome, 'approved')
    net.online = true
    service.roadChanged()
    await until(clock, () => journal.payment('take-0002')?.state === 'ADVISED')
    t.match(host.log.at(-1), /^0220 completion/)
    t.match(await service.collect(request('key-again', '5', 'ROOM-1'), OWNER), { outcome: 'alreadyPaid' })
    t.match(await agrees(), { sales: 1, salesMinor: '5500' })
  },
)

t.test('a pre-authorisation is released with what was added to it', async (t) => {
  const { service, host, clock, journal, agrees } = made(t)
  await service.preauthorise({ key: 'hold-0001', amount: money('5000'), reference: 'ROOM-1' }, OWNER)
  await service.increment({ key: 'more-0001', original: 'hold-0001', amount: money('1000') }, OWNER)
  await agrees()
  host.reversalRules = ['lost']
  const release = { key: 'void-0001', original: 'hold-0001', reason: 'left' }
  t.match(await service.voidPayment(release, OWNER), { outcome: 'reversing' })
  await until(clock, () => journal.openPayments().length === 0)
  t.match(
    [...host.ledger.values()].map(({ state }) => state),
    ['voided', 'voided'],
  )
  t.match(service.status('void-0001'), { outcome: 'voided' })
  t.match(await service.complete({ key: 'take-0001', original: 'hold-0001', amount: money('1') }, OWNER), {
    code: 'NOT_HELD',
  })
})

t.test('a part is approved: taken or not as the person says, and the order is never overpaid', async (t) => {
  const { host, journal, asked, answers, collect, agrees, clock } = made(t)
  const order = { reference: 'ORDER-1', due: money('1000'), partial: true }
  host.rules = [{ decide: 'approve', part: 400n }]
  const view = await collect('part-0001', '1000', order)
  t.equal(isView(view), undefined)
  t.match(view, { outcome: 'approved', amount: money('400'), remaining: money('600') })
  t.match(asked, [{ kind: 'confirm', amount: money('400') }])
  t.match(host.requests.at(-1), { partialAllowed: true })
  t.match(await collect('part-0002', '601', order), { outcome: 'alreadyPaid' }, 'more than remains')
  t.match(
    await collect('part-0003', '600', { reference: 'ORDER-1' }),
    { outcome: 'alreadyPaid' },
    'no sum named',
  )
  host.rules = [{ decide: 'approve', part: 100n }]
  answers.push({ type: 'declined' })
  t.match(await collect('part-0004', '600', order), { outcome: /^revers/ })
  await until(clock, () => journal.payment('part-0004')?.state === 'REVERSED')
  t.match(host.log.at(-1), /^0400 .* partialRefused/)
  host.rules = [{ decide: 'approve', part: 1n }]
  const { partial: _, ...whole } = order
  await collect('part-0005', '600', whole)
  await until(clock, () => journal.payment('part-0005')?.state === 'REVERSED', 5000)
  t.match(await collect('part-0006', '600', order), { outcome: 'approved' })
  t.match(await collect('part-0007', '1', order), { outcome: 'alreadyPaid' })
  t.match(await agrees(), { sales: 2, salesMinor: '1000' })
})

t.test(
  'a tip and cash: on top, told to the host and the card, only where the acquirer allows it',
  async (t) => {
    const { host, answers, asked, collect, agrees, journal } = made(t)
    answers.push({ type: 'amount', amount: money('150') })
    t.match(await collect('tip-00001', '1000', { tip: true }), {
      amount: money('1150'),
      tip: money('150'),
      receipt: { tip: money('150') },
    })
    t.match(asked[0], { kind: 'amount', max: money('500') })
    t.match(host.requests.at(-1), { facts: { amount: { minor: 1150n }, tipMinor: 150n } })
    t.match(
      await collect('tip-00001', '1000', { tip: true }),
      { amount: money('1150') },
      'the same key, asked without the tip',
    )
    answers.push({ type: 'back' })
    t.match(await collect('tip-00002', '1000', { tip: true }), { outcome: 'cancelled' })
    t.equal(journal.payment('tip-00002'), undefined)
    t.match(await collect('cash-0001', '1000', { cashback: money('2000') }), {
      amount: money('3000'),
      cashback: money('2000'),
    })
    t.match(host.requests.at(-1), { facts: { cashbackMinor: 2000n } })
    await t.rejects(collect('cash-0001', '1000', { cashback: money('1') }), { code: 'KEY_REUSED' })
    host.capabilities = { ...host.capabilities, tip: false, cashback: false }
    t.match(await collect('tip-00003', '1000', { tip: true }), { code: 'TIP_NOT_ALLOWED' })
    t.match(await collect('cash-0002', '1000', { cashback: money('1') }), { code: 'CASHBACK_NOT_ALLOWED' })
    t.match(await agrees(), { sales: 2, salesMinor: '4150' })
  },
)

t.test('the same card and amount within ten minutes is asked about', async (t) => {
  const card = { start: () => ({ kind: 'online' as const, authorisation: authorisation() }) }
  const { answers, asked, collect, clock, host } = made(t, { card })
  await collect('key-0001')
  answers.push({ type: 'declined' })
  t.match(await collect('key-0002'), { outcome: 'cancelled', code: 'DUPLICATE' })
  t.match(asked, [{ kind: 'confirm', text: /1 min ago, for REF-key-0001/ }])
  t.equal(host.requests.length, 1, 'nothing was sent')
  t.match(await collect('key-0003'), { outcome: 'approved' }, 'wanted twice')
  t.match(await collect('key-0004', '1001'), { outcome: 'approved' })
  clock.advance(11 * 60_000)
  const before = asked.length
  t.match(await collect('key-0005'), { outcome: 'approved' })
  t.equal(asked.length, before)
})

t.test('the bank wants to be called: its code and a supervisor, then an advice; else declined', async (t) => {
  const { host, answers, collect, clock, journal, agrees } = made(t)
  host.rules = [{ decide: 'refer' }]
  answers.push({ type: 'submitted', values: { code: 'ab12' } })
  t.match(await collect('call-0001'), {
    outcome: 'approved',
    code: 'OFFLINE',
    receipt: { authorisationCode: 'AB12' },
  })
  t.match(journal.payment('call-0001'), { offline: 'voice', supervisor: '99' })
  await until(clock, () => journal.payment('call-0001')?.state === 'ADVISED')
  t.match(host.log.at(-1), /^0220 offlineSale 1 00/)
  for (const [key, answer] of [
    ['call-0002', { type: 'back' }],
    ['call-0003', { type: 'submitted', values: { code: '!!' } }],
  ] as const) {
    host.rules = [{ decide: 'refer' }]
    answers.push(answer)
    t.match(await collect(key), { outcome: 'declined', code: 'RESPONSE_01' })
  }
  t.match(await agrees(), { sales: 1 })
  const no = made(t, { card: { final: cardSaysNo } })
  no.host.rules = [{ decide: 'refer' }]
  no.answers.push({ type: 'submitted', values: { code: 'AB12' } })
  t.match(await no.collect('call-0004'), { outcome: 'declined', code: 'CARD_AAC' })
  t.match(no.journal.openPayments(), [])
})

t.test(
  'totals that differ: every payment is uploaded, then the totals again; what the bank has otherwise is named',
  async (t) => {
    const { service, host, journal, collect, clock } = made(t)
    for (const key of ['sale-0001', 'sale-0002', 'sale-0003']) await collect(key)
    const [lost] = host.ledger.keys()
    host.ledger.delete(lost!)
    const close = await service.closeRound()
    t.match(close, { agreement: 'agrees', differences: [] }, 'the upload brought it back')
    t.match(
      host.log.filter((line) => /^(totals|upload)/.test(line)),
      ['totals 1', 'upload 1/3 1', 'upload 2/3 2', 'upload 3/3 3', 'totals 1'],
    )
    t.match(journal.lastRound(), { closing: { upload: { done: 3, refused: [] } } })

    await collect('sale-0004', '1100')
    await collect('sale-0005', '1200')
    const line = [...host.ledger.values()].find(({ minor }) => minor === 1200n)!
    line.minor = 900n
    const differs = await service.closeRound()
    t.equal(differs.agreement, 'differs')
    t.match(differs.differences, [/Sales: the terminal has 2/, /REF-sale-0005, .*12\.00.*code 12/])

    await collect('sale-0006', '1300')
    const [, id] = [...host.ledger.entries()].map(([name]) => name).slice(-2)
    host.ledger.delete(id!)
    host.uploadRules = ['silent', 'silent']
    t.match(await service.closeRound(), { agreement: 'notCompared' })
    await until(clock, () => journal.openRounds().length === 0)
    t.equal(journal.lastRound()!.agreement, 'agrees', 'gone on with where it stood')
  },
)

t.test('a dispute bundle holds what is known and no card number', async (t) => {
  const { journal, collect, service } = made(t)
  await collect('sale-0001')
  await service.refund(
    { key: 'back-0001', amount: money('400'), reference: 'R', original: 'sale-0001', reason: 'x' },
    OWNER,
  )
  const bundle = disputeBundle(journal, MERCHANT, 'sale-0001')
  t.match(bundle, {
    payment: { key: 'sale-0001', type: 'sale', state: 'COMPLETED', stan: 1 },
    receipt: { outcome: 'approved', card: { panLast4: '0119' } },
    authorisation: { code: '00', authorisationCode: 'A12345' },
    de55: /^9F26/,
    signature: { required: false },
    deliveryProof: { reference: 'REF-sale-0001' },
    related: [{ key: 'back-0001', type: 'refund' }],
    chain: { sound: true },
  })
  t.ok(bundle.entries.length >= 5)
  t.throws(() => disputeBundle(journal, MERCHANT, 'sale-none'), { code: 'JOURNAL_UNKNOWN' })
})

/** A pad on which somebody draws, after having begun anew once. */
function padWith(outcomes: (SignatureOutcome | 'fails' | 'never')[]): SignaturePad {
  const device = { id: 'pad', deviceClass: 'signature-pad', driver: 'test' } as const
  return {
    ...device,
    status: () => ({ presence: 'ready', state: 'idle' }),
    on: () => () => undefined,
    statistics: () => ({}),
    close: async () => undefined,
    capture: async () => {
      const next = outcomes.shift() ?? 'never'
      if (next === 'fails') throw new PosternError('DEVICE_LOST', 'gone')
      return next === 'never' ? new Promise(() => undefined) : next
    },
  }
}
const drawn: SignatureOutcome = {
  kind: 'signed',
  width: 240,
  height: 120,
  strokes: [
    Array.from({ length: 1999 }, (_, i) => ({ x: i % 240, y: i % 120, t: i })),
    [{ x: 5.4, y: 6.6, t: 3000 }],
    [],
  ],
}
const signs = { final: () => ({ ...finalApproved(), signatureRequired: true }) as FinalOutcome }

t.test('a signed bundle holds everything, and whoever opens it sees that nothing was changed', async (t) => {
  const asked: Screen[] = []
  const { service, journal } = made(t, {
    card: signs,
    merchant: { ...MERCHANT, signatureOnPad: true },
    signaturePad: padWith([{ kind: 'cleared' }, drawn]),
    ask: (screen) => {
      asked.push(screen)
      return screen.kind === 'message' ? new Promise(() => undefined) : { type: 'confirmed' }
    },
  })
  const view = await service.collect(request('sale-0001', '1000', 'PH-100001'), OWNER)
  t.match(view, { outcome: 'approved', receipt: { card: { signedOnPad: true } } })
  t.not(view.code, 'SIGNATURE', 'nothing is to be signed on paper')
  t.match(asked, [{ kind: 'message', title: 'Please sign' }])
  const open = t.testdir({ apps: { courier: {} } })
  const stop = { state: 'delivered', parcel: { waybill: 'PH-100001' }, paid: { key: 'sale-0001' } }
  const other = { state: 'open', paid: { key: 'sale-00012' } }
  writeDurable(
    join(open, 'apps', 'courier', 'storage.json'),
    Buffer.from(JSON.stringify({ 'stop.PH-100001': stop, 'stop.PH-100002': other })),
  )
  writeFileSync(join(open, 'door.jpg'), Buffer.from([0xff, 0xd8, 1, 2, 3]))
  const files = [attachedFile(join(open, 'door.jpg'))]
  t.throws(() => attachedFile(join(open, 'door.exe')), { code: 'USAGE' })
  t.throws(() => attachedFile(join(open, 'none.pdf')), { code: 'USAGE' })
  const key = developmentKey(join(open, 'key.pem'))
  const made1 = disputeBundle(journal, MERCHANT, 'sale-0001', { openDir: open, signer: 'device', files })
  const file = JSON.parse(JSON.stringify(signBundle(made1, key)))
  const { bundle, key: print } = openBundle(file)
  t.match(bundle, {
    signer: 'device',
    receipt: { outcome: 'approved' },
    authorisation: { authorisationCode: 'A12345' },
    de55: /^9F26/,
    signature: { required: true, onPaper: null, picture: { name: 'signature.svg', type: 'image/svg+xml' } },
    deliveryProof: {
      reference: 'PH-100001',
      records: [{ app: 'courier', key: 'stop.PH-100001', value: stop }],
      files: [{ name: 'door.jpg', type: 'image/jpeg' }],
    },
    chain: { sound: true },
  })
  t.equal(bundle.deliveryProof.records.length, 1)
  t.ok(bundle.receiptLines.some((line) => line.includes('APPROVED')))
  t.ok(bundle.receiptLines.some((line) => line.includes('Signed on the pad')))
  const svg = Buffer.from(bundle.signature.picture!.base64, 'base64').toString()
  t.match(svg, /^<svg .*viewBox="0 0 240 120".*<path d="M0 0L0 0 2 2.*M5 7L5 7"/)
  t.ok(svg.length < 20_000)
  const hashes = bundle.entries.map(({ hash }) => hash)
  t.same(
    hashes,
    journal.show('sale-0001').map(({ hash }) => Buffer.from(hash).toString('hex').toUpperCase()),
  )
  t.notMatch(file.body, /[0-9]{12,19}(?![0-9a-f])(?=D|=)/i, 'no track')
  t.ok(openBundle(file, print))
  t.throws(() => openBundle(file, '0123456789ABCDEF'), { code: 'DISPUTE_REFUSED' }, "another's key")
  const changed = { ...file, body: file.body.replace('"1000"', '"9000"') }
  t.throws(() => openBundle(changed), { code: 'DISPUTE_REFUSED' })
  t.throws(() => openBundle({}), { code: 'DISPUTE_REFUSED' })
})

t.test(
  'no signature on the pad: it fails, nobody signs, or none is wanted; the paper is signed',
  async (t) => {
    const merchant = { ...MERCHANT, signatureOnPad: true }
    const onPaper = { outcome: 'approved', code: 'SIGNATURE' }
    const broken = made(t, {
      card: signs,
      merchant,
      signaturePad: padWith(['fails']),
      ask: () => new Promise(() => undefined),
    })
    t.match(await broken.service.collect(request('sale-0001'), OWNER), onPaper)
    const bundle = disputeBundle(broken.journal, MERCHANT, 'sale-0001')
    t.match(bundle.signature, { required: true, picture: null, onPaper: 1 })
    const refused = made(t, {
      card: signs,
      merchant,
      signaturePad: padWith([]),
      ask: () => ({ type: 'back' }),
    })
    t.match(await refused.service.collect(request('sale-0001'), OWNER), onPaper)
    const plain = made(t, { card: signs, signaturePad: padWith([drawn]) })
    t.match(
      await plain.service.collect(request('sale-0001'), OWNER),
      onPaper,
      'the document does not ask for it',
    )
  },
)

t.test(
  'a supervisor sees why totals differ, line by line; caps hold for a shift, and begin anew',
  async (t) => {
    const { service, host, journal, asked, answers, collect } = made(t, {
      merchant: { ...MERCHANT, supervision: { refunds: 1 } },
    })
    await collect('sale-0001', '1000')
    await collect('sale-0002', '2000')
    const refund = (key: string, minor = '100') =>
      service.refund({ key, amount: money(minor), reference: 'R', original: 'sale-0001', reason: 'x' }, OWNER)
    t.match(await refund('back-0001'), { outcome: 'approved' })
    t.match(await refund('back-0002'), { outcome: 'declined', code: 'CAP_REACHED' })
    t.match(service.status('back-0002'), { outcome: 'unknown' }, 'the key is free')
    t.match(service.status('back-0001'), { outcome: 'approved', type: 'refund' })
    const voiding = { key: 'void-0002', original: 'sale-0002', reason: 'x' }
    t.match(await service.voidPayment(voiding, OWNER), { code: 'CAP_REACHED' }, 'a void counts as one')
    for (const [id, line] of host.ledger)
      if (line.minor === 2000n) host.ledger.set(id, { ...line, minor: 1900n })
    const close = await service.closeRound()
    t.equal(close.agreement, 'differs')
    asked.length = 0
    answers.push({ type: 'selected', id: 'differences' }, { type: 'back' }, { type: 'back' })
    await service.review()
    t.match(asked[0], { kind: 'list', items: [{ id: 'differences', mark: 'attention' }] })
    const shown = asked[1]?.kind === 'details' ? asked[1].rows.map(({ value }) => value).join('') : ''
    t.equal(shown, (journal.lastRound()?.differences ?? []).join(''), 'every word of every line')
    t.match(shown, /REF-sale-0002/, 'the payment itself is named')
    t.match(await refund('back-0003'), { outcome: 'approved' }, 'another shift')
  },
)
