// A push while the terminal runs: EMV tables and exception file over the bridge, verified, stored, in force from the next payment on.
import { createCipheriv, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ascii } from '../../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import { silentLog } from '../../../hal/base/log.js'
import { money } from '../../../hal/base/money.js'
import type { ChipCardReader, TransmitOutcome } from '../../../hal/chip-card-reader.js'
import { connectContract } from '../../../runtime/api/contract.js'
import { SecureMethods } from '../../../runtime/bridge/contract.js'
import type { DeliveredType, DocumentResult } from '../../../runtime/bridge/documents.js'
import { deliverDocument } from '../../../runtime/open/bridge/deliver-document.js'
import { createDocumentCourier } from '../../../runtime/open/link/document-courier.js'
import { type DocumentType, openDocuments, signedBytes } from '../../../runtime/secure/documents.js'
import type { EmvDocument } from '../../../runtime/secure/emv/configuration.js'
import { contactCardTransactions } from '../../../runtime/secure/emv/contact-card-transaction.js'
import { EXCEPTION_CONTEXT } from '../../../runtime/secure/exception-file.js'
import type { KeyPackage } from '../../../runtime/secure/keys/key-package.js'
import type { CardKeys } from '../../../runtime/secure/keys/terminal-keys.js'
import { openRunTimeDocuments } from '../../../runtime/secure/run-time-documents.js'
import { emvTables } from '../../../scripts/dev/factory/documents.js'
import { openDeck } from '../../../scripts/dev/issuer/deck.js'
import { ensureIssuerKeys } from '../../../scripts/dev/issuer/issuer-keys.js'
import { socketPair, until } from '../socket-pair.js'

const keys: CardKeys = {
  encryptCardData: async (clear) => ({ ksn: new Uint8Array(12), bytes: clear.slice() }),
  encryptPin: async (pin) => ({ ksn: new Uint8Array(12), bytes: pin.slice() }),
  cardToken: async (pan) => `token of ${ascii.decode(pan)}`,
}
const listKey = randomBytes(32)
const store = {
  read: async (name: string) =>
    name === 'exceptions' ? { secret: new Uint8Array(listKey), generation: 1, behind: false } : undefined,
}
/** Where key packages go: what came, and what is said of it. */
const injected: KeyPackage[] = []
async function inject(offer: KeyPackage): Promise<{ checkValue: string }> {
  const last = injected.at(-1)?.sequence ?? 0
  if (offer.sequence <= last)
    throw new PosternError('KEY_PACKAGE_REPLAYED', 'imported before', { sequence: offer.sequence, last })
  if (offer.keyBlock.includes('X')) throw new PosternError('TR31_REFUSED', 'key block: altered')
  injected.push(offer)
  return { checkValue: offer.checkValue }
}
const caKeysFolder = mkdtempSync(join(tmpdir(), 'postern-push-'))
t.teardown(() => rmSync(caKeysFolder, { recursive: true, force: true }))
const tables = emvTables(ensureIssuerKeys(caKeysFolder))

/** A terminal's folder, its root, and a bridge between the worlds. */
async function desk(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-push-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'documents'))
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  writeFileSync(join(folder, 'document-root.pem'), publicKey.export({ type: 'spki', format: 'pem' }))
  const signed = (type: DocumentType, version: number, body: unknown, by: KeyObject = privateKey) => {
    const text = JSON.stringify(body)
    const signature = sign(null, signedBytes({ type, version, body: text }), by).toString('base64')
    return Buffer.from(JSON.stringify({ type, version, body: text, signature }))
  }
  writeFileSync(join(folder, 'documents', 'emv.json'), signed('emv', 1, tables))
  const open = () => openRunTimeDocuments(openDocuments(folder), store, keys, inject, silentLog)
  const running = await open()
  const [near, far] = await socketPair()
  const secureWorld = { 'documents.deliver': running.deliver } as never
  connectContract(far, SecureMethods, secureWorld, {})
  const { remote, peer } = connectContract(near, {}, {}, SecureMethods)
  t.teardown(() => peer.close('over'))
  const push = (type: DeliveredType, envelope: Uint8Array) => deliverDocument(remote, type, envelope)
  return { running, push, signed, open }
}

