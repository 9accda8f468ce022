// One conformance suite over the key stores: file under a passphrase, TPM 2.0 (swtpm), PKCS#11 (SoftHSM2); then what each adds.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ascii, concat, fromHex, toHex } from '../../../../hal/base/bytes.js'
import { sha256 } from '../../../../hal/base/ciphers.js'
import { systemRandom } from '../../../../hal/base/clock.js'
import { openPkcs11Element } from '../../../../hal/drivers/pkcs11/pkcs11-element.js'
import { openTpm2Element } from '../../../../hal/drivers/tpm2/tpm2-element.js'
import type { SecureElement } from '../../../../hal/secure-element.js'
import * as dukpt from '../../../../runtime/secure/keys/aes-dukpt.js'
import { loadInitialKey, openTerminalKeys } from '../../../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openElementKeyStore } from '../../../../runtime/secure/keys/element-key-store.js'
import { openFileKeyStore } from '../../../../runtime/secure/keys/file-key-store.js'
import type { KeyStore } from '../../../../runtime/secure/keys/key-store.js'
import { secureElementConformance } from '../../../hal/conformance/secure-element.js'
import { testContext } from '../../../hal/conformance/support.js'
import {
  makeToken,
  missingToken,
  missingTpm,
  PCRS,
  releaseSigner,
  softHsmFolder,
  startTpm,
} from '../../../hal/drivers/soft-elements.js'

const cost = { N: 1024, r: 8, p: 1 }
const BDK = fromHex('FEDCBA9876543210F1F1F1F1F1F1F1F1')
const IKID = fromHex('1234567890123456')
const SECRET = fromHex('00112233445566778899AABBCCDDEEFF')
const freshIk = () => ({ ikid: IKID, key: dukpt.deriveInitialKey(BDK, IKID) })

interface StoreBench {
  /** Opens the store in a folder, each time as a new process would. */
  open(folder: string): Promise<KeyStore>
  /** As another terminal would open a copy of the folder. */
  openElsewhere(folder: string): Promise<KeyStore>
  /** Whether an older copy of the folder is told from the newest. */
  readonly detectsRollback: boolean
}

async function keyStoreConformance(t: Test, bench: StoreBench): Promise<void> {
  const root = t.testdir()
  const folder = join(root, 'keys')
  const store = await bench.open(folder)

  t.equal(await store.read('acquirer'), undefined)
  await store.write('acquirer', SECRET)
  await store.write('other', SECRET.slice(0, 4))
  await store.write('acquirer', concat(SECRET, SECRET))
  t.match(await store.read('acquirer'), { secret: concat(SECRET, SECRET), generation: 2, behind: false })
  for (const file of readdirSync(folder))
    t.notOk(readFileSync(join(folder, file)).includes(Buffer.from(SECRET)), `${file} holds no clear key`)
  for (const name of ['../x', '', 'A', 'x'.repeat(33)])
    await t.rejects(store.write(name, SECRET), { code: 'KEY_STORE_REFUSED' }, `name ${name}`)
  await t.rejects(store.write('acquirer', new Uint8Array(4097)), { code: 'KEY_STORE_REFUSED' })
  store.close()

  const again = await bench.open(folder)
  t.match(await again.read('acquirer'), { secret: concat(SECRET, SECRET), generation: 2 }, 'after a restart')
  t.match(await again.read('other'), { secret: SECRET.slice(0, 4), generation: 1 })
  again.close()
  await t.rejects(bench.openElsewhere(folder), { code: 'KEY_STORE_REFUSED' }, 'another terminal')

  const before = join(root, 'older')
  cpSync(folder, before, { recursive: true })
  const third = await bench.open(folder)
  await loadInitialKey(third, 'acquirer-2', freshIk(), systemRandom)
  const keys = await openTerminalKeys(third, systemRandom, 'acquirer-2')
  const used: string[] = []
  for (let i = 0; i < 10; i++) used.push(toHex(await keys.nextRequestKsn()))
  keys.close()
  third.close()
  const fourth = await bench.open(folder)
  const resumed = await openTerminalKeys(fourth, systemRandom, 'acquirer-2')
  used.push(toHex(await resumed.nextRequestKsn()))
  t.equal(new Set(used).size, 11, 'no serial number twice over a restart')
  fourth.close()

  for (const file of readdirSync(folder)) {
    const newest = readFileSync(join(folder, file))
    if (!file.endsWith('.sealed')) continue
    const bent = Buffer.from(newest)
    bent[bent.length - 1]! ^= 1
    const body = bent.subarray(65)
    writeFileSync(
      join(folder, file),
      Buffer.concat([Buffer.from(`${toHex(sha256(body)).toLowerCase()}\n`), body]),
    )
    await t.rejects(
      bench.open(folder).then((opened) => opened.read(file.replace('.sealed', ''))),
      { code: 'KEY_STORE_REFUSED' },
      `${file} altered by someone who knows its form`,
    )
    writeFileSync(join(folder, file), newest)
  }

  rmSync(folder, { recursive: true })
  cpSync(before, folder, { recursive: true })
  if (bench.detectsRollback) {
    await t.rejects(bench.open(folder), {
      code: 'KEY_STORE_ROLLED_BACK',
      message: /bring the newest copy back, or give the terminal a new initial key/,
    })
  } else {
    const old = await bench.open(folder)
    t.match(await old.read('acquirer'), { generation: 2 }, 'this backend alone cannot tell an older copy')
    old.close()
  }
}

