// One screen on the stack: its state machine, its time-out, its one result.
import type { Clock } from '../../../hal/base/clock.js'
import type { Screen, ScreenResult } from '../../api/screens.js'
import type { Layer, Level, OpenLayer, Presenter } from './presenter.js'
import type { Renderer } from './renderer.js'
import { nextState, openState, updateState } from './screen-state.js'
import { cleanText } from './text-layout.js'

export interface ScreenLayer {
  readonly result: Promise<ScreenResult>
  /** Another screen in its place; selection and typed text stay where they fit. */
  update(screen: Screen): void
  end(result: ScreenResult): void
}

export interface ScreenLayerOptions {
  readonly level: Level
  readonly owner: string
  language(): string
  /** May turn a result into another before it is given out. */
  filter?(result: ScreenResult): ScreenResult
}

/** Puts a screen on the stack until a key, its time-out, or its caller ends it. */
export function openScreenLayer(
  presenter: Presenter,
  renderer: Renderer,
  clock: Clock,
  initial: Screen,
  options: ScreenLayerOptions,
): ScreenLayer {
  let screen = cleanScreen(initial)
  let state = openState(screen)
  let ended = false
  let isTop = false
  let timer: AbortController | undefined
  let open: OpenLayer | undefined
  const { promise, resolve } = withResolvers<ScreenResult>()

  const end = (result: ScreenResult) => {
    if (ended) return
    ended = true
    timer?.abort()
    open?.close()
    resolve(options.filter?.(result) ?? result)
  }
  /** A screen that another one covers does not time out. */
  const rearm = (running: boolean) => {
    timer?.abort()
    timer = undefined
    if (!running || ended || screen.timeoutMs === undefined) return
    const mine = new AbortController()
    timer = mine
    clock.sleep(screen.timeoutMs, mine.signal).then(
      () => end({ type: 'timeout' }),
      () => undefined,
    )
  }
  const layer: Layer = {
    level: options.level,
    scene: () => ({ content: screen, state, owner: options.owner, language: options.language() }),
    press(press) {
      const step = nextState(screen, state, press, renderer.extent(screen), clock.monotonicMs())
      state = step.state
      if (step.result !== undefined) end(step.result)
      else {
        rearm(true)
        open?.changed()
      }
      return step.refused === true ? 'refused' : 'taken'
    },
    uppermost(is) {
      isTop = is
      rearm(is)
    },
  }
  open = presenter.open(layer)
  return {
    result: promise,
    end,
    update(next) {
      if (ended) return
      const clean = cleanScreen(next)
      const timeChanged = clean.timeoutMs !== screen.timeoutMs
      state = updateState(screen, state, clean)
      screen = clean
      if (timeChanged) rearm(isTop)
      open?.changed()
    },
  }
}

/** Every text of a screen made safe to show; what is data (ids, QR content, currency) stays as it is. */
export function cleanScreen(screen: Screen): Screen {
  const data = new Set(['id', 'kind', 'data', 'currency', 'minor', 'input', 'tone', 'mark', 'selected'])
  const clean = (value: unknown, name: string): unknown => {
    if (typeof value === 'string') return data.has(name) ? value : cleanText(value)
    if (Array.isArray(value)) return value.map((item) => clean(item, name))
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, clean(item, key)]))
    return value
  }
  return clean(screen, '') as Screen
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
