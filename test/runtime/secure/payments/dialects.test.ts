// Every message of the terminal in every dialect, against the development acquirer in that dialect: the same meaning, the
// same truth in the ledger. New acquirers are documents: nothing here names one in code.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import t from 'tap'
import { fromHex, toHex } from '../../../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../../../hal/base/clock.js'
import { silentLog } from '../../../../hal/base/log.js'
import { money } from '../../../../hal/base/money.js'
import { packageRoot } from '../../../../hal/base/package-root.js'
import { deriveInitialKey } from '../../../../runtime/secure/keys/aes-dukpt.js'
import { loadInitialKey, openTerminalKeys } from '../../../../runtime/secure/keys/dukpt-terminal-keys.js'
import type { KeyStore } from '../../../../runtime/secure/keys/key-store.js'
import { deriveTdesInitialKey } from '../../../../runtime/secure/keys/tdes-dukpt.js'
import { unwrapTr31 } from '../../../../runtime/secure/keys/tr31.js'
import { createAcquirerClient } from '../../../../runtime/secure/payments/acquirer-client.js'
import {
  type AcquirerEntry,
  framingOf,
  keyProfile,
} from '../../../../runtime/secure/payments/acquirer-document.js'
import type { MoneyKind, OriginalFacts } from '../../../../runtime/secure/payments/acquirer-port.js'
import { createHostLine } from '../../../../runtime/secure/payments/host-line.js'
import { pack, unpack } from '../../../../runtime/secure/payments/iso8583/codec.js'
import { describeMessage } from '../../../../runtime/secure/payments/iso8583/describe.js'
import {
  DIALECT_NAMES,
  type DialectName,
  hostDialect,
} from '../../../../runtime/secure/payments/iso8583/dialects/host-dialects.js'
import { Deframer, type Framing, frame } from '../../../../runtime/secure/payments/iso8583/framing.js'
import { familyInMarkdown, messageTable } from '../../../../runtime/secure/payments/iso8583/layout-table.js'
import { layoutInWords } from '../../../../scripts/cli/host.js'
import { createAcquirerHost } from '../../../../scripts/dev/acquirer/acquirer-host.js'
import { createHostKeys, createKeyBlocks } from '../../../../scripts/dev/acquirer/host-keys.js'
import { openLedger } from '../../../../scripts/dev/acquirer/ledger.js'
import { DEFAULT_RULES } from '../../../../scripts/dev/acquirer/rules.js'
import { samplesOf } from '../../../fuzz/support/iso8583-dialect.js'

const BDK = fromHex('FEDCBA9876543210F1F1F1F1F1F1F1F1')
const TDES_BDK = fromHex('0123456789ABCDEFFEDCBA9876543210')
const KBPK = fromHex('88E1AB2A2E3DD38C1FA039A536500CC8')
const TRACK2 = fromHex('4761739001010119D30122011234567890')
const SIGNAL = new AbortController().signal

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

interface Variant {
  readonly dialect: DialectName
  readonly change: Partial<AcquirerEntry>
}

