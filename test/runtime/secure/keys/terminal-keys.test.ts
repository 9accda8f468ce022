// Keys: DUKPT registers against the host's derivation, the sealed store, serial numbers never used twice.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ascii, fromHex, toHex } from '../../../../hal/base/bytes.js'
import { cmac, decryptCbc, unpadMethod2 } from '../../../../hal/base/ciphers.js'
import { systemRandom } from '../../../../hal/base/clock.js'
import * as dukpt from '../../../../runtime/secure/keys/aes-dukpt.js'
import * as registers from '../../../../runtime/secure/keys/dukpt-registers.js'
import { loadInitialKey, openTerminalKeys } from '../../../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openFileKeyStore } from '../../../../runtime/secure/keys/file-key-store.js'
import type { KeyStore } from '../../../../runtime/secure/keys/key-store.js'
import * as pin from '../../../../runtime/secure/keys/pin-block.js'

const BDK = fromHex('FEDCBA9876543210F1F1F1F1F1F1F1F1')
const IKID = fromHex('1234567890123456')
const cost = { N: 1024, r: 8, p: 1 }

const openStore = (folder: string, passphrase = 'open sesame') =>
  openFileKeyStore({ folder, passphrase: ascii.encode(passphrase), random: systemRandom, cost })

/** A store in memory that counts what was durable when. */
function memoryStore(): KeyStore & { writes: number; fail: boolean } {
  const records = new Map<string, Uint8Array>()
  return {
    writes: 0,
    fail: false,
    async read(name) {
      const secret = records.get(name)
      return secret && { secret: secret.slice(), generation: this.writes, behind: false }
    },
    async write(name, secret) {
      if (this.fail) throw new Error('disk full')
      records.set(name, secret.slice())
      this.writes++
    },
    close() {},
  }
}

const freshIk = () => ({ ikid: IKID, key: dukpt.deriveInitialKey(BDK, IKID) })

t.test('the registers give the keys that a host derives, in order, and skip what it skips', async (t) => {
  const initial = dukpt.deriveInitialKey(BDK, IKID)
  for (const length of [16, 32]) {
    const ik = length === 16 ? initial : dukpt.deriveInitialKey(new Uint8Array(32).fill(7), IKID)
    const state = registers.loadRegisters(ik.slice(), IKID)
    let counter = 1
    for (let i = 0; i < 300; i++) {
      const { ksn, key } = registers.takeTransactionKey(state)
      if (toHex(ksn) !== toHex(dukpt.makeKsn(IKID, counter))) t.fail(`ksn ${toHex(ksn)}`)
      if (toHex(key) !== toHex(dukpt.deriveTransactionKey(ik, ksn))) t.fail(`key of ${toHex(ksn)}`)
      counter = dukpt.nextCounter(counter)
    }
    t.equal(state.counter, 301)
  }
})

t.test('the last serial number is used once, then a typed error ends it', async (t) => {
  const initial = dukpt.deriveInitialKey(BDK, IKID)
  // The state just before the end, built as a device has it there: the register of the last bits is all it needs.
  const state = registers.loadRegisters(initial.slice(), IKID)
  state.counter = 0xffff0000
  state.keys[16] = dukpt.deriveTransactionKey(initial, dukpt.makeKsn(IKID, 0xffff0000))
  const { ksn } = registers.takeTransactionKey(state)
  t.equal(toHex(ksn), '1234567890123456FFFF0000')
  const again = registers.decodeRegisters(registers.encodeRegisters(state))
  t.throws(() => registers.takeTransactionKey(again), { code: 'KSN_EXHAUSTED' })
  t.throws(() => dukpt.nextCounter(0xffff0000), { code: 'KSN_EXHAUSTED' })
  t.throws(() => dukpt.splitKsn(fromHex('12345678901234560001FFFF')), { code: 'DUKPT_INVALID' })
})

t.test('the initial key is erased, and no used key can be found in the state', async (t) => {
  const ik = dukpt.deriveInitialKey(BDK, IKID)
  const copy = ik.slice()
  const state = registers.loadRegisters(ik, IKID)
  t.same(ik, new Uint8Array(16))
  const used = Array.from({ length: 20 }, () => toHex(registers.takeTransactionKey(state).key))
  const bytes = toHex(registers.encodeRegisters(state))
  for (const key of [toHex(copy), ...used]) t.notOk(bytes.includes(key))
  for (const cut of [0, 1, 17, 40]) {
    t.throws(() => registers.decodeRegisters(fromHex(bytes).subarray(0, cut)), { code: 'DUKPT_INVALID' })
  }
})

