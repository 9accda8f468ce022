// The process whose disk is recorded: a seeded day of payments and key serial numbers. What leaves the terminal on the way
// (bookings at the host, words to people, serial numbers in use) goes to the marks file the moment it happens.
import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ascii, fromHex, toHex } from '../../hal/base/bytes.js'
import { loadInitialKey, openTerminalKeys } from '../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openFileKeyStore } from '../../runtime/secure/keys/file-key-store.js'
import {
  cardSaysNo,
  finalApproved,
  type HostRule,
  OWNER,
  type Power,
  request,
  settle,
  startTerminal,
  TestHost,
  testClock,
} from '../runtime/secure/payments/support.js'
import type { Mark } from './marks.js'
import { marksOf } from './recording.js'
import { randomOf } from './seeded.js'

const [folder = '', seedText = '1', actsText = '40'] = process.argv.slice(2)
const random = randomOf(Number(seedText))
const marks = openSync(marksOf(folder), 'w')
const mark = (line: Mark) => writeSync(marks, `${JSON.stringify(line)}\n`)

const RULES: readonly HostRule[] = [
  { decide: 'approve' },
  { decide: 'approve' },
  { decide: 'approve' },
  { decide: 'decline' },
  { decide: 'approve', answer: 'timeout' },
  { decide: 'lose', answer: 'lineLost' },
]

const host = new TestHost()
/** Never fails; the host's steps say when the world outside has changed. */
const power: Power = {
  off: false,
  steps: [],
  step(name) {
    if (!name.startsWith('host: ')) return
    const lines = [...host.ledger].map(
      ([id, { minor, batch, state }]) => [id, { minor: String(minor), batch, state }] as const,
    )
    mark({ ledger: lines })
  },
}
const clock = testClock()
const storeOptions = {
  folder: join(folder, 'keys'),
  passphrase: ascii.encode('open sesame'),
  // Keys that are the same in each recording; only the order of writes matters here.
  random: (length: number) => Uint8Array.from({ length }, () => random(256)),
}
const store = await openFileKeyStore(storeOptions)
await loadInitialKey(
  store,
  'acquirer',
  { ikid: fromHex('1122334455667788'), key: fromHex('00112233445566778899AABBCCDDEEFF') },
  storeOptions.random,
)
mark({ keysLoaded: true })
const keys = await openTerminalKeys(store, storeOptions.random)
const { service, close } = startTerminal({
  folder,
  host,
  clock,
  power,
  card: { final: () => (random(6) === 0 ? cardSaysNo() : finalApproved()) },
})
const approved: string[] = []
for (let n = 1; n <= Number(actsText); n++) {
  clock.advance(1000 + random(20_000))
  await settle()
  const die = random(12)
  if (die < 9) {
    host.rules = [RULES[random(RULES.length)]!]
    if (random(4) === 0) host.reversalRules.push(random(2) === 0 ? 'silent' : 'lost')
    mark({ ksn: toHex(await keys.nextRequestKsn()) })
    const key = `key-${String(n).padStart(5, '0')}`
    const { outcome } = await service.collect(request(key, String(100 + n)), OWNER)
    mark({ told: [key, outcome] })
    if (outcome === 'approved') approved.push(key)
  } else if (die < 11 && approved.length > 0) {
    const original = approved.splice(random(approved.length), 1)[0]!
    const key = `void-${String(n).padStart(4, '0')}`
    const { outcome } = await service.voidPayment({ key, original, reason: 'x' }, OWNER)
    mark({ told: [key, outcome] })
  } else if (await service.closeRound().catch(() => undefined)) approved.length = 0
}
await close()
keys.close()
store.close()
