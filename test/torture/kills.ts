// A courier who never gives up, and processes that are killed under their hands: the whole terminal, real processes.
import { join } from 'node:path'
import { systemClock } from '../../hal/base/clock.js'
import { openSqlite } from '../../hal/base/sqlite.js'
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
/** Before the habits while the courier wants to close the round. */
const CLOSING: readonly (readonly [RegExp, readonly string[]])[] = [
  [/Close and hand in/, ['1']],
  [/still open/, ['enter']],
  [/End of round/, ['2']],
  [/Today \d+ of/, ['cancel']],
]
/** How often, in looks at the list of parcels, a courier closes the round. */
const CLOSES_IN = 12
const VICTIMS = ['secure', 'open', 'app', 'heldAcquirer', 'acquirer', 'network'] as const
/** Two of three kills come right after a step of the journal, up to so many steps on; every third at any instant. */
const STEPS_ON = 8
const STEP_WITHIN_MS = 20_000
const HOST_MS = 3000
const CLOSED_WITHIN_MS = 180_000

export interface KillsResult {
  readonly kills: number
  /** Who was killed, and after which step of the journal or when. */
  readonly victims: readonly string[]
  readonly payments: number
  readonly standing: number
  /** Rounds that were closed. */
  readonly rounds: number
  /** What does not hold, in words; empty when all does. */
  readonly faults: readonly string[]
}

/** Waits until the journal is `on` steps further and answers the step; undefined when it did not come that far in time. */
async function untilStep(path: string, on: number): Promise<string | undefined> {
  const journal = openSqlite(path, { readonly: true, fileMustExist: true })
  try {
    const newest = journal.prepare('SELECT seq, step FROM entries ORDER BY seq DESC LIMIT 1')
    const look = () => newest.get() as { seq: number; step: string } | undefined
    const from = look()?.seq ?? 0
    for (const until = systemClock.monotonicMs() + STEP_WITHIN_MS; systemClock.monotonicMs() < until; ) {
      const now = look()
      if (now !== undefined && now.seq >= from + on) return now.step
      await systemClock.sleep(2)
    }
    return undefined
  } finally {
    journal.close()
  }
}

/**
 * Plays a courier's day on a terminal in `dataDir` and kills the secure world, the open world, the app or the acquirer,
 * holds the acquirer or cuts the network, `kills` times at seeded steps of the journal and instants; then lets everything
 * settle, closes the round and compares the books.
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
  const journalPath = join(terminal.layout.secure, 'journal.db')
  try {
    const stage = createStage(terminal)
    let isWorking = true
    let closes = false
    const work = courier(stage, random, {
      goesOn: () => isWorking,
      // Before the last kill now and then; after it, until the round is closed.
      closes: () => closes || random(CLOSES_IN) === 0,
    })
    const victims: string[] = []
    while (victims.length < options.kills) {
      const on = random(3) > 0 ? 1 + random(STEPS_ON) : 0
      const step = on > 0 ? await untilStep(journalPath, on).catch(() => undefined) : undefined
      if (on === 0) await systemClock.sleep(300 + random(2000))
      const victim = VICTIMS[random(VICTIMS.length)]!
      const name = step === undefined ? victim : `${victim} after ${step}`
      tell(`kill ${victims.length + 1}: ${name}`)
      await hurt(victim).then(
        () => victims.push(name),
        // It is on its way up again from the last time.
        () => undefined,
      )
    }
    closes = true
    await stage.network('on')
    for (
      const until = systemClock.monotonicMs() + CLOSED_WITHIN_MS;
      systemClock.monotonicMs() < until && roundsOpen() > 0;
    )
      await systemClock.sleep(500)
    isWorking = false
    await work
    return { kills: victims.length, victims, ...(await books()) }

    function roundsOpen(): number {
      const journal = openJournal(journalPath, systemClock)
      const { length } = journal.openRounds()
      journal.close()
      return length
    }

    async function hurt(victim: (typeof VICTIMS)[number]): Promise<void> {
      if (victim === 'network') {
        await stage.network('off')
        await systemClock.sleep(random(2000))
        return stage.network('on')
      }
      if (victim === 'acquirer') return terminal.killAcquirer()
      if (victim !== 'heldAcquirer') return stage.kill(victim)
      const pid = terminal.pid('acquirer')!
      process.kill(pid, 'SIGSTOP')
      // Longer than the host time-out at times: the answer comes after the terminal has given up.
      await systemClock.sleep(random(HOST_MS + 2000))
      process.kill(pid, 'SIGCONT')
    }

    async function books(): Promise<Omit<KillsResult, 'kills' | 'victims'>> {
      const verdict = await stage.verdict()
      const journal = openJournal(journalPath, systemClock)
      const payments = journal.list(1000)
      const { sound } = journal.verify()
      const open = journal.openRounds().length
      const ids = new Set(payments.map(({ round }) => round))
      const rounds = [...ids].map((id) => journal.round(id)!)
      journal.close()
      const standing = payments.filter(({ state }) => state === 'COMPLETED' || state === 'SETTLED')
      const faults = verdict.agrees ? [] : [verdict.words]
      if (!sound) faults.push("the journal's chain is broken")
      if (open > 0) faults.push('the round does not close')
      for (const { batch, agreement, differences } of rounds)
        if (agreement === 'differs') faults.push(`batch ${batch} differs: ${differences?.join(' ')}`)
      const references = standing.map(({ reference }) => reference)
      if (new Set(references).size < references.length)
        faults.push(`a parcel is paid twice: ${references.join(' ')}`)
      return { payments: payments.length, standing: standing.length, rounds: rounds.length, faults }
    }
  } finally {
    await terminal.stop()
  }
}

/** Looks at the screen and does what one does there, as long as the courier goes on. */
async function courier(
  stage: ReturnType<typeof createStage>,
  random: (below: number) => number,
  mood: { goesOn(): boolean; closes(): boolean },
): Promise<void> {
  const type = async (keys: readonly string[]) => {
    for (const key of keys) await stage.press(key)
  }
  /** Since the list of parcels was last seen. */
  let isClosing = false
  while (mood.goesOn()) {
    await systemClock.sleep(120)
    // The handheld, too, may be busy; a step that fails is looked at again.
    await step().catch(() => undefined)
  }

  async function step(): Promise<void> {
    const text = (await stage.screens(0)).at(-1)?.lines.join('\n') ?? ''
    const form = FORMS.find(([says]) => says.test(text))
    // Clears what a kill left half typed.
    if (form !== undefined) return type(form[1])
    if (/Today \d+ of/.test(text)) isClosing = mood.closes()
    const close = isClosing ? CLOSING.find(([says]) => says.test(text)) : undefined
    if (close !== undefined) return type(close[1])
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
