// The development acquirer over real TLS: virtual cards' cryptograms, PIN blocks and MACs, its rules, its ledger, a restart.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import t from 'tap'
import { ascii, fromHex } from '../../../hal/base/bytes.js'
import { systemRandom } from '../../../hal/base/clock.js'
import { silentLog } from '../../../hal/base/log.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { findTlv, parseTlv } from '../../../hal/base/tlv.js'
import { readTrack } from '../../../hal/stripe-tracks.js'
import type { ChipFailure } from '../../../runtime/secure/card-transaction.js'
import { parseTrack2 } from '../../../runtime/secure/emv/track2.js'
import { deriveInitialKey } from '../../../runtime/secure/keys/aes-dukpt.js'
import {
  loadInitialKey,
  openTerminalKeys,
  type TerminalKeys,
} from '../../../runtime/secure/keys/dukpt-terminal-keys.js'
import type { KeyStore } from '../../../runtime/secure/keys/key-store.js'
import { type Message, unpack } from '../../../runtime/secure/payments/iso8583/codec.js'
import { POSTERN_DEV } from '../../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import { Deframer, frame } from '../../../runtime/secure/payments/iso8583/framing.js'
import { packWithMac, splitMac } from '../../../runtime/secure/payments/iso8583/mac.js'
import {
  encodeCardData,
  encodeSecurityControl,
} from '../../../runtime/secure/payments/iso8583/security-fields.js'
import { readAcquirerConfig } from '../../../scripts/dev/acquirer/config.js'
import { type Entry, openLedger } from '../../../scripts/dev/acquirer/ledger.js'
import { type RunningAcquirer, startAcquirer } from '../../../scripts/dev/acquirer/start-acquirer.js'
import type { verdict } from '../../../scripts/dev/acquirer/verdict.js'
import { loadProfiles } from '../../../scripts/dev/issuer/card-profile.js'
import { openDeck } from '../../../scripts/dev/issuer/deck.js'
import { de55, generateAc, readCard, terminalData } from './issuer/test-terminal.js'

