// Every simulated driver passes its class's conformance suite over the socket; the cable is the whole handheld dying.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { socketBus } from '../../hal/simulated/bus-device.js'
import type { BusRole } from '../../hal/simulated/bus-protocol.js'
import { createSimulatedHardware } from '../../hal/simulated/hardware.js'
import { type HardwareServer, serveHardware } from '../../hal/simulated/serve-hardware.js'
import { MATRIX, roleOf, simulatedConformance } from './conformance/simulated.js'

t.test('over the socket', async (t) => {
  const hardware = createSimulatedHardware({ matrix: MATRIX })
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
  await simulatedConformance(t, {
    hardware,
    connect: socketBus,
    socket: path,
    cable: (device) => ({
      unplug: async () => servers.get(roleOf(device))?.close(),
      plug: () => start(roleOf(device)),
    }),
  })
})
