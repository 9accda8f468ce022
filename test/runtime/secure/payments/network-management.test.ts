// Network management by itself, against the development acquirer: sign-on, new keys on trial, bad habits, power cuts.
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import t from 'tap'
import { fromHex, toHex } from '../../../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../../../hal/base/clock.js'
import { isPosternError } from '../../../../hal/base/errors.js'
import { silentLog } from '../../../../hal/base/log.js'
import { money } from '../../../../hal/base/money.js'
import { deriveInitialKey } from '../../../../runtime/secure/keys/aes-dukpt.js'
import { usableCounters } from '../../../../runtime/secure/keys/dukpt-scheme.js'
import { type KeyStanding, loadInitialKey } from '../../../../runtime/secure/keys/dukpt-terminal-keys.js'
import { decodeRecord } from '../../../../runtime/secure/keys/key-set-record.js'
import { createKeySets } from '../../../../runtime/secure/keys/key-sets.js'
import type { KeyStore } from '../../../../runtime/secure/keys/key-store.js'
import { storeProtectionKey } from '../../../../runtime/secure/keys/protection-key.js'
import { deriveTdesInitialKey } from '../../../../runtime/secure/keys/tdes-dukpt.js'
import { createAcquirerClient } from '../../../../runtime/secure/payments/acquirer-client.js'
import {
  type AcquirerEntry,
  framingOf,
  keyProfile,
  type ManagementEntry,
  readAcquirersDocument,
} from '../../../../runtime/secure/payments/acquirer-document.js'
import { createHostLine } from '../../../../runtime/secure/payments/host-line.js'
import type { HostRecord } from '../../../../runtime/secure/payments/host-record.js'
import {
  DIALECT_NAMES,
  hostDialect,
} from '../../../../runtime/secure/payments/iso8583/dialects/host-dialects.js'
import { Deframer, frame } from '../../../../runtime/secure/payments/iso8583/framing.js'
import { openJournal } from '../../../../runtime/secure/payments/journal.js'
import { nextErrand } from '../../../../runtime/secure/payments/network-errands.js'
import {
  createNetworkManagement,
  managedAcquirer,
  type NetworkNotice,
} from '../../../../runtime/secure/payments/network-management.js'
import { createAcquirerHost } from '../../../../scripts/dev/acquirer/acquirer-host.js'
import { createHostKeys, createKeyBlocks } from '../../../../scripts/dev/acquirer/host-keys.js'
import { openLedger } from '../../../../scripts/dev/acquirer/ledger.js'
import { DEFAULT_RULES, type Rule } from '../../../../scripts/dev/acquirer/rules.js'
import { developmentAuthority } from '../../../../scripts/dev/factory/certificates.js'
import { memoryStore, type Power, PowerCut, powerUntil, type TestClock, testClock } from './support.js'

const BASE = {
  aes: fromHex('FEDCBA9876543210F1F1F1F1F1F1F1F1'),
  tdes: fromHex('0123456789ABCDEFFEDCBA9876543210'),
}
const KBPK = fromHex('88E1AB2A2E3DD38C1FA039A536500CC888E1AB2A2E3DD38C1FA039A536500CC9')
const TRACK2 = fromHex('4761739001010119D30122011234567890')
const SIGNAL = new AbortController().signal
const DAY_MS = 86_400_000

/** The acquirer's side, which outlives the terminal's power. */
function acquirerOf(folder: string, entry: AcquirerEntry, rules: readonly Rule[], signOnFirst: boolean) {
  mkdirSync(folder, { recursive: true })
  const ledger = openLedger(join(folder, 'ledger.db'))
  const said: string[] = []
  const host = createAcquirerHost(
    {
      keys: createHostKeys(BASE),
      newKeyBlock: createKeyBlocks(BASE, () => KBPK, systemRandom),
      signOnFirst,
      issuer: {
        authorise: () => ({
          responseCode: '00',
          issuerAuthenticationData: fromHex('11223344556677880012'),
          scripts: [],
          cryptogramOk: true,
          pinOk: undefined,
        }),
      },
      ledger,
      rules: [...rules, ...DEFAULT_RULES],
      terminals: [{ terminalId: entry.terminalId, merchantId: entry.merchantId }],
      clock: systemClock,
      log: {
        ...silentLog,
        info: (event, facts) =>
          void (event === 'network' && said.push(String((facts as { management: string }).management))),
        warn: (_event, facts) => void said.push(`refused: ${(facts as { why?: string })?.why}`),
      },
    },
    hostDialect(entry.dialect, {}, keyProfile(entry).scheme),
  )
  return { host, ledger, said }
}

