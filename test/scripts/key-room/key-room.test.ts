// The key room and the terminal: a ceremony by two custodians, packages that a terminal imports, and all that is refused.
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ascii, fromHex, toHex } from '../../../hal/base/bytes.js'
import { cmac, decryptCbc, unpadMethod2 } from '../../../hal/base/ciphers.js'
import { systemRandom } from '../../../hal/base/clock.js'
import { isPosternError } from '../../../hal/base/errors.js'
import { type Envelope, openDocuments } from '../../../runtime/secure/documents.js'
import * as dukpt from '../../../runtime/secure/keys/aes-dukpt.js'
import { openFileKeyStore } from '../../../runtime/secure/keys/file-key-store.js'
import { KeyPackage } from '../../../runtime/secure/keys/key-package.js'
import { createKeySets } from '../../../runtime/secure/keys/key-sets.js'
import type { KeyStore } from '../../../runtime/secure/keys/key-store.js'
import { readProtectionKey, storeProtectionKey } from '../../../runtime/secure/keys/protection-key.js'
import { checkKeyBlock, unwrapTr31 } from '../../../runtime/secure/keys/tr31.js'
import { parseTr31Header } from '../../../runtime/secure/keys/tr31-header.js'
import type { KeyProfile } from '../../../runtime/secure/keys/working-keys.js'
import { type CeremonyDesk, enterKey } from '../../../scripts/key-room/ceremony.js'
import {
  checkValue,
  combineComponents,
  makeComponent,
  readComponent,
} from '../../../scripts/key-room/components.js'
import {
  deriveProtectionKey,
  makePackage,
  nextOrder,
  type RoomBook,
} from '../../../scripts/key-room/packages.js'
import { type KeyBlockAttributes, wrapTr31 } from '../../../scripts/key-room/tr31-wrap.js'

const AES: KeyProfile = { scheme: 'aes', pinBlock: 4, mac: 'cmac' }
const TDES: KeyProfile = { scheme: 'tdes', pinBlock: 0, mac: 'retail' }
const TERMINAL = 'PST00001'
const EMPTY: RoomBook = { next: {}, sequences: {} }

/** A desk that people have scripted: answers in order; what was shown is kept. */
function scriptedDesk(answers: readonly (string | boolean)[]) {
  const left = [...answers]
  const shown: string[] = []
  const next = (question: string) => {
    shown.push(question)
    const answer = left.shift()
    if (answer === undefined) throw new Error(`nobody answers: ${question}`)
    return answer
  }
  const desk: CeremonyDesk = {
    tell: (text) => void shown.push(text),
    ready: async (text) => void shown.push(text),
    secret: async (question) => ascii.encode(String(next(question))),
    confirm: async (question) => next(question) === true,
    clear: () => void shown.push('(cleared)'),
  }
  return { desk, shown, left }
}

const MASTER = new Uint8Array(32).map((_, i) => i * 7 + 1)
const BDK = fromHex('FEDCBA9876543210F1F1F1F1F1F1F1F1')

async function room(t: Test) {
  const folder = t.testdir()
  const pair = generateKeyPairSync('ed25519')
  writeFileSync(join(folder, 'document-root.pem'), pair.publicKey.export({ type: 'spki', format: 'pem' }))
  const open = () =>
    openFileKeyStore({
      folder: join(folder, 'keys'),
      passphrase: ascii.encode('open sesame'),
      random: systemRandom,
      cost: { N: 1024, r: 8, p: 1 },
    })
  const store = await open()
  await storeProtectionKey(store, { cipher: 'aes', key: deriveProtectionKey(MASTER, TERMINAL) })
  const keys = { master: MASTER, bdk: BDK, signer: pair.privateKey }
  const documents = openDocuments(folder)
  return {
    folder,
    store,
    open,
    keys,
    offer: (envelope: Envelope): KeyPackage => documents.verify('keys', envelope, KeyPackage),
    order: (sequence: number, id: string, scheme: 'aes' | 'tdes' = 'aes', terminalId = TERMINAL) =>
      makePackage({ terminalId, set: 'acquirer', sequence, scheme, id: fromHex(id) }, keys, systemRandom),
  }
}