t.test(
  'what the terminal encrypts and authenticates, a host with the base key reads and checks',
  async (t) => {
    const store = memoryStore()
    await loadInitialKey(store, 'acquirer', freshIk(), systemRandom)
    const keys = await openTerminalKeys(store, systemRandom)
    t.equal(keys.ikid, toHex(IKID))
    const hostKey = (ksn: Uint8Array, usage: dukpt.KeyUsage) => {
      const initial = dukpt.deriveInitialKey(BDK, ksn.slice(0, 8))
      return dukpt.deriveWorkingKey(dukpt.deriveTransactionKey(initial, ksn), ksn, usage)
    }
    const track = fromHex('4000000000000002D30121010000000000')
    const card = await keys.encryptCardData(track)
    t.same(
      unpadMethod2(decryptCbc('aes', hostKey(card.ksn, 'dataRequest'), new Uint8Array(16), card.bytes)),
      track,
    )
    const pan = ascii.encode('4000000000000002')
    const block = await keys.encryptPin(ascii.encode('1234'), pan)
    t.equal(ascii.decode(pin.decipherFormat4(hostKey(block.ksn, 'pin'), block.bytes, pan)), '1234')
    const ksn = await keys.nextRequestKsn()
    const message = ascii.encode('a message')
    t.same(await keys.macRequest(ksn, message), cmac('aes', hostKey(ksn, 'macRequest'), message).slice(0, 8))
    const answer = cmac('aes', hostKey(ksn, 'macResponse'), message).slice(0, 8)
    t.equal(await keys.verifyResponse(ksn, message, answer), true)
    t.equal(
      await keys.verifyResponse(
        ksn,
        message,
        answer.map((byte) => byte ^ 1),
      ),
      false,
    )
    t.equal(await keys.verifyResponse(ksn, message, answer.subarray(0, 4)), false)
    t.equal(new Set([card.ksn, block.ksn, ksn].map(toHex)).size, 3, 'each use has its own serial number')
    await t.rejects(keys.macRequest(card.ksn, message), { code: 'KEY_UNAVAILABLE' })
    await t.rejects(keys.encryptPin(ascii.encode('12'), pan), { code: 'PIN_BLOCK_INVALID' })
    t.equal(await keys.cardToken(pan), await keys.cardToken(pan))
    t.not(await keys.cardToken(pan), await keys.cardToken(ascii.encode('4000000000000010')))
    keys.close()
    await t.rejects(keys.nextRequestKsn(), { code: 'KEY_UNAVAILABLE' })
  },
)

t.test(
  'a serial number is durably behind the terminal before its key is used, whatever restart comes',
  async (t) => {
    const store = memoryStore()
    await loadInitialKey(store, 'acquirer', freshIk(), systemRandom)
    const used = new Set<string>()
    let count = 0
    for (let boot = 0; boot < 5; boot++) {
      const keys = await openTerminalKeys(store, systemRandom)
      for (let i = 0; i < 1 + boot * 4; i++) {
        const ksns = await Promise.all([keys.nextRequestKsn(), keys.nextRequestKsn()])
        const durable = registers.decodeRegisters((await store.read('acquirer'))!.secret.slice(32))
        for (const ksn of ksns) {
          used.add(toHex(ksn))
          count++
          t.ok(dukpt.splitKsn(ksn).counter < durable.counter, 'the stored counter is past it')
        }
      }
      // No close: as a power cut leaves it.
    }
    t.equal(used.size, count, 'no serial number twice')
  },
)

t.test('a store that cannot be written gives no key, then or later', async (t) => {
  const store = memoryStore()
  await loadInitialKey(store, 'acquirer', freshIk(), systemRandom)
  const keys = await openTerminalKeys(store, systemRandom)
  store.fail = true
  await t.rejects(keys.nextRequestKsn(), { code: 'KEY_UNAVAILABLE' })
  store.fail = false
  await t.rejects(keys.nextRequestKsn(), { code: 'KEY_UNAVAILABLE' })
  t.ok(
    await (await openTerminalKeys(store, systemRandom)).nextRequestKsn(),
    'a restart reads the truth and goes on',
  )
})

t.test('an initial key is loaded once; a new one keeps the token key; two sets do not meet', async (t) => {
  const store = memoryStore()
  await t.rejects(openTerminalKeys(store, systemRandom), { code: 'KEY_UNAVAILABLE' })
  await loadInitialKey(store, 'acquirer', freshIk(), systemRandom)
  const pan = ascii.encode('4000000000000002')
  const token = await (await openTerminalKeys(store, systemRandom)).cardToken(pan)
  await t.rejects(loadInitialKey(store, 'acquirer', freshIk(), systemRandom), { code: 'KEY_ALREADY_LOADED' })
  const other = fromHex('1234567890123457')
  const initial = { ikid: other, key: dukpt.deriveInitialKey(BDK, other) }
  await loadInitialKey(store, 'acquirer', initial, systemRandom)
  t.same(initial.key, new Uint8Array(16), 'erased')
  const renewed = await openTerminalKeys(store, systemRandom)
  t.equal(renewed.ikid, '1234567890123457')
  t.equal(await renewed.cardToken(pan), token)
  const third = fromHex('00000000000000AA')
  await loadInitialKey(
    store,
    'module',
    { ikid: third, key: dukpt.deriveInitialKey(BDK, third) },
    systemRandom,
  )
  const module = await openTerminalKeys(store, systemRandom, 'module')
  t.equal(toHex(await module.nextRequestKsn()), '00000000000000AA00000001')
  t.not(await module.cardToken(pan), token)
})