const entryOf = (
  management: ManagementEntry | undefined,
  change: Partial<AcquirerEntry> = {},
): AcquirerEntry => ({
  id: 'bank',
  host: '127.0.0.1',
  port: 1,
  tls: { serverName: 'localhost', ca: '-----BEGIN CERTIFICATE-----' },
  tpdu: { destination: 1, source: 2 },
  nii: '001',
  terminalId: 'TERM0001',
  merchantId: 'MERCHANT1',
  dialect: 'postern-dev',
  currency: 'EUR',
  ...(management === undefined ? {} : { management }),
  ...change,
})

/** The first initial key and the protection key, as the key room gives them. */
async function provision(folder: string, entry: AcquirerEntry): Promise<void> {
  const store = memoryStore(folder)
  const { scheme } = keyProfile(entry)
  const ikid = scheme === 'aes' ? fromHex('0A0B0C0D00000001') : fromHex('FFFF9876543210E00000')
  const key = scheme === 'aes' ? deriveInitialKey(BASE.aes, ikid) : deriveTdesInitialKey(BASE.tdes, ikid)
  await loadInitialKey(store, 'acquirer', { scheme, ikid, key }, systemRandom)
  await storeProtectionKey(store, { cipher: 'aes', key: KBPK })
}

interface Setting {
  readonly folder: string
  readonly entry: AcquirerEntry
  readonly acquirer: ReturnType<typeof acquirerOf>
  readonly clock: TestClock
  readonly power?: Power
  readonly online?: () => boolean
}

/** The terminal from its power button on: keys, journal, client and management. */
async function terminal({
  folder,
  entry,
  acquirer,
  clock,
  power = powerUntil(0),
  online = () => true,
}: Setting) {
  const memory = memoryStore(folder)
  const store: KeyStore = {
    ...memory,
    async write(name, secret) {
      power.step('key store: before')
      await memory.write(name, secret)
      power.step('key store: after')
    },
  }
  const keySets = createKeySets(store, systemRandom)
  const keys = await keySets.open('acquirer', keyProfile(entry))
  const real = openJournal(join(folder, 'journal.db'), clock)
  const journal: typeof real = {
    ...real,
    commit(step, write) {
      power.step(`before ${step}`)
      const result = real.commit(step, write)
      power.step(`after ${step}`)
      return result
    },
  }
  const framing = framingOf(entry)
  const open = async (): Promise<Duplex> => {
    if (!online()) throw Object.assign(new Error('no road'))
    const reader = new Deframer(undefined, framing)
    const line: Duplex = new Duplex({
      read() {},
      write(chunk: Uint8Array, _encoding, done) {
        for (const request of reader.push(chunk)) {
          const answered = async () => {
            power.step('host: asked')
            const answer = await acquirer.host.handle(request.message)
            power.step('host: answers')
            if (answer === undefined || answer.delivery === 'dropBeforeReply') line.destroy()
            else line.push(frame(request.tpdu, answer.bytes, framing))
          }
          answered().catch(() => line.destroy())
        }
        done()
      },
    })
    return line
  }
  const client = createAcquirerClient({
    entry,
    line: (onStray) =>
      createHostLine(
        { open },
        { tpdu: entry.tpdu, framing },
        { hostMs: 20_000, lingerMs: 0 },
        clock,
        onStray,
      ),
    keys,
    clock,
    log: silentLog,
    onStray: () => undefined,
    onAnswered: (code) => management.heard(entry.id, code),
  })
  const notices: NetworkNotice[] = []
  const management = createNetworkManagement({
    entries: [entry],
    acquirers: [client],
    keySets,
    journal,
    clock,
    log: silentLog,
    onNotice: (notice) => void notices.push(notice),
  })
  const managed = managedAcquirer(client, management)
  return {
    management,
    notices,
    keySets,
    journal,
    standing: async (): Promise<KeyStanding> => (await keySets.standing('acquirer'))!,
    record: (): HostRecord => real.host(entry.id)!,
    async sale(minor = 1250n) {
      const stan = journal.commit('sale', (step) => step.reserve('stan'))
      const cardData = await keys.encryptCardData(TRACK2)
      const facts = {
        kind: 'sale' as const,
        terminalId: entry.terminalId,
        merchantId: entry.merchantId,
        stan,
        preparedAtMs: clock.nowMs(),
        utcOffsetMin: 60,
        amount: money(minor, 'EUR'),
        batch: 7,
        receiptNumber: stan,
        panSequence: '01',
        entryMode: 'chip' as const,
        authorisationCode: undefined,
        retrievalReference: undefined,
      }
      const de55 = fromHex('9F2608010203040506070882023800')
      return managed.authorise(
        { facts, card: { de55, cardData, pinBlock: undefined } },
        () => undefined,
        SIGNAL,
      )
    },
    close() {
      client.close()
      real.close()
    },
  }
}

