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

/**
 * `light` takes effect within 50 ms. `tone` resolves when it has sounded; a new tone replaces the one under way,
 * which then resolves. At open all lights are off, whatever a crashed process left on; after a loss they are as they
 * were last asked for, also where that was asked while lost.
 */
export interface Indicators extends Device<'ready'> {
  readonly deviceClass: 'indicators'
  readonly capabilities: { readonly lights: readonly Light[]; readonly tones: boolean }
  light(light: Light, state: LightState): Promise<void>
  tone(steps: readonly ToneStep[], signal?: AbortSignal): Promise<void>
}