t.test('file under a passphrase', async (t) => {
  const open = (folder: string, words: string) =>
    openFileKeyStore({ folder, passphrase: ascii.encode(words), random: systemRandom, cost })
  await keyStoreConformance(t, {
    open: (folder) => open(folder, 'open sesame'),
    openElsewhere: (folder) => open(folder, 'open barley'),
    detectsRollback: false,
  })
})

/** What the element's store adds: a write and its count are two steps, and power may fail between them. */
async function elementStore(t: Test, open: () => Promise<SecureElement>): Promise<void> {
  const folder = join(t.testdir(), 'keys')
  const element = await open()
  let fail: 'before' | 'after' | undefined
  const flaky = {
    seal: element.seal,
    unseal: element.unseal,
    counter: element.counter,
    async increment(name: string) {
      if (fail === 'before') throw new Error('power')
      const value = await element.increment(name)
      if (fail === 'after') throw new Error('power')
      return value
    },
  }
  const openStore = () => openElementKeyStore({ folder, element: flaky, random: systemRandom })
  let store = await openStore()
  await store.write('acquirer', SECRET)
  for (const cut of ['before', 'after'] as const) {
    fail = cut
    await t.rejects(store.write('acquirer', SECRET.slice(1)), { code: 'KEY_STORE_FAILED' })
    fail = undefined
    const asBooted = await openStore()
    t.match(await asBooted.read('acquirer'), { secret: SECRET.slice(1) }, `power cut ${cut} the count`)
    store = asBooted
    await store.write('acquirer', SECRET)
  }
  fail = 'before'
  await t.rejects(store.write('acquirer', SECRET.slice(2)), { code: 'KEY_STORE_FAILED' })
  fail = undefined
  t.match(await store.read('acquirer'), { secret: SECRET.slice(2) }, 'the same process reads the truth too')
  await store.write('acquirer', SECRET)
  await store.write('other', SECRET)
  const path = join(folder, 'element-keys.sealed')
  t.ok(existsSync(`${path}.previous`))
  writeFileSync(path, 'torn')
  store = await openStore()
  t.match(
    await store.read('acquirer'),
    { behind: true },
    'a damaged newest file: the one before, and it says so',
  )
  await store.write('other', SECRET)
  store = await openStore()
  t.match(await store.read('acquirer'), { behind: true }, 'until that very record is written')
  t.match(await store.read('other'), { behind: false })
  await element.close()
}

const ZERO = '00'.repeat(32)
const IMAGE = 'AB'.repeat(32)
/** PCR 7 after one extension (TPM 2.0 Library, Part 1, 17.2). */
const extended = (from: string) => toHex(sha256(fromHex(from), fromHex(IMAGE)))

t.test('TPM 2.0', { skip: missingTpm() ?? false }, async (t) => {
  const root = t.testdir()
  const [tpm, other] = await Promise.all([startTpm(join(root, 'one')), startTpm(join(root, 'two'))])
  t.teardown(() => Promise.all([tpm.stop(), other.stop()]))
  const signer = releaseSigner(root)
  signer.publish({ '1.0': ZERO })
  const open = (at = tpm) =>
    openTpm2Element('tpm2', { ...signer, tcti: at.tcti, pcrs: PCRS }, testContext('secure-element'))
  const openStore = async (folder: string, at = tpm) =>
    openElementKeyStore({ folder, element: await open(at), random: systemRandom })

  await t.test('as a secure element', (t) =>
    secureElementConformance(t, { open: () => open(), openOther: () => open(other) }),
  )
  await t.test('as a key store', (t) =>
    keyStoreConformance(t, {
      open: (folder) => openStore(folder),
      openElsewhere: (folder) => openStore(folder, other),
      detectsRollback: true,
    }),
  )
  await t.test('a power cut between file and count', (t) => elementStore(t, () => open()))
  await t.test('sealed keys survive a switch of slots to a signed release, and no other image', async (t) => {
    const home = t.testdir()
    const folder = join(home, 'keys')
    const store = await openStore(folder)
    await store.write('acquirer', SECRET)
    tpm.extend(IMAGE)
    await t.rejects(openStore(folder), {
      code: 'KEY_STORE_REFUSED',
      message: /measures otherwise than any release/,
    })
    const forger = releaseSigner(home)
    forger.publish({ '6.6': extended(ZERO) })
    writeFileSync(signer.measurements, readFileSync(forger.measurements))
    await t.rejects(openStore(folder), { code: 'KEY_STORE_REFUSED' }, 'signed by another key')
    signer.publish({ '1.0': ZERO, '1.1': extended(ZERO) })
    t.match(
      await (await openStore(folder)).read('acquirer'),
      { secret: SECRET },
      'the next release was signed',
    )
  })
})

const tokenMissing = await missingToken()
t.test('PKCS#11', { skip: tokenMissing ?? false }, async (t) => {
  const root = t.testdir()
  mkdirSync(root, { recursive: true })
  softHsmFolder(root)
  const one = makeToken(root, 'postern one')
  const two = makeToken(root, 'postern two')
  const open = (at = one) => openPkcs11Element('pkcs11', at, testContext('secure-element'))
  const openStore = async (folder: string, at = one) =>
    openElementKeyStore({ folder, element: await open(at), random: systemRandom })
  await t.test('as a secure element', (t) =>
    secureElementConformance(t, { open: () => open(), openOther: () => open(two) }),
  )
  await t.test('as a key store', (t) =>
    keyStoreConformance(t, {
      open: (folder) => openStore(folder),
      openElsewhere: (folder) => openStore(folder, two),
      detectsRollback: true,
    }),
  )
  await t.test('a power cut between file and count', (t) => elementStore(t, () => open()))
})
