// Driver of the virtual handheld's lights and buzzer.
import type { Driver } from '../board.js'
import { createDeviceBase, deviceError } from '../device-base.js'
import { type Indicators, LIGHTS, type Light, type LightState } from '../indicators.js'
import { type BusConnector, BusOptions, joinPeripheral, socketBus } from './bus-device.js'

export function indicatorsDriver(connect: BusConnector = socketBus): Driver<Indicators> {
  return {
    name: 'simulated',
    deviceClass: 'indicators',
    optionsSchema: BusOptions,
    async open(options: BusOptions, context) {
      const base = createDeviceBase<'indicators', 'ready'>(context, 'indicators', 'simulated', 'ready')
      const lights = new Map<Light, LightState>()
      const port = await joinPeripheral(base, connect(options, context), 'indicators', {
        attached(_, wire) {
          // Lights must never tell an old story: not one from before a loss, not one of a process that crashed.
          for (const light of LIGHTS) {
            wire.call('light', { light, state: lights.get(light) ?? 'off' }).catch(() => undefined)
          }
          return undefined
        },
      })
      return {
        ...base.device,
        capabilities: { lights: LIGHTS, tones: true },
        async light(light, state) {
          lights.set(light, state)
          await base.operation({}, () => port.call('light', { light, state }))
          base.count('LightChangeCount')
        },
        async tone(steps, signal) {
          if (steps.length > 16 || steps.some(({ hz, ms }) => !(ms >= 1 && ms <= 2_000 && hz >= 0))) {
            throw deviceError('DEVICE_UNSUPPORTED', 'a tone has at most 16 steps of 1 to 2000 ms')
          }
          await base.operation({ signal }, async (inner) => {
            const sounded = port.call('tone', { steps: steps.map((step) => ({ ...step })) })
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
