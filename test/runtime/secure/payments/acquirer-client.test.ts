// Payments to the real development acquirer: ISO 8583 with real MACs, PIN blocks and card data, over TLS, over the
// bridge's pipes, through the open world's sockets; every way an answer can go wrong, and the ledger's word at the end.
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { ascii, fromHex } from '../../../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../../../hal/base/clock.js'
import { silentLog } from '../../../../hal/base/log.js'
import { packageRoot } from '../../../../hal/base/package-root.js'
import { connectContract } from '../../../../runtime/api/contract.js'
import { OpenMethods, SecureMethods } from '../../../../runtime/bridge/contract.js'
import { createPipes } from '../../../../runtime/open/bridge/pipes.js'
import { deriveInitialKey } from '../../../../runtime/secure/keys/aes-dukpt.js'
import { loadInitialKey, openTerminalKeys } from '../../../../runtime/secure/keys/dukpt-terminal-keys.js'
import type { KeyStore } from '../../../../runtime/secure/keys/key-store.js'
import { createAcquirerClient, type Stray } from '../../../../runtime/secure/payments/acquirer-client.js'
import {
  type AcquirerEntry,
  readAcquirersDocument,
} from '../../../../runtime/secure/payments/acquirer-document.js'
import { acquirerLine } from '../../../../runtime/secure/payments/acquirer-line.js'
import type { Acquirer } from '../../../../runtime/secure/payments/acquirer-port.js'
import { createAcquirers } from '../../../../runtime/secure/payments/acquirers.js'
import { hostDialect } from '../../../../runtime/secure/payments/iso8583/dialects/host-dialects.js'
import { DEFAULT_FRAMING } from '../../../../runtime/secure/payments/iso8583/framing.js'
import { openJournal } from '../../../../runtime/secure/payments/journal.js'
import { recordStray } from '../../../../runtime/secure/payments/late-answers.js'
import { createPaymentService } from '../../../../runtime/secure/payments/payment-service.js'
import { createBridgeGateway } from '../../../../runtime/secure/payments/roads/bridge-gateway.js'
import { createBridgePipes } from '../../../../runtime/secure/payments/roads/bridge-pipe.js'
import { clientIdentity } from '../../../../runtime/secure/payments/roads/client-identity.js'
import { loadTexts } from '../../../../runtime/secure/texts.js'
import { createAcquirerHost } from '../../../../scripts/dev/acquirer/acquirer-host.js'
import { createHostKeys } from '../../../../scripts/dev/acquirer/host-keys.js'
import { openLedger } from '../../../../scripts/dev/acquirer/ledger.js'
import { DEFAULT_RULES } from '../../../../scripts/dev/acquirer/rules.js'
import { startAcquirerServer } from '../../../../scripts/dev/acquirer/server.js'
import { developmentAuthority } from '../../../../scripts/dev/factory/certificates.js'
import { socketPair, until } from '../../socket-pair.js'
import {
  authorisation,
  COURIER,
  MERCHANT,
  OWNER,
  powerUntil,
  prompts,
  request,
  scriptedCards,
  testVault,
} from './support.js'

const dir = t.testdir()
const BDK = 'FEDCBA9876543210F1F1F1F1F1F1F1F1'
const PAN = '4761739001010119'
const TRACK2 = fromHex('4761739001010119D301220112345678')
const authority = developmentAuthority(join(dir, 'tls'))
const server = authority.issue('acquirer', 'acquirer', 'server')
const client = authority.issue('terminal', 'terminal', 'client')
const pem = (file: string) => readFileSync(file, 'utf8')
mkdirSync(join(dir, 'acquirers'))
copyFileSync(client.key, join(dir, 'acquirers', 'dev.key'))

const ledger = openLedger(join(dir, 'ledger.db'))
const listening = await startAcquirerServer({
  listen: { host: '127.0.0.1', port: 0 },
  tls: { key: pem(server.key), cert: pem(server.cert), ca: pem(authority.ca) },
  lateMs: 700,
  framing: DEFAULT_FRAMING,
  log: silentLog,
  host: createAcquirerHost(
    {
      keys: createHostKeys({ aes: fromHex(BDK) }),
      issuer: {
        authorise: ({ pan, pin }) => ({
          responseCode: pan === PAN && Buffer.from(pin ?? []).toString() === '123456789012' ? '00' : '05',
          issuerAuthenticationData: fromHex('11223344556677880012'),
          scripts: [fromHex('72109F180400000001860784240000021122')],
          cryptogramOk: true,
          pinOk: pin === undefined ? undefined : true,
        }),
      },
      ledger,
      rules: DEFAULT_RULES,
      terminals: Array.from({ length: 20 }, (_, n) => ({
        terminalId: `TERM00${String(n).padStart(2, '0')}`,
        merchantId: 'MERCHANT1',
      })),
      clock: systemClock,
      log: silentLog,
    },
    hostDialect('postern-dev'),
  ),
})
t.teardown(async () => {
  await listening.close()
  ledger.close()
})