t.test(
  'two custodians enter a key, each alone; check values are shown, components and key never',
  async (t) => {
    const kind = { cipher: 'aes', bytes: 16 } as const
    const one = makeComponent(kind, systemRandom)
    const two = makeComponent(kind, systemRandom)
    const texts = [toHex(one), toHex(two)]
    const spaced = toHex(two)
      .toLowerCase()
      .replace(/(.{4})(?=.)/g, '$1 ')
    const expected = toHex(combineComponents(kind, one.slice(), two.slice()))
    const { desk, shown, left } = scriptedDesk([
      '12',
      'xyz',
      texts[0]!,
      true,
      texts[1]!,
      false,
      spaced,
      true,
      true,
    ])
    const key = await enterKey(desk, 'Base derivation key', kind)
    t.equal(toHex(key), expected)
    t.equal(left.length, 0)
    const all = shown.join('\n')
    for (const secret of [...texts, expected]) t.notOk(all.includes(secret))
    t.ok(all.includes(checkValue('aes', fromHex(texts[0]!))))
    t.ok(all.includes(checkValue('aes', key)))
    t.ok(shown.indexOf('(cleared)') < shown.findIndex((text) => text.includes('custodian 2')))

    await t.rejects(enterKey(scriptedDesk(['1', '2', '3']).desk, 'k', kind), { code: 'CEREMONY_ABORTED' })
    await t.rejects(enterKey(scriptedDesk([texts[0]!, true, texts[0]!, true]).desk, 'k', kind), {
      code: 'COMPONENT_INVALID',
      message: /the same component/,
    })
    await t.rejects(enterKey(scriptedDesk([texts[0]!, true, texts[1]!, true, false]).desk, 'k', kind), {
      code: 'CEREMONY_ABORTED',
    })
    const typed = ascii.encode('00'.repeat(16))
    t.throws(() => readComponent(kind, typed), { code: 'COMPONENT_INVALID', message: /zeros/ })
    t.ok(
      typed.every((byte) => byte === 0),
      'what was typed is erased',
    )
    const tdes = { cipher: 'tdes', bytes: 16 } as const
    t.throws(
      () =>
        combineComponents(
          tdes,
          fromHex('01'.repeat(8) + '23'.repeat(8)),
          fromHex('45'.repeat(8) + '67'.repeat(8)),
        ),
      {
        message: /single DES/,
      },
    )
  },
)

t.test("ids and sequences are given out once; a terminal's protection key is its own", async (t) => {
  const first = nextOrder(EMPTY, 'aes', '0A0B0C0D', TERMINAL, 'acquirer')
  const second = nextOrder(first.book, 'aes', '0A0B0C0D', TERMINAL, 'acquirer')
  const other = nextOrder(second.book, 'aes', '0A0B0C0D', 'PST00002', 'acquirer')
  t.same(
    [first, second, other].map(({ order }) => [toHex(order.id), order.sequence]),
    [
      ['0A0B0C0D00000001', 1],
      ['0A0B0C0D00000002', 2],
      ['0A0B0C0D00000003', 1],
    ],
  )
  const tdes = nextOrder(other.book, 'tdes', 'FFFF987654', TERMINAL, 'acquirer')
  t.equal(toHex(tdes.order.id), 'FFFF9876540000200000')
  t.throws(
    () => nextOrder({ ...EMPTY, next: { FFFF987654: 2 ** 19 } }, 'tdes', 'FFFF987654', TERMINAL, 'a'),
    {
      code: 'KEY_INVALID',
    },
  )
  t.throws(() => nextOrder(EMPTY, 'aes', 'FFFF987654', TERMINAL, 'a'), { code: 'KEY_INVALID' })
  t.not(toHex(deriveProtectionKey(MASTER, 'PST00001')), toHex(deriveProtectionKey(MASTER, 'PST00002')))
  t.equal(deriveProtectionKey(MASTER, TERMINAL).length, 32)
})