/** An acquirer and a terminal's client to it, framed bytes between them, no network. */
async function pair(folder: string, { dialect, change }: Variant) {
  const entry: AcquirerEntry = {
    id: 'acquirer',
    host: '127.0.0.1',
    port: 1,
    tls: { serverName: 'localhost', ca: '-----BEGIN CERTIFICATE-----' },
    tpdu: { destination: 1, source: 2 },
    nii: '001',
    terminalId: 'TERM0001',
    merchantId: 'MERCHANT1',
    dialect,
    currency: 'EUR',
    capabilities: { refund: true, preauth: true, partial: true, upload: true, tip: true, cashback: true },
    timeouts: { hostMs: 20_000 },
    reversals: { notFoundFinalAfterMs: 0 },
    ...change,
  }
  const { scheme } = keyProfile(entry)
  const id = scheme === 'aes' ? systemRandom(8) : fromHex('FFFF9876543210E00000')
  const key = scheme === 'aes' ? deriveInitialKey(BDK, id) : deriveTdesInitialKey(TDES_BDK, id)
  const store = memoryKeyStore()
  await loadInitialKey(store, 'acquirer', { scheme, ikid: id, key }, systemRandom)
  const keys = await openTerminalKeys(store, systemRandom, 'acquirer', keyProfile(entry))
  const ledger = openLedger(join(folder, 'ledger.db'))
  const host = createAcquirerHost(
    {
      keys: createHostKeys({ aes: BDK, tdes: TDES_BDK }),
      newKeyBlock: createKeyBlocks({ aes: BDK, tdes: TDES_BDK }, () => KBPK, systemRandom),
      issuer: {
        authorise: ({ pin }) => ({
          responseCode: Buffer.from(pin ?? []).toString() === '1234' ? '00' : '55',
          issuerAuthenticationData: fromHex('11223344556677880012'),
          scripts: [],
          cryptogramOk: true,
          pinOk: true,
        }),
      },
      ledger,
      rules: DEFAULT_RULES,
      terminals: [{ terminalId: 'TERM0001', merchantId: 'MERCHANT1' }],
      clock: systemClock,
      log: silentLog,
    },
    hostDialect(dialect, { reversals: change.dialectPatch?.reversals }, scheme),
  )
  const open = async (): Promise<Duplex> => {
    const framing: Framing = framingOf(entry)
    const reader = new Deframer(undefined, framing)
    const line: Duplex = new Duplex({
      read() {},
      write(chunk: Uint8Array, _encoding, done) {
        for (const request of reader.push(chunk)) {
          void host.handle(request.message).then((answer) => {
            if (answer === undefined) line.destroy()
            else line.push(frame(request.tpdu, answer.bytes, framing))
          })
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
        { tpdu: entry.tpdu, framing: framingOf(entry) },
        { hostMs: 20_000, lingerMs: 0 },
        systemClock,
        onStray,
      ),
    keys,
    clock: systemClock,
    log: silentLog,
    onStray: () => undefined,
  })
  let stan = 0
  const facts = <K extends MoneyKind>(kind: K, minor: bigint, rest: Partial<OriginalFacts> = {}) => ({
    terminalId: 'TERM0001',
    merchantId: 'MERCHANT1',
    stan: ++stan,
    preparedAtMs: systemClock.nowMs() - 3_600_000 + stan * 1000,
    utcOffsetMin: 60,
    amount: money(minor, 'EUR'),
    batch: 7,
    receiptNumber: stan,
    panSequence: '01',
    entryMode: 'chip' as const,
    authorisationCode: undefined,
    retrievalReference: undefined,
    ...rest,
    kind,
  })
  const card = async (pin = '1234') => ({
    de55: fromHex('9F2608010203040506070882023800'),
    cardData: await keys.encryptCardData(TRACK2),
    pinBlock: await keys.encryptPin(Buffer.from(pin), Buffer.from('4761739001010119')),
  })
  return {
    client,
    ledger,
    facts,
    card,
    nextStan: () => ++stan,
    close() {
      client.close()
      keys.close()
      ledger.close()
    },
  }
}

const VARIANTS: readonly (Variant & { readonly name: string })[] = [
  ...DIALECT_NAMES.map((dialect) => ({ name: dialect, dialect, change: {} })),
  {
    name: 'TDES keys, format 0, retail MACs, advice reversals, four digits of length, no TPDU',
    dialect: 'postern-ascii',
    change: {
      keys: { scheme: 'tdes', pinBlock: 0, mac: 'retail' },
      dialectPatch: { reversals: '0420' },
      framing: { length: 'ascii', tpdu: false },
    },
  },
]

for (const variant of VARIANTS) {
  t.test(`${variant.name}: every message, and the ledger's truth`, async (t) => {
    const { client, ledger, facts, card, nextStan, close } = await pair(t.testdir(), variant)
    t.teardown(close)
    const nothing = () => undefined
    const entryOf = (of: { stan: number }) => ledger.entries().find(({ stan }) => Number(stan) === of.stan)

    for (const kind of ['signOn', 'echo', 'signOff'] as const)
      t.same(
        await client.manage({ kind, stan: nextStan(), atMs: systemClock.nowMs() }, SIGNAL),
        { kind: 'done', keyBlock: undefined },
        kind,
      )
    const exchange = await client.manage(
      { kind: 'keyExchange', stan: nextStan(), atMs: systemClock.nowMs() },
      SIGNAL,
    )
    const block = exchange.kind === 'done' ? unwrapTr31(KBPK, exchange.keyBlock ?? '') : undefined
    const algorithm = variant.change.keys?.scheme === 'tdes' ? 'T' : 'A'
    t.match(block?.header, { usage: 'B1', algorithm, exportability: 'N' }, 'a new key in its block')
    t.equal(block?.key.length, 16)

    const sale = facts('sale', 1250n, { tipMinor: 250n })
    const sold = await client.authorise({ facts: sale, card: await card() }, nothing, SIGNAL)
    t.match(sold, { kind: 'answered', approved: true, responseCode: '00', authorisationCode: /^[0-9]{6}$/ })
    t.equal(sold.kind === 'answered' && sold.issuerAuthenticationData?.length, 10)
    t.match(entryOf(sale), { kind: 'sale', approvedMinor: '1250', pinOk: 1, state: 'approved' })

    const badMac = facts('sale', 19976n)
    t.same(
      await client.authorise({ facts: badMac, card: await card() }, nothing, SIGNAL),
      { kind: 'unknown', cause: 'badMac' },
      'approved, under a MAC that does not hold',
    )
    const wrongPin = facts('sale', 1900n)
    t.match(await client.authorise({ facts: wrongPin, card: await card('4321') }, nothing, SIGNAL), {
      approved: false,
      responseCode: '55',
    })

    const declined = facts('sale', 19951n)
    t.match(await client.authorise({ facts: declined, card: await card() }, nothing, SIGNAL), {
      approved: false,
      responseCode: '51',
    })
    const cash = facts('sale', 3000n, { cashbackMinor: 1000n })
    await client.authorise({ facts: cash, card: await card() }, nothing, SIGNAL)

    const partial = facts('sale', 19983n)
    t.match(
      await client.authorise({ facts: partial, card: await card(), partialAllowed: true }, nothing, SIGNAL),
      { approved: true, responseCode: '10', approvedMinor: 9991n },
    )
    t.match(await client.authorise({ facts: facts('sale', 29983n), card: await card() }, nothing, SIGNAL), {
      approved: false,
      responseCode: '51',
    })
    t.match(await client.authorise({ facts: facts('sale', 19982n), card: await card() }, nothing, SIGNAL), {
      approved: true,
      issuerAuthenticationData: undefined,
    })

    const refund = facts('refund', 500n)
    const linked = { facts: refund, card: undefined, original: sale }
    t.match(await client.authorise(linked, nothing, SIGNAL), { approved: true })
    t.match(entryOf(refund), { kind: 'refund', original: entryOf(sale)?.id })
    t.match(
      await client.authorise({ ...linked, facts: facts('refund', 751n) }, nothing, SIGNAL),
      { responseCode: '13' },
      'more than was paid',
    )
    const unlinked = facts('refund', 300n)
    t.match(await client.authorise({ facts: unlinked, card: await card() }, nothing, SIGNAL), {
      approved: true,
    })

    const hold = facts('preauth', 10_000n)
    t.match(await client.authorise({ facts: hold, card: await card() }, nothing, SIGNAL), { approved: true })
    const more = facts('increment', 2_000n)
    t.match(await client.authorise({ facts: more, card: undefined, original: hold }, nothing, SIGNAL), {
      approved: true,
    })
    const advice = { responseCode: '00', card: undefined, original: hold, repeat: false }
    t.match(
      await client.advise({ ...advice, facts: facts('completion', 12_001n) }, nothing, SIGNAL),
      { kind: 'refused', responseCode: '13' },
      'more than was held',
    )
    const completion = facts('completion', 11_500n)
    t.match(await client.advise({ ...advice, facts: completion }, nothing, SIGNAL), { kind: 'acknowledged' })
    t.match(
      await client.advise({ ...advice, facts: completion, repeat: true }, nothing, SIGNAL),
      { kind: 'acknowledged' },
      'again, booked once',
    )
    t.match([entryOf(hold)?.state, entryOf(completion)?.state], ['captured', 'approved'])

    const { de55, cardData } = await card()
    const offline = facts('offlineSale', 700n)
    const told = { facts: offline, responseCode: 'Y3', card: { de55, cardData }, repeat: false }
    t.match(await client.advise(told, nothing, SIGNAL), { kind: 'acknowledged' })
    t.match(await client.advise({ ...told, repeat: true }, nothing, SIGNAL), { kind: 'acknowledged' })
    t.match(entryOf(offline), { kind: 'offlineSale', via: 'advice', maskedPan: '476173******0119' })
    const refused = { de55, cardData: (await card()).cardData }
    t.match(
      await client.advise(
        { ...told, facts: facts('offlineDecline', 800n), responseCode: 'Z3', card: refused },
        nothing,
        SIGNAL,
      ),
      { kind: 'acknowledged' },
    )
    t.match(
      await client.advise({ ...told, facts: facts('offlineSale', 19986n), card: refused }, nothing, SIGNAL),
      { kind: 'refused', responseCode: '05' },
    )
    t.match(
      await client.advise({ ...told, facts: facts('offlineSale', 19987n), card: refused }, nothing, SIGNAL),
      { kind: 'failed', reason: 'RESPONSE_96' },
    )

    const reverse = (original: OriginalFacts, cause: 'void' | 'timeout', repeat = false) =>
      client.reverse(
        { original, stan: nextStan(), atMs: systemClock.nowMs(), cause, repeat },
        nothing,
        SIGNAL,
      )
    t.same(await reverse(cash, 'void'), { kind: 'acknowledged', responseCode: '00' })
    t.same(await reverse(cash, 'void', true), { kind: 'acknowledged', responseCode: '00' })
    t.same(await reverse(partial, 'timeout'), { kind: 'acknowledged', responseCode: '00' })
    t.same(await reverse(unlinked, 'void'), { kind: 'acknowledged', responseCode: '00' })
    const unseen = facts('sale', 4321n)
    t.same(await reverse(unseen, 'timeout'), { kind: 'acknowledged', responseCode: '25' })
    t.match(
      await client.authorise({ facts: unseen, card: await card() }, nothing, SIGNAL),
      { approved: false, responseCode: '94' },
      'it came after its reversal: refused',
    )

    const forgotten = facts('sale', 19984n)
    t.match(await client.authorise({ facts: forgotten, card: await card() }, nothing, SIGNAL), {
      approved: true,
    })
    // Approved as far as the host knows, and taken back.
    t.same(await reverse(badMac, 'timeout'), { kind: 'acknowledged', responseCode: '00' })
    const totals = {
      // sale 12.50, cash 30.00 (voided), stood in for 199.82, completion 115.00, offline 7.00, forgotten 199.84
      sales: 6,
      salesMinor: (1250 + 3000 + 19982 + 11500 + 700 + 19984).toString(),
      voids: 1,
      voidsMinor: '3000',
      refunds: 2,
      refundsMinor: '800',
      refundVoids: 1,
      refundVoidsMinor: '300',
    }
    const compare = (phase: 'first' | 'afterUpload' | 'advice') =>
      client.compareTotals(
        {
          batch: 7,
          stan: nextStan(),
          atMs: systemClock.nowMs(),
          utcOffsetMin: 60,
          currency: 'EUR',
          totals,
          phase,
        },
        SIGNAL,
      )
    t.match(await compare('first'), {
      kind: 'differs',
      responseCode: '95',
      uploadWanted: true,
      host: { sales: 5, refunds: 2, refundVoidsMinor: '300' },
    })
    for (const [i, original] of [sale, forgotten].entries())
      t.match(
        await client.upload(
          {
            original,
            minor: original.amount.minor,
            responseCode: '00',
            stan: nextStan(),
            atMs: systemClock.nowMs(),
            number: i + 1,
            count: 2,
            repeat: i > 0,
          },
          SIGNAL,
        ),
        { kind: 'acknowledged' },
      )
    t.match(entryOf(forgotten), { via: 'upload', approvedMinor: '19984' })
    t.same(await compare('afterUpload'), { kind: 'agrees' })
    t.same(await compare('advice'), { kind: 'agrees' })
  })
}

for (const name of DIALECT_NAMES) {
  t.test(`${name}: what people see of a message, and the place of each fault`, async (t) => {
    const { wire } = hostDialect(name)
    for (const sample of await samplesOf(name)) {
      const message = unpack(wire, sample)
      const text = describeMessage(wire, message).join('\n')
      for (const [field, value] of message.fields) {
        const shown = wire.fields[Number(field)]?.shown
        if (shown === 'hidden' && value.length > 3)
          t.notOk(text.includes(typeof value === 'string' ? value : toHex(value)), `DE${field} is hidden`)
      }
      t.match(text, new RegExp(`^${message.mti} [A-Z].+\\nDE`), 'the message by its name')
      const { must } = wire.layouts![message.mti]!
      const without = (field: number) => ({
        mti: message.mti,
        fields: new Map([...message.fields].filter(([key]) => key !== String(field))),
      })
      for (const field of must)
        t.throws(() => pack(wire, without(field)), {
          code: 'ISO8583_INVALID',
          details: { path: String(field) },
        })
      t.throws(
        () =>
          pack(wire, { mti: message.mti, fields: new Map([...message.fields, ['2', '4761739001010119']]) }),
        {
          code: 'ISO8583_INVALID',
          details: { path: '2' },
        },
      )
    }
  })
}

t.test("each message's layout in one table, made from the data", async (t) => {
  const file = readFileSync(join(packageRoot, 'runtime/secure/payments/iso8583/layouts.md'), 'utf8')
  for (const name of ['postern-dev', 'postern-93'] as const) {
    const dialect = hostDialect(name)
    t.ok(
      file.includes(familyInMarkdown(dialect)),
      `layouts.md is what \`postern host layout --markdown ${name}\` prints`,
    )
    for (const [mti, { must, may }] of Object.entries(dialect.wire.layouts!)) {
      const rows = messageTable(dialect, mti)
      t.same(
        rows.slice(0, -1).map(({ field }) => Number(field)),
        [...must, ...may].sort((a, b) => a - b),
        mti,
      )
      t.same(rows.at(-1)?.carries, ['mac'])
      t.same(
        rows.filter(({ carries }) => carries.length === 0).map(({ field }) => field),
        [],
        `every field of a ${mti} has a meaning`,
      )
    }
  }
  t.throws(() => messageTable(hostDialect('postern-dev'), '9999'), { code: 'USAGE' })
  const words = layoutInWords(hostDialect('postern-ebcdic'), '0400').join('\n')
  t.match(words, /^0400 Reversal\n/)
  t.match(words, /90 +must +n42 +EBCDIC, 42 bytes +Original data elements/)
  t.match(words, /DE39: 17 void, 22 malfunction, 68 tooLate/)
  t.match(layoutInWords(hostDialect('postern-ascii')).join('\n'), /^0100 {2}Pre-authorisation/)
})
