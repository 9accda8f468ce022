// The presenter: a stack of layers of which the uppermost is drawn and gets the keys; the secure light follows it.
import type { Clock } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import type { Display } from '../../../hal/display.js'
import type { IndicatorPriority, Indicators, ToneStep } from '../../../hal/indicators.js'
import type { KeyPress, Keypad } from '../../../hal/keypad.js'
import type { Renderer } from './renderer.js'
import type { Scene, StatusFacts } from './scene.js'

/** What a layer did with a key: sounds the click, the low tone, or nothing. */
export type KeyOutcome = 'taken' | 'refused' | 'silent'

/** Lowest first: what lies above what, whatever the order of opening. All but `app` are the secure world's own. */
const LEVELS = ['app', 'notice', 'prompt', 'pin'] as const
export type Level = (typeof LEVELS)[number]

/** One thing on the stack; among those of one level the newest is uppermost. */
export interface Layer {
  readonly level: Level
  /** What to draw; asked at every frame. */
  scene(): Pick<Scene, 'content' | 'state' | 'owner' | 'language'>
  press(press: KeyPress): KeyOutcome
  /** Became or ceased to be the uppermost layer. */
  uppermost?(is: boolean): void
}

export interface OpenLayer {
  /** The layer's scene has changed. */
  changed(): void
  /** Resolves when the secure light is on (at once where the board has none). @throws as the indicators' driver */
  lit(): Promise<void>
  /** Idempotent. */
  close(): void
}

export interface Presenter {
  open(layer: Layer): OpenLayer
  setStatus(facts: Partial<StatusFacts>): void
  status(): StatusFacts
  redraw(): void
  /**
   * Leaves display, keypad and secure light to somebody else: nothing is drawn, no key taken, no screen times out.
   * Resolves with what takes them back (idempotent), once the last picture of ours is on the glass.
   */
  suspend(): Promise<() => void>
  suspended(): boolean
  /** Of what lies uppermost. */
  level(): Level
  close(): Promise<void>
}

export interface PresenterDevices {
  readonly display: Pick<Display, 'draw'>
  readonly keypad: Pick<Keypad, 'on'>
  readonly indicators: Pick<Indicators, 'light' | 'tone' | 'capabilities'>
  readonly renderer: Renderer
  readonly clock: Clock
  readonly log: Log
  /** Drawn and asked where no layer is open. */
  readonly home: Layer
}

/** Between two frames: 30 a second at most, however often an app updates. */
const FRAME_MS = 33
/** Between two steps of what moves. */
const STEP_MS = 125
const MINUTE_MS = 60_000
/** Home shows after so long without a screen. */
const HOME_AFTER_MS = 200
/** After a draw that failed. */
const RETRY_MS = 1000

const CLICK: readonly ToneStep[] = [{ hz: 2400, ms: 15 }]
const REFUSED: readonly ToneStep[] = [{ hz: 320, ms: 90 }]