const deck = openDeck({ keysDir: caKeysFolder })

/** A payment with the `debit-signature` card, which goes in when `insert` is called. */
function payment(configuration: () => ReturnType<Awaited<ReturnType<typeof desk>>['running']['emv']>) {
  const card = deck.card('debit-signature')
  let insert: () => void = () => undefined
  const inserted = new Promise<void>((resolve) => {
    insert = resolve
  })
  const untilAborted = (signal?: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      const end = () => reject(new PosternError('ABORTED', 'cancelled'))
      if (signal?.aborted) end()
      signal?.addEventListener('abort', end, { once: true })
    })
  const reader = {
    waitForCard: () => inserted,
    waitForRemoval: untilAborted,
    powerOn: async () => ({
      kind: 'session' as const,
      session: {
        atr: card.powerOn()!,
        protocol: 'T=1' as const,
        async transmit(command: Uint8Array): Promise<TransmitOutcome> {
          const bytes = await card.transmit(command)
          return bytes === undefined ? { kind: 'mute' } : { kind: 'response', bytes }
        },
        release: async () => card.powerOff(),
      },
    }),
  } as unknown as ChipCardReader
  const transaction = contactCardTransactions({
    reader,
    keys,
    configuration,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })(
    {
      presentCard: (_amount: unknown, signal: AbortSignal) => untilAborted(signal),
      preferLanguages: () => undefined,
      busy: () => undefined,
    } as never,
    { lastAmount: async () => undefined, onExceptionFile: async () => false },
  )
  const request = { type: 'sale', sequence: 1, at: new Date(), locale: 'en' } as const
  const outcome = transaction.start({ ...request, amount: money(1250, 'EUR') }, new AbortController().signal)
  return { insert, outcome }
}

/** The tables with something else in every application. */
const changed = (
  change: Partial<EmvDocument['applications'][number]>,
  caKeys = tables.caKeys,
): EmvDocument => ({
  ...tables,
  caKeys,
  applications: tables.applications.map((row) => ({ ...row, ...change })),
})
/** Denies what is at or above the floor limit of nothing: every payment. */
const DENY_ALL = changed({ tacDenial: '0010008000' })

t.test('a push holds from the next payment on, not in the one under way', async (t) => {
  const { running, push, signed, open } = await desk(t)
  const under = payment(running.emv)
  t.same(await push('emv', signed('emv', 2, DENY_ALL)), { kind: 'taken', version: 2 })
  under.insert()
  t.equal((await under.outcome).kind, 'online', 'it began under the old tables')
  const next = payment(running.emv)
  next.insert()
  t.match(await next.outcome, { kind: 'declinedOffline', reason: 'terminal declined' })
  t.same((await open()).emv(), running.emv(), 'and after a restart')
})

