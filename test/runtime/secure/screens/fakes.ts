// Devices that a test holds in its hands: a display that keeps what it was shown, keys to press, a clock to turn.
import type { Clock } from '../../../../hal/base/clock.js'
import { PosternError } from '../../../../hal/base/errors.js'
import { silentLog } from '../../../../hal/base/log.js'
import type { Display, DisplayCapabilities, Frame } from '../../../../hal/display.js'
import type { Indicators, Light, LightState } from '../../../../hal/indicators.js'
import { KEYS, type Key, type KeyPress, type Keypad } from '../../../../hal/keypad.js'

/** A clock that stands still until `advance`. */
export class TestClock implements Clock {
  ms = Date.UTC(2026, 10, 22, 14, 5)
  #sleepers: { atMs: number; wake: () => void }[] = []

  nowMs = () => this.ms
  monotonicMs = () => this.ms
  sleep = (ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const abort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(new PosternError('ABORTED', 'cancelled'))
      }
      const sleeper = {
        atMs: this.ms + ms,
        wake: () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        },
      }
      if (signal?.aborted) return abort()
      signal?.addEventListener('abort', abort, { once: true })
      this.#sleepers.push(sleeper)
    })

  /** Turns the clock, waking sleepers in their order; microtasks and timers in between are served. */
  async advance(ms: number): Promise<void> {
    const endMs = this.ms + ms
    for (;;) {
      await settled()
      const next = this.#sleepers.sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > endMs) break
      this.#sleepers = this.#sleepers.filter((other) => other !== next)
      this.ms = Math.max(this.ms, next.atMs)
      next.wake()
    }
    this.ms = endMs
    await settled()
  }
}

/** Everything that is already due has run. */
export const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

const base = {
  driver: 'test',
  status: () => ({ presence: 'ready' as const, state: 'ready' as const }),
  statistics: () => ({}),
  close: async () => undefined,
}

export class TestDevices {
  readonly clock = new TestClock()
  readonly log = silentLog
  readonly lights = new Map<Light, LightState>()
  readonly tones: number[] = []
  frame: Frame | undefined
  alt: readonly string[] = []
  frames = 0
  lightFails = false
  drawFails = false
  #listeners = new Set<(event: KeyPress) => void>()
  readonly capabilities: DisplayCapabilities

  constructor(capabilities: Partial<DisplayCapabilities> = {}) {
    this.capabilities = { width: 240, height: 320, depth: 16, dpi: 160, ...capabilities }
  }

  get display(): Display {
    return {
      ...base,
      id: 'display',
      deviceClass: 'display',
      status: () => ({ presence: 'ready', state: 'on' }),
      capabilities: this.capabilities,
      on: () => () => undefined,
      setBacklight: async () => undefined,
      draw: async (frame, alt) => {
        if (this.drawFails) throw new PosternError('DEVICE_LOST', 'the display is gone')
        this.frame = frame
        this.alt = alt
        this.frames += 1
      },
    }
  }

  get keypad(): Keypad {
    return {
      ...base,
      id: 'keypad',
      deviceClass: 'keypad',
      capabilities: { keys: KEYS },
      on: (listener) => {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
    }
  }

  get indicators(): Indicators {
    return {
      ...base,
      id: 'indicators',
      deviceClass: 'indicators',
      capabilities: { lights: ['secure', 'alert'], tones: true },
      on: () => () => undefined,
      light: async (light, state) => {
        if (this.lightFails) throw new PosternError('DEVICE_LOST', 'the lights are gone')
        this.lights.set(light, state)
      },
      tone: async (steps) => {
        this.tones.push(steps[0]!.hz)
      },
    }
  }

  /** Presses keys one after the other, letting what follows from each happen. */
  async press(...keys: Key[]): Promise<void> {
    for (const key of keys) {
      for (const listener of [...this.#listeners]) listener({ type: 'key', key, repeat: false })
      await settled()
    }
    await this.clock.advance(40)
  }

  /** Lets frames through, home's late one too, and gives the words of the last. */
  async seen(): Promise<string> {
    await this.clock.advance(250)
    return this.alt.join('\n')
  }
}
