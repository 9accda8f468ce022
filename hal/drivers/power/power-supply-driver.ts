// Driver of the batteries and chargers that the kernel knows (/sys/class/power_supply).
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import { createDeviceBase } from '../../device-base.js'
import type { Power } from '../../power.js'
import type { PowerLevel } from '../../power-level.js'
import { keepDevice } from '../kept-device.js'
import { createPowerReport, type PowerEvent } from './power-report.js'
import { POWER_SUPPLIES, readPowerSupplies } from './power-supply-files.js'

const Options = Type.Object(
  {
    /** Only these; all that feed the system where absent. */
    supplies: Type.Optional(
      Type.Array(Type.String({ pattern: '^[A-Za-z0-9_.:-]{1,64}$' }), {
        minItems: 1,
        maxItems: 8,
        uniqueItems: true,
      }),
    ),
    pollMs: Type.Integer({ minimum: 20, maximum: 30_000, default: 2000 }),
  },
  { additionalProperties: false },
)
interface Options {
  readonly supplies?: readonly string[]
  readonly pollMs: number
}

/** The driver; `root` is the kernel's unless a test has its own. */
export function powerSupplyDriver(root: string = POWER_SUPPLIES): Driver<Power> {
  return {
    name: 'power-supply',
    deviceClass: 'power',
    optionsSchema: Options,
    async open({ supplies, pollMs }: Options, context) {
      const base = createDeviceBase<'power', PowerLevel, PowerEvent>(context, 'power', 'power-supply', 'ok')
      const report = createPowerReport(base)
      const read = async () => report.take(await readPowerSupplies(root, supplies))
      const { settled } = keepDevice(context.clock, base.closing, {
        attach: read,
        poll: read,
        everyMs: pollMs,
        up: () => base.update({ presence: 'ready' }),
        down: (reason) => base.update({ presence: 'lost', detail: reason }),
      })
      await settled
      return { ...base.device, reading: report.reading }
    },
  }
}
