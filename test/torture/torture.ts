// npm run torture -- [RUNS] [SEED]: each run is a seeded day with everything falling over and a recorded disk cut at a
// seeded call; every tenth is a kill of a real process as well, and every required sync is taken out once. Exit 1 when
// something is lost, or when a missing sync loses nothing.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cutAndBoot } from './cuts.js'
import { type Hit, playDay, seededStrike } from './day.js'
import { fillDisk, mountMissing, turnReadOnly } from './disk-faults.js'
import { killUnderWork } from './kills.js'
import { firstLoss, recordDay } from './recorded-days.js'
import { type DiskCall, recorderMissing } from './recording.js'
import { randomOf } from './seeded.js'
import { DAY_STEPS } from './steps.js'
import { VICTIMS } from './strikes.js'
import { REQUIRED_SYNCS, without } from './syncs.js'

/** Cuts that share one recorded day. */
const CUTS_A_DAY = 100
/** One run in so many kills a real process; so many share one terminal. */
const RUNS_A_KILL = 10
const KILLS_A_TERMINAL = 20
/** One run in so many meets a full disk, or one that turns read-only. */
const RUNS_A_FULL_DISK = 20
/** Tries to show that a missing sync loses something. */
const TRIES_A_SYNC = 1000
const TELL_EVERY = 100

const [runsText = '2000', seedText = '1'] = process.argv.slice(2)
const runs = Number(runsText)
const seed = Number(seedText)
if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run torture -- [RUNS] [SEED]')
  process.exit(2)
}
const missing = recorderMissing()
if (missing !== undefined) {
  console.error(`The recorder of disks can't run: ${missing}. Install strace and try again.`)
  process.exit(1)
}

const folder = mkdtempSync(join(tmpdir(), 'postern-torture-'))
/** In memory where there is such a disk: a killed process loses nothing that it wrote, so no drive is needed for days. */
const memory = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/postern-torture-') : join(folder, 'days')
let lost = 0
const tellLoss = (what: string, faults: readonly string[]) => {
  if (faults.length === 0) return
  lost++
  console.log(`  LOST: ${what}: ${faults.join('; ')}`)
}
const hits: Hit[] = []
const unknown = new Set<string>()

async function dayOf(n: number): Promise<number> {
  const home = join(memory, String(n))
  const result = await playDay(seed * 1_000_000 + n, home, seededStrike(DAY_STEPS))
  tellLoss(`day of run ${n}`, result.faults)
  hits.push(...result.hits)
  for (const step of result.steps) if (!DAY_STEPS.includes(step)) unknown.add(step)
  rmSync(home, { recursive: true, force: true })
  return result.payments
}

try {
  const noMount = mountMissing()
  if (noMount !== undefined) console.log(`No full and no read-only disks: ${noMount}.`)
  let disk: DiskCall[] = []
  let payments = 0
  let kills = 0
  let disks = 0
  for (let n = 0; n < runs; n++) {
    payments += await dayOf(n)
    if (n % CUTS_A_DAY === 0) disk = recordDay(folder, seed + n / CUTS_A_DAY)
    const { cutAt, faults } = await cutAndBoot(disk, randomOf(seed * 1_000_000 + n), join(folder, 'cut'))
    tellLoss(`disk ${seed + Math.floor(n / CUTS_A_DAY)}, run ${n}, cut before call ${cutAt}`, faults)
    if (noMount === undefined && n % RUNS_A_FULL_DISK === 0) {
      disks++
      const random = randomOf(seed * 1_000_000 + n)
      tellLoss(`full disk of run ${n}`, await fillDisk(random))
      tellLoss(`read-only disk of run ${n}`, await turnReadOnly(random))
    }
    if (n % (RUNS_A_KILL * KILLS_A_TERMINAL) === 0) {
      const due = Math.min(KILLS_A_TERMINAL, Math.ceil((runs - n) / RUNS_A_KILL))
      const dataDir = join(folder, `terminal-${n}`)
      const result = await killUnderWork({ dataDir, kills: due, seed: seed + n, tell: () => undefined })
      kills += result.kills
      tellLoss(`kills from seed ${seed + n} (${result.victims.join(', ')})`, result.faults)
      const books = result.faults.length === 0 ? 'the books agree' : 'THE BOOKS DIFFER'
      console.log(
        `${result.kills} kills under ${result.payments} payments, ${result.standing} stand, ${result.rounds} rounds: ${books}`,
      )
      rmSync(dataDir, { recursive: true, force: true })
    }
    if ((n + 1) % TELL_EVERY === 0)
      console.log(
        `${n + 1} of ${runs} runs: ${payments} payments, ${hits.length} strikes, ${disks} full disks, ${kills} kills of real processes, ${lost} lost something`,
      )
  }
  for (const sync of REQUIRED_SYNCS) {
    const loss = await firstLoss(without(disk, sync), folder, seed, TRIES_A_SYNC)
    if (loss === undefined) lost++
    console.log(
      loss === undefined
        ? `  NOT REQUIRED: nothing is lost without ${sync.name}`
        : `without ${sync.name}: lost at cut ${loss.tries} (${loss.fault})`,
    )
  }
  for (const step of unknown) console.log(`  UNKNOWN STEP: ${step} is not in steps.ts`)
  lost += unknown.size
  for (const victim of VICTIMS) {
    const struck = new Set(hits.filter((hit) => hit.victim === victim).map(({ at }) => at))
    const spared = DAY_STEPS.filter((step) => !struck.has(step))
    const rest = spared.length === 0 ? 'all of them' : spared.length > 12 ? '' : `not ${spared.join(', ')}`
    console.log(`${victim} fell at ${struck.size} of ${DAY_STEPS.length} steps ${rest}`.trimEnd())
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
  rmSync(memory, { recursive: true, force: true })
}
console.log(lost === 0 ? `${runs} runs: nothing lost, nothing taken twice.` : `${lost} faults.`)
process.exitCode = lost === 0 ? 0 : 1
