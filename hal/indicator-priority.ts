// Lights and tones that several parts of the terminal ask for at once: which is shown, which is heard. For drivers.

import { deviceError } from './device-base.js'
import {
  INDICATOR_PRIORITIES,
  type IndicatorPriority,
  type Light,
  type LightState,
  type ToneStep,
} from './indicators.js'

const rank = (priority: IndicatorPriority) => INDICATOR_PRIORITIES.indexOf(priority)

/** What each priority asked of each light. */
export interface LightWishes {
  set(light: Light, state: LightState, priority: IndicatorPriority): void
  /** The highest wish that is not off. */
  shown(light: Light): LightState
}

export function createLightWishes(): LightWishes {
  const wishes = new Map<Light, Map<IndicatorPriority, LightState>>()
  return {
    set(light, state, priority) {
      const ofLight = wishes.get(light) ?? new Map<IndicatorPriority, LightState>()
      wishes.set(light, ofLight.set(priority, state))
    },
    shown(light) {
      const ofLight = wishes.get(light)
      const states = [...INDICATOR_PRIORITIES].reverse().map((priority) => ofLight?.get(priority) ?? 'off')
      return states.find((state) => state !== 'off') ?? 'off'
    },
  }
}

/** One buzzer and who has it. */
export interface ToneTurn {
  /**
   * Runs `sound` unless a tone of higher priority is under way. Its signal fires when a later tone takes its place, which
   * is an end like any other: resolves with whether it sounded to its end.
   */
  play(priority: IndicatorPriority, sound: (replaced: AbortSignal) => Promise<void>): Promise<boolean>
}

export function createToneTurn(): ToneTurn {
  let current: { readonly priority: IndicatorPriority; readonly replaced: AbortController } | undefined
  return {
    async play(priority, sound) {
      if (current !== undefined && rank(current.priority) > rank(priority)) return false
      current?.replaced.abort()
      const mine = { priority, replaced: new AbortController() }
      current = mine
      try {
        await sound(mine.replaced.signal)
        return !mine.replaced.signal.aborted
      } catch (error) {
        if (mine.replaced.signal.aborted) return false
        throw error
      } finally {
        if (current === mine) current = undefined
      }
    },
  }
}

/** @throws DeviceError `DEVICE_UNSUPPORTED` for more than 16 steps, or steps that are not 1 to 2,000 ms */
export function checkTone(steps: readonly ToneStep[]): void {
  if (steps.length > 16 || steps.some(({ hz, ms }) => !(ms >= 1 && ms <= 2_000 && hz >= 0))) {
    throw deviceError('DEVICE_UNSUPPORTED', 'a tone has at most 16 steps of 1 to 2000 ms')
  }
}