t.test(
  'the file store: sealed, bound to names, refused under another passphrase or when altered',
  async (t) => {
    const folder = join(t.testdir(), 'keys')
    const store = await openStore(folder)
    const secret = fromHex('00112233445566778899AABBCCDDEEFF')
    t.equal(await store.read('acquirer'), undefined)
    await store.write('acquirer', secret)
    await store.write('other', secret)
    t.match(await store.read('acquirer'), { secret, generation: 1, behind: false })
    for (const file of readdirSync(folder)) {
      t.notOk(readFileSync(join(folder, file)).includes(Buffer.from(secret)), `${file} holds no clear key`)
    }
    await t.rejects(openStore(folder, 'open barley'), { code: 'KEY_STORE_REFUSED' })
    const half = join(folder, 'half')
    await openStore(half)
    rmSync(join(half, 'check.sealed'))
    await (await openStore(half, 'another')).write('acquirer', secret)
    t.match(
      await (await openStore(half, 'another')).read('acquirer'),
      { secret },
      'a making cut short is made whole',
    )
    const path = join(folder, 'acquirer.sealed')
    writeFileSync(path, readFileSync(join(folder, 'other.sealed')))
    await t.rejects(store.read('acquirer'), { code: 'KEY_STORE_REFUSED' }, 'a record under another name')
    for (const name of ['../x', '', 'A', 'key-store', 'x'.repeat(33)]) {
      await t.rejects(store.write(name, secret), { code: 'KEY_STORE_REFUSED' }, name)
    }
    await t.rejects(store.write('acquirer', new Uint8Array(5000)), { code: 'KEY_STORE_REFUSED' })
  },
)

t.test(
  'after a damaged newest generation the one before serves, and skips what may have been used',
  async (t) => {
    const folder = join(t.testdir(), 'keys')
    const store = await openStore(folder)
    await loadInitialKey(store, 'acquirer', freshIk(), systemRandom)
    const keys = await openTerminalKeys(store, systemRandom)
    const used = []
    for (let i = 0; i < 12; i++) used.push(dukpt.splitKsn(await keys.nextRequestKsn()).counter)
    const path = join(folder, 'acquirer.sealed')
    t.ok(existsSync(`${path}.previous`))
    writeFileSync(path, 'torn')
    const reopened = await openStore(folder)
    t.match(await reopened.read('acquirer'), { behind: true })
    const next = dukpt.splitKsn(
      await (await openTerminalKeys(reopened, systemRandom)).nextRequestKsn(),
    ).counter
    t.ok(next > Math.max(...used), `${next} is past ${Math.max(...used)}`)
    rmSync(`${path}.previous`)
    writeFileSync(path, 'torn')
    await t.rejects((await openStore(folder)).read('acquirer'), { code: 'KEY_STORE_DAMAGED' })
  },
)

t.test('killed at any moment, a terminal never takes a serial number twice', async (t) => {
  const folder = join(t.testdir(), 'keys')
  const store = await openStore(folder)
  await loadInitialKey(store, 'acquirer', freshIk(), systemRandom)
  store.close()
  const used: string[] = []
  for (let life = 0; life < 5; life++) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'take-ksns.js'), folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (data) => {
        text += String(data)
        if (text.length > 26 * (20 + life * 7)) child.kill('SIGKILL')
      })
      child.once('close', () => resolve())
    })
    const whole = text.split('\n').slice(0, -1)
    t.ok(whole.length >= 20, `life ${life} took ${whole.length}`)
    used.push(...whole)
  }
  t.equal(new Set(used).size, used.length, 'no serial number twice')
})

t.test('PIN blocks give back what they hold, and refuse everything that is no PIN', async (t) => {
  const pan = ascii.encode('5555555551234567')
  for (const digits of ['1234', '12345', '123456789012']) {
    const clear = ascii.encode(digits)
    t.same(pin.decodeFormat0(pin.encodeFormat0(clear, pan), pan), clear)
    t.same(pin.decodeFormat1(pin.encodeFormat1(clear, systemRandom)), clear)
    t.same(pin.decodeFormat2(pin.encodeFormat2(clear)), clear)
    t.same(pin.decodeFormat3(pin.encodeFormat3(clear, pan, systemRandom), pan), clear)
    const key = systemRandom(16)
    t.same(pin.decipherFormat4(key, pin.encipherFormat4(key, clear, pan, systemRandom), pan), clear)
    const other = ascii.encode('5555555551234575')
    t.throws(() => pin.decipherFormat4(key, pin.encipherFormat4(key, clear, pan, systemRandom), other), {
      code: 'PIN_BLOCK_INVALID',
    })
  }
  for (const bad of ['123', '1234567890123', '12a4', '']) {
    t.throws(() => pin.encodeFormat2(ascii.encode(bad)), { code: 'PIN_BLOCK_INVALID' })
  }
})
