// Every simulated driver passes its class's conformance suite, over the bus in the process and over the socket.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Driver } from '../../hal/board.js'
import type { ChipCardReader } from '../../hal/chip-card-reader.js'
import type { Device, DeviceClass } from '../../hal/device.js'
import type { BusRole, PeripheralName } from '../../hal/simulated/bus-protocol.js'
import { SIMULATED_DRIVERS, simulatedDrivers } from '../../hal/simulated/drivers.js'
import { createSimulatedHardware, type SimulatedHardware } from '../../hal/simulated/hardware.js'
import { type HardwareServer, serveHardware } from '../../hal/simulated/serve-hardware.js'
import { chipCardReaderConformance } from './conformance/chip-card-reader.js'
import { type Cable, testContext } from './conformance/support.js'

interface Bench {
  readonly hardware: SimulatedHardware
  open<D extends Device<string, unknown>>(deviceClass: DeviceClass, options?: object): Promise<D>
  /** In the process the device's plug is pulled; over the socket the whole handheld dies and comes back. */
  cable(device: PeripheralName): Cable
}

function opener(drivers: readonly Driver[], socket: string): Bench['open'] {
  return async (deviceClass, options = {}) => {
    const driver = drivers.find((each) => each.deviceClass === deviceClass)
    if (driver === undefined) throw new Error(`no simulated ${deviceClass}`)
    return (await driver.open({ socket, ...options } as never, testContext(deviceClass))) as never
  }
}

async function suite(t: Test, { hardware, open, cable }: Bench): Promise<void> {
  await t.test('chip card reader', (t) =>
    chipCardReaderConformance(t, {
      open: () => open<ChipCardReader>('chip-card-reader'),
      insert: (card) => hardware.chip.insert(card),
      pull: () => hardware.chip.pull(),
      cable: cable('chip-card-reader'),
    }),
  )
}

t.test('over the bus in the process', async (t) => {
  const hardware = createSimulatedHardware()
  t.teardown(() => hardware.close())
  const roles: Partial<Record<DeviceClass, BusRole>> = { scanner: 'open', printer: 'open' }
  const drivers = simulatedDrivers((_, context) => hardware.bus(roles[context.id as DeviceClass] ?? 'secure'))
  await suite(t, {
    hardware,
    open: opener(drivers, 'unused'),
    cable: (device) => ({
      unplug: () => hardware.detach(device),
      plug: () => hardware.attach(device),
    }),
  })
})

t.test('over the socket', async (t) => {
  const hardware = createSimulatedHardware()
  const folder = mkdtempSync(join(tmpdir(), 'hardware-bus-'))
  const servers = new Map<BusRole, HardwareServer>()
  const path = (role: BusRole) => join(folder, `${role}.sock`)
  const start = async (role: BusRole) => {
    servers.set(role, await serveHardware(hardware, path(role), role))
  }
  await start('secure')
  await start('open')
  t.teardown(async () => {
    for (const server of servers.values()) await server.close()
    hardware.close()
    rmSync(folder, { recursive: true })
  })
  const role = (device: DeviceClass | PeripheralName): BusRole =>
    device === 'scanner' || device === 'printer' ? 'open' : 'secure'
  await suite(t, {
    hardware,
    open: (deviceClass, options) => opener(SIMULATED_DRIVERS, path(role(deviceClass)))(deviceClass, options),
    cable: (device) => ({
      unplug: async () => servers.get(role(device))?.close(),
      plug: () => start(role(device)),
    }),
  })
})
