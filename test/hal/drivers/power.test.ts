// Power drivers against the conformance suite: the kernel's files as many boards show them, and a MAX17048 on a bus.
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { parseBoard } from '../../../hal/board.js'
import type { I2cBinding } from '../../../hal/drivers/i2c/i2c-binding.js'
import { i2cBuses } from '../../../hal/drivers/i2c/i2c-bus.js'
import { max17048Driver } from '../../../hal/drivers/power/max17048.js'
import { powerSupplyDriver } from '../../../hal/drivers/power/power-supply-driver.js'
import { readPowerSupplies } from '../../../hal/drivers/power/power-supply-files.js'
import { powerConformance } from '../conformance/power.js'
import { eventually, testContext } from '../conformance/support.js'

t.setTimeout(120_000)
const folder = mkdtempSync(join(tmpdir(), 'power-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** A tree of supplies; values are written as the kernel does, whole and with a line end. */
function tree(name: string) {
  const root = join(folder, name)
  const set = (supply: string, values: Readonly<Record<string, string | number>>) => {
    mkdirSync(join(root, supply), { recursive: true })
    for (const [key, value] of Object.entries(values)) {
      writeFileSync(join(root, supply, `.${key}`), `${value}\n`)
      renameSync(join(root, supply, `.${key}`), join(root, supply, key))
    }
  }
  mkdirSync(root)
  return { root, set }
}

await t.test('batteries and chargers of the kernel', async (t) => {
  const { root, set } = tree('conformance')
  set('bat0', { type: 'Battery', present: 1, status: 'Discharging', energy_full: 20_000_000, energy_now: 0 })
  set('ac', { type: 'Mains', online: 0 })
  const driver = powerSupplyDriver(root)
  await powerConformance(t, {
    open: () => driver.open({ pollMs: 20 } as never, testContext('power')),
    set({ source, percent }) {
      if (source !== undefined) set('ac', { online: source === 'external' ? 1 : 0 })
      if (percent !== undefined) set('bat0', { energy_now: percent * 200_000 })
    },
    cable: {
      unplug: () => renameSync(root, `${root}.away`),
      plug: () => renameSync(`${root}.away`, root),
    },
  })
})

await t.test('a MAX17048 on a bus', async (t) => {
  const registers = new Map([
    [0x02, Math.round(3.9 / 78.125e-6)],
    [0x04, 80 * 256],
    [0x08, 0x0011],
    [0x16, 0xfff0],
  ])
  let plugged = true
  const binding: I2cBinding = {
    open: async () => ({
      plain: async () => true,
      write: async () => undefined,
      writeBlock: async () => undefined,
      async readBlock(address, register, length) {
        if (!plugged || address !== 0x36) throw Object.assign(new Error('nak'), { code: 'EREMOTEIO' })
        const value = registers.get(register) ?? 0
        return Uint8Array.of(value >> 8, value & 0xff).subarray(0, length)
      },
      close: async () => undefined,
    }),
  }
  const { root, set } = tree('charger')
  set('usb', { type: 'USB', online: 0 })
  const driver = max17048Driver(
    i2cBuses(systemClock, async () => binding),
    root,
  )
  const open = (options: object = {}) =>
    driver.open({ bus: 1, pollMs: 20, ...options } as never, testContext('power'))
  await powerConformance(t, {
    open,
    set({ source, percent }) {
      if (source !== undefined) registers.set(0x16, source === 'external' ? 12 : 0xfff0)
      if (percent !== undefined) registers.set(0x04, percent * 256)
    },
    cable: {
      unplug: () => {
        plugged = false
      },
      plug: () => {
        plugged = true
      },
    },
  })

  const power = await open({ charger: 'usb' })
  t.equal(power.reading().source, 'battery')
  registers.set(0x16, 0)
  set('usb', { online: 1 })
  await eventually('the charger', () => power.reading().source === 'external')
  registers.set(0x04, 101 * 256)
  await eventually('no more than full', () => power.reading().percent === 100)
  registers.set(0x02, 100)
  await eventually('an empty holder is no battery', () => power.status().presence === 'lost')
  t.match(power.status().detail, /0\.01 V: no cell/)
  await power.close()

  registers.set(0x08, 0x0002)
  const other = await open()
  t.match(other.status(), { presence: 'lost', detail: 'i2c-1/36 is no MAX17048: its version is 0002' })
  await other.close()
})

await t.test('readings from what each board tells', async (t) => {
  const cases: [string, Record<string, Record<string, string | number>>, object][] = [
    [
      'a gauge that knows it all',
      {
        bq: { type: 'Battery', capacity: 42, status: 'Charging', temp: 315 },
        usb: { type: 'USB', online: 1 },
      },
      { source: 'external', percent: 42, temperatureC: 31.5 },
    ],
    [
      'charge in µAh, full by design only, no charger in sight',
      { b: { type: 'Battery', charge_now: 900_000, charge_full_design: 3_600_000, status: 'Discharging' } },
      { source: 'battery', percent: 25, temperatureC: undefined },
    ],
    [
      'a battery that says words only',
      { b: { type: 'Battery', capacity_level: 'Low', status: 'Full' } },
      { source: 'external', percent: 15 },
    ],
    [
      'voltage alone, in µV',
      {
        b: {
          type: 'Battery',
          voltage_now: 3_600_000,
          voltage_min_design: 3_000_000,
          voltage_max_design: 4_200_000,
          status: 'Discharging',
        },
      },
      { source: 'battery', percent: 50 },
    ],
    [
      'two batteries weigh by size; one that is taken out does not count',
      {
        b0: { type: 'Battery', capacity: 100, energy_full: 10_000_000, status: 'Full' },
        b1: { type: 'Battery', capacity: 40, energy_full: 30_000_000, status: 'Discharging', temp: 280 },
        b2: { type: 'Battery', present: 0 },
      },
      { source: 'battery', percent: 55, temperatureC: 28 },
    ],
    [
      "a mouse's battery is not ours",
      { hid: { type: 'Battery', scope: 'Device', capacity: 3 }, ac: { type: 'Mains', online: 1 } },
      { source: 'external', percent: 100 },
    ],
    [
      'one charger of three',
      {
        a: { type: 'Mains', online: 0 },
        u: { type: 'USB_PD', online: 2 },
        w: { type: 'Wireless', online: 0 },
      },
      { source: 'external', percent: 100 },
    ],
  ]
  for (const [what, supplies, expected] of cases) {
    const { root, set } = tree(`case${readdirSync(folder).length}`)
    for (const [name, values] of Object.entries(supplies)) set(name, values)
    t.match(await readPowerSupplies(root), expected, what)
  }
  const { root, set } = tree('nothing')
  await t.rejects(readPowerSupplies(root), /no battery and no charger/)
  set('b', { type: 'Battery', status: 'Unknown' })
  await t.rejects(readPowerSupplies(root), /says how full it is/)
  await t.rejects(readPowerSupplies(root, ['axp20x']), /no power supply axp20x; there are b /)
})

await t.test('wrong options are refused with key, value and what would be right', async (t) => {
  const drivers = [powerSupplyDriver(), max17048Driver(i2cBuses(systemClock))]
  const lines = (driver: string, options: object) =>
    parseBoard({ name: 'b', devices: { power: { class: 'power', driver, options } } }, drivers).problems.map(
      ({ key, value, allowed }) => `${key.replace('/devices/power/options', '')} ${value} ${allowed}`,
    )
  t.same(lines('power-supply', {}), [])
  t.match(lines('power-supply', { pollMs: 5 }), [/^\/pollMs 5 has to be a whole number from 20 to 30000/])
  t.match(lines('max17048', {}), [/^\/bus .*has to be there: a whole number from 0 to 255/])
  t.match(lines('max17048', { bus: 1, charger: '../ac' }), [/^\/charger ".\.\/ac" has to/])
})
