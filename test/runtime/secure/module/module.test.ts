// The certified module behind the card seam: whole payments over the socket, and modules that die, lie and misbehave.
import t from 'tap'
import { ascii, fromHex, toHex } from '../../../../hal/base/bytes.js'
import { systemClock } from '../../../../hal/base/clock.js'
import type { Screen } from '../../../../runtime/api/screens.js'
import type { HostAnswer, StartOutcome } from '../../../../runtime/secure/card-transaction.js'
import { MODULE_PROTOCOL } from '../../../../runtime/secure/module/module-contract.js'
import { createHostKeys } from '../../../../scripts/dev/acquirer/host-keys.js'
import { loadProfiles } from '../../../../scripts/dev/issuer/card-profile.js'
import { createIssuerHost } from '../../../../scripts/dev/issuer/issuer-host.js'
import { BDK, lyingModule, REQUEST, terminalWithModule } from './support.js'

const never = new AbortController().signal
const deliveries: Screen = { kind: 'list', title: 'Deliveries', items: [{ id: 'one', label: 'Parcel 1' }] }
const owner = { app: 'courier', name: 'Courier' }

t.test('a payment with PIN from the first prompt to the card taken out', { timeout: 60_000 }, async (t) => {
  const terminal = await terminalWithModule(t)
  const { hardware, deck, seen, type, apps } = terminal
  await terminal.startModule()
  terminal.screens.setStatus({ network: 'online', battery: { percent: 61, charging: false } })
  let chosen = 0
  void terminal.screens.show(owner, 'list', deliveries).then(() => chosen++)
  await seen('Parcel 1')

  const transaction = terminal.make()
  const starting = transaction.start(REQUEST, never)
  await seen('Insert card')
  t.match(terminal.glass(), '61 %', "the module's top row says what the terminal's did")
  terminal.screens.setHome({ title: 'Elsewhere', state: 'ready' })
  hardware.chip.insert(deck.card('credit-pin'))
  await seen('Enter PIN')
  await seen('green key')
  t.strictSame(apps, ['freeze'])
  t.equal(hardware.indicators.lights().secure, 'on')
  await type('1 2 3 4 enter')
  const start = await starting
  t.strictSame(apps, ['freeze', 'thaw'])
  if (start.kind !== 'online') throw new Error(`ended as ${start.kind}`)
  const { facts, de55, cardData, pinBlock, cardToken } = start.authorisation
  t.match(cardToken, /^[0-9A-F]{64}$/)
  t.match(facts, { label: 'POSTERN CREDIT', cvm: 'pin', cryptogramType: 'ARQC', entryMode: 'chip' })
  t.same([...new Set(terminal.languages)], loadProfiles().find((card) => card.id === 'credit-pin')!.languages)

  const host = createHostKeys({ aes: BDK })
  const track2 = host.decryptCardData(cardData)
  const pan = toHex(track2).split('D')[0]!
  t.equal(`${pan.slice(0, 6)}${'*'.repeat(pan.length - 10)}${pan.slice(-4)}`, facts.maskedPan)
  const pin = host.decryptPin(pinBlock!, ascii.encode(pan))
  t.equal(ascii.decode(pin), '1234')
  const { responseCode, issuerAuthenticationData, scripts } = createIssuerHost({
    keysDir: terminal.folder,
  }).authorise({
    pan,
    panSequence: facts.panSequence ?? '00',
    track2,
    pin,
    de55,
    amountMinor: 1250n,
    currencyNumeric: '978',
  })
  const final = await transaction.hostAnswer(
    { kind: 'answered', responseCode, approved: responseCode === '00', issuerAuthenticationData, scripts },
    never,
  )
  t.match(final, { kind: 'approved', signatureRequired: false, facts: { cryptogramType: 'TC' } })

  const finishing = transaction.finish({ approved: true })
  await seen('Remove card')
  t.equal(chosen, 0, "none of the module's keys reached the app's screen")
  hardware.chip.pull()
  await finishing
  await transaction.finish({ approved: true })
  await seen('Parcel 1')
  t.equal(hardware.indicators.lights().secure, 'off')
  await type('enter')
  for (let i = 0; i < 300 && chosen === 0; i++) await systemClock.sleep(10)
  t.equal(chosen, 1, 'keys are back where they belong')
})

