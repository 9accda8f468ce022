// The small seeded run of the torture: days, cuts over one recorded disk, every required sync taken out, 20 kills.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import t from 'tap'
import { cutAndBoot } from './cuts.js'
import { playDay, seededStrike } from './day.js'
import { killUnderWork } from './kills.js'
import { firstLoss, recordDay } from './recorded-days.js'
import { recorderMissing } from './recording.js'
import { randomOf } from './seeded.js'
import { DAY_STEPS } from './steps.js'
import { REQUIRED_SYNCS, without } from './syncs.js'

const DAYS = 40
const CUTS = 180
const KILLS = 20
/** Of a build without one sync; the first few always lose something. */
const TRIES = 60

t.setTimeout(600_000)
t.test('days on which everything falls over', async (t) => {
  const folder = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/postern-torture-') : t.testdir()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  let strikes = 0
  for (let seed = 1; seed <= DAYS; seed++) {
    const day = await playDay(seed, `${folder}/${seed}`, seededStrike(DAY_STEPS))
    strikes += day.hits.length
    t.strictSame(day.faults, [], `seed ${seed}`)
    t.strictSame(
      [...day.steps].filter((step) => !DAY_STEPS.includes(step)),
      [],
      'every step is known',
    )
  }
  t.ok(strikes > DAYS, `${strikes} strikes`)
})

const missing = recorderMissing()
if (missing !== undefined) t.test('disks that a power cut leaves', { skip: missing }, () => Promise.resolve())
else
  t.test('disks that a power cut leaves', async (t) => {
    const folder = t.testdir()
    const day = recordDay(folder, 1)
    t.ok(day.filter(({ kind }) => kind === 'mark').length > 100, 'the day has gone somewhere')
    for (let seed = 1; seed <= CUTS; seed++) {
      const { cutAt, faults } = await cutAndBoot(day, randomOf(seed), `${folder}/cut`, seed % 9 === 0)
      t.strictSame(faults, [], `seed ${seed}, cut before call ${cutAt} of ${day.length}`)
    }
    for (const sync of REQUIRED_SYNCS)
      t.ok(
        await firstLoss(without(day, sync), folder, 1, TRIES),
        `a build without this loses something: ${sync.name}`,
      )
  })

t.test('processes killed under work', async (t) => {
  const result = await killUnderWork({
    dataDir: t.testdir(),
    kills: KILLS,
    seed: 3,
    tell: (line) => t.comment(line),
  })
  t.strictSame(result.faults, [])
  t.equal(result.kills, KILLS)
  t.ok(result.payments > 0, `payments under way: ${result.payments}, of which stand ${result.standing}`)
})
