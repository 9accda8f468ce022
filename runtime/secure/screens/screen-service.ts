// The screen service: apps' screens by owner and id, the secure world's own above them, home below them all.

import type { Clock } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import { type Font, loadFont } from '../../../hal/base/font/font.js'
import type { Log } from '../../../hal/base/log.js'
import type { Display } from '../../../hal/display.js'
import type { Indicators } from '../../../hal/indicators.js'
import type { Key, Keypad } from '../../../hal/keypad.js'
import type { Screen, ScreenResult } from '../../api/screens.js'
import type { Texts } from '../texts.js'
import { CARD_RANGES, type CardRange, looksLikeCardNumber } from './card-number.js'
import { createPresenter, type KeyOutcome, type Layer, type OpenLayer } from './presenter.js'
import { guardPrompts } from './prompt-guard.js'
import { createRenderer } from './renderer.js'
import type { StatusFacts, SystemScreen } from './scene.js'
import { openScreenLayer, type ScreenLayer } from './screen-layer.js'
import { cleanText } from './text-layout.js'

/** Who shows an app's screen: `app` for telling them apart, `name` for the top row. */
export interface ScreenOwner {
  readonly app: string
  readonly name: string
}

/** What is shown where no screen is. `notes` are further lines, such as a protection that is missing. */
export interface HomeScreen {
  readonly title: string
  readonly state: 'starting' | 'ready' | 'appsRestarting'
  readonly notes?: readonly string[]
}

/** A layer that the secure world draws and whose keys it takes itself: card pictures, PIN, codes. */
export interface SecureSurface {
  /** `pin` lies above every other prompt; default `prompt`. */
  readonly level?: 'prompt' | 'pin'
  readonly content: () => SystemScreen
  readonly language: () => string
  readonly press: (key: Key) => KeyOutcome
}

export interface ScreenService {
  /**
   * Shows an app's screen above its others and resolves with what became of it. The same owner and id again replaces
   * it (`closed` for the one before); abort closes it.
   * @throws PosternError `SCREENS_FULL` above 64 screens in all, `PROMPT_FORBIDDEN` where it asks for a PIN or a card
   */
  show(owner: ScreenOwner, id: string, screen: Screen, signal?: AbortSignal): Promise<ScreenResult>
  /**
   * Changes a screen that is shown, keeping selection and typed text; without effect where it has ended.
   * @throws PosternError `PROMPT_FORBIDDEN`
   */
  update(owner: ScreenOwner, id: string, screen: Screen): void
  /** Ends all screens of an app, or of every app: their process is gone. */
  closeScreens(app?: string): void
  /** A question of the secure world itself: above every app, under the lock and the secure light. */
  ask(screen: Screen, language?: string, signal?: AbortSignal): Promise<ScreenResult>
  /**
   * Something that the secure world has to say and that can wait: above every app, below every prompt, so that it
   * never comes between a cardholder and their PIN.
   */
  notify(screen: Screen, language?: string, signal?: AbortSignal): Promise<ScreenResult>
  /** A surface of the secure world's own; see `OpenLayer`. */
  open(surface: SecureSurface): OpenLayer
  setHome(home: HomeScreen): void
  setStatus(facts: Partial<StatusFacts>): void
  status(): StatusFacts
  /** The language of apps' and operator's screens. */
  setLanguage(language: string): void
  language(): string
  /**
   * Leaves display, keypad and secure light to a certified module; what is shown meanwhile waits. Resolves with what
   * takes them back and draws anew (idempotent), once nothing of ours is on its way to the glass.
   */
  suspend(): Promise<() => void>
  close(): Promise<void>
}

export interface ScreenServiceOptions {
  readonly display: Pick<Display, 'draw' | 'capabilities'>
  readonly keypad: Pick<Keypad, 'on'>
  readonly indicators: Pick<Indicators, 'light' | 'tone' | 'capabilities'>
  readonly clock: Clock
  readonly log: Log
  readonly texts: Texts
  readonly font?: Font
  readonly language?: string
  /** In the top row where no app asks. */
  readonly terminalName?: string
  /** Numbers that apps must not be given; the schemes' ranges where absent. */
  readonly cardRanges?: readonly CardRange[]
  /** The scan key was pressed, whatever is shown: it triggers the scanner. */
  readonly onScanKey?: () => void
  /** The menu key was pressed over home or an app's screen; never over a prompt. */
  readonly onMenuKey?: () => void
}

/** Screens that one app may have open; opening more closes its oldest. */
const SCREENS_PER_APP = 8
const SCREENS_IN_ALL = 64
/** "Not passed on" stays this long where nobody presses a key. */
const WITHHELD_MS = 20_000

