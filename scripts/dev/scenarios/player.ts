// Plays a scenario against a running development terminal and says what the courier saw.
import type { Clock } from '../../../hal/base/clock.js'
import { PosternError, unreachable } from '../../../hal/base/errors.js'
import { type Expectation, keysOf, type Scenario, type Step } from './scenario.js'

/** A screen as it was shown, in words. */
export interface SeenScreen {
  readonly sequence: number
  readonly lines: readonly string[]
}

/** What the player needs of a development terminal: hands, eyes, and the books at the end. */
export interface Stage {
  insert(card: string): Promise<void>
  pull(): Promise<void>
  swipe(step: Extract<Step, { swipe: unknown }>): Promise<void>
  press(key: string): Promise<void>
  scan(text: string): Promise<void>
  fault(fault: Extract<Step, { fault: unknown }>['fault']): Promise<void>
  network(state: 'on' | 'off'): Promise<void>
  power(step: Extract<Step, { power: unknown }>['power']): Promise<void>
  kill(what: Extract<Step, { kill: unknown }>['kill']): Promise<void>
  /** Every screen shown after `sequence`, oldest first, the one that stands now last. */
  screens(sequence: number): Promise<readonly SeenScreen[]>
  /** The text on the paper since power was first switched on. */
  paper(): Promise<string>
  light(name: string): Promise<string>
  /** `on` while both worlds run, `off` once neither does. */
  powerState(): 'on' | 'off' | 'changing'
  parcel(waybill: string): Promise<{ status: string; paidMinor?: string } | undefined>
  ledger(): Promise<{ standing: number; reversed: number; sumMinor: string }>
  /** The acquirer's books beside the terminal's, in words. */
  verdict(): Promise<{ agrees: boolean; words: string }>
}

export interface PlayResult {
  readonly passed: boolean
  /** The step that failed and why. */
  readonly failure?: string
}

/** How long an expectation may wait: generous, as it says nothing of how fast the terminal is. */
const EXPECT_MS = 60_000

const words = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value
const flat = (lines: readonly string[]) => lines.join('\n')