t.test('a terminal without keys is given them, uses them, and gets the next under its feet', async (t) => {
  const { store, open, order, offer } = await room(t)
  const sets = createKeySets(store, systemRandom)
  const keys = await sets.open('acquirer', AES)
  await t.rejects(keys.nextRequestKsn(), { code: 'KEY_UNAVAILABLE', message: /no keys have been loaded/ })
  const receipt = await sets.inject(TERMINAL, offer(order(1, '0A0B0C0D00000001')))
  const initial = dukpt.deriveInitialKey(BDK, fromHex('0A0B0C0D00000001'))
  t.same(receipt, { set: 'acquirer', sequence: 1, checkValue: checkValue('aes', initial) })
  const track = fromHex('4000000000000002D30121010000000000')
  const card = await keys.encryptCardData(track)
  const hostKey = (ksn: Uint8Array, usage: dukpt.KeyUsage) => {
    const ik = dukpt.deriveInitialKey(BDK, ksn.slice(0, 8))
    return dukpt.deriveWorkingKey(dukpt.deriveTransactionKey(ik, ksn), ksn, usage)
  }
  t.same(
    unpadMethod2(decryptCbc('aes', hostKey(card.ksn, 'dataRequest'), new Uint8Array(16), card.bytes)),
    track,
  )
  const pending = await keys.nextRequestKsn()
  const token = await keys.cardToken(track)
  const [, next] = await Promise.all([
    sets.inject(TERMINAL, offer(order(2, '0A0B0C0D00000002'))),
    keys.nextRequestKsn(),
  ])
  t.equal(toHex(next), '0A0B0C0D0000000200000001', 'whoever asks after it gets the new key')
  t.equal(await keys.cardToken(track), token, 'sums per card go on')
  const answer = cmac('aes', hostKey(pending, 'macResponse'), track).slice(0, 8)
  t.equal(
    await keys.verifyResponse(pending, track, answer),
    true,
    'an answer under the old key is still checked',
  )
  await t.rejects(sets.open('acquirer', TDES), { code: 'KEY_UNAVAILABLE' }, 'one set, one use')
  sets.close()
  const restarted = createKeySets(await open(), systemRandom)
  const again = await restarted.open('acquirer', AES)
  t.match(toHex(await again.nextRequestKsn()), /^0A0B0C0D00000002/)
  for (const [sequence, id] of [
    [1, '0A0B0C0D00000001'],
    [2, '0A0B0C0D00000002'],
    [2, '0A0B0C0D00000003'],
  ] as const)
    await t.rejects(restarted.inject(TERMINAL, offer(order(sequence, id))), { code: 'KEY_PACKAGE_REPLAYED' })
  await t.rejects(restarted.inject(TERMINAL, offer(order(3, '0A0B0C0D00000001'))), {
    code: 'KEY_ALREADY_LOADED',
  })
  restarted.close()
})

t.test('a TDES set takes a TDES key', async (t) => {
  const { store, order, offer } = await room(t)
  const sets = createKeySets(store, systemRandom)
  const keys = await sets.open('acquirer', TDES)
  await t.rejects(sets.inject(TERMINAL, offer(order(1, '0A0B0C0D00000001'))), { message: /another DUKPT/ })
  await sets.inject(TERMINAL, offer(order(1, 'FFFF9876540000200000', 'tdes')))
  t.equal(toHex(await keys.nextRequestKsn()), 'FFFF9876540000200001')
  sets.close()
})

