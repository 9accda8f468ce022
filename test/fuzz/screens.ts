// Fuzz target of the screens: any valid screen, any keys, any panel: no throw, bounded state, results that fit the schema.
import { isPosternError } from '../../hal/base/errors.js'
import { loadFont } from '../../hal/base/font/font.js'
import type { DisplayCapabilities } from '../../hal/display.js'
import { KEYS } from '../../hal/keypad.js'
import { checker } from '../../runtime/api/contract.js'
import { Screen, ScreenResult } from '../../runtime/api/screens.js'
import { guardPrompts } from '../../runtime/secure/screens/prompt-guard.js'
import { createRenderer, type Renderer } from '../../runtime/secure/screens/renderer.js'
import { cleanScreen } from '../../runtime/secure/screens/screen-layer.js'
import { nextState, openState, updateState } from '../../runtime/secure/screens/screen-state.js'
import { loadTexts } from '../../runtime/secure/texts.js'

/** mulberry32: a small seeded generator, so that a finding can be had again. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const WORDS = [
  'Parcel',
  '包裹',
  'W'.repeat(20),
  '。',
  ' ',
  '\n',
  '\u202e',
  '\ud800',
  '😀',
  'é',
  'é',
  'ภาษาไทย',
  'हिन्दी',
  'مرحبا',
  '4111 1111 1111 1111',
  '€1,250.00',
  '\u0000',
  '…',
  '(（',
  '\t',
]

/** A screen that the schema allows, from a seed: lengths at their bounds, texts of every script. */
export function randomScreen(seed: number): Screen {
  const random = generator(seed)
  const text = (most: number): string => {
    let made = ''
    const wanted = random(3) === 0 ? most : random(most + 1)
    while (made.length < wanted) made += WORDS[random(WORDS.length)]
    return made.slice(0, most)
  }
  const id = (i: number) => `id${i}`
  const amount = () => ({
    minor: String(random(2) === 0 ? random(1_000_000) : 999_999_999_999),
    currency: ['EUR', 'JPY', 'KWD', 'XXX'][random(4)]!,
  })
  const many = <T>(most: number, make: (i: number) => T, least = 0): T[] =>
    Array.from({ length: Math.max(least, random(most + 1)) }, (_, i) => make(i))
  const maybe = <T>(value: T): T | undefined => (random(2) === 0 ? value : undefined)
  const without = <T extends object>(value: T): T =>
    Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T
  const common = { title: text(40), softKeys: maybe(many(2, (i) => ({ id: id(i), label: text(16) }))) }
  const item = (i: number) =>
    without({
      id: id(i),
      label: text(60),
      detail: maybe(text(60)),
      right: maybe(text(20)),
      mark: maybe((['done', 'failed', 'attention'] as const)[random(3)]!),
    })
  const choice = (i: number) => ({ id: id(i), label: text(40) })
  const kinds: (() => object)[] = [
    () => ({
      kind: 'list',
      ...common,
      items: many(random(3) === 0 ? 200 : 7, item),
      selected: maybe(id(random(9))),
      empty: maybe(text(120)),
    }),
    () => ({ kind: 'menu', ...common, items: many(9, choice, 1), text: maybe(text(200)) }),
    () => ({
      kind: 'form',
      ...common,
      fields: many(
        4,
        (i) =>
          without({
            id: id(i),
            label: text(40),
            input: (['digits', 'text'] as const)[random(2)]!,
            minLength: maybe(random(41)),
            maxLength: maybe(1 + random(40)),
            value: maybe(text(40)),
          }),
        1,
      ),
    }),
    () => ({
      kind: 'amount',
      ...common,
      currency: ['EUR', 'JPY', 'KWD', 'XXX'][random(4)]!,
      text: maybe(text(120)),
      initial: maybe(amount()),
      min: maybe(amount()),
      max: maybe(amount()),
    }),
    () => ({
      kind: 'message',
      ...common,
      text: text(500),
      tone: maybe((['info', 'success', 'warning', 'error'] as const)[random(4)]!),
    }),
    () => ({
      kind: 'confirm',
      ...common,
      text: text(300),
      amount: maybe(amount()),
      yes: maybe(text(16)),
      no: maybe(text(16)),
    }),
    () => ({
      kind: 'progress',
      ...common,
      text: text(200),
      percent: maybe(random(101)),
      cancellable: maybe(random(2) === 0),
    }),
    () => ({ kind: 'qr', ...common, data: text(600), text: maybe(text(120)) }),
    () => ({ kind: 'receipt', ...common, lines: many(random(2) === 0 ? 120 : 9, () => text(48)) }),
    () => ({
      kind: 'details',
      ...common,
      rows: many(20, () => ({ label: text(24), value: text(80) })),
      items: many(9, choice),
    }),
  ]
  return without(kinds[random(kinds.length)]!()) as Screen
}

