// Driver of the MAX17048/MAX17049 battery gauge over I2C (datasheet 19-6171 rev 7, registers of table 2).
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import type { Power } from '../../power.js'
import type { PowerLevel } from '../../power-level.js'
import type { I2cBuses, I2cDevice } from '../i2c/i2c-bus.js'
import { keepDevice } from '../kept-device.js'
import { createPowerReport, type PowerEvent } from './power-report.js'
import { POWER_SUPPLIES, readPowerSupplies } from './power-supply-files.js'

/** 16-bit registers, high byte first. */
const REGISTER = {
  /** Cell voltage, 78.125 µV a bit. */
  vcell: 0x02,
  /** State of charge, 1/256 % a bit; may be a little over 100. */
  soc: 0x04,
  /** Production version: 0x001_. */
  version: 0x08,
  /** Charge (positive) or discharge rate, 0.208 % an hour a bit, signed. */
  crate: 0x16,
} as const
const ADDRESS = 0x36
const VOLTS_PER_BIT = 78.125e-6
/** NOTE: a single cell outside of these is no cell: the gauge is powered, but nothing is connected to it. */
const CELL_VOLTS = { lowest: 2.2, highest: 4.8 } as const

const Options = Type.Object(
  {
    /** The N of /dev/i2c-N. */
    bus: Type.Integer({ minimum: 0, maximum: 255 }),
    /** Name in /sys/class/power_supply of the charger (the kernel's gpio-charger); without it the rate tells. */
    charger: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_.:-]{1,64}$' })),
    pollMs: Type.Integer({ minimum: 20, maximum: 30_000, default: 2000 }),
  },
  { additionalProperties: false },
)
interface Options {
  readonly bus: number
  readonly charger?: string
  readonly pollMs: number
}

async function word(gauge: I2cDevice, register: number, signal: AbortSignal): Promise<number> {
  const bytes = await gauge.readRegister(register, 2, signal)
  return (bytes[0]! << 8) | bytes[1]!
}

/**
 * The driver. NOTE: the gauge sees no charger, only current: without `charger` a full battery on the mains reads as
 * battery, as neither flows.
 */
export function max17048Driver(buses: I2cBuses, root: string = POWER_SUPPLIES): Driver<Power> {
  return {
    name: 'max17048',
    deviceClass: 'power',
    optionsSchema: Options,
    async open({ bus, charger, pollMs }: Options, context) {
      const base = createDeviceBase<'power', PowerLevel, PowerEvent>(context, 'power', 'max17048', 'ok')
      const report = createPowerReport(base)
      const gauge = await buses.device(bus, ADDRESS)
      base.onClose(() => gauge.close())

      const external = async (signal: AbortSignal): Promise<boolean> => {
        if (charger !== undefined) return (await readPowerSupplies(root, [charger])).source === 'external'
        const rate = await word(gauge, REGISTER.crate, signal)
        return rate > 0 && rate < 0x8000
      }
      const read = async (signal: AbortSignal) => {
        const volts = (await word(gauge, REGISTER.vcell, signal)) * VOLTS_PER_BIT
        if (volts < CELL_VOLTS.lowest || volts > CELL_VOLTS.highest) {
          throw deviceError('DEVICE_LOST', `${gauge.name} measures ${volts.toFixed(2)} V: no cell there`)
        }
        const soc = (await word(gauge, REGISTER.soc, signal)) / 256
        const source = (await external(signal)) ? 'external' : 'battery'
        if (signal.aborted) return
        report.take({
          source,
          percent: Math.min(100, Math.round(soc * 10) / 10),
          temperatureC: undefined,
        })
      }
      const { settled } = keepDevice(context.clock, base.closing, {
        async attach(signal) {
          const version = await word(gauge, REGISTER.version, signal)
          if (version >> 4 !== 0x001) {
            const found = version.toString(16).padStart(4, '0').toUpperCase()
            throw deviceError('DEVICE_LOST', `${gauge.name} is no MAX17048: its version is ${found}`)
          }
          await read(signal)
        },
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
