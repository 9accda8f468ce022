// Batteries and chargers as the kernel shows them (Documentation/ABI/testing/sysfs-class-power), one reading of them all.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deviceError } from '../../device-base.js'
import type { PowerReading } from '../../power.js'

export const POWER_SUPPLIES = '/sys/class/power_supply'

/** More supplies than that are not looked at. */
const MAX_SUPPLIES = 16

/** `capacity_level` where a gauge tells no percentage. NOTE: the numbers are ours, in the middle of what the words mean. */
const PERCENT_OF_LEVEL: Readonly<Record<string, number>> = {
  Full: 100,
  High: 80,
  Normal: 50,
  Low: 15,
  Critical: 5,
}

interface Battery {
  readonly percent: number | undefined
  /** For weighing several, in µWh or µAh; 1 where unknown. */
  readonly size: number
  readonly status: string
  readonly temperatureC: number | undefined
}

type Attribute = (name: string) => Promise<string | undefined>

/** Attributes may be missing or refuse to be read (ENODATA, ENXIO): both mean that the supply does not know. */
const attributesOf =
  (folder: string): Attribute =>
  async (name) => {
    try {
      const text = (await readFile(join(folder, name), 'utf8')).slice(0, 64).trim()
      return text === '' ? undefined : text
    } catch {
      return undefined
    }
  }

async function numberOf(attribute: Attribute, ...names: readonly string[]): Promise<number | undefined> {
  for (const name of names) {
    const text = await attribute(name)
    if (text !== undefined && /^-?\d+$/.test(text)) return Number(text)
  }
  return undefined
}

const ratio = (now: number | undefined, full: number | undefined, empty = 0): number | undefined =>
  now === undefined || full === undefined || full <= empty
    ? undefined
    : ((now - empty) / (full - empty)) * 100

/** Charge in percent, from the best that there is: capacity, energy, charge, level word, voltage. */
async function batteryOf(attribute: Attribute): Promise<Battery> {
  const energyFull = await numberOf(attribute, 'energy_full', 'energy_full_design')
  const chargeFull = await numberOf(attribute, 'charge_full', 'charge_full_design')
  const tenths = await numberOf(attribute, 'temp')
  const percent =
    (await numberOf(attribute, 'capacity')) ??
    ratio(await numberOf(attribute, 'energy_now'), energyFull) ??
    ratio(await numberOf(attribute, 'charge_now'), chargeFull) ??
    PERCENT_OF_LEVEL[(await attribute('capacity_level')) ?? ''] ??
    // NOTE: a straight line between the battery's designed ends; coarse, but better than nothing at all.
    ratio(
      await numberOf(attribute, 'voltage_ocv', 'voltage_now'),
      await numberOf(attribute, 'voltage_max_design'),
      await numberOf(attribute, 'voltage_min_design'),
    )
  return {
    percent,
    size: energyFull ?? chargeFull ?? 1,
    status: (await attribute('status')) ?? 'Unknown',
    temperatureC: tenths === undefined ? undefined : tenths / 10,
  }
}

/**
 * One reading of all supplies: several batteries weigh by their size, the hottest tells the temperature. External is
 * whatever charger says online; where there is none, a battery that is not discharging. `names` keeps to some supplies.
 * @throws DeviceError `DEVICE_LOST` where there is no battery and no charger, or one of `names` is not there
 */
export async function readPowerSupplies(
  root: string = POWER_SUPPLIES,
  names?: readonly string[],
): Promise<PowerReading> {
  const there = (await readdir(root).catch(() => [])).sort().slice(0, MAX_SUPPLIES)
  const missing = names?.find((name) => !there.includes(name))
  if (missing !== undefined) {
    throw deviceError(
      'DEVICE_LOST',
      `no power supply ${missing}; there are ${there.join(', ') || 'none'} in ${root}`,
    )
  }
  const batteries: Battery[] = []
  const chargers: boolean[] = []
  for (const name of names ?? there) {
    const attribute = attributesOf(join(root, name))
    const type = await attribute('type')
    // A mouse's battery is a power supply too; its scope says that it does not feed us.
    if (type === undefined || (await attribute('scope')) === 'Device') continue
    if (type !== 'Battery' && type !== 'UPS') {
      const online = await numberOf(attribute, 'online')
      if (online !== undefined) chargers.push(online > 0)
    } else if ((await attribute('present')) !== '0') batteries.push(await batteryOf(attribute))
  }
  if (batteries.length === 0 && chargers.length === 0) {
    throw deviceError('DEVICE_LOST', `no battery and no charger in ${root}`)
  }
  const known = batteries.filter((each) => each.percent !== undefined)
  if (batteries.length > 0 && known.length === 0) {
    throw deviceError('DEVICE_LOST', `no battery in ${root} says how full it is`)
  }
  // Sizes in µWh and µAh can't be weighed against each other: then each counts the same.
  const comparable = known.every(({ size }) => size > 1)
  const weight = (size: number) => (comparable ? size : 1)
  const whole = known.reduce((sum, { size }) => sum + weight(size), 0)
  const charge = known.reduce((sum, { size, percent }) => sum + weight(size) * percent!, 0)
  const temperatures = batteries.map(({ temperatureC }) => temperatureC).filter((each) => each !== undefined)
  const external =
    chargers.length > 0 ? chargers.includes(true) : batteries.every(({ status }) => status !== 'Discharging')
  return {
    source: external ? 'external' : 'battery',
    percent: known.length === 0 ? 100 : Math.min(100, Math.max(0, Math.round((charge / whole) * 10) / 10)),
    temperatureC: temperatures.length === 0 ? undefined : Math.max(...temperatures),
  }
}
