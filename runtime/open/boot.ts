// Starts the open world: `node boot.js CONFIG.json`. The one file of this world that names drivers.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, systemRandom } from '../../hal/base/clock.js'
import { createLog } from '../../hal/base/pino-log.js'
import { serviceManager } from '../../hal/base/service-manager.js'
import { type Driver, describeProblem, openBoard } from '../../hal/board.js'
import { watchTroubles } from '../../hal/board-troubles.js'
import { loadBoard } from '../../hal/boards.js'
import { escposDriver } from '../../hal/drivers/escpos/escpos-driver.js'
import { openInterfaceNetwork } from '../../hal/drivers/network/interface-network.js'
import { networkSource } from '../../hal/drivers/network/network-sources.js'
import { openWatchedNetwork } from '../../hal/drivers/network/watched-network.js'
import { openDrivers } from '../../hal/drivers/open-drivers.js'
import { busPrinterPort } from '../../hal/simulated/bus-byte-port.js'
import { busOptionFields } from '../../hal/simulated/bus-device.js'
import { SIMULATED_DRIVERS } from '../../hal/simulated/drivers.js'
import { openSimulatedNetwork } from '../../hal/simulated/network-state.js'
import { fileStatistics } from '../../hal/statistics-file.js'
import { openConfigFrom } from './open-config.js'
import { startOpenWorld } from './open-world.js'

const config = openConfigFrom(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')))
const log = createLog('open', config.logLevel)
process.umask(0o077)
const service = serviceManager(process.env)

const simulated: readonly Driver[] = [
  ...SIMULATED_DRIVERS,
  escposDriver('simulated', busOptionFields, busPrinterPort(), (options) => options),
]
const drivers: readonly Driver[] = [
  ...openDrivers(systemClock),
  ...(config.hardwareSocket === undefined ? [] : simulated),
]
const { profile, problems } = loadBoard(config.board, drivers, {
  world: 'open',
  params: config.boardParams,
})
const board = await openBoard(profile, drivers, {
  clock: systemClock,
  log,
  statistics: fileStatistics(join(config.dataDir, 'statistics'), log),
})
const allProblems = [...problems, ...board.problems]
for (const problem of allProblems) log.error('board.problem', { problem: describeProblem(problem) })

const context = { clock: systemClock, log }
async function openNetwork() {
  // What the board says comes first; the virtual handheld has a switch.
  if (profile.network !== undefined) return openWatchedNetwork(networkSource(profile.network), context)
  if (config.hardwareSocket === undefined) return openInterfaceNetwork(context)
  return openSimulatedNetwork(config.hardwareSocket, context)
}
const network = await openNetwork()
const world = await startOpenWorld(config, {
  printer: board.device('printer'),
  scanner: board.device('scanner'),
  power: board.device('power'),
  network,
  watchTroubles: (onChange) => watchTroubles(board.devices, allProblems, onChange),
  clock: systemClock,
  random: systemRandom,
  log,
})

let ending = false
const end = async () => {
  if (ending) return
  ending = true
  service.stopping()
  setTimeout(() => process.exit(0), 2500).unref()
  await world.close()
  await network.close()
  await board.close()
  process.exit(0)
}
process.on('SIGTERM', () => void end())
process.on('SIGINT', () => void end())
process.on('unhandledRejection', (error) => {
  log.error('open.unhandled', { error })
  process.exit(1)
})
service.ready()
console.log(JSON.stringify({ ready: true }))
