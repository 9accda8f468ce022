// Keys: DUKPT registers against the host's derivation, the sealed store, serial numbers never used twice.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ascii, concat, fromHex, toHex } from '../../../../hal/base/bytes.js'
import {
  cmac,
  decryptCbc,
  decryptEcb,
  hmacSha256,
  retailMac,
  unpadMethod2,
} from '../../../../hal/base/ciphers.js'
import { systemRandom } from '../../../../hal/base/clock.js'
import * as dukpt from '../../../../runtime/secure/keys/aes-dukpt.js'
import * as registers from '../../../../runtime/secure/keys/dukpt-registers.js'
import { loadInitialKey, openTerminalKeys } from '../../../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openFileKeyStore } from '../../../../runtime/secure/keys/file-key-store.js'
import { decodeRecord } from '../../../../runtime/secure/keys/key-set-record.js'
import type { KeyStore } from '../../../../runtime/secure/keys/key-store.js'
import * as pin from '../../../../runtime/secure/keys/pin-block.js'
import * as tdes from '../../../../runtime/secure/keys/tdes-dukpt.js'

const BDK = fromHex('FEDCBA9876543210F1F1F1F1F1F1F1F1')
const IKID = fromHex('1234567890123456')
const cost = { N: 1024, r: 8, p: 1 }

const openStore = (folder: string, passphrase = 'open sesame') =>
  openFileKeyStore({ folder, passphrase: ascii.encode(passphrase), random: systemRandom, cost })