/** Plays every step in order; stops at the first that fails. `tell` gets a line at a time of what is done and seen. */
export async function play(
  scenario: Scenario,
  stage: Stage,
  clock: Clock,
  tell: (line: string) => void,
): Promise<PlayResult> {
  let seenUpTo = 0
  let toldUpTo = 0
  let paperFrom = 0

  async function tellScreens(): Promise<readonly SeenScreen[]> {
    const screens = await stage.screens(Math.min(seenUpTo, toldUpTo))
    for (const screen of screens) {
      if (screen.sequence <= toldUpTo) continue
      toldUpTo = screen.sequence
      tell(`    | ${screen.lines.filter((line) => line.trim() !== '').join(' / ')}`)
    }
    return screens.filter((screen) => screen.sequence > seenUpTo)
  }

  /** What is missing; or, where all of it holds, up to where screens and paper have been used by it. */
  async function meet(expectation: Expectation): Promise<string | { screen: number; paper: number }> {
    const screens = await tellScreens()
    const used = { screen: seenUpTo, paper: paperFrom }
    if (expectation.screen !== undefined) {
      const wanted = words(expectation.screen)
      const found = screens.find((screen) => wanted.every((word) => flat(screen.lines).includes(word)))
      if (found === undefined) return `a screen with ${JSON.stringify(wanted)}`
      // The screen that still stands may be looked at again.
      used.screen = found === screens.at(-1) ? found.sequence - 1 : found.sequence
    }
    for (const word of words(expectation.notScreen)) {
      if (screens.some((screen) => flat(screen.lines).includes(word)))
        throw new PosternError('SCENARIO_FAILED', `a screen showed ${JSON.stringify(word)}`)
    }
    if (expectation.paper !== undefined) {
      const paper = (await stage.paper()).slice(paperFrom)
      const missing = words(expectation.paper).filter((word) => !paper.includes(word))
      if (missing.length > 0) return `paper with ${JSON.stringify(missing)}`
      used.paper += Math.max(...words(expectation.paper).map((word) => paper.indexOf(word) + word.length))
    }
    if (expectation.parcel !== undefined) {
      const parcel = await stage.parcel(expectation.parcel.waybill)
      const { status, paidMinor } = expectation.parcel
      if (parcel?.status !== status || (paidMinor !== undefined && parcel.paidMinor !== paidMinor)) {
        return `parcel ${expectation.parcel.waybill} ${status}${paidMinor ? ` and paid ${paidMinor}` : ''} in the cloud; it is ${JSON.stringify(parcel ?? 'unknown')}`
      }
    }
    if (expectation.ledger !== undefined) {
      const ledger = await stage.ledger()
      const { standing, reversed, sumMinor } = expectation.ledger
      if (
        ledger.standing !== standing ||
        (reversed !== undefined && ledger.reversed !== reversed) ||
        (sumMinor !== undefined && ledger.sumMinor !== sumMinor)
      ) {
        return `a ledger with ${JSON.stringify(expectation.ledger)}; it is ${JSON.stringify(ledger)}`
      }
    }
    if (expectation.power !== undefined && stage.powerState() !== expectation.power)
      return `power ${expectation.power}; it is ${stage.powerState()}`
    if (expectation.light !== undefined) {
      const state = await stage.light(expectation.light.name)
      if (state !== expectation.light.state)
        return `light ${expectation.light.name} ${expectation.light.state}; it is ${state}`
    }
    return used
  }

  async function expect(expectation: Expectation): Promise<void> {
    const until = clock.monotonicMs() + EXPECT_MS
    for (;;) {
      const met = await meet(expectation)
      if (typeof met !== 'string') {
        seenUpTo = Math.max(seenUpTo, met.screen)
        paperFrom = met.paper
        return
      }
      if (clock.monotonicMs() > until) {
        const now = (await stage.screens(0)).at(-1)
        throw new PosternError(
          'SCENARIO_FAILED',
          `waited ${EXPECT_MS / 1000} s for ${met}. The screen says: ${flat(now?.lines ?? [])}`,
        )
      }
      await clock.sleep(30)
    }
  }

  /** What comes of an action is looked for from the screen that stands when it is done. */
  async function lookFromNow(): Promise<void> {
    const screens = await stage.screens(seenUpTo)
    seenUpTo = Math.max(seenUpTo, (screens.at(-1)?.sequence ?? 1) - 1)
  }

  async function act(step: Step): Promise<void> {
    if ('expect' in step) return expect(step.expect)
    await lookFromNow()
    if ('insert' in step) return stage.insert(step.insert)
    if ('pull' in step) return stage.pull()
    if ('swipe' in step) return stage.swipe(step)
    if ('scan' in step) return stage.scan(step.scan)
    if ('fault' in step) return stage.fault(step.fault)
    if ('network' in step) return stage.network(step.network)
    if ('power' in step) return stage.power(step.power)
    if ('kill' in step) return stage.kill(step.kill)
    if ('wait' in step) return clock.sleep(step.wait)
    if ('key' in step) {
      for (const key of keysOf(step.key)) await stage.press(key)
      return
    }
    unreachable(step)
  }

  for (const [index, step] of scenario.steps.entries()) {
    // Keys may be a PIN: what is typed is not told.
    const word = Object.keys(step)[0]!
    if (word !== 'expect')
      tell(
        `${String(index + 1).padStart(3)} ${word}${word === 'key' || word === 'pull' ? '' : ` ${JSON.stringify(Object.values(step)[0])}`}`,
      )
    try {
      await act(step)
    } catch (error) {
      await tellScreens().catch(() => {})
      return { passed: false, failure: `step ${index + 1} (${word}): ${(error as Error).message}` }
    }
  }
  await tellScreens()
  const verdict = await stage.verdict()
  tell(verdict.words)
  if (!verdict.agrees && scenario.booksAgree !== false)
    return { passed: false, failure: "the acquirer's and the terminal's books differ" }
  return { passed: true }
}
