// Board profiles: those we ship are whole, wrong ones are named by key, value and what is right, and the rest starts.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Type } from 'typebox'
import { type Clock, systemClock } from '../../hal/base/clock.js'
import { silentLog } from '../../hal/base/log.js'
import { type Driver, describeProblem, openBoard, parseBoard } from '../../hal/board.js'
import { boardNames, readBoard } from '../../hal/boards.js'
import { escposDriver } from '../../hal/drivers/escpos/escpos-driver.js'
import { openDrivers } from '../../hal/drivers/open-drivers.js'
import { secureDrivers } from '../../hal/drivers/secure-drivers.js'
import { busPrinterPort } from '../../hal/simulated/bus-byte-port.js'
import { busOptionFields } from '../../hal/simulated/bus-device.js'
import type { BusRole } from '../../hal/simulated/bus-protocol.js'
import { SIMULATED_DRIVERS, simulatedDrivers } from '../../hal/simulated/drivers.js'
import { createSimulatedHardware } from '../../hal/simulated/hardware.js'
import { hardwareOptionsOf } from '../../hal/simulated/hardware-of-board.js'
import { eventually } from './conformance/support.js'

const REGISTRY: readonly Driver[] = [
  ...SIMULATED_DRIVERS,
  ...secureDrivers(systemClock),
  ...openDrivers(systemClock),
  escposDriver('simulated', busOptionFields, busPrinterPort(), (options) => options),
]
const PARAMS = {
  hardware: '/run/hardware.sock',
  secureElement: '/run/element',
  fiscalSigner: '/run/fiscal',
  printerPort: '/dev/ttyS1',
  module: '/run/module.sock',
}
const profile = () =>
  structuredClone(readBoard('virtual-handheld')) as { devices: Record<string, Record<string, unknown>> }
const problemsOf = (json: unknown, options: object = { params: PARAMS }) =>
  parseBoard(json, REGISTRY, options).problems.map(describeProblem)

t.test('the profiles that we ship are whole', (t) => {
  t.ok(boardNames().length >= 6)
  for (const name of boardNames()) {
    const { profile, problems } = parseBoard(readBoard(name), REGISTRY, { params: PARAMS })
    t.same(problems.map(describeProblem), [], name)
    t.equal(profile.name, name)
  }
  const small = parseBoard(readBoard('virtual-handheld-small'), REGISTRY, { params: PARAMS }).profile
  t.match(hardwareOptionsOf(small), { display: { width: 128, height: 64, depth: 1 } })
  t.equal(hardwareOptionsOf(small).keys?.length, 15)
  const module = parseBoard(readBoard('virtual-handheld-module'), REGISTRY, { params: PARAMS }).profile
  t.same(module.certifiedModule, { socket: '/run/module.sock' })
  t.notOk(module.devices.some(({ deviceClass }) => deviceClass === 'chip-card-reader'))
  t.end()
})

t.test('each world reads its own devices only, with its own parameters', (t) => {
  const classes = (world: 'secure' | 'open', params: Record<string, string>) => {
    const read = parseBoard(readBoard('virtual-handheld'), REGISTRY, { world, params })
    t.same(read.problems, [])
    return read.profile.devices.map(({ deviceClass }) => deviceClass)
  }
  t.same(classes('open', { hardware: '/run/open.sock' }), ['power', 'printer', 'scanner'])
  const secure = classes('secure', {
    hardware: '/run/secure.sock',
    secureElement: '/run/element',
    fiscalSigner: '/run/fiscal',
  })
  t.notOk(secure.includes('printer') || secure.includes('scanner'))
  t.ok(secure.includes('chip-card-reader') && secure.includes('keypad') && secure.includes('power'))
  t.end()
})