t.test('cancelled by key, by the terminal, and a card that leaves', { timeout: 60_000 }, async (t) => {
  const terminal = await terminalWithModule(t)
  const { hardware, deck, seen, type, make } = terminal
  await terminal.startModule()
  void terminal.screens.show(owner, 'list', deliveries)

  const byKey = make()
  const keyed = byKey.start(REQUEST, never)
  await seen('Insert card')
  await type('cancel')
  t.same(await keyed, { kind: 'ended', reason: 'cancelled' })
  await byKey.finish({ approved: false })
  await seen('Parcel 1')

  const aborting = new AbortController()
  const aborted = make()
  const start = aborted.start(REQUEST, aborting.signal)
  await seen('Insert card')
  aborting.abort()
  await t.rejects(start, { code: 'ABORTED' })
  await aborted.finish({ approved: false })
  await seen('Parcel 1')
  await t.rejects(make().start(REQUEST, AbortSignal.abort()), { code: 'ABORTED' })

  const pulled = make()
  const removed = pulled.start({ ...REQUEST, locale: 'zh' }, never)
  await seen('€12.50')
  hardware.chip.insert(deck.card('credit-pin'))
  for (let i = 0; i < 500 && terminal.apps.length === 0; i++) await systemClock.sleep(10)
  hardware.chip.pull()
  t.same(await removed, { kind: 'ended', reason: 'removed' })
  await pulled.finish({ approved: false })
  await seen('Parcel 1')
  t.strictSame(terminal.apps, ['freeze', 'thaw'])
})

t.test('a module that is away, dies and comes back', { timeout: 60_000 }, async (t) => {
  const terminal = await terminalWithModule(t)
  const { hardware, deck, seen, make } = terminal
  void terminal.screens.show(owner, 'list', deliveries)
  const away = make()
  await t.rejects(away.start(REQUEST, never), { code: 'DEVICE_LOST' })
  await away.finish({ approved: false })
  await seen('Parcel 1')

  const module = await terminal.startModule()
  const online = make()
  const starting = online.start(REQUEST, never)
  await seen('Insert card')
  hardware.chip.insert(deck.card('debit-signature'))
  t.equal((await starting).kind, 'online')
  await module.close()
  await t.rejects(
    online.hostAnswer(
      {
        kind: 'answered',
        responseCode: '00',
        approved: true,
        issuerAuthenticationData: undefined,
        scripts: [],
      },
      never,
    ),
    { code: 'DEVICE_LOST' },
    'the payment service takes an approved authorisation back',
  )
  await online.finish({ approved: false })
  await seen('Parcel 1')

  await terminal.startModule()
  const left = make()
  const pending = left.start(REQUEST, never)
  pending.catch(() => undefined)
  t.equal((await pending).kind, 'online', 'the card still lies in the slot')
  // The secure world that comes next finds the module free, whatever the one before left.
  const next = make()
  const nextStart = next.start(REQUEST, never)
  t.equal((await nextStart).kind, 'online')
  await t.rejects(left.hostAnswer({ kind: 'unableToGoOnline' }, never), { code: 'DEVICE_LOST' })
  await left.finish({ approved: false })
  const final = await next.hostAnswer({ kind: 'unableToGoOnline' }, never)
  t.match(final, { kind: 'declined', cardSaidNo: false })
  hardware.chip.pull()
  await next.finish({ approved: false })
  await seen('Parcel 1')
})

const FACTS = {
  aid: 'F0504F53541010',
  label: 'POSTERN CREDIT',
  maskedPan: '999999******0014',
  bin: '99999901',
  panLast4: '0014',
  entryMode: 'chip',
  cvm: 'pin',
  tvr: '0000048000',
  tsi: 'F800',
  atc: '0001',
  cryptogram: '1122334455667788',
  cryptogramType: 'ARQC',
}
const DE55 = '9F260811223344556677889F0206000000001250'
const AUTHORISATION = {
  facts: FACTS,
  de55: DE55,
  cardData: { ksn: '00112233445566778899AABB', bytes: '5C'.repeat(32) },
  pinBlock: { ksn: '00112233445566778899AABC', bytes: 'A7'.repeat(16) },
  cardToken: '0F'.repeat(32),
}
const online = (change: object = {}) => ({ kind: 'online', authorisation: { ...AUTHORISATION, ...change } })
const withFacts = (change: object) => online({ facts: { ...FACTS, ...change } })
const PAN = '9999990112340014'
const final = (change: object = {}, facts: object = {}) => ({
  kind: 'approved',
  adviceRequired: false,
  facts: { ...FACTS, cryptogramType: 'TC', ...facts },
  de55: DE55,
  signatureRequired: false,
  ...change,
})
const APPROVED: HostAnswer = {
  kind: 'answered',
  responseCode: '00',
  approved: true,
  issuerAuthenticationData: fromHex('0011223344556677'),
  scripts: [fromHex('7106860484240000')],
}

