// Indicator lights and the buzzer.
import { LIGHTS, type Light, type LightState, type ToneStep } from '../../indicators.js'
import type { Peripheral } from '../bus.js'
import type { MachineIo } from './machine.js'

/** Lights and buzzer as eyes and ears take them in. */
export interface Lamps {
  lights(): Readonly<Record<Light, LightState>>
  /** The tone that sounds now, or undefined. */
  sounding(): readonly ToneStep[] | undefined
  /** The latest tones, newest last, at most 32. */
  heard(): readonly (readonly ToneStep[])[]
}

/** Lights, buzzer and their end of the bus. */
export function createLamps(io: MachineIo<'indicators'>): {
  readonly lamps: Lamps
  readonly peripheral: Peripheral
  powerLoss(): void
} {
  const lights = Object.fromEntries(LIGHTS.map((light) => [light, 'off'])) as Record<Light, LightState>
  const heard: (readonly ToneStep[])[] = []
  let tone: { readonly steps: readonly ToneStep[]; readonly end: AbortController } | undefined

  const silence = () => {
    tone?.end.abort()
    tone = undefined
  }
  async function sound(steps: readonly ToneStep[]): Promise<object> {
    silence()
    const mine = { steps, end: new AbortController() }
    tone = mine
    heard.push(steps)
    if (heard.length > 32) heard.shift()
    io.changed()
    const ms = steps.reduce((sum, step) => sum + step.ms, 0)
    await io.clock.sleep(ms, AbortSignal.any([mine.end.signal, io.off])).catch(() => undefined)
    if (tone === mine) {
      tone = undefined
      io.changed()
    }
    return {}
  }
  return {
    powerLoss() {
      silence()
      for (const light of LIGHTS) lights[light] = 'off'
      io.changed()
    },
    lamps: {
      lights: () => ({ ...lights }),
      sounding: () => tone?.steps,
      heard: () => [...heard],
    },
    peripheral: {
      state: () => ({}),
      command(op, params: { light: Light; state: LightState; steps: readonly ToneStep[] }) {
        if (op === 'tone') return sound(params.steps)
        if (op === 'silence') silence()
        else lights[params.light] = params.state
        io.changed()
        return {}
      },
    },
  }
}