t.test('what is wrong with a package is said, changes nothing, and never shows a key', async (t) => {
  const { store, folder, keys, order, offer } = await room(t)
  const sets = createKeySets(store, systemRandom)
  const using = await sets.open('acquirer', AES)
  await sets.inject(TERMINAL, offer(order(1, '0A0B0C0D00000001')))
  const good = order(2, '0A0B0C0D00000002')
  const forger = generateKeyPairSync('ed25519').privateKey
  t.throws(
    () =>
      offer(
        makePackage(
          {
            terminalId: TERMINAL,
            set: 'acquirer',
            sequence: 2,
            scheme: 'aes',
            id: fromHex('0A0B0C0D00000002'),
          },
          { ...keys, signer: forger },
          systemRandom,
        ),
      ),
    { code: 'DOCUMENT_REFUSED' },
  )
  t.throws(() => offer({ ...good, body: good.body.replace('"sequence":2', '"sequence":3') }), {
    code: 'DOCUMENT_REFUSED',
  })

  const kbpk = deriveProtectionKey(MASTER, TERMINAL)
  const ik = dukpt.deriveInitialKey(BDK, fromHex('0A0B0C0D00000002'))
  const attributes: KeyBlockAttributes = {
    version: 'D',
    usage: 'B1',
    algorithm: 'A',
    mode: 'X',
    keyVersion: '00',
    exportability: 'N',
    optional: [{ id: 'IK', data: '0A0B0C0D00000002' }],
  }
  const block = (change: Partial<KeyBlockAttributes>, key = ik, under = kbpk) =>
    wrapTr31(under, { ...attributes, ...change }, key, new Uint8Array(14 - (key.length % 16)))
  const sound: KeyPackage = {
    terminalId: TERMINAL,
    sequence: 2,
    set: 'acquirer',
    keyBlock: block({}),
    checkValue: checkValue('aes', ik),
  }
  const wrong: [string, string, Partial<KeyPackage>][] = [
    ['another terminal', 'KEY_PACKAGE_REFUSED', { terminalId: 'PST00002' }],
    ['a set that nobody uses', 'KEY_PACKAGE_REFUSED', { set: 'other' }],
    ['a check value of another key', 'KEY_PACKAGE_REFUSED', { checkValue: '0000000000' }],
    ['no id in the block', 'KEY_PACKAGE_REFUSED', { keyBlock: block({ optional: [] }) }],
    ['usage', 'TR31_ATTRIBUTE', { keyBlock: block({ usage: 'P0' }) }],
    ['mode', 'TR31_ATTRIBUTE', { keyBlock: block({ mode: 'E' }) }],
    ['exportable', 'TR31_ATTRIBUTE', { keyBlock: block({ exportability: 'E' }) }],
    ['algorithm', 'TR31_ATTRIBUTE', { keyBlock: block({ algorithm: 'H' }) }],
    ['version', 'TR31_ATTRIBUTE', { keyBlock: block({ version: 'E' }) }],
    ['length', 'TR31_ATTRIBUTE', { keyBlock: block({}, ik.slice(0, 8)) }],
    [
      'another protection key',
      'TR31_REFUSED',
      { keyBlock: block({}, ik, deriveProtectionKey(MASTER, 'PST00002')) },
    ],
    ['an altered block', 'TR31_REFUSED', { keyBlock: sound.keyBlock.replace('B1AX', 'B1AE') }],
    ['no block', 'TR31_INVALID', { keyBlock: 'D0016B1AX00N0000' }],
  ]
  for (const [what, code, change] of wrong) {
    try {
      await sets.inject(TERMINAL, { ...sound, ...change })
      t.fail(what)
    } catch (error) {
      t.ok(isPosternError(error, code), `${what}: ${String(error)}`)
      const said = JSON.stringify({ ...(error as object), message: String(error) })
      for (const secret of [ik, kbpk, MASTER, BDK]) t.notOk(said.includes(toHex(secret)))
    }
  }
  t.match(toHex(await using.nextRequestKsn()), /^0A0B0C0D00000001/, 'the old key goes on')
  await sets.inject(TERMINAL, sound)
  t.match(toHex(await using.nextRequestKsn()), /^0A0B0C0D00000002/)
  for (const file of readdirSync(join(folder, 'keys')))
    for (const secret of [ik, kbpk])
      t.notOk(readFileSync(join(folder, 'keys', file)).includes(Buffer.from(secret)), `${file} shows no key`)
  sets.close()
})

t.test(
  'power cut or full disk in the middle of an import leaves the old key or the new one, whole',
  async (t) => {
    const { store, order, offer } = await room(t)
    let fail: 'before' | 'after' | undefined
    const flaky: KeyStore = {
      read: store.read,
      async write(name, secret) {
        if (fail !== 'before') await store.write(name, secret)
        if (fail !== undefined) throw new Error('disk full')
      },
      close: store.close,
    }
    const sets = createKeySets(flaky, systemRandom)
    const keys = await sets.open('acquirer', AES)
    await sets.inject(TERMINAL, offer(order(1, '0A0B0C0D00000001')))
    fail = 'before'
    await t.rejects(sets.inject(TERMINAL, offer(order(2, '0A0B0C0D00000002'))), { message: 'disk full' })
    fail = undefined
    t.match(toHex(await keys.nextRequestKsn()), /^0A0B0C0D00000001/)
    fail = 'after'
    await t.rejects(sets.inject(TERMINAL, offer(order(2, '0A0B0C0D00000002'))), { message: 'disk full' })
    fail = undefined
    const booted = createKeySets(store, systemRandom)
    t.match(toHex(await (await booted.open('acquirer', AES)).nextRequestKsn()), /^0A0B0C0D00000002/)
    sets.close()
  },
)

