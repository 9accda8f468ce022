// Driver of the virtual handheld's lights and buzzer.
import type { Driver } from '../board.js'
import { createDeviceBase } from '../device-base.js'
import { checkTone, createLightWishes, createToneTurn } from '../indicator-priority.js'
import { type Indicators, LIGHTS } from '../indicators.js'
import { type BusConnector, BusOptions, joinPeripheral, socketBus } from './bus-device.js'

export function indicatorsDriver(connect: BusConnector = socketBus): Driver<Indicators> {
  return {
    name: 'simulated',
    deviceClass: 'indicators',
    optionsSchema: BusOptions,
    async open(options: BusOptions, context) {
      const base = createDeviceBase<'indicators', 'ready'>(context, 'indicators', 'simulated', 'ready')
      const lights = createLightWishes()
      const turn = createToneTurn()
      const port = await joinPeripheral(base, connect(options, context), 'indicators', {
        attached(_, wire) {
          // Lights must never tell an old story: not one from before a loss, not one of a process that crashed.
          for (const light of LIGHTS) {
            wire.call('light', { light, state: lights.shown(light) }).catch(() => undefined)
          }
          return undefined
        },
      })
      return {
        ...base.device,
        capabilities: { lights: LIGHTS, tones: true },
        async light(light, state, priority = 'normal') {
          lights.set(light, state, priority)
          await base.operation({}, () => port.call('light', { light, state: lights.shown(light) }))
          base.count('LightChangeCount')
        },
        async tone(steps, signal, priority = 'normal') {
          checkTone(steps)
          await base.operation({ signal }, async (inner) => {
            // The hardware itself ends a tone that another replaces.
            const play = () => port.call('tone', { steps: steps.map((step) => ({ ...step })) })
            const sounded = turn.play(priority, async () => void (await play()))
            const silence = () => void port.call('silence', {}).catch(() => undefined)
            inner.addEventListener('abort', silence, { once: true })
            try {
              await sounded
            } finally {
              inner.removeEventListener('abort', silence)
            }
          })
          base.count('ToneSoundedCount')
        },
      }
    },
  }
}