t.test('a wrong profile is named by key, value and what would be right', (t) => {
  const bent = (change: (devices: Record<string, Record<string, unknown>>) => void) => {
    const json = profile()
    change(json.devices)
    return problemsOf(json)
  }
  const placeholder = ['$', '{socket}'].join('')
  const cases: readonly [string, (devices: Record<string, Record<string, unknown>>) => void, string][] = [
    [
      'class',
      (d) => (d['chip']!['class'] = 'card'),
      '/devices/chip/class: "card" has to be one of chip-card-reader, contactless-reader',
    ],
    [
      'driver',
      (d) => (d['keypad']!['driver'] = 'gpio'),
      '/devices/keypad/driver: "gpio" has to be one of simulated',
    ],
    [
      'option',
      (d) => Object.assign(d['display']!['options']!, { width: 'wide' }),
      '/devices/display/options/width: "wide" has to be a whole number from 64 to 1024',
    ],
    [
      'unknown option',
      (d) => Object.assign(d['display']!['options']!, { dbi: 90 }),
      '/devices/display/options/dbi: 90 is no known key; there are socket, width, height, depth, dpi',
    ],
    [
      'missing option',
      (d) => delete (d['chip']!['options'] as Record<string, unknown>)['socket'],
      '/devices/chip/options/socket: nothing has to be there: text of 1 to 107 characters',
    ],
    [
      'unknown key',
      (d) => (d['chip']!['drvier'] = 'x'),
      '/devices/chip/drvier: "x" is no known key; there are class, driver, options',
    ],
    [
      'parameter',
      (d) => Object.assign(d['chip']!['options']!, { socket: placeholder }),
      `/devices/chip/options/socket: "${placeholder}" has no such parameter; there are hardware`,
    ],
    [
      'row',
      (d) => Object.assign(d, { chip: 7 }),
      '/devices/chip: 7 has to be an object with class, driver, options',
    ],
    ['id', (d) => Object.assign(d, { 'Chip 2': {} }), '/devices/Chip 2: "Chip 2" has to be an id'],
  ]
  for (const [name, change, expected] of cases) {
    const problems = bent(change)
    t.equal(problems.length, 1, name)
    t.ok(problems[0]?.startsWith(expected), `${name}: ${problems[0]}`)
  }
  t.match(problemsOf(7)[0], 'the profile: 7 has to be an object')
  t.match(problemsOf({ name: 'x', devices: {}, color: 1 }), ['/color: 1 is no known key'])
  t.throws(() => readBoard('no-such-board'), {
    code: 'BOARD_UNREADABLE',
    message: /there are .*virtual-handheld/s,
  })
  t.end()
})

t.test('what is wrong or does not open is told, the rest works', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'board-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const hardware = createSimulatedHardware()
  t.teardown(() => hardware.close())
  const failing: Driver = {
    name: 'failing',
    deviceClass: 'tamper',
    optionsSchema: Type.Object({}),
    open: () => Promise.reject(new Error('no such bus')),
  }
  let closedLate = 0
  const slow: Driver = {
    ...failing,
    name: 'slow',
    deviceClass: 'indicators',
    open: async () => {
      await systemClock.sleep(600)
      return { close: async () => void closedLate++ } as never
    },
  }
  const registry = [...simulatedDrivers(({ socket }) => hardware.bus(socket as BusRole)), failing, slow]
  const json = profile()
  json.devices['tamper'] = { class: 'tamper', driver: 'failing' }
  json.devices['keypad']!['driver'] = 'matrix'
  json.devices['indicators'] = { class: 'indicators', driver: 'slow' }
  const params = { hardware: 'secure', secureElement: folder, fiscalSigner: folder }
  const read = parseBoard(json, registry, { world: 'secure', params })
  t.same(
    read.problems.map(({ key }) => key),
    ['/devices/keypad/driver'],
  )
  // A clock on which ten seconds are two hundred milliseconds: the bound on opening passes before the slow driver is done.
  const clock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 50, signal) }
  const board = await openBoard(read.profile, registry, { clock, log: silentLog })
  t.same(board.problems.map(describeProblem).sort(), [
    '/devices/indicators: "slow" did not open: no answer within 10 s',
    '/devices/tamper: "failing" did not open: no such bus',
  ])
  await eventually('the latecomer is closed', () => closedLate === 1)
  t.equal(board.device('display')?.status().presence, 'ready')
  t.equal(board.device('chip-card-reader', 'chip')?.id, 'chip')
  t.equal(board.device('keypad'), undefined)
  t.equal(board.device('tamper'), undefined)
  const lease = board.lease('display', 'screens')
  t.throws(() => board.lease('display', 'self-test'), { code: 'DEVICE_BUSY', details: { holder: 'screens' } })
  t.equal(lease?.device().deviceClass, 'display')
  t.equal(board.lease('keypad', 'screens'), undefined)
  await Promise.all([board.close(), board.close()])
  t.ok(lease?.signal.aborted, 'closing ends leases')
  t.ok(board.devices.every((device) => device.status().presence === 'closed'))
})
