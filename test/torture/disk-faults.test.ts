// A disk that is full, that turns read-only, that is slow to be emptied of its log: money first, then a message.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openSqlite } from '../../hal/base/sqlite.js'
import {
  OWNER,
  request,
  settle,
  startTerminal,
  type Terminal,
  TestHost,
  testClock,
  until,
} from '../runtime/secure/payments/support.js'

const mount = (...args: string[]) => spawnSync('mount', args, { encoding: 'utf8', timeout: 10_000 })

/** A file system of our own of `size`, ended with the test. @throws Error where the machine allows none */
function ownDisk(t: Pick<Test, 'teardown'>, size: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-disk-'))
  const unmount = () => {
    spawnSync('umount', ['-l', folder], { timeout: 10_000 })
    rmSync(folder, { recursive: true, force: true })
  }
  t.teardown(unmount)
  if (mount('-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder).status === 0) return folder
  unmount()
  throw new Error('no file system can be mounted')
}

/** Why this machine mounts none; undefined where it does. */
function mountMissing(): string | undefined {
  try {
    const undo: (() => unknown)[] = []
    ownDisk({ teardown: (end) => undo.push(end as () => unknown) } as Pick<Test, 'teardown'>, '64k')
    for (const end of undo) end()
    return undefined
  } catch {
    return 'only root may mount a file system of its own'
  }
}
const missing = mountMissing()
const withDisk = missing === undefined ? {} : { skip: missing }

/** Payments in a row until one fails or `count` are done; what people were told. */
async function payOn({ service }: Terminal, count: number, from = 0): Promise<Map<string, string>> {
  const told = new Map<string, string>()
  for (let n = from; n < from + count; n++) {
    const key = `key-${String(n).padStart(5, '0')}`
    const view = await Promise.race([service.collect(request(key), OWNER), settle(200)]).catch(
      () => undefined,
    )
    if (view === undefined) break
    told.set(key, view.outcome)
  }
  return told
}

/** Books after a restart on the same files: all settled, to the cent, and nobody was told otherwise. */
async function comparesAfterRestart(
  t: Test,
  folder: string,
  host: TestHost,
  told: ReadonlyMap<string, string>,
): Promise<void> {
  const clock = testClock(Date.UTC(2026, 10, 22, 20, 0))
  const terminal = startTerminal({ folder, host, clock })
  const { journal, service } = terminal
  await until(clock, () => journal.openPayments().length === 0)
  for (const [key, outcome] of told) t.equal(service.status(key).outcome, outcome, `${key} is what was told`)
  t.equal((await service.collect(request('key-again1'), OWNER)).outcome, 'approved', 'payments go on')
  await service.closeRound()
  const standing = [...host.ledger.values()].filter(({ state }) => state === 'approved').length
  t.equal(journal.list(1000).filter(({ state }) => state === 'SETTLED').length, standing)
  t.match(journal.verify(), { sound: true })
  await terminal.close()
}

t.test('a full disk ends the world, not a payment; with room again the books agree', withDisk, async (t) => {
  const folder = ownDisk(t, '400k')
  const host = new TestHost()
  const terminal = startTerminal({ folder, host })
  const told = await payOn(terminal, 400)
  t.ok(told.size > 3 && told.size < 400, `the disk was full after ${told.size} payments`)
  t.match(terminal.fatal[0], { code: 'JOURNAL_FAILED' }, 'the process is to end')
  await t.rejects(terminal.service.collect(request('key-after1'), OWNER), { code: 'JOURNAL_FAILED' })
  terminal.journal.close()
  t.equal(mount('-o', 'remount,size=20m', folder).status, 0)
  await comparesAfterRestart(t, folder, host, told)
})

t.test(
  'a disk that turns read-only: no payment is begun; writable again, the books agree',
  withDisk,
  async (t) => {
    const folder = ownDisk(t, '20m')
    const host = new TestHost()
    const first = startTerminal({ folder, host })
    const told = await payOn(first, 5)
    await first.close()
    t.equal(mount('-o', 'remount,ro', folder).status, 0)
    t.throws(() => startTerminal({ folder, host }), /readonly|read-only|EROFS/i)
    t.equal(host.ledger.size, 5, 'nothing was sent')
    t.equal(mount('-o', 'remount,rw', folder).status, 0)
    await comparesAfterRestart(t, folder, host, told)
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
  await comparesAfterRestart(t, folder, host, told)
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
