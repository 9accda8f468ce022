// A courier who never gives up, and processes that are killed under their hands: the whole terminal, real processes.
import { join } from 'node:path'
import { systemClock } from '../../hal/base/clock.js'
import { openJournal } from '../../runtime/secure/payments/journal.js'
import { createStage } from '../../scripts/dev/scenarios/stage.js'
import { startTerminal } from '../../scripts/dev/supervisor/terminal.js'
import { randomOf } from './seeded.js'

/** What the courier does at a screen that says this; the first that fits counts. */
const HABITS: readonly (readonly [RegExp, 'insert' | 'pull' | 'wait' | 'parcel' | readonly string[]])[] = [
  [/Enter PIN/, ['1', '2', '3', '4', 'enter']],
  [/Remove card/, 'pull'],
  [/Insert card/, 'insert'],
  [/Leave the card in|One moment|Printing|Starting|Comparing|Asking how|^\s*$/, 'wait'],
  [/Print the courier's copy/, ['cancel']],
  [/Sign in to begin|OK\]$|enter: OK/, ['enter']],
  [/Today \d+ of/, 'parcel'],
  [/1 Collect/, ['1']],
  [/\[cancel: /, ['cancel']],
]
/** Typed where the screen asks for it, before the habits. */
const FORMS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/Your operator number/, ['1', '0', '0', '1', 'enter']],
  [/Code of operator/, ['1', '1', '1', '1', 'enter']],
]
const VICTIMS = ['secure', 'open', 'app', 'acquirer', 'network'] as const
const HOST_MS = 3000

export interface KillsResult {
  readonly kills: number
  readonly payments: number
  readonly standing: number
  /** What does not hold, in words; empty when all does. */
  readonly faults: readonly string[]
}

/**
 * Plays a courier's day on a terminal in `dataDir` and kills the secure world, the open world or the app, holds the acquirer
 * or cuts the network, `kills` times at seeded instants; then lets everything settle and compares the books.
 */
export async function killUnderWork(options: {
  readonly dataDir: string
  readonly kills: number
  readonly seed: number
  readonly tell: (line: string) => void
}): Promise<KillsResult> {
  const { dataDir, seed, tell } = options
  const random = randomOf(seed)
  const board = 'virtual-handheld'
  const terminal = await startTerminal({ dataDir, board, port: 0, hostMs: HOST_MS, logLevel: 'info', tell })
  try {
    const stage = createStage(terminal)
    let working = true
    const work = courier(stage, random, () => working)
    let kills = 0
    while (kills < options.kills) {
      await systemClock.sleep(300 + random(2500))
      const victim = VICTIMS[random(VICTIMS.length)]!
      tell(`kill ${kills + 1}: ${victim}`)
      await hurt(victim).then(
        () => kills++,
        // It is on its way up again from the last time.
        () => undefined,
      )
    }
    await systemClock.sleep(3000)
    working = false
    await work
    await stage.network('on')
    return { kills, ...(await books()) }

    async function hurt(victim: (typeof VICTIMS)[number]): Promise<void> {
      if (victim === 'network') {
        await stage.network('off')
        await systemClock.sleep(random(2000))
        return stage.network('on')
      }
      if (victim !== 'acquirer') return stage.kill(victim)
      const pid = terminal.pid('acquirer')!
      process.kill(pid, 'SIGSTOP')
      // Longer than the host time-out at times: the answer comes after the terminal has given up.
      await systemClock.sleep(random(HOST_MS + 2000))
      process.kill(pid, 'SIGCONT')
    }

    async function books(): Promise<Omit<KillsResult, 'kills'>> {
      const verdict = await stage.verdict()
      const journal = openJournal(join(terminal.layout.secure, 'journal.db'), systemClock)
      const payments = journal.list(1000)
      const { sound } = journal.verify()
      journal.close()
      const standing = payments.filter(({ state }) => state === 'COMPLETED' || state === 'SETTLED')
      const faults = verdict.agrees ? [] : [verdict.words]
      if (!sound) faults.push("the journal's chain is broken")
      const references = standing.map(({ reference }) => reference)
      if (new Set(references).size < references.length)
        faults.push(`a parcel is paid twice: ${references.join(' ')}`)
      return { payments: payments.length, standing: standing.length, faults }
    }
  } finally {
    await terminal.stop()
  }
}

/** Looks at the screen and does what one does there, until `goesOn` says no. */
async function courier(
  stage: ReturnType<typeof createStage>,
  random: (below: number) => number,
  goesOn: () => boolean,
): Promise<void> {
  const type = async (keys: readonly string[]) => {
    for (const key of keys) await stage.press(key)
  }
  while (goesOn()) {
    await systemClock.sleep(120)
    // The handheld, too, may be busy; a step that fails is looked at again.
    await step().catch(() => undefined)
  }

  async function step(): Promise<void> {
    const text = (await stage.screens(0)).at(-1)?.lines.join('\n') ?? ''
    const form = FORMS.find(([says]) => says.test(text))
    // Clears what a kill left half typed.
    if (form !== undefined) return type(form[1])
    const habit = HABITS.find(([says]) => says.test(text))?.[1] ?? 'wait'
    if (habit === 'wait') return
    if (habit === 'pull') return stage.pull()
    if (habit === 'parcel') return type([String(1 + random(9))])
    if (habit !== 'insert') return type(habit)
    await stage.pull().catch(() => undefined)
    await stage.insert('credit-pin')
    await systemClock.sleep(300)
  }
}