t.test('a truthful foreign module is believed', async (t) => {
  const module = await lyingModule(t, { 'card.start': online(), 'card.hostAnswer': final() })
  const transaction = module.make()
  const start = await transaction.start(REQUEST, never)
  t.match(start, { kind: 'online', authorisation: { facts: { ...FACTS, panSequence: undefined } } })
  t.equal(toHex((start as Extract<StartOutcome, { kind: 'online' }>).authorisation.de55), DE55)
  t.equal(module.suspensions.now, 1)
  t.match(await transaction.hostAnswer(APPROVED, never), { kind: 'approved' })
  await t.rejects(transaction.hostAnswer(APPROVED, never), { code: 'CARD_TRANSACTION_ORDER' })
  await t.rejects(transaction.start(REQUEST, never), { code: 'CARD_TRANSACTION_ORDER' })
  await transaction.finish({ approved: true })
  t.equal(module.suspensions.now, 0)
  t.strictSame(module.calls, ['module.info', 'card.start', 'card.hostAnswer', 'card.finish'])

  const declined = {
    kind: 'declinedOffline',
    facts: { ...FACTS, cryptogramType: 'AAC' },
    de55: DE55,
    reason: 'x',
    adviceRequired: false,
  }
  for (const answer of [declined, { kind: 'ended', reason: 'mute' }]) {
    const other = (await lyingModule(t, { 'card.start': answer })).make()
    t.match(await other.start(REQUEST, never), { kind: answer.kind })
    await other.finish({ approved: false })
  }
})

t.test('an answer of a start that is no such answer is refused, and its words go nowhere', async (t) => {
  const lies: Readonly<Record<string, unknown>> = {
    'a clear PAN as the masked one': withFacts({ maskedPan: PAN }),
    'a PAN masked too little': withFacts({ maskedPan: '999999011*340014' }),
    'a PAN as label': withFacts({ label: '4111111111111111' }),
    'its own PAN as label': withFacts({ label: PAN }),
    'control characters as label': withFacts({ label: 'A\u001b[2J' }),
    'a BIN of another card': withFacts({ bin: '41111111' }),
    'last digits of another card': withFacts({ panLast4: '1111' }),
    'a long BIN of a short PAN': withFacts({ maskedPan: '999999***0014' }),
    'the wrong cryptogram type': withFacts({ cryptogramType: 'AAC' }),
    'another cryptogram than DE55': withFacts({ cryptogram: '0000000000000000' }),
    'track 2 in DE55': online({ de55: `${DE55}57089999990112340014` }),
    'PAN in a template of DE55': online({ de55: `${DE55}700A5A084111111111111111` }),
    'name in DE55': online({ de55: `${DE55}5F2003414243` }),
    'expiry in DE55': online({ de55: `${DE55}5F2403281231` }),
    'the PAN as BCD in DE55': online({ de55: `${DE55}9F7C08${PAN}` }),
    'the PAN as ASCII in DE55': online({ de55: `${DE55}9F7C10${toHex(ascii.encode(PAN))}` }),
    'DE55 that is no TLV': online({ de55: '9F26FF' }),
    'DE55 too long': online({ de55: '00'.repeat(256) }),
    'another amount': online({ de55: '9F260811223344556677889F0206000000125000' }),
    'track 2 in clear as card data': online({
      cardData: { ksn: '00'.repeat(12), bytes: `${PAN}D2812201000000000F00000000000000` },
    }),
    'card data of half a block': online({ cardData: { ksn: '00'.repeat(12), bytes: '00'.repeat(24) } }),
    'a serial number twice': online({
      pinBlock: { ...AUTHORISATION.pinBlock, ksn: AUTHORISATION.cardData.ksn },
    }),
    'a PIN block of 8 bytes': online({ pinBlock: { ksn: '00'.repeat(12), bytes: '00'.repeat(8) } }),
    'a field of its own': online({ pan: PAN }),
    'an outcome of its own': { kind: 'approved' },
    nothing: null,
    'a reason with a PAN': {
      kind: 'declinedOffline',
      facts: FACTS,
      de55: DE55,
      reason: '4111 1111 1111 1111',
      adviceRequired: false,
    },
    'an end with a clear PAN': { kind: 'ended', reason: 'mute', facts: { ...FACTS, label: PAN } },
  }
  for (const [lie, answer] of Object.entries(lies)) {
    const module = await lyingModule(t, { 'card.start': answer })
    const transaction = module.make()
    const error = await transaction.start(REQUEST, never).then(
      () => undefined,
      (error: Error & { code?: string }) => error,
    )
    t.equal(error?.code, 'DEVICE_PROTOCOL', lie)
    t.notMatch(JSON.stringify([error?.message, error]), /9999990112|41111111/)
    await transaction.finish({ approved: false })
    t.notOk(module.calls.includes('card.finish'), 'it is not spoken to again')
    t.equal(module.suspensions.now, 0)
  }
})

