// Slots are switched with a reversal pending: older releases, out of git's history, read and write the journal of this one.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { openJournal } from '../../../../runtime/secure/payments/journal.js'
import { buildRelease, missingRelease, playRelease } from './older-release.js'
import { OWNER, request, startTerminal, TestHost, testClock, until } from './support.js'

/** The last release of each schema before this one. */
const RELEASES = [
  { schema: 2, commit: 'af439a249920205beddb9cce0bb42c80b444bf67' },
  { schema: 1, commit: '4691155b8a7fb41a34a237213025972e93aa570e' },
] as const
const HOUR_MS = 3_600_000
const START_MS = Date.UTC(2026, 10, 22, 8, 30)

for (const { schema, commit } of RELEASES)
  t.test(
    `schema ${schema}, migrated, back, and here again`,
    { skip: missingRelease(commit) ?? false },
    async (t) => {
      const root = t.testdir()
      const release = join(root, 'release')
      const folder = join(root, 'secure')
      const path = join(folder, 'journal.db')
      const version = () => {
        const db = new Database(path, { readonly: true })
        const found = db.pragma('user_version', { simple: true })
        db.close()
        return found
      }
      buildRelease(commit, release)

      // The older release leaves a payment that must be taken back.
      const first = playRelease(release, {
        journal: folder,
        nowMs: START_MS,
        settle: false,
        leave: 'old-00001',
      })
      t.match(first, { states: { 'old-00001': 'REVERSAL_PENDING' }, verdict: { sound: true } })
      t.equal(version(), schema)

      // This release migrates it, has no luck with its host either, writes what only it knows, and owes one more.
      const clock = testClock(START_MS + HOUR_MS)
      const silent = new TestHost()
      silent.reversalRules = new Array(500).fill('silent')
      const here = startTerminal({ folder, host: silent, clock })
      here.journal.commit('network.keyLoaded', (step) =>
        step.putHost({ acquirer: 'test', sinceMs: START_MS, checkValue: 'A1B2C3', wanted: null }),
      )
      await here.close()
      const owing = new TestHost()
      owing.reachable = false
      const between = startTerminal({ folder, host: owing, clock })
      t.match(between.journal.payment('old-00001'), { state: 'REVERSAL_PENDING' })
      t.match(between.journal.verify(), { sound: true })
      await between.close()
      const newest = version()
      t.ok(Number(newest) >= 3, `migrated to ${newest}`)

      // Switched back: the older release completes the reversal, sells, and leaves another.
      const back = playRelease(release, {
        journal: folder,
        nowMs: START_MS + 2 * HOUR_MS,
        settle: true,
        sell: 'old-00002',
        leave: 'old-00003',
      })
      t.match(back, {
        states: { 'old-00001': 'REVERSED', 'old-00002': 'COMPLETED', 'old-00003': 'REVERSAL_PENDING' },
        reversals: [/^0401 /],
        verdict: { sound: true },
      })
      t.equal(version(), newest, 'it leaves the schema as it found it')

      // And here again: what the older release owes is completed under this one, and nothing was lost.
      const host = new TestHost()
      const later = testClock(START_MS + 3 * HOUR_MS)
      const again = startTerminal({ folder, host, clock: later })
      await until(later, () => again.journal.payment('old-00003')?.state === 'REVERSED')
      t.match(host.log, [/^0401 /])
      t.match(await again.service.collect(request('new-00001'), OWNER), { outcome: 'approved' })
      const stans = again.journal.list(100).flatMap(({ stan, reversal }) => [stan, reversal?.stan])
      const taken = stans.filter((stan) => stan !== undefined)
      t.equal(new Set(taken).size, taken.length, 'no trace number twice, whichever release took it')
      t.match(
        again.journal.host('test'),
        { checkValue: 'A1B2C3' },
        'what only this release knows is still there',
      )
      t.match(again.journal.verify(), { sound: true })
      await again.close()
      openJournal(path, later).close()
    },
  )
