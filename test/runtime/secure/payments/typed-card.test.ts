// Typed cards from the request to the host: who may, what is sent, what is kept, and what becomes of the digits.
import t, { type Test } from 'tap'
import { ascii, toHex } from '../../../../hal/base/bytes.js'
import type { CollectRequest } from '../../../../runtime/api/payments.js'
import type { CardKeys } from '../../../../runtime/secure/keys/terminal-keys.js'
import type { CardEntry, TypedCard } from '../../../../runtime/secure/screens/card-entry.js'
import { typedCards } from '../../../../runtime/secure/typed-card.js'
import {
  MERCHANT,
  OWNER,
  request,
  startTerminal,
  type TerminalOptions,
  TestHost,
  testClock,
} from './support.js'

const PAN = '9999990000000014'

function made(t: Test, more: Partial<TerminalOptions> = {}, entered?: () => CardEntry) {
  const host = new TestHost()
  const clear: string[] = []
  const given: TypedCard[] = []
  const wanted: boolean[] = []
  const keys: CardKeys = {
    encryptCardData: async (bytes) => {
      clear.push(toHex(bytes))
      return { ksn: new Uint8Array(12), bytes: new Uint8Array(32).fill(9) }
    },
    encryptPin: () => Promise.reject(new Error('no PIN of a typed card')),
    cardToken: async (pan) => ascii.decode(pan).slice(-4).padStart(64, '0'),
  }
  const card = (): CardEntry => ({
    kind: 'typed',
    card: { pan: ascii.encode(PAN), expiry: ascii.encode('3512'), cvv2: ascii.encode('123') },
  })
  const typed = typedCards({
    keys,
    enterCard: async ({ cvv2 }) => {
      wanted.push(cvv2)
      const entry = (entered ?? card)()
      if (entry.kind === 'typed') given.push(entry.card)
      return entry
    },
  })
  const terminal = startTerminal({
    folder: t.testdir(),
    host,
    clock: testClock(),
    typedCards: typed,
    ...more,
  })
  t.teardown(() => terminal.close())
  const collect = (key: string, minor = '1000', extra: Partial<CollectRequest> = {}) =>
    terminal.service.collect({ ...request(key, minor), manual: true, ...extra }, OWNER)
  return { ...terminal, host, clear, given, wanted, collect }
}

t.test('a supervisor agrees; the host is asked; nothing of number or code is kept', async (t) => {
  const { collect, service, host, journal, clear, given } = made(t)
  const view = await collect('typed-001')
  t.match(view, {
    outcome: 'approved',
    receipt: { card: { entryMode: 'manual', panLast4: '0014', cvm: 'none' } },
  })
  t.match(host.requests.at(-1), {
    facts: { kind: 'sale', entryMode: 'manual' },
    card: { pinBlock: undefined },
  })
  t.same(clear, [`${PAN}D3512D123`.padEnd(26, 'F')], 'what is encrypted')
  const record = journal.payment('typed-001')!
  t.match(record, {
    manual: true,
    supervisor: '99',
    state: 'COMPLETED',
    card: { maskedPan: '999999******0014' },
  })
  const kept = JSON.stringify([record, journal.show('typed-001')])
  t.notMatch(kept, PAN)
  t.notMatch(kept, 'D3512')
  for (const { pan, expiry, cvv2 } of given)
    t.ok(
      [...pan, ...expiry, ...cvv2!].every((byte) => byte === 0),
      'the digits are erased',
    )
  t.same(await collect('typed-001'), view, 'the same key again: nothing is asked twice')
  await t.rejects(service.collect(request('typed-001', '1000'), OWNER), { code: 'KEY_REUSED' })
  t.equal(given.length, 1)
  const voided = await service.voidPayment({ key: 'void-001', original: 'typed-001', reason: 'x' }, OWNER)
  t.match(voided, { outcome: 'voided' })
  t.match(await service.closeRound(), { agreement: 'agrees' })
})

