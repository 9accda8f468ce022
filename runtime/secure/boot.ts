// Starts the secure world: `node boot.js CONFIG.json`. The one file of this world that names drivers.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, systemRandom } from '../../hal/base/clock.js'
import { createLog } from '../../hal/base/pino-log.js'
import { serviceManager } from '../../hal/base/service-manager.js'
import { type Board, type Driver, describeProblem, openBoard } from '../../hal/board.js'
import { loadBoard } from '../../hal/boards.js'
import { secureDrivers } from '../../hal/drivers/secure-drivers.js'
import { SIMULATED_DRIVERS } from '../../hal/simulated/drivers.js'
import { fileStatistics } from '../../hal/statistics-file.js'
import { secureConfigFrom } from './secure-config.js'
import { type SecureWorld, startSecureWorld } from './secure-world.js'
import { reasonOf, showStartFailure } from './start-failure.js'

const config = secureConfigFrom(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')))
const log = createLog('secure', config.logLevel)
process.umask(0o077)
const service = serviceManager(process.env)

const drivers: readonly Driver[] = [
  ...secureDrivers(systemClock),
  ...(config.profile === 'development' ? SIMULATED_DRIVERS : []),
]
const { profile, problems } = loadBoard(config.board, drivers, {
  world: 'secure',
  params: config.boardParams,
})
const opened = await openBoard(profile, drivers, {
  clock: systemClock,
  log,
  statistics: fileStatistics(join(config.dataDir, 'statistics'), log),
})
const board: Board = { ...opened, problems: [...problems, ...opened.problems] }
for (const problem of board.problems) log.error('board.problem', { problem: describeProblem(problem) })

const ending = new AbortController()
let world: SecureWorld | undefined
const end = (code: number) => {
  service.stopping()
  // Whatever was begun is in the journal: ending hard is always safe.
  setTimeout(() => process.exit(code), 2000).unref()
  ending.abort()
  const closed = world?.close() ?? Promise.resolve()
  return closed.finally(() => board.close().finally(() => process.exit(code)))
}
process.on('SIGTERM', () => void end(0))
process.on('SIGINT', () => void end(0))
process.on('unhandledRejection', (error) => {
  log.error('secure.unhandled', { error })
  process.exit(1)
})

try {
  world = await startSecureWorld({
    config,
    board,
    certifiedModule: profile.certifiedModule,
    clock: systemClock,
    random: systemRandom,
    log,
    onFatal(error) {
      log.error('secure.fatal', { error })
      process.exit(1)
    },
  })
  service.ready()
  console.log(JSON.stringify({ ready: true }))
} catch (error) {
  console.log(JSON.stringify({ ready: false, reason: reasonOf(error) }))
  await showStartFailure(board, config.dataDir, error, { clock: systemClock, log }, ending.signal)
  if (!ending.signal.aborted) await end(1)
}