let terminals = 0
/** Each terminal has an id of its own: a batch number is used once by one. */
const entry = (change: Record<string, unknown> = {}): AcquirerEntry =>
  readAcquirersDocument({
    acquirers: [
      {
        id: 'dev',
        host: '127.0.0.1',
        port: listening.port,
        tls: { serverName: 'localhost', ca: pem(authority.ca), clientCertificate: pem(client.cert) },
        tpdu: { destination: 1, source: 2 },
        nii: '001',
        terminalId: `TERM00${String(++terminals).padStart(2, '0')}`,
        merchantId: 'MERCHANT1',
        dialect: 'postern-dev',
        currency: 'EUR',
        timeouts: { connectMs: 30_000, hostMs: 400, lingerMs: 1500 },
        reversals: { notFoundFinalAfterMs: 0 },
        ...change,
      },
    ],
  }).acquirers[0]!

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

let devices = 0
async function terminalKeys(bdk = BDK) {
  const store = memoryKeyStore()
  const ikid = fromHex(`00112233445566${(0x10 + devices++).toString(16)}`)
  await loadInitialKey(store, 'acquirer', { ikid, key: deriveInitialKey(fromHex(bdk), ikid) }, systemRandom)
  return openTerminalKeys(store, systemRandom)
}

/** A terminal whose bytes go through a real bridge, a real open world's pipes, and real sockets. */
async function terminal(t: Pick<Test, 'teardown'>, folder: string, own: AcquirerEntry = entry(), bdk = BDK) {
  const keys = await terminalKeys(bdk)
  let online = true
  const listeners = new Set<(online: boolean) => void>()
  const [secureEnd, openEnd] = await socketPair()
  const pipes = createPipes({
    allowed: [{ host: own.host!, port: own.port! }],
    network: {
      online: () => online,
      on: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    secure: () => openSide.remote,
    log: silentLog,
  })
  const unserved = () => null
  const openSide = connectContract(
    openEnd,
    OpenMethods,
    {
      ...pipes.serve,
      'gateway.send': unserved,
      'apps.freeze': unserved,
      'apps.thaw': unserved,
      'payments.changed': unserved,
      'terminal.changed': unserved,
    },
    SecureMethods,
  )
  const bridgePipes = createBridgePipes(() => secureSide.remote)
  const secureSide = connectContract(secureEnd, SecureMethods, bridgePipes.methods as never, OpenMethods)

  const journal = openJournal(join(folder, 'journal.db'), systemClock)
  const strays: Stray[] = []
  const acquirer = createAcquirerClient({
    entry: own,
    keys,
    clock: systemClock,
    log: silentLog,
    onStray: (stray) => {
      strays.push(stray)
      recordStray(journal, silentLog, stray)
    },
    line: acquirerLine({
      entry: own,
      dataDir: dir,
      carrier: (host, port, signal): Promise<Duplex> => bridgePipes.open(host, port, signal),
      gateway: createBridgeGateway(() => undefined).transport,
      random: systemRandom,
      clock: systemClock,
    }),
  })
  const answers: unknown[] = []
  const watched: Acquirer = {
    ...acquirer,
    async authorise(...args) {
      const answer = await acquirer.authorise(...args)
      answers.push(answer)
      return answer
    },
  }
  const service = createPaymentService({
    journal,
    acquirers: createAcquirers([watched], () => [watched.id]),
    merchant: MERCHANT,
    cards: scriptedCards(
      {
        start: async () => ({
          kind: 'online',
          authorisation: {
            ...authorisation(),
            cardData: await keys.encryptCardData(TRACK2),
            pinBlock: await keys.encryptPin(ascii.encode('123456789012'), ascii.encode(PAN)),
          },
        }),
      },
      powerUntil(0),
      [],
    ),
    prompts: () => prompts,
    session: { operator: COURIER, authorise: async () => '99' },
    texts: loadTexts(join(packageRoot, 'runtime/secure/payments/texts')),
    clock: systemClock,
    log: silentLog,
    ask: async () => ({ type: 'confirmed' }),
    vault: testVault(folder, powerUntil(0)),
    isOnline: () => online,
    onChanged: () => undefined,
    onNotice: () => undefined,
    onFatal: (error) => {
      throw error
    },
  })
  service.recover()
  t.teardown(async () => {
    acquirer.close()
    await service.stop()
    pipes.close()
    secureSide.peer.close()
    journal.close()
    keys.close()
  })
  return {
    service,
    journal,
    strays,
    answers,
    secureSide,
    bridgePipes,
    setOnline(value: boolean) {
      online = value
      for (const listener of listeners) listener(value)
    },
  }
}

const lines = (amount: string) => ledger.entries().filter(({ amountMinor }) => amountMinor === amount)

t.test('approved, declined, voided, compared: ledger and terminal agree', async (t) => {
  const { service, answers, journal } = await terminal(t, t.testdir())
  const approved = await service.collect(request('key-0001', '1250'), OWNER)
  t.match(approved, { outcome: 'approved', receipt: { responseCode: '00', authorisationCode: /^\d{6}$/ } })
  t.match(answers, [
    {
      issuerAuthenticationData: fromHex('11223344556677880012'),
      scripts: [fromHex('72109F180400000001860784240000021122')],
    },
  ])
  t.match(lines('1250'), [{ pinOk: 1, maskedPan: '476173******0119', state: 'approved' }])
  t.match(await service.collect(request('key-0002', '9951'), OWNER), { code: 'RESPONSE_51' })
  t.match(await service.collect(request('key-0003', '800'), OWNER), { outcome: 'approved' })
  t.match(await service.voidPayment({ key: 'void-001', original: 'key-0003', reason: 'x' }, OWNER), {
    outcome: 'voided',
  })
  t.match(lines('800'), [{ state: 'reversed', reason: 'void' }])
  const closed = await service.closeRound()
  t.match(closed, { agreement: 'agrees', totals: { tenders: [{ sales: 2, salesMinor: '2050', voids: 1 }] } })

  await service.collect(request('key-0004', '300'), OWNER)
  const { batch } = journal.payment('key-0004')!
  ledger.book({ ...lines('300')[0]!, stan: '999999', batch: String(batch).padStart(6, '0') })
  t.match(await service.closeRound(), {
    agreement: 'differs',
    differences: ['Sales: the terminal has 1 for EUR 3.00, the bank 2 for EUR 6.00.'],
  })
})

t.test(
  'every way an answer can go wrong ends reversed at the host, once the host can be asked',
  async (t) => {
    const cases: [string, string, string][] = [
      ['9970', 'TIMEOUT', 'silent'],
      ['9971', 'TIMEOUT', 'lost on its way'],
      ['9972', 'TIMEOUT', 'late'],
      ['9973', 'LINE_LOST', 'line breaks in the middle'],
      ['9976', 'BAD_MAC', 'wrong MAC'],
      ['9977', 'UNREADABLE', 'no message'],
      ['9978', 'LINE_LOST', 'line breaks before'],
    ]
    const { service, strays, journal } = await terminal(t, t.testdir())
    for (const [amount, code, name] of cases) {
      const key = `key-${amount}`
      const view = await service.collect(request(key, amount), OWNER)
      t.match(view, { outcome: /^revers/, code }, name)
      await until(`${name} reversed`, () => service.status(key).outcome === 'reversed')
      if (amount === '9972') await until('the late answer', () => strays.length > 0)
      const [line] = lines(amount)
      t.match(line?.state, amount === '9971' ? /declined|reversedUnseen/ : 'reversed', name)
    }
    t.match(await service.collect(request('key-9979', '9979'), OWNER), { outcome: 'reversing' })
    await until('the reversal is not answered', () => journal.payment('key-9979')?.reversal?.failures === 1)
    service.roadChanged()
    await until('reversed by the repeat', () => service.status('key-9979').outcome === 'reversed')
    t.match(journal.payment('key-9979'), { reversal: { attempts: 2 } })
    t.match(strays[0], { mti: '0210' })
    const late = journal.list(20).filter(({ lateAnswers }) => lateAnswers !== undefined)
    t.match(late, [{ key: 'key-9972', state: 'REVERSED', lateAnswers: 1 }], 'recorded, and nothing changed')
    const twice = await service.collect(request('key-9974', '9974'), OWNER)
    t.match(twice, { outcome: 'approved' })
    await until('the double answer', () => journal.payment('key-9974')?.lateAnswers === 1)
    t.match(service.status('key-9974'), { outcome: 'approved' })
    t.match(await service.closeRound(), { agreement: 'agrees', totals: { tenders: [{ sales: 1 }] } })
    t.match(journal.verify(), { sound: true })
  },
)

t.test('a network that goes away: before, during, and while a reversal is owed', async (t) => {
  const { service, setOnline, bridgePipes } = await terminal(t, t.testdir())
  setOnline(false)
  t.match(await service.collect(request('key-0001', '400'), OWNER), { outcome: 'needsNetwork' })
  setOnline(true)
  const silent = service.collect(request('key-0002', '109970'), OWNER)
  await until('the sale is booked', () => lines('109970').length === 1)
  setOnline(false)
  t.match(await silent, { outcome: 'reversing', code: 'LINE_LOST' })
  t.match(await service.collect(request('key-0003', '500'), OWNER), { outcome: 'needsNetwork' })
  setOnline(true)
  service.roadChanged()
  await until('reversed', () => service.status('key-0002').outcome === 'reversed')

  const second = service.collect(request('key-0004', '209970'), OWNER)
  await until('the sale is booked', () => lines('209970').length === 1)
  bridgePipes.disconnected() // the open world dies
  t.match(await second, { outcome: /^revers/, code: 'LINE_LOST' })
  await until('reversed', () => service.status('key-0004').outcome === 'reversed')
  t.match(lines('209970'), [{ state: 'reversed' }])
})

t.test('keys that the acquirer does not share: nothing is believed and nothing is booked', async (t) => {
  const { service } = await terminal(t, t.testdir(), entry(), 'F'.repeat(32))
  t.match(await service.collect(request('key-0001', '600'), OWNER), {
    outcome: 'reversing',
    code: 'LINE_LOST',
  })
  t.strictSame(lines('600'), [])
})

t.test('whom the terminal does not trust, or cannot reach, gets no byte of a payment', async (t) => {
  const other = developmentAuthority(join(t.testdir(), 'other'))
  const cases: [string, AcquirerEntry, string][] = [
    ['another authority', entry({ tls: { serverName: 'localhost', ca: pem(other.ca) } }), 'ROAD_UNTRUSTED'],
    ['another name', entry({ tls: { serverName: 'bank.example', ca: pem(authority.ca) } }), 'ROAD_UNTRUSTED'],
    ['nobody there', entry({ port: 1 }), 'ROAD_CLOSED'],
  ]
  for (const [i, [name, own, code]] of cases.entries()) {
    const { service, journal } = await terminal(t, join(dir, `untrusted-${i}`), own)
    const view = await service.collect(request('key-0001', '700'), OWNER)
    t.match(view, { outcome: 'needsNetwork', code }, name)
    t.match(journal.payment('key-0001'), { state: 'CANCELLED' })
  }
  t.strictSame(lines('700'), [])
})

t.test(
  'an acquirer that asks for a certificate: without one nothing is booked, and without its key no road is made',
  async (t) => {
    const tls = { serverName: 'localhost', ca: pem(authority.ca) }
    const { service, journal } = await terminal(t, t.testdir(), entry({ tls }))
    const view = await service.collect(request('key-0001', '650'), OWNER)
    // With TLS 1.3 the refusal comes after the handshake: the sale counts as sent, and is owed back.
    t.match(view, { outcome: /^(reversing|needsNetwork)$/ })
    t.match(journal.payment('key-0001')?.state, /^(REVERSAL_PENDING|CANCELLED)$/)
    t.strictSame(lines('650'), [])
    t.throws(() => clientIdentity(entry({ id: 'other' }), dir), { code: 'KEY_UNAVAILABLE' })
    t.strictSame(clientIdentity(entry({ tls }), dir), {})
  },
)

t.test('"original not found" is not final while the original may still arrive', async (t) => {
  const { service, journal } = await terminal(
    t,
    t.testdir(),
    entry({ reversals: { notFoundFinalAfterMs: 60_000 } }),
  )
  const view = await service.collect(request('key-0001', '319971'), OWNER)
  t.match(view, { outcome: 'reversing' })
  await until('it was asked', () => journal.payment('key-0001')?.reversal?.lastFailure !== undefined)
  t.match(journal.payment('key-0001'), {
    state: 'REVERSAL_PENDING',
    reversal: { lastFailure: 'NOT_FOUND_YET', attempts: 1 },
  })
})