t.test('a bad push is refused by AID or key and rule, and all stays as it was', async (t) => {
  const { running, push, signed, open } = await desk(t)
  const before = running.emv()
  const aid = tables.applications[0]!.aid
  const refusals: [why: string, envelope: Uint8Array, expected: object][] = [
    [
      'a threshold above the floor limit',
      signed(
        'emv',
        5,
        changed({ randomSelection: { targetPercent: 1, maximumTargetPercent: 2, threshold: '9' } }),
      ),
      {
        code: 'EMV_CONFIGURATION_INVALID',
        where: `AID ${aid}`,
        key: 'randomSelection.threshold',
        rule: /floorLimit/,
      },
    ],
    [
      'a DDOL without 9F37',
      signed('emv', 5, changed({ ddol: '9F0206' })),
      { code: 'EMV_CONFIGURATION_INVALID', where: `AID ${aid}`, key: 'ddol', rule: /9F37/ },
    ],
    [
      'a CA key with a wrong checksum',
      signed('emv', 5, changed({}, [{ ...tables.caKeys[0]!, sha1: '00'.repeat(20) } as never])),
      { code: 'EMV_CONFIGURATION_INVALID', where: /^CA key F0504F5354 /, key: 'sha1' },
    ],
    [
      "somebody else's signature",
      signed('emv', 5, DENY_ALL, generateKeyPairSync('ed25519').privateKey),
      { code: 'DOCUMENT_REFUSED', message: /signature/ },
    ],
    ['a schema that is not kept', signed('emv', 5, { terminal: {} }), { code: 'DOCUMENT_REFUSED' }],
    ['no JSON', Buffer.from('{"type"'), { code: 'DOCUMENT_REFUSED' }],
    ['another type', signed('exceptions', 5, { sealed: 'AAAA' }), { code: 'DOCUMENT_REFUSED' }],
    ['nothing', new Uint8Array(), { code: 'DOCUMENT_REFUSED' }],
  ]
  for (const [why, envelope, expected] of refusals) {
    t.match(await push('emv', envelope), { kind: 'refused', ...expected }, why)
    t.equal(running.emv(), before, why)
  }
  t.same(
    await push('emv', signed('emv', 2, DENY_ALL)),
    { kind: 'taken', version: 2 },
    'no version was used up',
  )
  const now = running.emv()
  t.match(await push('emv', signed('emv', 1, tables)), { kind: 'refused', message: /older/ })
  t.same(await push('emv', signed('emv', 2, tables)), { kind: 'taken', version: 2 })
  t.same(running.emv(), now, 'of one version the first counts')
  t.same((await open()).emv(), now)
})

t.test('a document longer than a line of the bridge; pieces out of order', async (t) => {
  const { running, push, signed } = await desk(t)
  const many = Array.from({ length: 60 }, (_, i) => ({
    ...tables.applications[0]!,
    aid: `A0000000${i.toString().padStart(2, '0')}${'AB'.repeat(11)}`,
    ddol: `9F3704${'9F0206'.repeat(80)}`,
    tdol: '9F0206'.repeat(80),
  }))
  const envelope = signed('emv', 2, { ...tables, applications: [...tables.applications, ...many] })
  t.ok(envelope.length > 64 * 1024, `${envelope.length} bytes`)
  t.same(await push('emv', envelope), { kind: 'taken', version: 2 })
  t.equal(running.emv().applications.length, tables.applications.length + 60)
  const piece = { type: 'emv', total: 100, data: Buffer.alloc(40).toString('base64') } as const
  t.match(await running.deliver({ ...piece, offset: 40 }), { kind: 'refused', message: /pieces/ })
  t.same(await running.deliver({ ...piece, offset: 0 }), { kind: 'more' })
  t.match(await running.deliver({ ...piece, offset: 80 }), { kind: 'refused', message: /pieces/ })
  t.match(await running.deliver({ ...piece, offset: 40 }), { kind: 'refused', message: /pieces/ })
})

function sealedList(text: string, key: Uint8Array = listKey): { sealed: string } {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(EXCEPTION_CONTEXT)
  const sealed = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
  return { sealed: sealed.toString('base64') }
}

