// From start to "ready" of each world and of the whole development terminal, and what memory each process takes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../hal/base/clock.js'
import { createStage } from '../dev/scenarios/stage.js'
import { type DevTerminal, startTerminal } from '../dev/supervisor/terminal.js'
import { type Bench, median, type Row, timed } from './measure.js'

const RESTARTS = 5
const POLL_MS = 2

const bareNode = () => timed(() => once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit'))

/** Resident and proportional memory of a process, in MB. Pages that several processes map are shared out in the latter. */
function memoryOf(pid: number): { rss: number; pss: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024
  return { rss: of('Rss'), pss: of('Pss') }
}

const childrenOf = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

/** Power off and on: how long each world takes from its start to its ready line. */
async function restart(terminal: DevTerminal): Promise<Record<'secure' | 'open', number>> {
  await terminal.cutPower()
  const began: Record<string, number> = {}
  const took: Record<string, number> = {}
  const look = setInterval(() => {
    const now = systemClock.monotonicMs()
    for (const [name, state] of Object.entries(terminal.states())) {
      if (state === 'starting') began[name] ??= now
      if (state === 'running' && began[name] !== undefined) took[name] ??= now - began[name]
    }
  }, POLL_MS)
  await terminal.powerOn()
  await systemClock.sleep(3 * POLL_MS)
  clearInterval(look)
  return { secure: took['secure']!, open: took['open']! }
}

async function untilSignIn(terminal: DevTerminal): Promise<void> {
  const stage = createStage(terminal)
  for (let tries = 0; tries < 600; tries++) {
    if ((await stage.screens(0)).at(-1)?.lines.join(' ').includes('Sign in')) return
    await systemClock.sleep(50)
  }
  throw new Error('no app after 30 s')
}

export const bench: Bench = {
  title: 'start to "ready", and memory of each process',
  async run(tell) {
    const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
    const start = () =>
      startTerminal({
        dataDir: folder,
        board: 'virtual-handheld',
        port: 0,
        hostMs: 30_000,
        logLevel: 'info',
        tell,
      })
    let terminal: DevTerminal | undefined
    const rows: Row[] = []
    try {
      const begin = systemClock.monotonicMs()
      terminal = await start()
      const first = systemClock.monotonicMs() - begin
      await terminal.stop()
      const again = await timed(async () => {
        terminal = await start()
      })
      const secure: number[] = []
      const open: number[] = []
      const bare: number[] = []
      for (let i = 0; i < RESTARTS; i++) {
        bare.push(await bareNode())
        const took = await restart(terminal)
        secure.push(took.secure)
        open.push(took.open)
      }
      const peer = { what: 'node -e 0', value: median(bare) }
      rows.push(
        { what: 'secure world, start to ready', value: median(secure), unit: 'ms', peer },
        { what: 'open world, start to ready', value: median(open), unit: 'ms', peer },
        { what: 'whole terminal, first start (makes keys and cards)', value: first, unit: 'ms', peer },
        { what: 'whole terminal, later starts', value: again, unit: 'ms', peer },
      )

      await untilSignIn(terminal)
      await systemClock.sleep(1000)
      const idle = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'ignore' })
      await systemClock.sleep(500)
      const alone = memoryOf(idle.pid!)
      idle.kill('SIGKILL')
      const pids: [string, number][] = (['secure', 'open', 'handheld', 'acquirer', 'cloud'] as const).map(
        (name) => [name, terminal!.pid(name)!],
      )
      for (const pid of childrenOf(terminal.pid('open')!)) pids.push(['app courier', pid])
      for (const [name, pid] of pids) {
        const { rss, pss } = memoryOf(pid)
        rows.push(
          {
            what: `${name}, RSS`,
            value: rss,
            unit: 'MB',
            peer: { what: 'idle node, RSS', value: alone.rss },
          },
          {
            what: `${name}, PSS`,
            value: pss,
            unit: 'MB',
            peer: { what: 'idle node, PSS', value: alone.pss },
          },
        )
      }
      return rows
    } finally {
      await terminal?.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