t.test('a final answer that is no such answer is refused: the payment is taken back', async (t) => {
  const lies: Readonly<Record<string, unknown>> = {
    'approved without TC': final({}, { cryptogramType: 'AAC' }),
    'another card': final({}, { maskedPan: '411111******0014', bin: '411111' }),
    'another application': final({}, { aid: 'A0000000031010' }),
    'PAN in DE55': final({ de55: '5A084111111111111111' }),
    'another amount': final({ de55: '9F0206000000000001' }),
    'no facts': { kind: 'ended', reason: 'removed' },
    'a start': online(),
  }
  for (const [lie, answer] of Object.entries(lies)) {
    const transaction = (await lyingModule(t, { 'card.start': online(), 'card.hostAnswer': answer })).make()
    await transaction.start(REQUEST, never)
    await t.rejects(transaction.hostAnswer(APPROVED, never), { code: 'DEVICE_PROTOCOL' }, lie)
    await transaction.finish({ approved: false })
  }
})

t.test('who is refused before a card is asked for', async (t) => {
  const simulated = { 'module.info': { protocol: MODULE_PROTOCOL, model: 'Simulated', simulated: true } }
  const production = await lyingModule(t, { ...simulated, 'card.start': online() })
  await t.rejects(production.make({ acceptSimulated: false }).start(REQUEST, never), {
    code: 'MODULE_REFUSED',
  })
  t.strictSame(production.calls, ['module.info'])
  const other = await lyingModule(t, { 'module.info': { protocol: 99, model: 'New', simulated: false } })
  await t.rejects(other.make().start(REQUEST, never), { code: 'DEVICE_PROTOCOL' })
  t.equal(other.suspensions.now, 0)
})

t.test(
  'silence, giant lines, noise and a line cut in the middle end within bounds',
  { timeout: 60_000 },
  async (t) => {
    const silent = await lyingModule(t, { 'card.start': () => new Promise(() => undefined) })
    const waiting = silent.make()
    await t.rejects(waiting.start(REQUEST, never), { code: 'DEVICE_LOST' })
    await waiting.finish({ approved: false })
    t.equal(silent.suspensions.now, 0)

    const unfinished = await lyingModule(t, {
      'card.start': online(),
      'card.finish': () => new Promise(() => undefined),
    })
    const stuck = unfinished.make()
    await stuck.start(REQUEST, never)
    await stuck.finish({ approved: false })
    t.equal(unfinished.suspensions.now, 0)

    const hello = `${JSON.stringify({ jsonrpc: '2.0', id: 1, result: { protocol: MODULE_PROTOCOL, model: 'x', simulated: false } })}\n`
    for (const [name, noise] of Object.entries({
      giant: 'x'.repeat(1 << 20),
      noise: '\u0000\u0001\n',
      batch: '[]\n',
      cut: '{"jsonrpc":"2.0","id":2,"result":{"kind":"onl',
    })) {
      const module = await lyingModule(t, {}, (socket) => {
        let asked = 0
        socket.on('data', () => {
          if (++asked === 1) return socket.write(hello)
          return socket.end(noise)
        })
      })
      const transaction = module.make()
      await t.rejects(transaction.start(REQUEST, never), { code: 'DEVICE_LOST' }, name)
      await transaction.finish({ approved: false })
      t.equal(module.suspensions.now, 0)
    }
  },
)

t.test('what a module may ask: apps frozen for as long as the payment, nothing else', async (t) => {
  const module = await lyingModule(t, { 'card.start': online() })
  const transaction = module.make()
  await transaction.start(REQUEST, never)
  await module.call('apps.freeze')
  await t.rejects(module.call('payments.collect'), { code: 'METHOD_NOT_FOUND' })
  await t.rejects(module.call('card.languages'), { code: 'INVALID_PARAMS' })
  t.strictSame(module.apps, ['freeze'])
  await transaction.finish({ approved: false })
  t.strictSame(module.apps, ['freeze', 'thaw'], 'a freeze never outlives the payment')
  await t.rejects(module.call('apps.freeze'), { code: 'DISCONNECTED' })

  const faulty = await lyingModule(t, {
    'card.start': () => {
      throw Object.assign(new Error(`no keys for ${PAN}`), { name: 'PosternError', code: 'KEY_UNAVAILABLE' })
    },
  })
  const unable = faulty.make()
  const error = await unable.start(REQUEST, never).catch((error: Error & { code: string }) => error)
  t.match(error, { code: 'KEY_UNAVAILABLE', message: 'the card module has no usable keys' })
  await unable.finish({ approved: false })
  t.strictSame(faulty.calls.at(-1), 'card.finish', 'its fault was told in good order')
})