t.test('the exception file: sealed on its way, tokens here, replaced and kept', async (t) => {
  const { running, push, signed, open } = await desk(t)
  const listed = (terminal: typeof running) =>
    ['4761739001010119', '5413330089604111'].map((pan) => terminal.onExceptionFile(`token of ${pan}`))
  t.same(listed(running), [false, false], 'none was provisioned')
  const first = sealedList('4761739001010119\n\n5413330089604111\n')
  t.same(await push('exceptions', signed('exceptions', 3, first)), { kind: 'taken', version: 3 })
  t.same(listed(running), [true, true])
  t.same(listed(await open()), [true, true], 'after a restart')
  const invalid = { kind: 'refused', code: 'EXCEPTIONS_INVALID' }
  const wrongKey = sealedList('4761739001010119', randomBytes(32))
  t.match(await push('exceptions', signed('exceptions', 4, wrongKey)), { ...invalid, rule: /sealed/ })
  t.match(await push('exceptions', signed('exceptions', 4, sealedList('rubbish'))), {
    ...invalid,
    rule: /no card number/,
  })
  t.match(await push('exceptions', signed('exceptions', 4, { sealed: 'AAAA' })), {
    ...invalid,
    rule: /short/,
  })
  t.same(listed(running), [true, true])
  t.same(await push('exceptions', signed('exceptions', 4, sealedList('5413330089604111'))), {
    kind: 'taken',
    version: 4,
  })
  t.same(listed(running), [false, true])
})

t.test('from the link: the newest of a type, again when the bridge is back, and its fate told', async (t) => {
  const delivered: string[] = []
  const told: unknown[] = []
  let away = true
  const courier = createDocumentCourier({
    async deliver(type, envelope): Promise<DocumentResult> {
      if (away) throw new Error('the secure world is away')
      delivered.push(`${type} ${Buffer.from(envelope).toString()}`)
      return { kind: 'taken', version: delivered.length }
    },
    outbox: { put: (topic, body) => String(told.push([topic, body])) },
    log: silentLog,
  })
  courier.take('emv', Buffer.from('one'))
  courier.take('merchant', Buffer.from('not at run time'))
  courier.take('exceptions', Buffer.alloc(0))
  courier.take('emv', Buffer.from('two'))
  await new Promise((resolve) => setImmediate(resolve))
  t.same(delivered, [])
  away = false
  courier.retry()
  await until('it is delivered', () => told.length === 1)
  t.same(delivered, ['emv two'])
  t.same(told, [['evt/document', { type: 'emv', kind: 'taken', version: 1 }]])
  courier.retry()
  courier.take('exceptions', Buffer.from('list'))
  await until('the next too', () => told.length === 2)
  t.same(delivered, ['emv two', 'exceptions list'])
})

t.test('a key package comes over the same road: imported once, told with its check value', async (t) => {
  const { push, signed } = await desk(t)
  const offer: KeyPackage = {
    terminalId: 'PST00001',
    sequence: 3,
    set: 'acquirer',
    keyBlock: 'D'.repeat(64),
    checkValue: 'A1B2C3D4E5',
  }
  const envelope = signed('keys', 3, offer)
  t.same(await push('keys', envelope), { kind: 'taken', version: 3, checkValue: 'A1B2C3D4E5' })
  t.same(injected, [offer])
  t.same(
    await push('keys', envelope),
    { kind: 'taken', version: 3 },
    'a broker that retains it brings it again',
  )
  t.equal(injected.length, 1)
  t.match(await push('keys', signed('keys', 2, { ...offer, sequence: 2 })), {
    kind: 'refused',
    code: 'KEY_PACKAGE_REPLAYED',
  })
  t.match(await push('keys', signed('keys', 4, { ...offer, sequence: 4, keyBlock: 'X'.repeat(64) })), {
    kind: 'refused',
    code: 'TR31_REFUSED',
  })
  const forger = generateKeyPairSync('ed25519').privateKey
  t.match(await push('keys', signed('keys', 5, { ...offer, sequence: 5 }, forger)), {
    kind: 'refused',
    code: 'DOCUMENT_REFUSED',
  })
  t.match(await push('keys', signed('keys', 5, { ...offer, sequence: 5, checkValue: 'no' })), {
    kind: 'refused',
    code: 'DOCUMENT_REFUSED',
  })
  t.equal(injected.length, 1, 'nothing of these was imported')
})