/** A store in memory that counts what was durable when. */
function memoryStore(): KeyStore & {
  writes: number
  /** The next writes fail: before anything was written, or after all was. */
  fail: 'before' | 'after' | undefined
  put(name: string, secret: Uint8Array): void
} {
  const records = new Map<string, Uint8Array>()
  return {
    writes: 0,
    fail: undefined,
    put: (name, secret) => void records.set(name, secret.slice()),
    async read(name) {
      const secret = records.get(name)
      return secret && { secret: secret.slice(), generation: this.writes, behind: false }
    },
    async write(name, secret) {
      if (this.fail !== 'before') records.set(name, secret.slice())
      if (this.fail !== undefined) throw new Error('disk full')
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
        const durable = decodeRecord((await store.read('acquirer'))!.secret).registers
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

t.test(
  'a store that cannot be written gives no key, and one that can again gives the next, without a restart',
  async (t) => {
    const store = memoryStore()
    await loadInitialKey(store, 'acquirer', freshIk(), systemRandom)
    const keys = await openTerminalKeys(store, systemRandom)
    const used: string[] = []
    /** Uses up what is reserved, then meets the store. */
    const untilRefused = async (): Promise<unknown> => {
      for (let i = 0; i < 9; i++) {
        try {
          used.push(toHex(await keys.nextRequestKsn()))
        } catch (error) {
          return error
        }
      }
      return undefined
    }
    for (const fault of ['before', 'after'] as const) {
      t.equal(await untilRefused(), undefined)
      store.fail = fault
      t.match(await untilRefused(), { code: 'KEY_UNAVAILABLE', cause: { message: 'disk full' } })
      store.fail = undefined
    }
    t.equal(await untilRefused(), undefined)
    t.equal(
      new Set(used).size,
      used.length,
      'no serial number twice, whether the failed write was done or not',
    )
    const behind = (await store.read('acquirer'))!.secret
    t.equal(await untilRefused(), undefined)
    store.put('acquirer', behind)
    store.fail = 'before'
    t.match(
      await untilRefused(),
      { cause: { code: 'KEY_STORE_ROLLED_BACK' } },
      'an older record under its feet',
    )
    store.fail = undefined
    t.match(await untilRefused(), { cause: { code: 'KEY_STORE_ROLLED_BACK' } }, 'and it stays refused')
  },
)

t.test(
  'a TDES key set: what it encrypts and authenticates, a host with the base key reads and checks',
  async (t) => {
    const bdk = fromHex('0123456789ABCDEFFEDCBA9876543210')
    const id = fromHex('FFFF9876543210E00000')
    const pan = ascii.encode('4012345678909')
    for (const profile of [
      { scheme: 'tdes', pinBlock: 0, mac: 'retail' },
      { scheme: 'tdes', pinBlock: 3, mac: 'cmac' },
    ] as const) {
      const store = memoryStore()
      const key = tdes.deriveTdesInitialKey(bdk, id)
      await loadInitialKey(store, 'acquirer', { scheme: 'tdes', ikid: id, key }, systemRandom)
      t.same(key, new Uint8Array(16), 'erased')
      await t.rejects(
        openTerminalKeys(store, systemRandom, 'acquirer', { scheme: 'aes', pinBlock: 4, mac: 'cmac' }),
        { code: 'KEY_UNAVAILABLE' },
        'a document that names the other scheme',
      )
      const keys = await openTerminalKeys(store, systemRandom, 'acquirer', profile)
      t.match(keys, { ikid: 'FFFF9876543210E00000', scheme: 'tdes' })
      const hostKey = (ksn: Uint8Array, usage: tdes.TdesKeyUsage) =>
        tdes.deriveTdesWorkingKey(
          tdes.deriveTdesTransactionKey(tdes.deriveTdesInitialKey(bdk, ksn), ksn),
          usage,
        )
      const block = await keys.encryptPin(ascii.encode('1234'), pan)
      t.equal(toHex(block.ksn), 'FFFF9876543210E00001')
      const clear = decryptEcb('tdes', hostKey(block.ksn, 'pin'), block.bytes)
      t.equal(
        ascii.decode((profile.pinBlock === 0 ? pin.decodeFormat0 : pin.decodeFormat3)(clear, pan)),
        '1234',
      )
      if (profile.pinBlock === 0) t.equal(toHex(block.bytes), '1B9C1845EB993A7A', 'as X9.24-1 has it')
      const track = fromHex('4012345678909D987F')
      const card = await keys.encryptCardData(track)
      const data = decryptCbc('tdes', hostKey(card.ksn, 'dataRequest'), new Uint8Array(8), card.bytes)
      t.same(unpadMethod2(data), track)
      const message = ascii.encode('4012345678909D987')
      const ksn = await keys.nextRequestKsn()
      const mac = (usage: tdes.TdesKeyUsage) =>
        profile.mac === 'retail'
          ? retailMac(hostKey(ksn, usage), message, 1)
          : cmac('tdes', hostKey(ksn, usage), message)
      t.same(await keys.macRequest(ksn, message), mac('macRequest'))
      t.equal(await keys.verifyResponse(ksn, message, mac('macResponse')), true)
      t.equal(await keys.verifyResponse(ksn, message, mac('macRequest')), false)
      keys.close()
    }
  },
)

t.test(
  'TDES registers give the keys that a host derives, over skipped counters and a restart, to the last',
  async (t) => {
    const id = fromHex('FFFF9876543210E00000')
    const ik = tdes.deriveTdesInitialKey(fromHex('0123456789ABCDEFFEDCBA9876543210'), id)
    let state = registers.loadRegisters(ik.slice(), id, 'tdes')
    let counter = 1
    for (let i = 0; i < 2100; i++) {
      if (i % 500 === 0) state = registers.decodeRegisters(registers.encodeRegisters(state))
      const { ksn, key } = registers.takeTransactionKey(state)
      if (toHex(ksn) !== toHex(tdes.makeTdesKsn(id, counter))) t.fail(`ksn ${toHex(ksn)}`)
      if (toHex(key) !== toHex(tdes.deriveTdesTransactionKey(ik, ksn))) t.fail(`key of ${toHex(ksn)}`)
      counter = tdes.nextTdesCounter(counter)
    }
    state.counter = tdes.LAST_TDES_COUNTER
    const last = tdes.makeTdesKsn(id, tdes.LAST_TDES_COUNTER)
    state.keys[11] = tdes.deriveTdesTransactionKey(ik, last)
    t.same(registers.takeTransactionKey(state).ksn, last)
    t.throws(() => registers.takeTransactionKey(state), { code: 'KSN_EXHAUSTED' })
    t.throws(() => tdes.splitTdesKsn(fromHex('FFFF9876543210E007FF')), { code: 'DUKPT_INVALID' })
    t.throws(() => registers.loadRegisters(ik.slice(), id, 'aes'), { code: 'DUKPT_INVALID' })
  },
)

t.test(
  'a key set of a later release is used and written back whole; of the first release it is read',
  async (t) => {
    const store = memoryStore()
    await loadInitialKey(store, 'acquirer', freshIk(), systemRandom)
    const now = (await store.read('acquirer'))!.secret
    store.put('acquirer', concat(now, fromHex('7F0003ABCDEF'), fromHex('FE0000')))
    const older = await openTerminalKeys(store, systemRandom)
    t.equal(toHex(await older.nextRequestKsn()), `${toHex(IKID)}00000001`)
    const written = decodeRecord((await store.read('acquirer'))!.secret)
    t.same(written.others, [
      { tag: 0x7f, value: fromHex('ABCDEF') },
      { tag: 0xfe, value: new Uint8Array(0) },
    ])
    t.equal(written.registers.counter, 9)
    // Back on the later release: it finds its own field and the counter where this one left it.
    const later = await openTerminalKeys(store, systemRandom)
    t.equal(dukpt.splitKsn(await later.nextRequestKsn()).counter, 9)
    const other = { ikid: fromHex('AAAAAAAAAAAAAAAA'), key: new Uint8Array(16).fill(3) }
    await loadInitialKey(store, 'acquirer', other, systemRandom)
    t.equal(
      decodeRecord((await store.read('acquirer'))!.secret).others.length,
      2,
      'a new initial key keeps it too',
    )
    await t.rejects(loadInitialKey(store, 'acquirer', freshIk(), systemRandom), {
      code: 'KEY_ALREADY_LOADED',
    })

    const beside = concat(
      new Uint8Array(32).fill(5),
      registers.encodeRegisters(registers.loadRegisters(freshIk().key, IKID)),
    )
    store.put('acquirer', beside)
    const first = await openTerminalKeys(store, systemRandom)
    t.equal(toHex(await first.nextRequestKsn()), `${toHex(IKID)}00000001`)
    t.equal(await first.cardToken(IKID), toHex(hmacSha256(new Uint8Array(32).fill(5), IKID)))
    now[3] = 3
    t.throws(() => decodeRecord(now), { code: 'KEY_STORE_REFUSED' })
    now[3] = 2
    for (const cut of [4, 5, 20, 60])
      t.throws(() => decodeRecord(now.subarray(0, cut)), { code: 'KEY_STORE_DAMAGED' })
  },
)

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