const isScreen = checker(Screen)
const isResult = checker(ScreenResult)

/** One renderer a panel, made when first asked for; a character that does not fit its place is a finding. */
function createRenderers(): (panel: DisplayCapabilities) => Renderer {
  const font = loadFont()
  const texts = loadTexts()
  const made = new Map<string, Renderer>()
  return (panel) => {
    const key = `${panel.width}x${panel.height}x${panel.depth}`
    const renderer =
      made.get(key) ??
      createRenderer(panel, font, texts, (character) => {
        throw new Error(`${JSON.stringify(character)} is cut at ${key}`)
      })
    made.set(key, renderer)
    return renderer
  }
}
const rendererFor = createRenderers()

/** Presses random keys on a screen and draws it; throws where something is not as promised. */
export function walkScreen(offered: Screen, panel: DisplayCapabilities, seed: number, steps = 12): void {
  const random = generator(seed ^ 0x5ca1ab1e)
  const renderer = rendererFor(panel)
  let screen = cleanScreen(offered)
  let state = openState(screen)
  try {
    guardPrompts(screen)
  } catch (error) {
    if (!isPosternError(error, 'PROMPT_FORBIDDEN')) throw error
  }
  for (let step = 0; step < steps; step++) {
    const { frame, alt } = renderer.render({
      content: screen,
      state,
      secure: random(2) === 0,
      owner: 'Courier',
      language: random(2) === 0 ? 'en' : 'zh',
      status: {
        network: random(2) === 0 ? 'online' : 'offline',
        cloud: (['connected', 'connecting', 'offline'] as const)[random(3)]!,
        printer: (['ready', 'paperLow', 'problem', 'none'] as const)[random(4)]!,
        outbox: random(100),
        battery: random(2) === 0 ? undefined : { percent: random(101), charging: random(2) === 0 },
      },
      time: '14:05',
      phase: random(1000),
    })
    if (frame.pixels.length !== panel.width * panel.height) throw new Error('the frame is not the panel')
    if (alt.length < 1) throw new Error('no words')
    const key = KEYS[random(KEYS.length)]!
    const next = nextState(
      screen,
      state,
      { type: 'key', key, repeat: random(4) === 0 },
      renderer.extent(screen),
      step * 300,
    )
    if (next.result !== undefined) {
      const fault = isResult(next.result)
      if (fault !== undefined) throw new Error(`a result that does not fit its schema: ${fault}`)
    }
    state = next.state
    if (random(6) === 0) {
      const other = cleanScreen(randomScreen(random(1_000_000)))
      state = updateState(screen, state, other)
      screen = other
    }
  }
}

const PANELS: readonly DisplayCapabilities[] = [
  { width: 128, height: 64, depth: 1, dpi: 130 },
  { width: 240, height: 320, depth: 16, dpi: 165 },
  { width: 160, height: 128, depth: 16, dpi: 130 },
]

export const target = {
  name: 'screens',
  run(bytes: Uint8Array, seed: number): void {
    // Bytes as JSON, mutated: most are refused by the schema, and what it lets through must be safe to draw.
    const screen = randomScreen(seed)
    let offered: unknown = screen
    if (bytes.length > 0) {
      const json = Buffer.from(JSON.stringify(screen))
      for (let i = 0; i + 1 < Math.min(bytes.length, 16); i += 2)
        json[(bytes[i]! * 31) % json.length] = bytes[i + 1]!
      try {
        offered = JSON.parse(json.toString())
      } catch {
        offered = screen
      }
    }
    if (isScreen(offered) !== undefined) offered = screen
    walkScreen(offered as Screen, PANELS[seed % PANELS.length]!, seed, 4)
  },
}
