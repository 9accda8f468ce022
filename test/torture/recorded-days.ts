// Recorded days, power cuts over them, and builds in which a sync is missing.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cutAndBoot } from './cuts.js'
import { type DiskCall, marksOf, record } from './recording.js'
import { randomOf } from './seeded.js'

/** Payments, voids and closes of one recorded day: enough for a checkpoint of the journal or two. */
const ACTS = 40

/** Plays a day in a process of its own and keeps what it did to its disk. Same seed, same day. */
export function recordDay(folder: string, seed: number): DiskCall[] {
  const data = join(folder, `day-${seed}`, 'data')
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const script = join(import.meta.dirname, 'recorded-day.js')
  const log = join(folder, `day-${seed}`, 'calls')
  const args = [data, String(seed), String(ACTS)]
  const calls = record({ script, args, folder: data, marks: marksOf(data), log })
  rmSync(join(folder, `day-${seed}`), { recursive: true })
  return calls
}

/** The first of `tries` cuts under which something is lost; undefined where none loses anything. */
export async function firstLoss(
  calls: readonly DiskCall[],
  folder: string,
  seed: number,
  tries: number,
): Promise<{ tries: number; fault: string } | undefined> {
  for (let n = 1; n <= tries; n++) {
    const { faults } = await cutAndBoot(calls, randomOf(seed + n), join(folder, 'cut'))
    if (faults.length > 0) return { tries: n, fault: faults[0]! }
  }
  return undefined
}