const FULL: ManagementEntry = {
  signOn: { everyHours: 24, codes: ['A1'] },
  keyExchange: { everyDays: 30, afterUses: 50_000, codes: ['A0'] },
}

t.test('what is due: proof first, then the sign-on, then a key for whatever reason there is', (t) => {
  const keys: KeyStanding = { scheme: 'aes', ikid: 'x', used: 100, left: 1_000_000, proven: true }
  const record: HostRecord = { acquirer: 'bank', sinceMs: 0, signedOnAtMs: 0 }
  const facts = { management: FULL, record, keys, signedOn: true, nowMs: 1000 }
  const rows: [string, Partial<typeof facts>, string | undefined][] = [
    ['nothing', {}, undefined],
    ['no management at all', { management: {}, signedOn: false }, undefined],
    ['unproved', { keys: { ...keys, proven: false }, signedOn: false }, 'prove'],
    ['unproved, whatever the document says', { management: {}, keys: { ...keys, proven: false } }, 'prove'],
    ['after a start', { signedOn: false }, 'signOn'],
    ['a day later', { nowMs: DAY_MS }, 'signOn'],
    ['the clock was set back', { nowMs: -DAY_MS }, undefined],
    [
      'asked for by the host',
      { record: { ...record, wanted: 'hostAsked' } as HostRecord },
      'keyExchange hostAsked',
    ],
    ['few are left', { keys: { ...keys, left: 9_999 } }, 'keyExchange runningOut'],
    ['many were used', { keys: { ...keys, used: 50_000 } }, 'keyExchange uses'],
    [
      'a month',
      { nowMs: 30 * DAY_MS, record: { ...record, signedOnAtMs: 30 * DAY_MS } },
      'keyExchange schedule',
    ],
    [
      'keys that cannot be opened',
      { keys: undefined as never, record: { ...record, wanted: 'requested' } as HostRecord },
      undefined,
    ],
  ]
  for (const [what, change, expected] of rows) {
    const errand = nextErrand({ ...facts, ...change })
    const said = errand && (errand.kind === 'keyExchange' ? `${errand.kind} ${errand.reason}` : errand.kind)
    t.equal(said, expected, what)
  }
  t.equal(usableCounters('tdes', 0), 1_048_575, 'X9.24-1: a million keys')
  for (const [scheme, counter, used] of [
    ['tdes', 1, 0],
    ['tdes', 0x400, 1023],
    ['tdes', 0x800, 2046],
    ['aes', 0x10000, 65_535],
    ['aes', 0x20000, 131_070],
  ] as const)
    t.equal(usableCounters(scheme, counter), used, `${scheme} ${counter.toString(16)}`)
  const ca = readFileSync(developmentAuthority(t.testdir()).ca, 'utf8')
  const bank = (id: string, set: string) =>
    entryOf(FULL, { id, tls: { serverName: 'localhost', ca }, keys: { set, scheme: 'aes' } })
  t.equal(readAcquirersDocument({ acquirers: [bank('one', 'one'), bank('two', 'two')] }).acquirers.length, 2)
  t.throws(() => readAcquirersDocument({ acquirers: [bank('one', 'one'), bank('two', 'one')] }), {
    code: 'DOCUMENT_INVALID',
    message: /acquirers\/1\/management\/keyExchange/,
  })
  t.end()
})

