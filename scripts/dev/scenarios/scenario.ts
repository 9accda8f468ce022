// A scenario: what a person does to the handheld, step by step, and what has to come of it. YAML, schema-checked.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Static, Type } from 'typebox'
import { parse } from 'yaml'
import { PosternError } from '../../../hal/base/errors.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { KEYS } from '../../../hal/keypad.js'
import { checker } from '../../../runtime/api/contract.js'
import { CUT_MOMENTS, Swipe } from '../handheld/action.js'

const closed = { additionalProperties: false } as const
const Words = Type.Union([
  Type.String({ minLength: 1 }),
  Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
])

/** What has to be true within a minute; a screen or paper text counts since the last expectation. */
export const Expectation = Type.Object(
  {
    /** Words on the screen, all on one screen. */
    screen: Type.Optional(Words),
    /** Words that no screen since the last expectation may have shown. */
    notScreen: Type.Optional(Words),
    /** Words on the paper, in any order. */
    paper: Type.Optional(Words),
    /** Status of a parcel as the cloud knows it. */
    parcel: Type.Optional(
      Type.Object(
        { waybill: Type.String(), status: Type.String(), paidMinor: Type.Optional(Type.String()) },
        closed,
      ),
    ),
    /** What the acquirer's ledger holds: approved and not taken back, and taken back. */
    ledger: Type.Optional(
      Type.Object(
        {
          standing: Type.Integer(),
          reversed: Type.Optional(Type.Integer()),
          sumMinor: Type.Optional(Type.String()),
        },
        closed,
      ),
    ),
    /** Whether both worlds run; a cut asked for with `cutAt` comes when the card gets that far. */
    power: Type.Optional(Type.Enum(['on', 'off'])),
    light: Type.Optional(
      Type.Object({ name: Type.String(), state: Type.Enum(['on', 'off', 'blink']) }, closed),
    ),
  },
  closed,
)
export type Expectation = Static<typeof Expectation>

export const Step = Type.Union([
  Type.Object({ insert: Type.String({ minLength: 1 }) }, closed),
  Type.Object({ pull: Type.Literal(true) }, closed),
  /** Pulls a card through the stripe slot; `how`: `bad`, `partial`. */
  Swipe,
  /** Key names, separated by blanks; a number stands for its digits. */
  Type.Object({ key: Type.Union([Type.String({ minLength: 1 }), Type.Integer({ minimum: 0 })]) }, closed),
  Type.Object({ scan: Type.String({ minLength: 1, maxLength: 400 }) }, closed),
  /** A fault of the hardware by name, with its arguments beside it. */
  Type.Object(
    { fault: Type.Object({ name: Type.String({ minLength: 1 }) }, { additionalProperties: true }) },
    closed,
  ),
  Type.Object({ network: Type.Enum(['on', 'off']) }, closed),
  /** `cut` kills everything at once, `on` starts it again; `cutAt` waits for a moment of the card. */
  Type.Object(
    {
      power: Type.Union([Type.Enum(['cut', 'on']), Type.Object({ cutAt: Type.Enum(CUT_MOMENTS) }, closed)]),
    },
    closed,
  ),
  /** Kills one process at once; whoever watches it starts it again. */
  Type.Object({ kill: Type.Enum(['secure', 'open', 'app']) }, closed),
  Type.Object({ wait: Type.Integer({ minimum: 1, maximum: 60_000 }) }, closed),
  Type.Object({ expect: Expectation }, closed),
])
export type Step = Static<typeof Step>

const Scenario = Type.Object(
  {
    title: Type.String({ minLength: 1, maxLength: 100 }),
    about: Type.Optional(Type.String({ maxLength: 1000 })),
    steps: Type.Array(Step, { minItems: 1, maxItems: 300 }),
    /** True where reading the acquirer's and the terminal's books at the end has to find them in agreement (the default). */
    booksAgree: Type.Optional(Type.Boolean()),
    /** True where the merchant's country wants each receipt signed. */
    fiscalSigner: Type.Optional(Type.Boolean()),
  },
  closed,
)
export type Scenario = Static<typeof Scenario>

const folder = () => join(packageRoot, 'test', 'scenarios')

/** The names of the scenarios that are shipped, sorted. */
export function scenarioNames(): string[] {
  return existsSync(folder())
    ? readdirSync(folder())
        .filter((file) => file.endsWith('.yaml'))
        .map((file) => basename(file, '.yaml'))
        .sort()
    : []
}

/** The keys that a `key` step presses, in order. @throws PosternError `SCENARIO_INVALID` */
export function keysOf(step: string | number): string[] {
  return String(step)
    .split(/\s+/)
    .flatMap((word) => (/^\d{2,}$/.test(word) && word !== '00' ? [...word] : [word]))
    .map((key) => {
      if ((KEYS as readonly string[]).includes(key)) return key
      throw new PosternError('SCENARIO_INVALID', `no key ${key}; there are: ${KEYS.join(' ')}`)
    })
}

/** Reads a scenario by its shipped name or by path. @throws PosternError `SCENARIO_INVALID`, `SCENARIO_UNKNOWN` */
export function readScenario(nameOrPath: string): Scenario {
  const shipped = join(folder(), `${nameOrPath}.yaml`)
  const path = existsSync(shipped) ? shipped : nameOrPath
  if (!existsSync(path)) {
    throw new PosternError(
      'SCENARIO_UNKNOWN',
      `no scenario ${nameOrPath}; there are: ${scenarioNames().join(', ')}`,
    )
  }
  let value: unknown
  try {
    value = parse(readFileSync(path, 'utf8'), { maxAliasCount: 20 })
  } catch (cause) {
    throw new PosternError(
      'SCENARIO_INVALID',
      `${basename(path)} is not YAML: ${(cause as Error).message}`,
      {},
      cause,
    )
  }
  const steps = (value as { steps?: unknown } | null)?.steps
  if (Array.isArray(steps)) {
    // A union's own error says little: name the step and its word.
    for (const [index, step] of steps.entries()) {
      if (checker(Step)(step) === undefined) continue
      const word = Object.keys((step ?? {}) as object)[0] ?? 'nothing'
      const known = [
        'insert',
        'pull',
        'swipe',
        'key',
        'scan',
        'fault',
        'network',
        'power',
        'kill',
        'wait',
        'expect',
      ]
      const why = known.includes(word)
        ? `its ${word} is not as it should be: ${JSON.stringify(step).slice(0, 200)}`
        : `there is no step ${word}; there are: ${known.join(', ')}`
      throw new PosternError('SCENARIO_INVALID', `${basename(path)}, step ${index + 1}: ${why}`)
    }
  }
  const fault = checker(Scenario)(value)
  if (fault !== undefined) throw new PosternError('SCENARIO_INVALID', `${basename(path)}: ${fault}`)
  const scenario = value as Scenario
  for (const step of scenario.steps) if ('key' in step) keysOf(step.key)
  return scenario
}
