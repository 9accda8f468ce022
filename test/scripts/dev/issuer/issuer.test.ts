// The issuer's room without whole payments: known answers of its crypto, profiles, keys on disk, fault switches, vpcd.
import { createCipheriv } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { concat, fromHex, toHex } from '../../../../hal/base/bytes.js'
import { oddParity, sha1 } from '../../../../hal/base/ciphers.js'
import type { VirtualCard } from '../../../../hal/simulated/virtual-card.js'
import { answerToReset } from '../../../../scripts/dev/issuer/card-engine.js'
import { CARDS_DIR, loadProfiles, parseProfile } from '../../../../scripts/dev/issuer/card-profile.js'
import { arpcMethod1, arpcMethod2 } from '../../../../scripts/dev/issuer/cryptogram.js'
import {
  issuerApplicationData,
  issuerApproves,
  makeCryptogram,
  makeIssuerAuthentication,
  verifyIssuerAuthentication,
} from '../../../../scripts/dev/issuer/cryptogram-data.js'
import { encodeDol, parseDol } from '../../../../scripts/dev/issuer/dol.js'
import { noFaults, watchMoments, withFaults } from '../../../../scripts/dev/issuer/faults.js'
import { fileBooks } from '../../../../scripts/dev/issuer/issuer-books.js'
import { ensureIssuerKeys } from '../../../../scripts/dev/issuer/issuer-keys.js'
import {
  atcDiversification,
  atcSessionKey,
  cardMasterKeyA,
  cardMasterKeyB,
  commonSessionKey,
  treeSessionKey,
} from '../../../../scripts/dev/issuer/key-derivation.js'
import { ibm3624Offset, ibm3624Pin } from '../../../../scripts/dev/issuer/pin.js'
import {
  encipherCommandData,
  pinBlockFormat2,
  readPinBlockFormat2,
} from '../../../../scripts/dev/issuer/secure-messaging.js'
import { fileStore } from '../../../../scripts/dev/issuer/state-stores.js'
import { insertIntoVpcd } from '../../../../scripts/dev/issuer/vpcd-card.js'

