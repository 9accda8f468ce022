// A disk that is full, that turns read-only, that is slow to be emptied of its log: money first, then a message.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openSqlite } from '../../hal/base/sqlite.js'
import {
  OWNER,
  request,
  startTerminal,
  TestHost,
  testClock,
  until,
} from '../runtime/secure/payments/support.js'
import { faultsAfterRestart, fillDisk, mountMissing, payOn, turnReadOnly } from './disk-faults.js'
import { randomOf } from './seeded.js'

const missing = mountMissing()
const withDisk = missing === undefined ? {} : { skip: missing }

t.test('a full disk ends the world, not a payment; with room again the books agree', withDisk, async (t) => {
  t.strictSame(await fillDisk(randomOf(1)), [])
})

t.test(
  'a disk that turns read-only: no payment is begun; writable again, the books agree',
  withDisk,
  async (t) => {
    t.strictSame(await turnReadOnly(randomOf(1)), [])
  },
)

t.test('a log that a reader keeps from being emptied grows, and shrinks again after', async (t) => {
  const folder = t.testdir()
  const host = new TestHost()
  const terminal = startTerminal({ folder, host })
  const log = () => statSync(join(folder, 'journal.db-wal')).size
  const reader = openSqlite(join(folder, 'journal.db'), { readonly: true })
  reader.prepare('BEGIN').run()
  reader.prepare('SELECT count(*) FROM entries').get()
  const told = await payOn(terminal, 60)
  const grown = log()
  t.ok(grown > 1_500_000, `60 payments under a reader: ${grown} bytes`)
  reader.prepare('COMMIT').run()
  reader.close()
  for (const [key, outcome] of await payOn(terminal, 60, 100)) told.set(key, outcome)
  t.ok(log() <= grown * 1.1, `used again from its beginning: ${log()} bytes`)
  await terminal.close()
  t.strictSame(await faultsAfterRestart(folder, host, told), [])
})

t.test('a clock that jumps, back and forth, between cut and start', async (t) => {
  for (const startMs of [0, Date.UTC(2026, 10, 21), Date.UTC(2026, 10, 22, 8, 29), Date.UTC(2099, 0, 1)]) {
    const folder = join(t.testdir(), String(startMs))
    const host = new TestHost()
    host.rules = [{ decide: 'approve' }, { decide: 'approve', answer: 'timeout' }]
    host.reversalRules = ['silent']
    const terminal = startTerminal({ folder, host, clock: testClock() })
    await payOn(terminal, 2)
    await terminal.close()
    const clock = testClock(startMs)
    const later = startTerminal({ folder, host, clock })
    await until(clock, () => later.journal.openPayments().length === 0)
    const label = new Date(startMs).toISOString()
    t.equal(later.service.status('key-00000').outcome, 'approved', label)
    t.equal(later.service.status('key-00001').outcome, 'reversed', label)
    t.equal((await later.service.collect(request('key-00002'), OWNER)).outcome, 'approved', label)
    const { agreement } = await later.service.closeRound()
    t.equal(agreement, 'agrees', label)
    await later.close()
  }
})
