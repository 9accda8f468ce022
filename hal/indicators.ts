// Indicator lights and tones. The light named `secure` is wired to the secure world alone.
import type { Device } from './device.js'

export const LIGHTS = [
  'secure',
  'contactless1',
  'contactless2',
  'contactless3',
  'contactless4',
  'alert',
] as const
export type Light = (typeof LIGHTS)[number]
export type LightState = 'off' | 'on' | 'blink'

/** One step of a tone: hertz (0 = rest), milliseconds (1 to 2,000). At most 16 steps. */
export interface ToneStep {
  readonly hz: number
  readonly ms: number
}

/** Who is seen and heard where two want the same, lowest first: a key's click never covers an alarm. */
export const INDICATOR_PRIORITIES = ['low', 'normal', 'alarm'] as const
export type IndicatorPriority = (typeof INDICATOR_PRIORITIES)[number]

/**
 * `light` takes effect within 50 ms; what each priority asked for is kept, and the highest one that is not `off` shows.
 * `tone` resolves when it has sounded; a new tone replaces the one under way, which then resolves, unless that is of
 * higher priority: then the new one is not heard and resolves at once. The priority is `normal` unless told. At open all
 * lights are off, whatever a crashed process left on; after a loss they are as they were last asked for, also where that
 * was asked while lost.
 */
export interface Indicators extends Device<'ready'> {
  readonly deviceClass: 'indicators'
  readonly capabilities: { readonly lights: readonly Light[]; readonly tones: boolean }
  light(light: Light, state: LightState, priority?: IndicatorPriority): Promise<void>
  tone(steps: readonly ToneStep[], signal?: AbortSignal, priority?: IndicatorPriority): Promise<void>
}