export function createPresenter(devices: PresenterDevices): Presenter {
  const { display, keypad, indicators, renderer, clock, log, home } = devices
  const layers: Layer[] = []
  const closing = new AbortController()
  let status: StatusFacts = {
    network: 'offline',
    cloud: 'offline',
    printer: 'none',
    outbox: 0,
    battery: undefined,
  }
  /** In the uppermost layer's place while somebody else has the display. */
  const dark: Layer = { level: 'app', scene: () => home.scene(), press: () => 'silent' }
  let suspensions = 0
  let painting: Promise<void> = Promise.resolve()
  let top = home
  let dirty = true
  let drawing = false
  let phase = 0
  let tick: AbortController | undefined
  let lightOn: boolean | undefined
  let lightDone: Promise<void> = Promise.resolve()

  const time = () => {
    const now = new Date(clock.nowMs())
    return `${String(now.getHours()).padStart(2, '0')}:${String(now.getMinutes()).padStart(2, '0')}`
  }
  const moves = () => {
    if (top === dark) return false
    const { content } = top.scene()
    if (content.kind === 'progress') return content.percent === undefined
    return content.kind === 'card' || (content.kind === 'home' && content.busy)
  }

  const draw = async () => {
    if (drawing) return
    drawing = true
    // Whatever else changes in this turn of the event loop belongs into the same frame.
    await Promise.resolve()
    while (dirty && top !== dark && !closing.signal.aborted) {
      dirty = false
      const startedMs = clock.monotonicMs()
      let waitMs = FRAME_MS
      try {
        const { frame, alt } = renderer.render({
          ...top.scene(),
          secure: top.level !== 'app',
          status,
          time: time(),
          phase,
        })
        painting = display.draw(frame, alt)
        await painting
        waitMs -= clock.monotonicMs() - startedMs
      } catch (error) {
        log.warn('screens.drawFailed', { error: String(error) })
        dirty = true
        waitMs = RETRY_MS
      }
      if (waitMs > 0) await clock.sleep(waitMs, closing.signal).catch(() => undefined)
    }
    drawing = false
  }
  const redraw = () => {
    dirty = true
    void draw()
  }

  /** Wakes for the next step of what moves, or for the next minute of the top row's clock. */
  const schedule = async () => {
    tick?.abort()
    const mine = new AbortController()
    tick = mine
    while (!mine.signal.aborted && !closing.signal.aborted) {
      const stepping = moves()
      const waitMs = stepping ? STEP_MS : MINUTE_MS - (clock.nowMs() % MINUTE_MS)
      try {
        await clock.sleep(waitMs, AbortSignal.any([mine.signal, closing.signal]))
      } catch {
        return
      }
      if (stepping) phase = (phase + 1) % 1_000_000
      redraw()
    }
  }

  const hasLight = indicators.capabilities.lights.includes('secure')
  const setLight = (on: boolean) => {
    if (!hasLight || on === lightOn) return
    lightOn = on
    lightDone = lightDone.catch(() => undefined).then(() => indicators.light('secure', on ? 'on' : 'off'))
    lightDone.catch((error) => {
      lightOn = undefined
      log.error('screens.secureLight', { error: String(error) })
    })
  }
  const sound = (steps: readonly ToneStep[], priority: IndicatorPriority) => {
    if (indicators.capabilities.tones) indicators.tone(steps, closing.signal, priority).catch(() => undefined)
  }

  const restack = () => {
    const uppermost = suspensions > 0 ? dark : (layers.at(-1) ?? home)
    if (uppermost !== top) {
      top.uppermost?.(false)
      top = uppermost
      phase = 0
      if (top !== dark) setLight(top.level !== 'app')
      top.uppermost?.(true)
    }
    void schedule()
    if (top === home) void showHomeSoon()
    else redraw()
  }
  /** An app that goes from one screen to its next is not home in between. */
  const showHomeSoon = async () => {
    await clock.sleep(HOME_AFTER_MS, closing.signal).catch(() => undefined)
    if (top === home) redraw()
  }

  const unsubscribe = keypad.on((event) => {
    if (event.type !== 'key') return
    const outcome = top.press(event)
    if (outcome !== 'silent' && !event.repeat) {
      if (outcome === 'taken') sound(CLICK, 'low')
      else sound(REFUSED, 'normal')
    }
  })
  setLight(false)
  void schedule()
  redraw()

  return {
    open(layer) {
      const rank = (other: Layer) => LEVELS.indexOf(other.level)
      const above = layers.findIndex((other) => rank(other) > rank(layer))
      layers.splice(above < 0 ? layers.length : above, 0, layer)
      restack()
      return {
        changed: () => {
          if (layer !== top) return
          void schedule()
          redraw()
        },
        lit: () => lightDone,
        close: () => {
          const at = layers.indexOf(layer)
          if (at < 0) return
          layers.splice(at, 1)
          restack()
        },
      }
    },
    setStatus(facts) {
      const changed = { ...status, ...facts }
      if (JSON.stringify(changed) === JSON.stringify(status)) return
      status = changed
      redraw()
    },
    status: () => status,
    redraw: () => {
      void schedule()
      redraw()
    },
    async suspend() {
      suspensions++
      restack()
      await Promise.allSettled([painting, lightDone])
      let over = false
      return () => {
        if (over) return
        over = true
        suspensions--
        // What the light shows now was somebody else's.
        lightOn = undefined
        restack()
      }
    },
    suspended: () => top === dark,
    level: () => top.level,
    async close() {
      unsubscribe()
      closing.abort()
      if (top !== dark) setLight(false)
      await Promise.allSettled([painting, lightDone])
    },
  }
}