for (const dialect of DIALECT_NAMES)
  for (const scheme of dialect === 'postern-ascii' ? (['aes', 'tdes'] as const) : (['aes'] as const))
    t.test(
      `${dialect}, ${scheme}: signs on by itself, and a key that is asked for is proved and used`,
      async (t) => {
        const keys = scheme === 'tdes' ? { scheme, pinBlock: 0 as const, mac: 'retail' as const } : { scheme }
        const entry = entryOf(FULL, { dialect, keys })
        const folder = t.testdir()
        await provision(folder, entry)
        const acquirer = acquirerOf(join(folder, 'acquirer'), entry, [], true)
        const clock = testClock()
        const setting = { folder, entry, acquirer, clock }
        const first = await terminal(setting)
        const old = (await first.standing()).ikid
        t.match(await first.sale(), { kind: 'answered', approved: true })
        t.same(acquirer.said, ['signOn'], 'before the first message, and nothing else is due')
        t.match(
          await first.sale(19989n),
          { approved: false, responseCode: 'A0' },
          'the host wants another key',
        )
        t.match(first.record(), { wanted: 'hostAsked', signedOnAtMs: clock.nowMs() })
        first.close()

        // The wish survives the power; the sign-on does not.
        const second = await terminal(setting)
        await second.management.flushDue(SIGNAL)
        t.same(acquirer.said.slice(1), ['signOn', 'keyExchange', 'echo'])
        const now = await second.standing()
        t.not(now.ikid, old)
        t.match(now, { proven: true, scheme })
        t.match(second.record(), {
          wanted: null,
          reason: 'hostAsked',
          checkValue: /^[0-9A-F]{6,10}$/,
          lastFailure: null,
        })
        t.equal(
          decodeRecord((await memoryStore(folder).read('acquirer'))!.secret).proven,
          undefined,
          'the old key is gone',
        )
        t.match(await second.sale(), { approved: true })
        await second.management.flushDue(SIGNAL)
        t.equal(acquirer.said.length, 4, 'nothing more is due')

        clock.advance(30 * DAY_MS)
        await second.management.flushDue(SIGNAL)
        t.same(acquirer.said.slice(4), ['signOn', 'keyExchange', 'echo'], 'the month is over')
        t.match(await second.management.changeKeys('bank', SIGNAL), {
          kind: 'changed',
          checkValue: /^[0-9A-F]+$/,
        })
        t.match(second.record(), { reason: 'requested' }, 'by hand')
        t.match(await second.sale(), { approved: true })
        t.same(second.notices, [])
        const [host] = await second.management.hosts()
        t.match(host, { acquirer: 'bank', exchanges: true, keys: { proven: true } })
        second.close()
        acquirer.ledger.close()
      },
    )

t.test(
  'a host that wants a sign-on in between gets it, and a refused sign-on keeps payments back',
  async (t) => {
    const entry = entryOf({ signOn: { codes: ['A1'] } })
    const folder = t.testdir()
    await provision(folder, entry)
    const clock = testClock()
    const refusing: Rule = {
      name: 'no',
      on: 'network',
      when: { management: 'signOn' },
      decline: '58',
      times: 7,
    }
    const acquirer = acquirerOf(join(folder, 'acquirer'), entry, [refusing], true)
    const one = await terminal({ folder, entry, acquirer, clock })
    for (let i = 0; i < 7; i++) t.match(await one.sale(), { kind: 'notSent', reason: 'SIGN_ON_FIRST' })
    t.same(one.notices, ['signOnFailing'], 'a person is told once')
    t.match(one.record(), { lastFailure: { what: 'signOn', code: 'RESPONSE_58' } })
    t.ok((one.management.dueInMs() ?? 0) > 0, 'and it is tried on by itself')
    t.match(await one.sale(), { approved: true })
    t.equal(one.management.dueInMs(), undefined)
    t.same(acquirer.ledger.entries().length, 1, 'nothing of a payment went out before')
    // The acquirer forgets who is signed on.
    acquirer.ledger.close()
    const again = acquirerOf(join(folder, 'acquirer'), entry, [], true)
    Object.assign(acquirer, again)
    t.match(await one.sale(), { approved: false, responseCode: 'A1' })
    t.match(await one.sale(), { approved: true })
    one.close()
    again.ledger.close()
  },
)

t.test('a key that is not right is refused, told, and the old one goes on', async (t) => {
  const rows: [Rule['keyBlock'], string, NetworkNotice[]][] = [
    ['none', 'KEY_BLOCK_MISSING', []],
    ['noCheckValue', 'KEY_PACKAGE_REFUSED', ['keyRefused']],
    ['wrongCheckValue', 'KEY_PACKAGE_REFUSED', ['keyRefused']],
    ['altered', 'TR31_REFUSED', ['keyRefused']],
  ]
  for (const [keyBlock, code, notices] of rows) {
    const entry = entryOf({ keyExchange: { codes: ['A0'] } })
    const folder = join(t.testdir(), String(keyBlock))
    await provision(folder, entry)
    const habit: Rule = {
      name: 'habit',
      on: 'network',
      when: { management: 'keyExchange' },
      keyBlock: keyBlock!,
      times: 1,
    }
    const acquirer = acquirerOf(join(folder, 'acquirer'), entry, [habit], false)
    const clock = testClock()
    const one = await terminal({ folder, entry, acquirer, clock })
    const before = (await one.standing()).ikid
    t.same(await one.management.changeKeys('bank', SIGNAL), { kind: 'failed', code }, String(keyBlock))
    t.same(one.notices, notices)
    t.match(await one.standing(), { ikid: before, proven: true })
    t.match(await one.sale(), { approved: true }, 'payments go on')
    t.match(one.record(), { wanted: 'requested', lastFailure: { what: 'keyExchange', code } })
    await one.management.flushDue(SIGNAL)
    t.equal((await one.standing()).ikid, before, 'not again at once')
    clock.advance(3_600_000)
    await one.management.flushDue(SIGNAL)
    t.not((await one.standing()).ikid, before, 'the next try brings a good one')
    t.match(one.record(), { wanted: null })
    one.close()
    acquirer.ledger.close()
  }
})

