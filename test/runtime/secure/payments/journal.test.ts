// The journal: durable settings, numbers never given twice, the chain, torn and tampered files, migrations.
import { copyFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { PosternError } from '../../../../hal/base/errors.js'
import { silentLog } from '../../../../hal/base/log.js'
import { openSqlite } from '../../../../hal/base/sqlite.js'
import { type Journal, openJournal } from '../../../../runtime/secure/payments/journal.js'
import {
  pruneJournal,
  verifyExport,
  writeExport,
} from '../../../../runtime/secure/payments/journal-export.js'
import type { PaymentRecord, RoundRecord } from '../../../../runtime/secure/payments/payment-record.js'
import { recoverPayments } from '../../../../runtime/secure/payments/recovery.js'
import { OWNER, settle, startTerminal, TestHost, testClock, until } from './support.js'

const clock = testClock()
const record = (key: string, change: Partial<PaymentRecord> = {}): PaymentRecord => ({
  key,
  state: 'CREATED',
  app: 'courier',
  appName: 'Courier',
  operator: '17',
  round: 'round-1',
  batch: 1,
  reference: `REF-${key}`,
  minor: '1250',
  currency: 'EUR',
  locale: 'en',
  createdAtMs: clock.nowMs(),
  utcOffsetMin: 60,
  sequence: 1,
  receiptNumber: 1,
  acquirer: 'test',
  terminalId: 'TERM0001',
  merchantId: 'M1',
  ...change,
})

t.test('WAL and synchronous FULL, owner only, and what was committed is there after opening anew', (t) => {
  const path = join(t.testdir(), 'secure', 'journal.db')
  let journal = openJournal(path, clock)
  journal.commit('one', (step) => step.putPayment(record('key-0001')))
  t.equal(statSync(path).mode & 0o077, 0)
  t.equal(statSync(`${path}-wal`).mode & 0o077, 0)
  journal.close()
  journal = openJournal(path, clock)
  t.match(journal.payment('key-0001'), { minor: '1250' })
  t.match(journal.list(5), [{ key: 'key-0001' }])
  t.equal(journal.payment('key-0002'), undefined)
  const db = openSqlite(path, { readonly: true })
  t.equal(db.pragma('journal_mode', { simple: true }), 'wal')
  db.close()
  journal.close()
  t.end()
})

t.test('a step is whole or not at all; a refusal by the writer writes nothing and harms nothing', (t) => {
  const journal = openJournal(join(t.testdir(), 'journal.db'), clock)
  t.throws(
    () =>
      journal.commit('half', (step) => {
        step.putPayment(record('key-0001'))
        step.reserve('stan')
        throw new PosternError('STATE_INVALID', 'no')
      }),
    { code: 'STATE_INVALID' },
  )
  t.equal(journal.payment('key-0001'), undefined)
  t.equal(
    journal.commit('next', (step) => step.reserve('stan')),
    1,
  )
  t.match(journal.verify(), { sound: true, entries: 1 })
  journal.close()
  t.throws(() => journal.commit('closed', (step) => step.reserve('stan')), { code: 'JOURNAL_FAILED' })
  t.throws(() => journal.commit('again', (step) => step.reserve('stan')), { code: 'JOURNAL_FAILED' })
  t.end()
})

t.test('numbers: in order, durable, never twice; STAN wraps around the ones that are in use', (t) => {
  const path = join(t.testdir(), 'journal.db')
  let journal = openJournal(path, clock)
  const take = (counter: 'stan' | 'batch') => journal.commit('take', (step) => step.reserve(counter))
  t.strictSame([take('stan'), take('stan'), take('batch')], [1, 2, 1])
  journal.close()
  const db = openSqlite(path)
  db.prepare("UPDATE counters SET value = 999997 WHERE name = 'stan'").run()
  db.prepare("UPDATE counters SET value = 999998 WHERE name = 'batch'").run()
  db.close()
  journal = openJournal(path, clock)
  const reversal = { cause: 'timeout', stan: 2, atMs: 0, attempts: 1, failures: 1 } as const
  journal.commit('in use', (step) => {
    step.putPayment(record('key-0001', { stan: 999_999, state: 'REVERSAL_PENDING', reversal }))
    step.putPayment(record('key-0002', { stan: 1, state: 'SENT' }))
    step.putPayment(record('key-0003', { stan: 3, state: 'COMPLETED' }))
  })
  t.strictSame(
    [take('stan'), take('stan'), take('stan')],
    [999_998, 3, 4],
    'an open payment keeps its number',
  )
  t.equal(take('batch'), 999_999)
  t.throws(() => take('batch'), { code: 'COUNTER_EXHAUSTED' })
  t.equal(take('stan'), 5, 'the journal goes on')
  journal.close()
  t.end()
})

t.test('fields are added and replaced, never lost; the chain replays to the same rows', (t) => {
  const journal = openJournal(join(t.testdir(), 'journal.db'), clock)
  journal.commit('a', (step) => step.putPayment(record('key-0001', { lateAnswers: 1 })))
  journal.commit('b', (step) => {
    step.putPayment(record('key-0001', { state: 'CANCELLED', ended: 'cancelled' }))
    step.queueChange('key-0001', 'courier')
    step.putAttempts('17', { failures: 1, lockedUntilMs: 0 })
  })
  t.match(journal.payment('key-0001'), { lateAnswers: 1, ended: 'cancelled' })
  const [change] = journal.changes(20)
  t.match(change, { key: 'key-0001', app: 'courier' })
  journal.commit('c', (step) => step.dropChange(change!.sequence))
  journal.commit('d', (step) => step.dropChange(change!.sequence))
  t.strictSame(journal.changes(20), [])
  t.match(journal.attempts('17'), { failures: 1 })
  t.match(journal.show('key-0001'), [{ step: 'a' }, { step: 'b' }])
  t.match(journal.verify(), { sound: true, entries: 4 })
  journal.close()
  t.end()
})

t.test('tampering is found: a changed amount, a changed or missing entry, a removed row', (t) => {
  const cases: [string, RegExp][] = [
    [`UPDATE payments SET record = json_set(record, '$.minor', '1')`, /payments key-0001 does not hold/],
    [`UPDATE entries SET body = replace(body, '1250', '9250') WHERE seq = 1`, /entry 1 was changed/],
    ['DELETE FROM entries WHERE seq = 2', /entry 2 is missing/],
    ["DELETE FROM payments WHERE key = 'key-0001'", /payments key-0001 was removed/],
    ["UPDATE counters SET value = 0 WHERE name = 'stan'", /counters stan does not hold/],
    [`INSERT INTO rounds (id, open, record) VALUES ('r', 1, '{}')`, /rounds r is not in the chain/],
  ]
  const folder = t.testdir()
  for (const [i, [sql, fault]] of cases.entries()) {
    const path = join(folder, String(i), 'journal.db')
    let journal = openJournal(path, clock)
    for (const key of ['key-0001', 'key-0002', 'key-0003', 'key-0004'])
      journal.commit('put', (step) => step.putPayment(record(key, { stan: step.reserve('stan') })))
    journal.close()
    const db = openSqlite(path)
    db.exec(sql)
    db.close()
    journal = openJournal(path, clock)
    const verdict = journal.verify()
    t.match(verdict, { sound: false, fault }, sql)
    journal.close()
  }
  const path = join(folder, 'last', 'journal.db')
  const journal = openJournal(path, clock)
  journal.commit('put', (step) => step.putPayment(record('key-0001')))
  journal.close()
  const db = openSqlite(path)
  db.exec("UPDATE entries SET step = 'other'")
  db.close()
  t.throws(() => openJournal(path, clock), { code: 'JOURNAL_BROKEN' })
  t.end()
})

t.test('a torn last record is as if it had not been written', (t) => {
  const folder = t.testdir()
  const path = join(folder, 'journal.db')
  const journal = openJournal(path, clock)
  const sizes: number[] = []
  for (let i = 1; i <= 5; i++) {
    journal.commit('put', (step) => step.putPayment(record('key-0001', { lateAnswers: i })))
    sizes.push(statSync(`${path}-wal`).size)
  }
  const [before, last] = [sizes[3]!, sizes[4]!]
  for (let cut = 0; cut < 24; cut++) {
    const torn = join(folder, `torn-${cut}.db`)
    copyFileSync(path, torn)
    copyFileSync(`${path}-wal`, `${torn}-wal`)
    const length = before + Math.floor(((last - before - 1) * cut) / 23)
    if (cut % 2 === 0) truncateSync(`${torn}-wal`, length)
    else {
      const bytes = readFileSync(`${torn}-wal`)
      bytes.fill(0, length) // space that was given out, and not written
      writeFileSync(`${torn}-wal`, bytes)
    }
    const reopened = openJournal(torn, clock)
    t.match(reopened.payment('key-0001'), { lateAnswers: 4 }, `torn at ${length} of ${last}`)
    t.match(reopened.verify(), { sound: true, entries: 4 })
    reopened.close()
  }
  journal.close()
  t.end()
})

t.test('a journal of a newer release is written only if it says so', (t) => {
  const path = join(t.testdir(), 'journal.db')
  openJournal(path, clock).close()
  const write = (sql: string) => {
    const db = openSqlite(path)
    db.exec(sql)
    db.close()
  }
  write('PRAGMA user_version = 99')
  openJournal(path, clock).close()
  write("UPDATE meta SET value = '50' WHERE name = 'writableFrom'")
  t.throws(() => openJournal(path, clock), { code: 'JOURNAL_NEWER' })
  t.end()
})

t.test('the first failure is told, whoever wrote; a refusal by the writer is none', (t) => {
  const failed: unknown[] = []
  const journal = openJournal(join(t.testdir(), 'journal.db'), clock, (error) => failed.push(error))
  const refuse = () => {
    throw new PosternError('STATE_INVALID', 'no')
  }
  t.throws(() => journal.commit('refused', refuse), { code: 'STATE_INVALID' })
  t.strictSame(failed, [])
  const disk = () => {
    throw new Error('disk I/O error')
  }
  t.throws(() => journal.commit('attempts', disk), { code: 'JOURNAL_FAILED' })
  t.throws(
    () => journal.commit('attempts', (step) => step.putAttempts('17', { failures: 1, lockedUntilMs: 0 })),
    {
      code: 'JOURNAL_FAILED',
    },
  )
  t.match(failed, [{ code: 'JOURNAL_FAILED' }])
  t.equal(failed.length, 1)
  journal.close()
  t.end()
})

const round = (id: string, change: Partial<RoundRecord> = {}): RoundRecord => ({
  id,
  state: 'OPEN',
  batch: 1,
  operator: '17',
  operatorName: 'Anna',
  currency: 'EUR',
  openedAtMs: 0,
  utcOffsetMin: 60,
  ...change,
})

/** Two days: the first settled, the second not; one payment of the first still owes its reversal. */
function twoDays(path: string) {
  const days = testClock()
  const journal = openJournal(path, days)
  const sell = (key: string, of: string, change: Partial<PaymentRecord> = {}) => {
    journal.commit('created', (step) =>
      step.putPayment(record(key, { round: of, stan: step.reserve('stan') })),
    )
    journal.commit('ended', (step) =>
      step.putPayment(record(key, { round: of, state: 'COMPLETED', ...change })),
    )
  }
  journal.commit('open', (step) => step.putRound(round('round-1')))
  sell('key-0001', 'round-1')
  sell('key-0002', 'round-1', { type: 'preauth' })
  const reversal = { cause: 'timeout', stan: 99, atMs: 0, attempts: 1, failures: 1 } as const
  sell('key-0003', 'round-1', { state: 'REVERSAL_PENDING', reversal })
  journal.commit('closed', (step) => {
    step.putRound(round('round-1', { state: 'CLOSED', comparisonOwed: false }))
    step.putPayment(record('key-0001', { round: 'round-1', state: 'SETTLED' }))
  })
  const nightMs = days.nowMs() + 1000
  days.advance(86_400_000)
  journal.commit('open', (step) => step.putRound(round('round-2', { batch: 2 })))
  sell('key-0004', 'round-2')
  return { journal, days, nightMs }
}

t.test('pruning: settled rounds leave, the chain goes on over a checkpoint, and no key comes back', (t) => {
  const folder = t.testdir()
  const path = join(folder, 'journal.db')
  const { journal, nightMs, days } = twoDays(path)
  const before = journal.size()
  const exports = join(folder, 'exports')
  const kept: string[] = []
  const dropped = journal.prune(nightMs, ({ previous, entries }) => {
    kept.push(join(exports, 'one.jsonl.gz'))
    writeExport(kept[0]!, previous, entries)
  })
  t.equal(journal.size(), before - dropped + 1)
  t.match(verifyExport(kept[0]!), { sound: true, entries: dropped })
  t.equal(journal.payment('key-0001'), undefined, 'settled')
  t.match(journal.payment('key-0002'), { type: 'preauth' }, 'a held pre-authorisation stays')
  t.match(journal.payment('key-0003'), { state: 'REVERSAL_PENDING' }, 'what is owed stays')
  t.match(journal.round('round-1'), { state: 'CLOSED' }, 'with its round')
  t.ok(journal.retired('key', 'key-0001') && journal.retired('reference', 'REF-key-0001'))
  t.notOk(journal.retired('key', 'key-0002') || journal.retired('key', 'key-9999'))
  t.match(journal.verify(), { sound: true })
  t.equal(
    journal.prune(nightMs, () => t.fail('nothing is left to keep')),
    0,
  )
  journal.commit('on', (step) => step.putPayment(record('key-0005', { stan: step.reserve('stan') })))
  t.equal(journal.payment('key-0005')?.stan, 5, 'numbers go on')
  journal.close()

  const again = openJournal(path, days)
  t.match(again.verify(), { sound: true }, 'opened anew')
  const all = join(exports, 'two.jsonl.gz')
  const { previous, entries } = again.chain()
  writeExport(all, previous, entries)
  t.match(verifyExport(all), { sound: true, entries: again.size() }, 'the rest follows on')
  days.advance(100 * 86_400_000)
  t.ok(pruneJournal(again, exports, days.nowMs(), 2) > 0)
  t.ok(readdirSync(exports).length > 2)
  t.match(again.verify(), { sound: true }, 'pruned twice')
  again.close()
  for (const sql of [
    "UPDATE checkpoint SET snapshot = replace(snapshot, 'key-0002', 'key-0009')",
    'DELETE FROM checkpoint',
  ]) {
    const forged = join(folder, 'forged.db')
    copyFileSync(path, forged)
    const db = openSqlite(forged)
    db.exec(sql)
    db.close()
    const opened = openJournal(forged, days)
    t.match(opened.verify(), { sound: false }, sql)
    opened.close()
  }
  const bytes = readFileSync(all)
  writeFileSync(all, bytes.subarray(0, bytes.length / 2))
  t.throws(() => verifyExport(all), { code: 'EXPORT_INVALID' })
  t.end()
})

t.test('power fails while it prunes: whole or not at all', (t) => {
  const folder = t.testdir()
  const path = join(folder, 'journal.db')
  const { journal, nightMs, days } = twoDays(path)
  const entries = journal.size()
  t.throws(() =>
    journal.prune(nightMs, () => {
      throw new Error('power fails before the export is safe')
    }),
  )
  const cut = join(folder, 'cut.db')
  copyFileSync(path, cut)
  copyFileSync(`${path}-wal`, `${cut}-wal`)
  const reopened = openJournal(cut, days)
  t.match(reopened.verify(), { sound: true, entries })
  reopened.close()
  journal.close()
  t.end()
})

/** What a release after this one might do to the file: a column and a table more, a state that is not known here. */
function byNewerRelease(path: string, work: (journal: Journal) => void): void {
  const journal = openJournal(path, clock)
  work(journal)
  journal.close()
  const db = openSqlite(path)
  db.exec(`ALTER TABLE payments ADD COLUMN tender TEXT DEFAULT 'card';
    CREATE TABLE wallets (id TEXT PRIMARY KEY) WITHOUT ROWID;
    PRAGMA user_version = 5`)
  db.close()
}

t.test(
  'switched back to this release after a migration, with a reversal pending: it reads, writes and reverses',
  async (t) => {
    const folder = t.testdir()
    const path = join(folder, 'journal.db')
    const host = new TestHost()
    const reversal = { cause: 'timeout', stan: 7, atMs: 0, attempts: 1, failures: 1 } as const
    const known = { acquirer: host.id, terminalId: host.terminalId, preparedAtMs: clock.nowMs() }
    byNewerRelease(path, (journal) =>
      journal.commit('newer', (step) => {
        step.putRound(round('round-1', { batch: step.reserve('batch') }))
        step.putPayment(record('key-0001', { ...known, stan: 5, state: 'REVERSAL_PENDING', reversal }))
        step.putPayment(
          record('key-0002', {
            stan: 6,
            state: 'WALLET_ASKED' as PaymentRecord['state'],
            ...{ wallet: 'x' },
          }),
        )
        step.putPayment(record('key-0003', { ...known, stan: 8, state: 'SENT' }))
      }),
    )
    const terminal = startTerminal({ folder, host, clock })
    const { journal, service } = terminal
    t.equal(
      recoverPayments({ journal, clock, log: silentLog }),
      0,
      'recovered once, and leaves alone what it does not know',
    )
    await settle()
    await until(clock, () => journal.payment('key-0001')?.state === 'REVERSED')
    await until(clock, () => journal.payment('key-0003')?.state === 'REVERSED')
    t.match(host.log[0], /^0401 5/)
    t.match(journal.payment('key-0002'), { state: 'WALLET_ASKED', wallet: 'x' }, 'kept as it was')
    t.equal(service.status('key-0002').outcome, 'inProgress')
    t.equal(
      (
        await service.collect(
          { key: 'key-0009', amount: { minor: '5', currency: 'EUR' }, reference: 'R' },
          OWNER,
        )
      ).outcome,
      'approved',
    )
    t.match(journal.verify(), { sound: true })
    await terminal.close()
    const db = openSqlite(path, { readonly: true })
    t.equal(db.pragma('user_version', { simple: true }), 5, 'the newer release finds its own journal again')
    db.close()
  },
)
