// npm run torture -- [RUNS] [SEED]: power cuts over recorded disks, processes killed under work, and every required sync
// taken out once. Exit 1 when something is lost, or when a missing sync loses nothing.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cutAndBoot } from './cuts.js'
import { killUnderWork } from './kills.js'
import { firstLoss, recordDay } from './recorded-days.js'
import { type DiskCall, recorderMissing } from './recording.js'
import { randomOf } from './seeded.js'
import { REQUIRED_SYNCS, without } from './syncs.js'

/** Cuts that share one recorded day. */
const CUTS_A_DAY = 100
/** Runs that share one terminal of real processes; one run in this many is a kill. */
const KILLS_A_DAY = 20
const RUNS_A_KILL = 20
/** Tries to show that a missing sync loses something. */
const TRIES_A_SYNC = 1000

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
let lost = 0
const tellLoss = (what: string, faults: readonly string[]) => {
  if (faults.length === 0) return
  lost++
  console.log(`  LOST: ${what}: ${faults.join('; ')}`)
}
try {
  const kills = Math.floor(runs / RUNS_A_KILL)
  const cuts = runs - kills
  let day: DiskCall[] = []
  for (let n = 0; n < cuts; n++) {
    if (n % CUTS_A_DAY === 0) {
      if (n > 0) console.log(`${n} of ${cuts} power cuts over recorded disks, ${lost} lost something`)
      day = recordDay(folder, seed + n / CUTS_A_DAY)
    }
    const { cutAt, faults } = await cutAndBoot(day, randomOf(seed * 1_000_000 + n), join(folder, 'cut'))
    tellLoss(`day ${seed + Math.floor(n / CUTS_A_DAY)}, cut ${n} before call ${cutAt}`, faults)
  }
  console.log(`${cuts} power cuts over recorded disks, ${lost} lost something`)
  for (const sync of REQUIRED_SYNCS) {
    const loss = await firstLoss(without(day, sync), folder, seed, TRIES_A_SYNC)
    if (loss === undefined) lost++
    console.log(
      loss === undefined
        ? `  NOT REQUIRED: nothing is lost without ${sync.name}`
        : `without ${sync.name}: lost at cut ${loss.tries} (${loss.fault})`,
    )
  }
  for (let done = 0; done < kills; done += KILLS_A_DAY) {
    const result = await killUnderWork({
      dataDir: join(folder, `terminal-${done}`),
      kills: Math.min(KILLS_A_DAY, kills - done),
      seed: seed + done,
      tell: () => undefined,
    })
    tellLoss(`kills from seed ${seed + done}`, result.faults)
    const books = result.faults.length === 0 ? 'the books agree' : 'THE BOOKS DIFFER'
    console.log(`${result.kills} kills under ${result.payments} payments, ${result.standing} stand: ${books}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(lost === 0 ? `${runs} runs: nothing lost, nothing taken twice.` : `${lost} faults.`)
process.exitCode = lost === 0 ? 0 : 1