const dir = mkdtempSync(join(tmpdir(), 'postern-acquirer-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
t.jobs = 1

const BDK = 'FEDCBA9876543210F1F1F1F1F1F1F1F1'
const IKID = fromHex('0011223344556677')
const TERMINAL = { terminalId: 'T0000001', merchantId: 'MERCHANT0000001' }

execFileSync('openssl', [
  ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
  ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'],
  ...['-keyout', join(dir, 'tls.key'), '-out', join(dir, 'tls.crt')],
])

const configPath = join(dir, 'acquirer.json')
writeFileSync(
  configPath,
  JSON.stringify({
    listen: { host: '127.0.0.1', port: 0 },
    query: { host: '127.0.0.1', port: 0 },
    tls: { key: 'tls.key', cert: 'tls.crt' },
    bdk: BDK,
    issuerKeys: 'issuer',
    ledger: 'ledger.sqlite',
    terminals: [TERMINAL],
    lateMs: 300,
    rules: [{ name: 'a card of ours is referred', on: 'sale', when: { panEnds: '0030' }, decline: '01' }],
  }),
)

function memoryKeyStore(): KeyStore {
  const records = new Map<string, Uint8Array>()
  return {
    async read(name) {
      const secret = records.get(name)
      return secret && { secret: secret.slice(), generation: 1, behind: false }
    },
    async write(name, secret) {
      records.set(name, secret.slice())
    },
    close() {},
  }
}

async function terminalKeys(ikid = IKID): Promise<TerminalKeys> {
  const store = memoryKeyStore()
  await loadInitialKey(store, 'acquirer', { ikid, key: deriveInitialKey(fromHex(BDK), ikid) }, systemRandom)
  return openTerminalKeys(store, systemRandom)
}

let keys: TerminalKeys
let acquirer: RunningAcquirer
let stan = 0
const deck = openDeck({ keysDir: join(dir, 'issuer') })
const profiles = loadProfiles()

t.before(async () => {
  keys = await terminalKeys()
  acquirer = await startAcquirer(readAcquirerConfig(configPath), silentLog)
})
t.teardown(() => acquirer.close())

interface Line {
  readonly socket: TLSSocket
  /** The next whole message, or how the line ended, or `silent` after the given wait. */
  next(waitMs?: number): Promise<Uint8Array | 'closed' | 'silent'>
  /** Bytes of an unfinished frame. */
  readonly pending: number
}

async function dial(port = acquirer.port): Promise<Line> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  socket.on('error', () => undefined)
  const reader = new Deframer()
  const arrived: Uint8Array[] = []
  let wake = () => {}
  let closed = false
  socket.on('data', (chunk) => {
    arrived.push(...reader.push(chunk).map(({ message }) => message))
    wake()
  })
  socket.on('close', () => {
    closed = true
    wake()
  })
  t.teardown(() => socket.destroy())
  return {
    socket,
    get pending() {
      return reader.pending
    },
    async next(waitMs = 60_000) {
      if (arrived.length === 0 && !closed) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, waitMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      return arrived.shift() ?? (closed ? 'closed' : 'silent')
    },
  }
}

type Fields = Record<number, string | Uint8Array>

async function sealed(mti: string, fields: Fields, own = keys, pinKsn?: Uint8Array) {
  const macKsn = await own.nextRequestKsn()
  const control = encodeSecurityControl(pinKsn === undefined ? { macKsn } : { macKsn, pinKsn })
  const message = { mti, fields: new Map(Object.entries({ ...fields, 53: control })) }
  const bytes = await packWithMac(POSTERN_DEV, message, (covered) => own.macRequest(macKsn, covered))
  return { bytes, macKsn, fields: message.fields }
}

const send = (line: Line, bytes: Uint8Array) => line.socket.write(frame({ destination: 1, source: 2 }, bytes))

/** Sends and gives back the answer, its MAC checked under the request's own key. */
async function ask(mti: string, fields: Fields, options: { line?: Line; pinKsn?: Uint8Array } = {}) {
  const line = options.line ?? (await dial())
  const request = await sealed(mti, fields, keys, options.pinKsn)
  send(line, request.bytes)
  const answer = await line.next()
  if (typeof answer === 'string') return { line, outcome: answer, request }
  const { covered, mac } = splitMac(POSTERN_DEV, answer)
  const macOk = await keys.verifyResponse(request.macKsn, covered, mac)
  return { line, outcome: 'answered' as const, answer: unpack(POSTERN_DEV, answer), macOk, request }
}

const clear = (message: Message | undefined, number: number) => message?.fields.get(String(number))

interface Sale {
  readonly fields: Fields
  readonly pinKsn?: Uint8Array
}

/** A sale as the terminal makes it: a card of the deck, its real cryptogram, a real PIN block. */
async function sale(cardId: string, amount: bigint, pin: string | undefined): Promise<Sale> {
  const card = deck.card(cardId)
  card.powerOn()
  const application = profiles.find(({ id }) => id === cardId)!.applications[0]!
  const data = terminalData(amount, pin === undefined ? {} : { [0x9f34]: fromHex('020300') })
  const read = await readCard(card, application.aid, data)
  const first = await generateAc(read, 'first', 0x80, data)
  const block =
    pin === undefined ? undefined : await keys.encryptPin(ascii.encode(pin), ascii.encode(application.pan))
  stan++
  const fields: Fields = {
    3: '000000',
    4: amount.toString().padStart(12, '0'),
    7: '1122054501',
    11: String(stan).padStart(6, '0'),
    12: '064501',
    13: '1122',
    22: '051',
    23: application.panSequence.padStart(3, '0'),
    24: '001',
    25: '00',
    41: TERMINAL.terminalId,
    42: TERMINAL.merchantId,
    48: encodeCardData(await keys.encryptCardData(read.objects.get(0x57)!)),
    49: '978',
    55: de55(read, data, first),
    60: '000007',
    62: String(stan),
  }
  if (block === undefined) return { fields }
  return { fields: { ...fields, 52: block.bytes }, pinKsn: block.ksn }
}

/** The reversal of a sale: its own trace number, the original in DE90. */
function reversalOf(original: Sale, reason: string): Fields {
  const { 48: _card, 52: _pin, 55: _icc, ...kept } = original.fields
  stan++
  return {
    ...kept,
    11: String(stan).padStart(6, '0'),
    39: reason,
    90: `0200${original.fields[11]}${original.fields[7]}`.padEnd(42, '0'),
  }
}

async function entries(): Promise<Entry[]> {
  const response = await fetch(
    `http://127.0.0.1:${acquirer.queryPort}/entries?terminal=${TERMINAL.terminalId}`,
  )
  return ((await response.json()) as { entries: Entry[] }).entries
}
const entryOf = async (one: Sale) => (await entries()).find((entry) => entry.stan === one.fields[11])

t.test(
  'a sale is approved: cryptogram, PIN block and MAC were checked, and the ledger holds it masked',
  async (t) => {
    const one = await sale('credit-pin', 1250n, '1234')
    const { answer, macOk } = await ask('0200', one.fields, one)
    t.equal(answer?.mti, '0210')
    t.equal(macOk, true)
    t.equal(clear(answer, 39), '00')
    t.match(clear(answer, 38), /^[0-9]{6}$/)
    t.equal(clear(answer, 4), '000000001250')
    t.ok(findTlv(parseTlv(clear(answer, 55) as Uint8Array), 0x91), 'issuer authentication data')
    const entry = await entryOf(one)
    t.match(entry, {
      state: 'approved',
      amountMinor: '1250',
      pinOk: 1,
      cryptogramOk: 1,
      maskedPan: '999999******0014',
      batch: '000007',
      retrievalReference: clear(answer, 37),
    })
  },
)

/** A sale as the terminal makes it of a swipe. */
async function swiped(
  cardId: string,
  entryMode: string,
  given: {
    pin?: string
    fallback?: ChipFailure
    chipData?: Uint8Array
    change?: (track2: string) => string
  } = {},
): Promise<Sale> {
  const { 55: _icc, ...whole } = (await sale('credit-pin', 1700n, undefined)).fields
  const application = profiles.find(({ id }) => id === cardId)!.applications[0]!
  const read = readTrack(2, ascii.encode(deck.stripe(cardId).track2))
  if (!(read instanceof Uint8Array)) throw new Error('an unreadable stripe')
  const track = parseTrack2(ascii.encode((given.change ?? ((text) => text))(ascii.decode(read))))
  if (track.kind === 'fault') throw new Error(track.rule)
  const block =
    given.pin === undefined
      ? undefined
      : await keys.encryptPin(ascii.encode(given.pin), ascii.encode(application.pan))
  const cardData = await keys.encryptCardData(track.equivalent)
  const fields = {
    ...whole,
    22: entryMode,
    48: encodeCardData(given.fallback === undefined ? cardData : { ...cardData, fallback: given.fallback }),
    ...(given.chipData && { 55: given.chipData }),
  } as Fields
  if (block === undefined) return { fields }
  return { fields: { ...fields, 52: block.bytes }, pinKsn: block.ksn }
}

t.test(
  'a stripe: taken where chip, entry mode and reason agree, and only if it is the real one',
  async (t) => {
    const codeOf = async (one: Sale) => {
      const { answer, macOk } = await ask('0200', one.fields, one)
      t.ok(macOk)
      t.equal(clear(answer, 55), undefined, 'nothing for a chip')
      return clear(answer, 39)
    }
    const signed = await swiped('stripe-only', '901')
    t.equal(await codeOf(signed), '00')
    t.match(await entryOf(signed), { state: 'approved', cryptogramOk: null, pinOk: null })
    const fallback = { fallback: 'chipMute' } as const
    const pin = await swiped('chip-broken', '801', { ...fallback, pin: '6802' })
    t.equal(await codeOf(pin), '00')
    t.match(await entryOf(pin), { state: 'approved', pinOk: 1, maskedPan: '999999******0402' })
    t.equal(await codeOf(await swiped('chip-broken', '801', { ...fallback, pin: '1111' })), '55')
    for (const reason of ['chipError', 'noApplication'] as const)
      t.equal(await codeOf(await swiped('credit-pin', '801', { fallback: reason })), '00', reason)
    const refused: readonly [string, () => Promise<Sale>, string][] = [
      ['a chip passed over', () => swiped('credit-pin', '901'), '12'],
      ['a fallback without a reason', () => swiped('credit-pin', '801'), '12'],
      ['a reason without a fallback', () => swiped('stripe-only', '901', fallback), '12'],
      ['a fallback of a card without a chip', () => swiped('stripe-only', '801', fallback), '12'],
      ['a stripe with chip data', () => swiped('stripe-only', '901', { chipData: fromHex('9F2701') }), '30'],
      ['a chip without its data', () => swiped('credit-pin', '051'), '30'],
      [
        'no service code',
        () => swiped('stripe-only', '901', { change: (text) => text.replace('101', '=') }),
        '30',
      ],
      ["the chip's CVV on a stripe", () => swiped('chip-on-stripe', '801', fallback), '05'],
      [
        'a service code that was rewritten',
        () => swiped('credit-pin', '901', { change: (text) => text.replace('=3512201', '=3512101') }),
        '05',
      ],
    ]
    for (const [what, one, code] of refused) t.equal(await codeOf(await one()), code, what)
  },
)

t.test('a wrong PIN, a wrong cryptogram and another amount than the card signed are declined', async (t) => {
  const wrongPin = await sale('credit-pin', 1300n, '9999')
  t.equal(clear((await ask('0200', wrongPin.fields, wrongPin)).answer, 39), '55')
  t.match(await entryOf(wrongPin), { state: 'declined', pinOk: 0, cryptogramOk: 1 })
  const forged = await sale('credit-pin', 1300n, '1234')
  const icc = (forged.fields[55] as Uint8Array).slice()
  const at = Buffer.from(icc).indexOf(Buffer.from('9F2608', 'hex')) + 3
  icc[at]! ^= 1
  const { answer } = await ask('0200', { ...forged.fields, 55: icc }, forged)
  t.not(clear(answer, 39), '00')
  t.match(await entryOf(forged), { state: 'declined', cryptogramOk: 0 })
  const cheaper = await sale('credit-pin', 9900n, '1234')
  const changed = await ask('0200', { ...cheaper.fields, 4: '000000000099' }, cheaper)
  t.not(clear(changed.answer, 39), '00')
})

t.test(
  'what is not authentic gets no answer and no entry: MAC, terminal, key used twice, no message',
  async (t) => {
    const before = (await entries()).length
    const one = await sale('credit-pin', 1400n, '1234')
    const good = await sealed('0200', one.fields, keys, one.pinKsn)
    const tampered = good.bytes.slice()
    tampered[20]! ^= 1
    const strange = await sealed('0200', { ...one.fields, 41: 'T0000009' }, keys, one.pinKsn)
    const stranger = await terminalKeys(fromHex('0011223344556678'))
    const otherKey = await sealed(
      '0800',
      { 7: '1', 11: '1', 24: '1', 41: 'T0000001', 42: 'MERCHANT0000001', 70: '301' },
      stranger,
    )
    otherKey.bytes[otherKey.bytes.length - 1]! ^= 1
    for (const [why, bytes] of [
      ['changed on the way', tampered],
      ['unknown terminal', strange.bytes],
      ['wrong MAC', otherKey.bytes],
      ['no message', fromHex('0200FF')],
    ] as const) {
      const line = await dial()
      send(line, bytes)
      t.equal(await line.next(), 'closed', why)
    }
    const line = await dial()
    line.socket.write(fromHex('FFFF00'))
    t.equal(await line.next(), 'closed', 'a frame out of bounds')
    t.equal((await entries()).length, before)
    const first = await dial()
    send(first, good.bytes)
    t.not(await first.next(), 'closed', 'the untouched one is answered')
    const again = await dial()
    send(again, good.bytes)
    t.equal(await again.next(), 'closed', 'played back: its key serial number was used')
    const reused = await ask('0200', { ...one.fields, 11: '999999' }, one)
    t.equal(reused.outcome, 'closed', 'card data and PIN under keys that another sale has used')
  },
)

t.test('declines by amount and by card, every usual code, without asking the issuer', async (t) => {
  const line = await dial()
  for (const code of ['01', '02', '05', '51', '54', '55', '61', '65', '91', '96']) {
    const one = await sale('credit-pin', BigInt(`199${code}`), '1234')
    const { answer } = await ask('0200', one.fields, { ...one, line })
    t.equal(clear(answer, 39), code)
    t.match(await entryOf(one), { state: 'declined', responseCode: code, cryptogramOk: null })
  }
  const referred = await sale('debit-signature', 1000n, undefined)
  t.equal(
    clear((await ask('0200', referred.fields, referred)).answer, 39),
    '01',
    'a rule of the configuration, by card',
  )
})

t.test('a reversal takes an approved sale back, once; its repeats get the same answer', async (t) => {
  const one = await sale('credit-pin', 2000n, '1234')
  await ask('0200', one.fields, one)
  const fields = reversalOf(one, '68')
  for (const mti of ['0400', '0401', '0401']) {
    const { answer, macOk } = await ask(mti, fields)
    t.equal(answer?.mti, '0410')
    t.equal(macOk, true)
    t.equal(clear(answer, 39), '00')
    t.equal(clear(answer, 90), fields[90])
  }
  t.match(await entryOf(one), { state: 'reversed', reason: 'tooLate' })
  const declined = await sale('credit-pin', 19951n, '1234')
  await ask('0200', declined.fields, declined)
  t.equal(
    clear((await ask('0400', reversalOf(declined, '68'))).answer, 39),
    '21',
    'nothing was there to take back',
  )
})

t.test('a reversal that overtakes its sale is remembered, and the sale refused when it comes', async (t) => {
  const one = await sale('credit-pin', 2100n, '1234')
  t.equal(clear((await ask('0400', reversalOf(one, '68'))).answer, 39), '25')
  t.equal(clear((await ask('0401', reversalOf(one, '68'))).answer, 39), '25')
  t.equal(clear((await ask('0200', one.fields, one)).answer, 39), '94')
  t.match(await entryOf(one), { state: 'reversedUnseen' })
  const twice = await sale('credit-pin', 2200n, '1234')
  t.equal(clear((await ask('0200', twice.fields, twice)).answer, 39), '00')
  t.equal(
    clear((await ask('0200', twice.fields, twice)).answer, 39),
    '94',
    'the same sale is never booked twice',
  )
  t.equal((await entries()).filter((entry) => entry.stan === twice.fields[11]).length, 1)
})

t.test('the ways an answer goes wrong', async (t) => {
  const booked = async (one: Sale) => (await entryOf(one))?.state
  const run = async (amount: bigint) => {
    const one = await sale('credit-pin', amount, '1234')
    const line = await dial()
    const request = await sealed('0200', one.fields, keys, one.pinKsn)
    send(line, request.bytes)
    return { one, line, request }
  }
  const silent = await run(19970n)
  const lost = await run(19971n)
  const late = await run(19972n)
  const middle = await run(19973n)
  const twice = await run(19974n)
  const badMac = await run(19976n)
  const unreadable = await run(19977n)
  const dropped = await run(19978n)

  t.equal(await middle.line.next(), 'closed')
  t.ok(middle.line.pending > 2, 'half of the answer was on the line')
  t.equal(await booked(middle.one), 'approved')
  t.equal(await dropped.line.next(), 'closed')
  t.equal(dropped.line.pending, 0)
  t.equal(await booked(dropped.one), 'approved')
  const first = await twice.line.next()
  t.same(await twice.line.next(), first)
  const wrong = (await badMac.line.next()) as Uint8Array
  const { covered, mac } = splitMac(POSTERN_DEV, wrong)
  t.equal(await keys.verifyResponse(badMac.request.macKsn, covered, mac), false)
  const noMessage = (await unreadable.line.next()) as Uint8Array
  t.throws(() => unpack(POSTERN_DEV, noMessage), { code: 'ISO8583_INVALID' })
  t.ok((await late.line.next()) instanceof Uint8Array, 'late, but there')
  t.equal(await silent.line.next(100), 'silent')
  t.equal(await booked(silent.one), 'approved')
  t.equal(await lost.line.next(100), 'silent')
  t.equal(await booked(lost.one), undefined)

  const stubborn = await run(19979n)
  t.equal(await stubborn.line.next(100), 'silent')
  const fields = reversalOf(stubborn.one, '68')
  const first0400 = await sealed('0400', fields)
  send(stubborn.line, first0400.bytes)
  t.equal(await stubborn.line.next(100), 'silent', 'the first reversal is not answered')
  t.equal(clear((await ask('0401', fields)).answer, 39), '00', 'its repeat is')

  const wrongData = await sale('credit-pin', 19980n, '1234')
  const none = await sale('credit-pin', 19981n, '1234')
  t.ok(clear((await ask('0200', wrongData.fields, wrongData)).answer, 55))
  const without = await ask('0200', none.fields, none)
  t.equal(clear(without.answer, 39), '00')
  t.equal(clear(without.answer, 55), undefined)
})

t.test(
  'totals agree or differ to the cent; a void counts as sale and void, a reversal as neither',
  async (t) => {
    const batch = (fields: Fields): Fields => ({ ...fields, 60: '000008' })
    const kept = await sale('credit-pin', 1000n, '1234')
    const voided = await sale('credit-pin', 500n, '1234')
    const reversed = await sale('credit-pin', 700n, '1234')
    for (const one of [kept, voided, reversed]) {
      const { answer } = await ask('0200', batch(one.fields), one)
      t.equal(clear(answer, 39), '00')
    }
    await ask('0400', batch(reversalOf(voided, '17')))
    await ask('0400', batch(reversalOf(reversed, '68')))
    const totals = (sales: number, minor: bigint): Fields => ({
      3: '920000',
      7: '1122054501',
      11: '000999',
      12: '064501',
      13: '1122',
      24: '001',
      41: TERMINAL.terminalId,
      42: TERMINAL.merchantId,
      50: '978',
      60: '000008',
      76: String(sales),
      77: '1',
      88: minor.toString(),
      89: '500',
      97: `D${(minor - 500n).toString().padStart(16, '0')}`,
      74: '0',
      75: '0',
      86: '0',
      87: '0',
    })
    const right = await ask('0500', totals(2, 1500n))
    t.equal(clear(right.answer, 39), '00')
    t.equal(clear(right.answer, 66), '1')
    const wrong = await ask('0500', totals(2, 1501n))
    t.equal(clear(wrong.answer, 39), '95')
    t.equal(clear(wrong.answer, 66), '2')
    t.equal(clear(wrong.answer, 88), '0000000000001500')
    t.equal(clear(wrong.answer, 97), 'D0000000000001000')
    const ask2 = async (salesMinor: string) => {
      const response = await fetch(`http://127.0.0.1:${acquirer.queryPort}/verdict`, {
        method: 'POST',
        body: JSON.stringify({
          terminalId: TERMINAL.terminalId,
          currency: '978',
          batch: '8',
          totals: { sales: 2, salesMinor, voids: 1, voidsMinor: '500' },
        }),
      })
      return (await response.json()) as ReturnType<typeof verdict>
    }
    t.equal((await ask2('1500')).agrees, true)
    const cent = await ask2('1499')
    t.equal(cent.agrees, false)
    t.match(cent.lines, ['ledger and terminal DIFFER', 'sum of sales: terminal 1499, ledger 1500'])
    t.equal(
      (await fetch(`http://127.0.0.1:${acquirer.queryPort}/verdict`, { method: 'POST', body: '{}' })).status,
      400,
    )
  },
)

t.test('network management: sign-on and echo are answered, anything else is refused', async (t) => {
  const manage = (code: string) =>
    ask('0800', {
      7: '1122054501',
      11: '000001',
      24: '001',
      41: TERMINAL.terminalId,
      42: TERMINAL.merchantId,
      70: code,
    })
  for (const [code, expected] of [
    ['001', '00'],
    ['301', '00'],
    ['161', '12'],
  ] as const) {
    const { answer, macOk } = await manage(code)
    t.equal(macOk, true)
    t.equal(clear(answer, 39), expected)
  }
})

t.test('as a process: says when it is ready, ends on SIGTERM, and its ledger survives', async (t) => {
  const known = await entries()
  await acquirer.close()
  const process1 = spawn(
    process.execPath,
    [join(packageRoot, 'dist/scripts/dev/acquirer/main.js'), configPath],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  t.teardown(() => process1.kill('SIGKILL'))
  const line = await new Promise<string>((resolve) =>
    process1.stdout.once('data', (data) => resolve(String(data))),
  )
  const ready = JSON.parse(line) as { ready: boolean; port: number; queryPort: number }
  t.equal(ready.ready, true)
  const response = await fetch(`http://127.0.0.1:${ready.queryPort}/entries`)
  t.same(((await response.json()) as { entries: Entry[] }).entries, known)
  process1.kill('SIGTERM')
  t.equal(await new Promise((resolve) => process1.once('exit', resolve)), 0)
  const ledger = openLedger(join(dir, 'ledger.sqlite'))
  t.same(ledger.entries(), known)
  ledger.close()
  const wrong = spawn(process.execPath, [join(packageRoot, 'dist/scripts/dev/acquirer/main.js')], {
    stdio: 'ignore',
  })
  t.equal(await new Promise((resolve) => wrong.once('exit', resolve)), 2)
  writeFileSync(join(dir, 'bad.json'), '{"listen":{"host":"127.0.0.1"}}')
  t.throws(() => readAcquirerConfig(join(dir, 'bad.json')), { code: 'CONFIG_INVALID' })
})
