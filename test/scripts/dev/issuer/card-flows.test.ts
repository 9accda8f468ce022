// Whole payments with the virtual cards at APDU level: chains, PINs, cryptograms, the issuer's answer, scripts, blocks.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ascii, concat, fromHex, toHex } from '../../../../hal/base/bytes.js'
import { rsaPublic, sha1 } from '../../../../hal/base/ciphers.js'
import { systemRandom } from '../../../../hal/base/clock.js'
import { findDeepTlv, parseTlv } from '../../../../hal/base/tlv.js'
import { createCard } from '../../../../scripts/dev/issuer/card-engine.js'
import { type CardProfile, loadProfiles } from '../../../../scripts/dev/issuer/card-profile.js'
import { openDeck } from '../../../../scripts/dev/issuer/deck.js'
import { memoryBooks } from '../../../../scripts/dev/issuer/issuer-books.js'
import { createIssuerHost, type IssuerRequest } from '../../../../scripts/dev/issuer/issuer-host.js'
import { ensureIssuerKeys } from '../../../../scripts/dev/issuer/issuer-keys.js'
import { personalise } from '../../../../scripts/dev/issuer/personalise.js'
import { SCHEME_AIDS, SCHEME_RID } from '../../../../scripts/dev/issuer/scheme.js'
import { pinBlockFormat2 } from '../../../../scripts/dev/issuer/secure-messaging.js'
import { memoryStore } from '../../../../scripts/dev/issuer/state-stores.js'
import {
  type Cryptogram,
  cardKey,
  de55,
  generateAc,
  issuerKey,
  readCard,
  recover,
  send,
  type TerminalData,
  terminalData,
} from './test-terminal.js'