t.test('a terminal without a protection key says where it gets one', async (t) => {
  const { folder, order, offer } = await room(t)
  mkdirSync(join(folder, 'bare'))
  const bare = await openFileKeyStore({
    folder: join(folder, 'bare'),
    passphrase: ascii.encode('x'),
    random: systemRandom,
    cost: { N: 1024, r: 8, p: 1 },
  })
  const sets = createKeySets(bare, systemRandom)
  await sets.open('acquirer', AES)
  await t.rejects(sets.inject(TERMINAL, offer(order(1, '0A0B0C0D00000001'))), {
    code: 'KEY_UNAVAILABLE',
    message: /key room/,
  })
  await t.rejects(storeProtectionKey(bare, { cipher: 'tdes', key: new Uint8Array(32) }), {
    code: 'KEY_INVALID',
  })
  await storeProtectionKey(bare, { cipher: 'tdes', key: new Uint8Array(16).fill(3) })
  t.match(await readProtectionKey(bare), { cipher: 'tdes', key: new Uint8Array(16).fill(3) })
  await t.rejects(
    sets.inject(TERMINAL, offer(order(1, '0A0B0C0D00000001'))),
    { code: 'TR31_ATTRIBUTE' },
    'a block of version D is not for a TDES key',
  )
  await bare.write('kbpk', fromHex('5A00'))
  await t.rejects(readProtectionKey(bare), { code: 'KEY_STORE_REFUSED' })
  sets.close()
})

t.test('key block headers: each field in its form, optional blocks within bounds', async (t) => {
  const header = (text: string) => `${text[0]}${String(text.length).padStart(4, '0')}${text.slice(5)}`
  const refused = (text: string, message: RegExp) =>
    t.throws(() => parseTr31Header(text), { code: 'TR31_INVALID', message }, text)
  const body = '0'.repeat(48)
  refused('B0080B1TX00N00', /length/)
  refused(header(`F----B1TX00N0000${body}`), /version/)
  refused(header(`B----b1TX00N0000${body}`), /usage/)
  refused(header(`B----B1tX00N0000${body}`), /algorithm/)
  refused(header(`B----B1T 00N0000${body}`), /mode/)
  refused(header(`B----B1TX-0N0000${body}`), /keyVersion/)
  refused(header(`B----B1TX00n0000${body}`), /exportability/)
  refused(header(`B----B1TX00N0X00${body}`), /number of optional/)
  refused(header(`B----B1TX00N0100KS03${body.slice(4)}`), /reaches/)
  refused(header(`B----B1TX00N0100KSFF${body.slice(4)}`), /reaches/)
  refused(header(`B----B1TX00N0100KSXX${body.slice(4)}`), /length of an optional/)
  refused(header(`B----B1TX00N0100KS0001${body.slice(6)}`), /length of an optional/)
  refused(header(`B----B1TX00N0100k 08${body.slice(4)}`), /id of an optional/)
  refused(header(`B----B1TX00N0100KS05${body.slice(4)}`), /padded/)
  refused(header(`B----B1TX00N0200KS080000KS080000${body.slice(16)}`), /twice/)
  refused(header(`B----B1TX00N0200PB080000KS080000${body.slice(16)}`), /last/)
  refused(`B0064B1TX00N0000${body}\u00e9`.slice(0, 65), /ASCII/)
  const long = wrapTr31(
    new Uint8Array(16).fill(1),
    {
      version: 'B',
      usage: 'B1',
      algorithm: 'T',
      mode: 'X',
      keyVersion: '00',
      exportability: 'N',
      optional: [{ id: 'LB', data: 'x'.repeat(300) }],
    },
    new Uint8Array(16).fill(2),
    new Uint8Array(6),
  )
  t.equal(parseTr31Header(long).optional[0]?.data.length, 300, 'an extended length')
  t.throws(
    () =>
      checkKeyBlock(unwrapTr31(new Uint8Array(16).fill(1), long), {
        usage: 'K1',
        algorithms: ['T'],
        modes: ['X'],
        exportability: ['N'],
        versions: ['B'],
      }),
    { code: 'TR31_ATTRIBUTE', message: 'key block: its usage is B1, this place takes K1' },
  )
})