const dir = mkdtempSync(join(tmpdir(), 'postern-issuer-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))

const KEY = fromHex('0123456789ABCDEFFEDCBA9876543210')
const PAN = '9999990000000014'

/** TDES in node:crypto directly, so that the room's own helpers are not their own witness. */
function tdes(key: Uint8Array, data: Uint8Array, iv?: Uint8Array): Uint8Array {
  const cipher = createCipheriv(iv ? 'des-ede-cbc' : 'des-ede', key, iv ?? null).setAutoPadding(false)
  return new Uint8Array(cipher.update(data))
}

t.test('card master keys follow the last 16 digits, or above 16 digits of PAN the hash', async (t) => {
  const block = fromHex('9999000000001401')
  const expected = toHex(
    oddParity(
      concat(
        tdes(KEY, block),
        tdes(
          KEY,
          block.map((byte) => byte ^ 0xff),
        ),
      ),
    ),
  )
  t.equal(toHex(cardMasterKeyA(KEY, PAN, '01')), expected)
  t.equal(toHex(cardMasterKeyB(KEY, PAN, '01')), expected, 'B is A up to 16 digits')
  const long = '9999990000000000121'
  const hash = toHex(sha1(fromHex(`0${long}00`.slice(-22).padStart(22, '0'))))
  const decimal = (
    hash.replace(/\D/g, '') + hash.replace(/\d/g, '').replace(/./g, (c) => `${c.charCodeAt(0) - 65}`)
  ).slice(0, 16)
  const own = oddParity(
    concat(
      tdes(KEY, fromHex(decimal)),
      tdes(
        KEY,
        fromHex(decimal).map((byte) => byte ^ 0xff),
      ),
    ),
  )
  t.equal(toHex(cardMasterKeyB(KEY, long, '00')), toHex(own))
  t.throws(() => cardMasterKeyA(KEY.slice(8), PAN), { code: 'ISSUER_INVALID' })
  t.throws(() => cardMasterKeyA(KEY, '99999A'), { code: 'ISSUER_INVALID' })
})

t.test('session keys: common, by ATC, by tree', async (t) => {
  const r = atcDiversification(fromHex('0102'))
  t.equal(toHex(r), '0102000000000000')
  t.equal(
    toHex(commonSessionKey(KEY, r)),
    toHex(oddParity(tdes(KEY, fromHex('0102F0000000000001020F0000000000')))),
  )
  t.equal(
    toHex(atcSessionKey(KEY, fromHex('0102'))),
    toHex(oddParity(fromHex('0123456789ABCCEDFEDCBA987654CCED'))),
  )
  const tree = { height: 8, branch: 4, iv: new Uint8Array(16) }
  const keys = new Set(
    ['0000', '0001', '0004', 'FFFF'].map((atc) => toHex(treeSessionKey(KEY, fromHex(atc), tree))),
  )
  t.equal(keys.size, 4)
  t.throws(() => treeSessionKey(KEY, fromHex('0001'), { ...tree, height: 7 }), { code: 'ISSUER_INVALID' })
})

t.test('ARPC, both methods, and what each cryptogram version binds', async (t) => {
  const arqc = fromHex('1122334455667788')
  t.equal(toHex(arpcMethod1(KEY, arqc, fromHex('3030'))), toHex(tdes(KEY, fromHex('2112334455667788'))))
  const input = fromHex('11223344556677880080000080000000')
  const chained = tdes(concat(KEY.slice(0, 8), KEY.slice(0, 8)), input.slice(0, 8))
  const last = input.slice(8).map((byte, i) => byte ^ chained[i]!)
  t.equal(
    toHex(arpcMethod2(KEY, arqc, fromHex('00800000'))),
    toHex(tdes(KEY, last).slice(0, 4)),
    'EDE on the last block',
  )
  for (const version of [10, 18] as const) {
    const parts = { version, cardKey: KEY, atc: 7, arqc }
    const yes = makeIssuerAuthentication(parts, fromHex(version === 10 ? '3030' : '00800000'))
    t.ok(verifyIssuerAuthentication({ ...parts, data: yes }))
    t.ok(issuerApproves(version, yes))
    t.notOk(verifyIssuerAuthentication({ ...parts, data: yes.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) }))
    t.notOk(verifyIssuerAuthentication({ ...parts, data: yes.slice(1) }))
    const no = makeIssuerAuthentication(parts, fromHex(version === 10 ? '3531' : '00000000'))
    t.notOk(issuerApproves(version, no))
    const made = (atc: number, verification: string) =>
      toHex(
        makeCryptogram({
          version,
          cardKey: KEY,
          terminalData: new Uint8Array(29),
          aip: fromHex('3C00'),
          atc,
          issuerApplicationData: issuerApplicationData(version, fromHex(verification)),
        }),
      )
    t.equal(new Set([made(1, 'A00000'), made(2, 'A00000'), made(1, 'A40000')]).size, 3)
  }
})

t.test('PINs: offsets are exact, blocks read back, enciphered data are padded', async (t) => {
  const scheme = { key: KEY, table: '0123456789012345', pan: PAN, from: 0, length: 16, pad: 'F' }
  for (const pin of ['0000', '1234', '730951846207'])
    t.equal(ibm3624Pin(scheme, ibm3624Offset(scheme, pin)), pin)
  t.throws(() => ibm3624Pin({ ...scheme, from: 1 }, '0000'), { code: 'ISSUER_INVALID' })
  t.equal(toHex(pinBlockFormat2('1234')), '241234FFFFFFFFFF')
  t.equal(readPinBlockFormat2(pinBlockFormat2('730951846207')), '730951846207')
  for (const block of [
    '141234FFFFFFFFFF',
    '2412F4FFFFFFFFFF',
    '241234FFFFFFFFF0',
    '231234FFFFFFFFFF',
    '2412',
  ])
    t.equal(readPinBlockFormat2(fromHex(block)), undefined, block)
  const clear = pinBlockFormat2('1234')
  const zero = new Uint8Array(8)
  t.equal(
    toHex(encipherCommandData(KEY, clear, 'cbc')),
    toHex(tdes(KEY, concat(clear, fromHex('8000000000000000')), zero)),
  )
  t.throws(() => pinBlockFormat2('123'), { code: 'ISSUER_INVALID' })
})

t.test('DOLs and answers to reset', async (t) => {
  const dol = parseDol(fromHex('9F02069C01DF810102'))
  t.same(dol, [
    { tag: 0x9f02, length: 6 },
    { tag: 0x9c, length: 1 },
    { tag: 0xdf8101, length: 2 },
  ])
  t.equal(toHex(encodeDol(dol)), '9F02069C01DF810102')
  t.throws(() => parseDol(fromHex('9F02')), { code: 'ISSUER_INVALID' })
  t.match(toHex(answerToReset('T=0')), /^3B680000/)
  const t1 = answerToReset('T=1')
  t.match(toHex(t1), /^3BE800008131FE45/)
  t.equal(
    t1.slice(1).reduce((sum, byte) => sum ^ byte, 0),
    0,
    'TCK',
  )
})

t.test('a profile that is not right is refused with the path of the fault', async (t) => {
  const good = JSON.parse(readFileSync(join(CARDS_DIR, 'credit-pin.json'), 'utf8')) as Record<string, unknown>
  t.equal(parseProfile(good, 'x').id, 'credit-pin')
  t.throws(() => parseProfile({ ...good, pin: '12' }, 'x.json'), {
    code: 'CARD_PROFILE_INVALID',
    message: /\/pin/,
  })
  t.throws(() => parseProfile({ ...good, extra: 1 }, 'x.json'), { code: 'CARD_PROFILE_INVALID' })
  const real = structuredClone(good) as { applications: { pan: string }[] }
  real.applications[0]!.pan = '4111111111111111'
  t.throws(() => parseProfile(real, 'x.json'), { message: /must begin with 999999/ })
  writeFileSync(join(dir, 'other.json'), JSON.stringify(good))
  t.throws(() => loadProfiles(dir), { message: /id must be the file's name/ })
  rmSync(join(dir, 'other.json'))
  const cards = loadProfiles()
  t.equal(
    new Set(cards.flatMap((card) => card.applications.map((app) => app.pan))).size >= cards.length,
    true,
  )
})

t.test('keys are made once and read by the next process; nothing half-written is left', async (t) => {
  const folder = join(dir, 'keys')
  const first = ensureIssuerKeys(folder)
  const second = ensureIssuerKeys(folder)
  t.same(second.caPublicKeys, first.caPublicKeys)
  t.same(second.eccCaPublicKeys, first.eccCaPublicKeys)
  t.equal(second.eccCardKey('a', 'pin', '02').secret, first.eccCardKey('a', 'pin', '02').secret)
  t.equal(toHex(second.cardKey('a', 'pin').modulus), toHex(first.cardKey('a', 'pin').modulus))
  t.equal(toHex(second.master.cryptogram), toHex(first.master.cryptogram))
  for (const key of first.caPublicKeys)
    t.equal(
      key.checksum,
      toHex(sha1(fromHex(key.rid), fromHex(key.index), fromHex(key.modulus), fromHex(key.exponent))),
    )
  t.same(readdirSync(folder).sort(), [
    'ca-public-keys.json',
    'ca.json',
    'cards',
    'ecc-ca-public-keys.json',
    'ecc-ca.json',
    'ecc-issuer.json',
    'issuer.json',
    'master-keys.json',
  ])
})

t.test('state of cards and books of the issuer survive in files', async (t) => {
  const store = fileStore(join(dir, 'state'))
  t.equal(store.load('a'), undefined)
  store.save('a', { pin: '1234', pinTries: 2, cardBlocked: false, applications: {} })
  t.equal(fileStore(join(dir, 'state')).load('a')?.pinTries, 2)
  const path = join(dir, 'books', 'issuer.json')
  const account = {
    lastAtc: 3,
    lastArqc: undefined,
    lastAnswer: undefined,
    wrongPins: 1,
    pinOffsets: ['1234'],
  }
  fileBooks(path).save('a', account)
  t.match(fileBooks(path).load('a'), { lastAtc: 3, wrongPins: 1 })
})

/** Answers each command with its own instruction byte. */
const echo = (): VirtualCard => ({
  powerOn: () => answerToReset('T=1'),
  transmit: (command) => Uint8Array.of(command[1]!, 0x90, 0x00),
  powerOff: () => undefined,
})

t.test('fault switches: pulled, silent, mute, and the moments of a payment', async (t) => {
  const faults = noFaults()
  let pulled = 0
  const moments: string[] = []
  faults.onPulled = () => void pulled++
  faults.onCommand = watchMoments((moment) => void moments.push(moment))
  const card = withFaults(echo(), faults)
  const send = async (hex: string) => (await card.transmit(fromHex(hex)))?.length
  card.powerOn()
  for (const hex of ['00A40400', '80A80000', '00200080', '80AE8000', '80AE4000', '80A80000', '80AE0000'])
    t.equal(await send(hex), 3)
  t.same(moments, [
    'getProcessingOptions',
    'verify',
    'firstGenerateAc',
    'secondGenerateAc',
    'getProcessingOptions',
    'firstGenerateAc',
  ])
  faults.pullAfter = 2
  card.powerOn()
  t.equal(await send('00A40400'), 3)
  t.equal(await send('00A40400'), 3, 'the last command is answered')
  t.equal(await send('00A40400'), undefined)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(pulled, 1)
  faults.pullAfter = undefined
  faults.silentFrom = 2
  card.powerOn()
  t.equal(await send('00A40400'), 3)
  t.equal(await send('00A40400'), undefined)
  t.equal(await send('00A40400'), undefined)
  faults.mute = true
  t.equal(card.powerOn(), undefined)
})

t.test(
  'vpcd: control bytes, commands in pieces, removal from either side',
  { timeout: 10_000 },
  async (t) => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    const { port } = server.address() as { port: number }
    const arrived = () => new Promise<Socket>((resolve) => server.once('connection', resolve))
    const answerOf = (socket: Socket) =>
      new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(toHex(chunk))))

    const connection = arrived()
    const inserted = await insertIntoVpcd(echo(), { port })
    const reader = await connection
    reader.write(fromHex('000101'))
    reader.write(fromHex('000104'))
    const atr = toHex(answerToReset('T=1'))
    t.equal(await answerOf(reader), `0011${atr}`)
    reader.write(fromHex('0005'))
    setImmediate(() => reader.write(fromHex('00A4040000')))
    t.equal(await answerOf(reader), '0003A49000')
    reader.write(concat(fromHex('000100'), fromHex('000101'), fromHex('000400B2010C')))
    t.equal(await answerOf(reader), '0003B29000')
    const ended = new Promise((resolve) => reader.once('close', resolve))
    await inserted.remove()
    await inserted.remove()
    await ended

    const again = arrived()
    const second = await insertIntoVpcd(echo(), { port })
    ;(await again).destroy()
    await second.removed
    server.close()
    await t.rejects(insertIntoVpcd(echo(), { port, timeoutMs: 1000 }), { code: 'DEVICE_LOST' })
  },
)