t.test(
  'a key that the host does not know is on trial for three echoes, then the old one comes back',
  async (t) => {
    const entry = entryOf({ keyExchange: { codes: ['A0'] } })
    const folder = t.testdir()
    await provision(folder, entry)
    const habit: Rule = {
      name: 'foreign',
      on: 'network',
      when: { management: 'keyExchange' },
      keyBlock: 'foreignBase',
      times: 1,
    }
    const acquirer = acquirerOf(join(folder, 'acquirer'), entry, [habit], false)
    const clock = testClock()
    let online = true
    const setting = { folder, entry, acquirer, clock, online: () => online }
    const one = await terminal(setting)
    const before = (await one.standing()).ikid
    t.match(await one.management.changeKeys('bank', SIGNAL), { kind: 'failed', code: 'lineLost' })
    t.match(await one.standing(), { proven: false })
    const foreign = (await one.standing()).ikid
    online = false
    t.match(await one.sale(), { kind: 'notSent' })
    t.match(one.record(), { trials: 1 }, 'what was not sent says nothing of the key')
    online = true
    t.match(await one.sale(), { kind: 'notSent', reason: 'SIGN_ON_FIRST' }, 'no payment under a key on trial')
    one.close()
    const two = await terminal(setting) // the trial survives the power
    t.match(
      await two.sale(),
      { kind: 'notSent' },
      'the third echo ends it; the card data of this payment are under the key that is gone',
    )
    t.match(await two.sale(), { approved: true }, 'the next goes out under the old key')
    t.match(await two.standing(), { ikid: before, proven: true })
    t.same(two.notices, ['keyReverted'])
    t.match(two.record(), { checkValue: null, lastFailure: { what: 'prove' } })
    const { former } = decodeRecord((await memoryStore(folder).read('acquirer'))!.secret)
    t.ok(former.map(toHex).includes(foreign), 'its id is never taken again')
    clock.advance(2 * 3_600_000)
    t.match(await two.management.changeKeys('bank', SIGNAL), { kind: 'changed' })
    t.match(await two.sale(), { approved: true })
    two.close()
    acquirer.ledger.close()
  },
)

t.test(
  'power fails at every step of sign-on, exchange and proof: one of the two keys serves, no number comes twice',
  async (t) => {
    const entry = entryOf({ signOn: {}, keyExchange: { afterUses: 1 } })
    const root = t.testdir()
    /** Plays it with a cut at the n-th step, then without; how many steps there are. */
    async function story(n: number): Promise<number> {
      const folder = join(root, String(n))
      await provision(folder, entry)
      const acquirer = acquirerOf(join(folder, 'acquirer'), entry, [], true)
      const clock = testClock()
      const power = powerUntil(n)
      const cut = await terminal({ folder, entry, acquirer, clock, power })
      try {
        await cut.management.flushDue(SIGNAL)
        await cut.sale()
      } catch (error) {
        if (!(error instanceof PowerCut) && !isPosternError(error)) throw error
      }
      cut.close()
      const again = await terminal({ folder, entry, acquirer, clock })
      await again.management.flushDue(SIGNAL)
      const answer = await again.sale(2000n)
      if (answer.kind !== 'answered' || !answer.approved)
        t.fail(`cut at ${n} (${power.steps.at(-1)}): ${JSON.stringify(answer)}`)
      if (!(await again.standing()).proven) t.fail(`cut at ${n}: not proved`)
      if (again.notices.length > 0) t.fail(`cut at ${n}: ${again.notices}`)
      if (acquirer.said.some((line) => line.startsWith('refused'))) t.fail(`cut at ${n}: ${acquirer.said}`)
      if (!again.journal.verify().sound) t.fail(`cut at ${n}: the journal does not hold together`)
      again.close()
      acquirer.ledger.close()
      return power.steps.length
    }
    const steps = await story(0)
    t.ok(steps > 25, `${steps} steps`)
    for (let n = 1; n <= steps; n++) await story(n)
  },
)
