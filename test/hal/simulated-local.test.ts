// Every simulated driver passes its class's conformance suite over the bus in the process; cables are pulled at the device.
import t from 'tap'
import type { BusRole } from '../../hal/simulated/bus-protocol.js'
import { createSimulatedHardware } from '../../hal/simulated/hardware.js'
import { MATRIX, simulatedConformance } from './conformance/simulated.js'

t.test('over the bus in the process', async (t) => {
  const hardware = createSimulatedHardware({ matrix: MATRIX })
  t.teardown(() => hardware.close())
  await simulatedConformance(t, {
    hardware,
    connect: ({ socket }) => hardware.bus(socket as BusRole),
    socket: (role) => role,
    cable: (device) => ({
      unplug: () => hardware.detach(device),
      plug: () => hardware.attach(device),
    }),
  })
})