const dir = mkdtempSync(join(tmpdir(), 'postern-issuer-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
const keys = ensureIssuerKeys(dir)
const profiles = loadProfiles()
const profile = (id: string): CardProfile => profiles.find((card) => card.id === id)!

/** A fresh chip with its profile changed as the test wants it. */
function chip(id: string, change: (card: CardProfile) => CardProfile = (card) => card) {
  const own = change(structuredClone(profile(id)))
  const card = createCard(personalise(own, keys), { store: memoryStore(), random: systemRandom })
  card.powerOn()
  return { card, own, application: own.applications[0]! }
}

function request(own: CardProfile, field55: Uint8Array, amountMinor: bigint, pin?: string): IssuerRequest {
  const application = own.applications[0]!
  return {
    pan: application.pan,
    panSequence: application.panSequence,
    track2: new Uint8Array(0),
    pin: pin === undefined ? undefined : ascii.encode(pin),
    de55: field55,
    amountMinor,
    currencyNumeric: '978',
  }
}

const ARQC = 0x80
const TC = 0x40
const AAC = 0x00
const ONLINE_PIN: TerminalData = { [0x9f34]: fromHex('020300') }
const code = (text: string): TerminalData => ({ [0x8a]: ascii.encode(text) })

/** From SELECT to the issuer's answer; amount 12.50. */
async function authorise(
  id: string,
  change?: (card: CardProfile) => CardProfile,
  overrides: TerminalData = ONLINE_PIN,
  options: { pin?: string | null; amount?: bigint; books?: ReturnType<typeof memoryBooks> } = {},
) {
  const { card, own, application } = chip(id, change)
  const amount = options.amount ?? 1250n
  const data = terminalData(amount, overrides)
  const read = await readCard(card, application.aid, data)
  const first = await generateAc(read, 'first', ARQC, data)
  const host = createIssuerHost({ keysDir: dir, cards: [own], books: options.books ?? memoryBooks() })
  const pin = options.pin === null ? undefined : (options.pin ?? own.pin)
  const field55 = de55(read, data, first)
  const decision = host.authorise(request(own, field55, amount, pin))
  return { card, own, application, data, read, first, host, decision, field55, amount }
}

const answer91 = (data: Uint8Array): string => `00820000${toHex(Uint8Array.of(data.length))}${toHex(data)}`

t.test('certificate chains of every card with offline authentication recover to its keys', async (t) => {
  for (const own of profiles.filter((card) => card.hostile === undefined)) {
    for (const application of own.applications.filter(
      (app) => ['sda', 'dda', 'cda'].includes(app.authentication) && !app.blocked,
    )) {
      const { card } = chip(own.id)
      const read = await readCard(card, application.aid, terminalData(1250n))
      const issuer = issuerKey(read, keys.caPublicKeys)
      t.equal(toHex(issuer.modulus), toHex(keys.issuer[application.caIndex].modulus), `${own.id}: issuer key`)
      if (application.authentication === 'sda') {
        const content = recover(issuer.modulus, issuer.exponent, read.objects.get(0x93)!, read.staticData)
        t.equal(toHex(content.slice(0, 4)), '0301DAC1', `${own.id}: static data are signed`)
      } else {
        const general = cardKey(read, issuer, 'general')
        t.equal(general.modulus.length, 128, `${own.id}: card key`)
        const signed = await send(card, '0088000004A1B2C3D400')
        const value = parseTlv(signed.data)[0]!
        const dynamic = findDeepTlv([value], 0x9f4b)?.value ?? value.value
        const check = () => recover(general.modulus, general.exponent, dynamic, fromHex('A1B2C3D4'))
        if (application.faults?.includes('dynamicSignature'))
          t.throws(check, `${own.id}: DDA fails as it should`)
        else t.equal(toHex(check().slice(0, 3)), '050109', `${own.id}: DDA`)
      }
    }
  }
})

t.test('CDA covers PDOL, CDOLs and the answer, and carries the cryptogram', async (t) => {
  const { card, application } = chip('cda')
  const data = terminalData(1250n, ONLINE_PIN)
  const read = await readCard(card, application.aid, data)
  const general = cardKey(read, issuerKey(read, keys.caPublicKeys), 'general')
  const open = (answer: Cryptogram, covered: Uint8Array) => {
    const content = recover(general.modulus, general.exponent, answer.signed!, data[0x9f37]!)
    const tlvs = parseTlv(answer.raw)[0]!.children!.filter((child) => child.tag !== 0x9f4b)
    const bytes = concat(
      ...tlvs.map((child) =>
        concat(fromHex(child.tag.toString(16)), Uint8Array.of(child.value.length), child.value),
      ),
    )
    t.equal(toHex(content.slice(21, 41)), toHex(sha1(covered, bytes)), 'transaction data hash')
    t.equal(content[12], answer.information, 'the same CID inside and outside')
    return content.slice(13, 21)
  }
  const first = await generateAc(read, 'first', ARQC | 0x10, data)
  const arqc = open(first, concat(read.pdolData, first.dolData))
  const host = createIssuerHost({ keysDir: dir })
  const decision = host.authorise(request(profile('cda'), de55(read, data, first, arqc), 1250n, '3579'))
  t.equal(decision.responseCode, '00')
  const final = { ...data, ...code('00'), [0x91]: decision.issuerAuthenticationData! }
  const second = await generateAc(read, 'second', TC | 0x10, final)
  t.equal(second.information, TC)
  open(second, concat(read.pdolData, first.dolData, second.dolData))
})

t.test('credit with online PIN: approved, authenticated, TC; a second GENERATE AC is the last', async (t) => {
  const { card, data, read, decision, first } = await authorise('credit-pin')
  t.match(decision, { responseCode: '00', cryptogramOk: true, pinOk: true })
  t.equal(first.information, ARQC)
  t.equal((await send(card, answer91(decision.issuerAuthenticationData!))).sw, '9000')
  t.equal((await send(card, answer91(decision.issuerAuthenticationData!))).sw, '6985', 'once a transaction')
  const second = await generateAc(read, 'second', TC, { ...data, ...code('00') })
  t.equal(second.information, TC)
  await t.rejects(generateAc(read, 'second', TC, { ...data, ...code('00') }), { message: 'GENERATE AC 6985' })
  t.equal(toHex((await send(card, '80CA9F3600')).data), '9F36020001')
  t.equal(toHex((await send(card, '80CA9F1300')).data), '9F13020001', 'last online ATC moved')
  t.equal((await send(card, '00B2015C00')).data.length, 14, 'the log has it')
})

t.test('the card refuses what the issuer did not say', async (t) => {
  const declined = await authorise('credit-pin', undefined, ONLINE_PIN, { pin: '9999' })
  t.match(declined.decision, { responseCode: '55', pinOk: false })
  t.equal((await send(declined.card, answer91(declined.decision.issuerAuthenticationData!))).sw, '9000')
  const turned = await generateAc(declined.read, 'second', TC, { ...declined.data, ...code('00') })
  t.equal(turned.information, AAC, 'a terminal that turns 55 into 00 gets no TC')

  const spoiled = await authorise('card-says-no')
  t.equal(spoiled.decision.responseCode, '00')
  t.equal((await send(spoiled.card, answer91(spoiled.decision.issuerAuthenticationData!))).sw, '6300')
  t.equal((await generateAc(spoiled.read, 'second', TC, { ...spoiled.data, ...code('00') })).information, AAC)
})

t.test('the issuer refuses what does not hold together', async (t) => {
  const wrong = await authorise('wrong-cryptogram')
  t.match(wrong.decision, { responseCode: '05', cryptogramOk: false })
  t.equal(wrong.decision.issuerAuthenticationData, undefined)

  const { host, own, field55, decision, read, data, first } = await authorise('credit-pin')
  t.same(host.authorise(request(own, field55, 1250n, own.pin)), decision, 'asked twice, answered the same')
  t.equal(
    host.authorise(
      request(own, de55(read, { ...data, [0x9f02]: fromHex('000000000001') }, first), 1n, own.pin),
    ).responseCode,
    '05',
    'an amount that the card did not sign',
  )
  t.equal(host.authorise({ ...request(own, field55, 1n), pan: '9999990000009999' }).responseCode, '14')
  t.equal(host.authorise(request(own, fromHex('9F0206'), 1n)).responseCode, '30')
  const other = await authorise('credit-pin')
  t.equal(
    host.authorise(request(other.own, other.field55, 1250n, own.pin)).responseCode,
    '00',
    'same ATC, same inputs: the same cryptogram',
  )
  const late = await authorise('credit-pin', undefined, { ...ONLINE_PIN, [0x9f37]: fromHex('00000001') })
  t.equal(
    host.authorise(request(late.own, late.field55, 1250n, own.pin)).responseCode,
    '05',
    'an ATC used before',
  )

  const message = await authorise('t0-credit')
  const fresh = createIssuerHost({ keysDir: dir })
  t.equal(fresh.authorise(request(message.own, message.field55, 1251n, message.own.pin)).responseCode, '13')
  t.match((await authorise('expired')).decision, { responseCode: '54', cryptogramOk: true })
  t.match((await authorise('no-funds')).decision, { responseCode: '51' })
  t.match((await authorise('no-funds', undefined, ONLINE_PIN, { amount: 99n })).decision, {
    responseCode: '00',
  })
  t.match((await authorise('credit-pin', undefined, ONLINE_PIN, { pin: null })).decision, {
    responseCode: '55',
  })
})

t.test('three wrong online PINs are the last, and the right one clears the count before', async (t) => {
  const books = memoryBooks()
  const answers: string[] = []
  for (const [i, pin] of ['0000', '1111', '1234', '0000', '1111', '2222', '1234'].entries()) {
    const aged = (card: CardProfile): CardProfile => ({
      ...card,
      applications: card.applications.map((app) => ({ ...app, atc: i })),
    })
    answers.push((await authorise('credit-pin', aged, ONLINE_PIN, { pin, books })).decision.responseCode)
  }
  t.same(answers, ['55', '55', '00', '55', '55', '55', '75'])
})

t.test('twelve digits of PIN reach the issuer', async (t) => {
  t.match((await authorise('long-pin')).decision, { responseCode: '00', pinOk: true })
  t.match((await authorise('long-pin', undefined, ONLINE_PIN, { pin: '730951846208' })).decision, {
    pinOk: false,
  })
})

t.test(
  'plain offline PIN: tries count down before the comparison, and a right one restores them',
  async (t) => {
    const { card, application, own } = chip('offline-plain-pin')
    await readCard(card, application.aid, terminalData(1250n))
    const verify = async (pin: string) => (await send(card, `0020008008${toHex(pinBlockFormat2(pin))}`)).sw
    const tries = async () => toHex((await send(card, '80CA9F1700')).data)
    t.equal(await tries(), '9F170103')
    t.equal(await verify('0000'), '63C2')
    t.equal(await verify(own.pin), '9000')
    t.equal(await tries(), '9F170103')
    t.equal(await verify('0000'), '63C2')
    t.equal(await verify('0000'), '63C1')
    t.equal(await verify('0000'), '63C0')
    t.equal(await verify(own.pin), '6983', 'the right PIN is too late')
    t.equal((await send(card, '00200088801122')).sw, '6700')
  },
)

t.test('one try left, none left', async (t) => {
  const one = chip('pin-one-try')
  await readCard(one.card, one.application.aid, terminalData(1250n))
  t.equal((await send(one.card, `0020008008${toHex(pinBlockFormat2('0000'))}`)).sw, '63C0')
  const none = chip('pin-blocked')
  await readCard(none.card, none.application.aid, terminalData(1250n))
  t.equal(toHex((await send(none.card, '80CA9F1700')).data), '9F170100')
  t.equal((await send(none.card, `0020008008${toHex(pinBlockFormat2('9012'))}`)).sw, '6983')
})

t.test('enciphered offline PIN: under the PIN key, with a challenge that serves once', async (t) => {
  const { card, application, own } = chip('credit-offline-pin')
  const read = await readCard(card, application.aid, terminalData(1250n))
  const key = cardKey(read, issuerKey(read, keys.caPublicKeys), 'pin')
  const verify = async (pin: string, challenge: Uint8Array) => {
    const random = systemRandom(key.modulus.length - 17)
    const clear = concat(Uint8Array.of(0x7f), pinBlockFormat2(pin), challenge, random)
    return (await send(card, `0020008880${toHex(rsaPublic(key.modulus, key.exponent, clear))}`)).sw
  }
  const challenge = async () => (await send(card, '0084000000')).data
  t.equal(await verify('1111', await challenge()), '63C2')
  const used = await challenge()
  t.equal(await verify(own.pin, used), '9000')
  t.equal(await verify(own.pin, used), '6A80', 'a challenge used before')
  t.equal((await send(card, `0020008008${toHex(pinBlockFormat2(own.pin))}`)).sw, '6A86', 'not in clear')
})

t.test('scripts run under their MACs, and a wrong one is refused and remembered', async (t) => {
  const commands = (template: Uint8Array) =>
    parseTlv(template)[0]!
      .children!.filter((child) => child.tag === 0x86)
      .map((child) => toHex(child.value))
  const good = await authorise('issuer-scripts')
  t.equal(good.decision.scripts.length, 2)
  t.equal(good.decision.scripts[0]![0], 0x71)
  await send(good.card, answer91(good.decision.issuerAuthenticationData!))
  for (const command of commands(good.decision.scripts[0]!))
    t.equal((await send(good.card, command)).sw, '9000')
  t.equal((await generateAc(good.read, 'second', TC, { ...good.data, ...code('00') })).information, TC)
  for (const command of commands(good.decision.scripts[1]!))
    t.equal((await send(good.card, command)).sw, '9000')
  t.equal(toHex((await send(good.card, '80CA9F1400')).data), '9F140105')

  const bad = await authorise('script-refused')
  for (const command of commands(bad.decision.scripts[0]!))
    t.equal((await send(bad.card, command)).sw, '6988')
  t.equal((await send(bad.card, '8418000000')).sw, '6987')
  const second = await generateAc(bad.read, 'second', TC, { ...bad.data, ...code('00') })
  t.equal(second.iad[6]! & 0x08, 0x08, 'the verification results say so')

  const changed = await authorise(
    'offline-plain-pin',
    (card) => ({
      ...card,
      issuer: {
        scripts: [
          {
            when: 'approved',
            template: '72',
            commands: [{ kind: 'changePin', pin: '987654' }, { kind: 'blockApplication' }],
          },
        ],
      },
    }),
    {},
    { pin: null },
  )
  for (const command of commands(changed.decision.scripts[0]!))
    t.equal((await send(changed.card, command)).sw, '9000', 'the second MAC chains on the first')
  const select = `00A4040007${changed.application.aid}00`
  t.equal((await send(changed.card, select)).sw, '6283')
  t.equal((await send(changed.card, '80A8000002830000')).sw, '6985')
})

t.test('a changed PIN counts in the chip', async (t) => {
  const store = memoryStore()
  const own: CardProfile = {
    ...profile('offline-plain-pin'),
    issuer: {
      scripts: [{ when: 'approved', template: '72', commands: [{ kind: 'changePin', pin: '987654' }] }],
    },
  }
  const card = createCard(personalise(own, keys), { store, random: systemRandom })
  card.powerOn()
  const data = terminalData(1250n)
  const read = await readCard(card, own.applications[0]!.aid, data)
  const first = await generateAc(read, 'first', ARQC, data)
  const host = createIssuerHost({ keysDir: dir, cards: [own] })
  const decision = host.authorise(request(own, de55(read, data, first), 1250n))
  await send(card, toHex(parseTlv(decision.scripts[0]!)[0]!.children![0]!.value))
  card.powerOff()
  // Another chip object from the same store: what was learnt survives the power and the process.
  const again = createCard(personalise(own, keys), { store, random: systemRandom })
  again.powerOn()
  await readCard(again, own.applications[0]!.aid, data)
  t.equal(toHex((await send(again, '80CA9F3600')).data), '9F36020002')
  t.equal((await send(again, `0020008008${toHex(pinBlockFormat2('2468'))}`)).sw, '63C2')
  t.equal((await send(again, `0020008008${toHex(pinBlockFormat2('987654'))}`)).sw, '9000')
})

t.test(
  'card risk management: offline within its limits, online above, nothing without the issuer',
  async (t) => {
    const low = chip('low-value')
    const pay = async (amount: bigint, p1: number) => {
      const data = terminalData(amount, { [0x9f34]: fromHex('1F0602') })
      const read = await readCard(low.card, low.application.aid, data)
      return { read, data, first: await generateAc(read, 'first', p1, data) }
    }
    t.equal((await pay(2500n, TC)).first.information, TC)
    t.equal((await pay(2501n, TC)).first.information, ARQC, 'above its limit')
    t.equal((await pay(100n, AAC)).first.information, AAC)
    t.equal((await pay(100n, TC)).first.information, ARQC, 'four in a row without the issuer')
    const unable = await pay(100n, ARQC)
    t.equal((await generateAc(unable.read, 'second', TC, { ...unable.data, ...code('Y3') })).information, TC)
    const over = await pay(100n, ARQC)
    t.equal(
      (await generateAc(over.read, 'second', TC, { ...over.data, ...code('Y3') })).information,
      AAC,
      'upper limit',
    )
    const { read, data } = await authorise('credit-pin')
    t.equal((await generateAc(read, 'second', TC, { ...data, ...code('Y3') })).information, AAC)
  },
)

t.test('selection: directory, partial names, next occurrence, blocked, no directory', async (t) => {
  const two = chip('two-applications').card
  const pse = await send(two, `00A404000E${toHex(ascii.encode('1PAY.SYS.DDF01'))}00`)
  t.equal(pse.sw, '9000')
  const record = await send(two, '00B2010C00')
  t.equal(parseTlv(record.data)[0]!.children!.length, 2)
  t.equal((await send(two, '00B2020C00')).sw, '6A83')
  const name = async (hex: string) => {
    const found = await send(two, hex)
    return found.sw === '9000' ? toHex(findDeepTlv(parseTlv(found.data), 0x84)!.value) : found.sw
  }
  t.equal(await name(`00A4040005${SCHEME_RID}00`), `${SCHEME_AIDS.credit}01`)
  t.equal(await name(`00A4040205${SCHEME_RID}00`), `${SCHEME_AIDS.debit}01`)
  t.equal(await name(`00A4040205${SCHEME_RID}00`), '6A82')
  t.equal(await name(`00A4040007${SCHEME_AIDS.debit}00`), `${SCHEME_AIDS.debit}01`)
  const noPse = chip('debit-signature').card
  t.equal((await send(noPse, `00A404000E${toHex(ascii.encode('1PAY.SYS.DDF01'))}00`)).sw, '6A82')
  const blocked = await send(chip('blocked-application').card, `00A4040007${SCHEME_AIDS.credit}00`)
  t.equal(blocked.sw, '6283')
  t.equal(blocked.data[0], 0x6f, 'with its FCI')
  t.equal((await send(two, 'B0B2010C00')).sw, '6E00')
  t.equal((await send(two, '00F0000000')).sw, '6D00')
  t.equal((await send(two, '00A4040020AABB')).sw, '6700', 'a length that lies')
  t.equal((await send(two, '80AE8000')).sw, '6985', 'out of order')
})

t.test('T=0: 61xx, GET RESPONSE in parts, 6Cxx with the same answer again', async (t) => {
  const { card } = chip('t0-credit')
  const raw = async (hex: string) => toHex((await card.transmit(fromHex(hex)))!)
  const length = (await raw(`00A4040007${SCHEME_AIDS.credit}`)).slice(2)
  t.equal(await raw('00C00000FF'), `6C${length}`)
  const part = await raw('00C0000010')
  t.equal(part.length, 36)
  t.equal(
    part.slice(32),
    `61${(Number.parseInt(length, 16) - 16).toString(16).padStart(2, '0').toUpperCase()}`,
  )
  t.equal(await raw('00C0000001').then((text) => text.slice(2, 4)), '61')
  t.match(await raw(`80A8000002830000`), /^61/)
  t.equal((await raw('0084000000')).slice(0, 4), '6C08', 'another command drops what waited')
  t.equal((await raw('0084000008')).slice(16), '9000')
  t.equal(await raw('00C0000008'), '6985')
  const { decision } = await authorise('t0-credit')
  t.match(decision, { responseCode: '00', pinOk: true })
})

t.test('hostile and mute cards do what the deck says, and every card has a face', async (t) => {
  const naps: number[] = []
  const deck = openDeck({
    keysDir: dir,
    clock: { nowMs: () => 0, monotonicMs: () => 0, sleep: async (ms) => void naps.push(ms) },
  })
  t.ok(deck.cards.length >= 20)
  for (const face of deck.cards) t.notMatch(JSON.stringify(face), profile(face.id).applications[0]!.pan)
  t.equal(deck.card('mute').powerOn(), undefined)
  t.equal(deck.card('credit-pin'), deck.card('credit-pin'), 'one chip a card')
  t.throws(() => deck.card('nobody'), { code: 'CARD_UNKNOWN' })
  const select = `00A4040207${SCHEME_AIDS.credit}00`
  const endless = deck.card('hostile-endless')
  endless.powerOn()
  const names = new Set<string>()
  for (let i = 0; i < 50; i++) names.add(toHex((await send(endless, select)).data))
  t.equal(names.size, 50, 'there is always one more application')
  for (const id of ['hostile-giant-length', 'hostile-deep-nesting']) {
    const card = deck.card(id)
    card.powerOn()
    t.throws(() => parseTlv((card.transmit(fromHex(select)) as Uint8Array).slice(0, -2)), {
      code: 'TLV_INVALID',
    })
  }
  const slow = deck.card('hostile-slow')
  slow.powerOn()
  t.equal((await send(slow, `00A4040007${SCHEME_AIDS.credit}00`)).sw, '9000')
  t.same(naps, [20_000])
})

t.test('a card saved before its profile gained an application knows the new one', async (t) => {
  const store = memoryStore()
  store.save('two-applications', { pin: '4680', pinTries: 2, cardBlocked: false, applications: {} })
  const card = createCard(personalise(profile('two-applications'), keys), { store, random: systemRandom })
  card.powerOn()
  await readCard(card, `${SCHEME_AIDS.debit}01`, terminalData(1250n))
  t.equal(toHex((await send(card, '80CA9F1700')).data), '9F170102')
  t.equal(toHex((await send(card, '80CA9F3600')).data), '9F36020001')
})