export function createScreenService(options: ScreenServiceOptions): ScreenService {
  const { display, keypad, indicators, clock, log, texts } = options
  const terminalName = options.terminalName ?? 'Postern'
  const renderer = createRenderer(display.capabilities, options.font ?? loadFont(), texts)
  const apps = new Map<string, { readonly app: string; readonly layer: ScreenLayer }>()
  let language = texts.choose([options.language ?? 'en'])
  let home: HomeScreen = { title: terminalName, state: 'starting' }

  const homeLayer: Layer = {
    level: 'app',
    scene: () => ({
      content: {
        kind: 'home',
        title: home.title,
        lines: [texts.text(language, `home.${home.state}`), ...(home.notes ?? []).map(cleanText)],
        busy: home.state !== 'ready',
      },
      owner: terminalName,
      language,
    }),
    press: () => 'silent',
  }
  const presenter = createPresenter({
    display,
    keypad,
    indicators,
    renderer,
    clock,
    log,
    home: homeLayer,
  })
  const unsubscribe = keypad.on((event) => {
    if (event.type !== 'key' || event.repeat || presenter.suspended()) return
    if (event.key === 'scan') options.onScanKey?.()
    if (event.key === 'menu' && presenter.level() === 'app') options.onMenuKey?.()
  })

  const question =
    (level: 'notice' | 'prompt'): ScreenService['ask'] =>
    async (screen, asked, signal) => {
      const layer = openScreenLayer(presenter, renderer, clock, screen, {
        level,
        owner: terminalName,
        language: () => asked ?? language,
      })
      return whileNotAborted(layer, signal)
    }
  const notify = question('notice')

  const withhold = (result: ScreenResult): ScreenResult => {
    const typed =
      result.type === 'submitted'
        ? Object.values(result.values)
        : result.type === 'amount'
          ? [result.amount.minor]
          : []
    if (!looksLikeCardNumber(typed, options.cardRanges ?? CARD_RANGES)) return result
    log.warn('screens.withheld')
    const title = texts.text(language, 'withheld.title')
    const text = texts.text(language, 'withheld.text')
    void notify({ kind: 'message', title, text, tone: 'warning', timeoutMs: WITHHELD_MS })
    return { type: 'withheld' }
  }

  return {
    async show(owner, id, screen, signal) {
      guardPrompts(screen)
      const key = `${owner.app}\n${id}`
      apps.get(key)?.layer.end({ type: 'closed' })
      apps.delete(key)
      const own = [...apps].filter(([, entry]) => entry.app === owner.app)
      if (own.length >= SCREENS_PER_APP) own[0]![1].layer.end({ type: 'closed' })
      if (apps.size >= SCREENS_IN_ALL) throw new PosternError('SCREENS_FULL', 'too many screens are open')
      const layer = openScreenLayer(presenter, renderer, clock, screen, {
        level: 'app',
        owner: owner.name,
        language: () => language,
        filter: withhold,
      })
      apps.set(key, { app: owner.app, layer })
      try {
        return await whileNotAborted(layer, signal)
      } finally {
        if (apps.get(key)?.layer === layer) apps.delete(key)
      }
    },
    update(owner, id, screen) {
      guardPrompts(screen)
      apps.get(`${owner.app}\n${id}`)?.layer.update(screen)
    },
    closeScreens(app) {
      for (const entry of [...apps.values()])
        if (app === undefined || entry.app === app) entry.layer.end({ type: 'closed' })
    },
    ask: question('prompt'),
    notify,
    open: (surface) =>
      presenter.open({
        level: surface.level ?? 'prompt',
        scene: () => ({ content: surface.content(), owner: terminalName, language: surface.language() }),
        press: (press) => (press.repeat && press.key !== 'clear' ? 'silent' : surface.press(press.key)),
      }),
    setHome(next) {
      home = next
      presenter.redraw()
    },
    setStatus: presenter.setStatus,
    status: presenter.status,
    setLanguage(next) {
      language = texts.choose([next])
      presenter.redraw()
    },
    language: () => language,
    suspend: presenter.suspend,
    async close() {
      unsubscribe()
      for (const entry of [...apps.values()]) entry.layer.end({ type: 'closed' })
      await presenter.close()
    },
  }
}

async function whileNotAborted(layer: ScreenLayer, signal: AbortSignal | undefined): Promise<ScreenResult> {
  const abort = () => layer.end({ type: 'closed' })
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await layer.result
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}
