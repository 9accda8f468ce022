// Plays every shipped scenario on one board, as a person would from the shell.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { packageRoot } from '../../hal/base/package-root.js'
import { runCommand } from '../../scripts/check/run-command.js'
import { scenarioNames } from '../../scripts/dev/scenarios/scenario.js'

/** One process tree a scenario; it is ended after this. */
const BOUND_MS = 300_000
/** A play mostly waits for the terminal, as a person does: two go side by side. */
const SIDE_BY_SIDE = 2

/** A case for each of `names` (every shipped scenario): exit status 0, the ledger's verdict said. What it printed stands in the failure. */
export async function playAll(t: Test, board: string, names = scenarioNames()): Promise<void> {
  const bin = join(packageRoot, 'dist', 'scripts', 'cli', 'postern.js')
  t.jobs = SIDE_BY_SIDE
  const played = names.map((name) =>
    t.test(name, { buffered: true }, async (t) => {
      const done = await runCommand(process.execPath, [bin, 'start', '--play', name, '--board', board], {
        timeoutMs: BOUND_MS,
      })
      const logs = /^Logs: (\S+)$/m.exec(done.output)?.[1]
      if (logs !== undefined && done.code !== 0) t.comment(`logs: ${logs}`)
      else if (logs !== undefined) rmSync(logs, { recursive: true, force: true })
      t.equal(done.code, 0, done.code === 0 ? 'played to its end' : done.output.slice(-3000))
      t.match(
        done.output,
        /ledger and terminal agree/,
        "the acquirer's and the terminal's books agree to the cent",
      )
    }),
  )
  await Promise.all(played)
}