t.test(
  'refused before anything is typed: not allowed, over the cap, no network, nobody agrees',
  async (t) => {
    const online = { is: true }
    const { collect, host, given, journal } = made(t, { isOnline: () => online.is })
    t.match(await collect('typed-001', '50001'), { outcome: 'declined', code: 'CAP_REACHED' })
    const cashback = { cashback: { minor: '500', currency: 'EUR' } }
    t.match(await collect('typed-002', '100', cashback), { code: 'MANUAL_NOT_ALLOWED' })
    online.is = false
    t.match(await collect('typed-003'), { outcome: 'needsNetwork', code: 'NO_NETWORK' })
    online.is = true
    host.capabilities = { ...host.capabilities, manualEntry: false }
    t.match(await collect('typed-004'), { outcome: 'declined', code: 'MANUAL_NOT_ALLOWED' })
    t.equal(given.length + host.requests.length, 0)
    t.equal(journal.list(9).length, 0, 'nothing is left behind')
    const alone = made(t, { supervisor: undefined })
    t.match(await alone.collect('typed-005'), { outcome: 'cancelled', code: 'NOT_AUTHORISED' })
    const capped = made(t, { merchant: { ...MERCHANT, supervision: { overrides: 1 } } })
    t.match(await capped.collect('typed-006'), { outcome: 'approved' })
    t.match(await capped.collect('typed-007', '900'), { outcome: 'declined', code: 'CAP_REACHED' })
    const certified = startTerminal({ folder: t.testdir(), host: new TestHost() })
    t.teardown(() => certified.close())
    const refused = await certified.service.collect({ ...request('typed-008'), manual: true }, OWNER)
    t.match(refused, { code: 'MANUAL_NOT_ALLOWED' }, 'a certified module reads cards only')
  },
)

t.test('given up, expired, on the exception file; a host that says no, or nothing', async (t) => {
  const entry = (how: 'cancelled' | 'timeout') => (): CardEntry => ({ kind: how })
  t.match(await made(t, {}, entry('cancelled')).collect('typed-001'), { outcome: 'cancelled' })
  t.match(await made(t, {}, entry('timeout')).collect('typed-001'), { code: 'NO_CARD' })
  const old = (): CardEntry => ({
    kind: 'typed',
    card: { pan: ascii.encode(PAN), expiry: ascii.encode('2610'), cvv2: undefined },
  })
  const expired = made(t, {}, old)
  t.match(await expired.collect('typed-001'), { outcome: 'cardUnusable', code: 'CARD_EXPIRED' })
  t.equal(expired.host.requests.length, 0)
  const listed = made(t, { exceptionFile: (token) => token.endsWith('0014') })
  t.match(await listed.collect('typed-001'), { outcome: 'cardUnusable', code: 'CARD_NOT_ACCEPTED' })
  t.equal(listed.host.requests.length, 0)
  const declined = made(t)
  declined.host.rules = [{ decide: 'decline' }]
  t.match(await declined.collect('typed-001'), { outcome: 'declined' })
  const silent = made(t)
  silent.host.rules = [{ decide: 'approve', answer: 'timeout' }]
  t.match(await silent.collect('typed-001'), { outcome: /revers/ })
  t.match([...silent.host.ledger.values()], [{ state: 'reversed' }])
})

t.test(
  'the same card and amount again is asked about; the code only where the acquirer wants it',
  async (t) => {
    const asked: string[] = []
    const { collect, host, wanted } = made(t, {
      ask: (screen) => {
        asked.push(screen.kind)
        return { type: 'declined' }
      },
    })
    host.capabilities = { ...host.capabilities, manualCvv2: true }
    t.match(await collect('typed-001'), { outcome: 'approved' })
    host.capabilities = { ...host.capabilities, manualCvv2: false }
    t.match(await collect('typed-002'), { outcome: 'cancelled', code: 'DUPLICATE' })
    t.same(asked, ['confirm'])
    t.same(wanted, [true, false])
    t.equal(host.requests.length, 1)
  },
)
