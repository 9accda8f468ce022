// Opens a board for the technician: both worlds' devices in one process, while the terminal stands still.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { silentLog } from '../../hal/base/log.js'
import {
  type Board,
  type BoardProfile,
  type Driver,
  describeProblem,
  openBoard,
  parseBoard,
} from '../../hal/board.js'
import { readBoard } from '../../hal/boards.js'
import { escposDriver } from '../../hal/drivers/escpos/escpos-driver.js'
import { openDrivers } from '../../hal/drivers/open-drivers.js'
import { secureDrivers } from '../../hal/drivers/secure-drivers.js'
import { busPrinterPort } from '../../hal/simulated/bus-byte-port.js'
import { busOptionFields } from '../../hal/simulated/bus-device.js'
import { SIMULATED_DRIVERS } from '../../hal/simulated/drivers.js'
import { fileStatistics } from '../../hal/statistics-file.js'
import { type SecureConfig, secureConfigFrom } from '../../runtime/secure/secure-config.js'

/** What names the board: a terminal's own configuration, or a profile and values for its `${name}`s. */
export interface BoardChoice {
  readonly config?: string
  readonly board?: string
  readonly param: Readonly<Record<string, string>>
  readonly dataDir: string
}

export interface OpenedBoard {
  readonly board: Board
  readonly profile: BoardProfile
  readonly problems: readonly string[]
  readonly config: SecureConfig | undefined
}

function isRunning(dataDir: string): boolean {
  const pid = join(dataDir, 'running.pid')
  return existsSync(pid) && existsSync(`/proc/${Number(readFileSync(pid, 'utf8'))}`)
}

/** How long a device may take to come before it counts as not there. */
const COME_MS = 5000

/**
 * Opens the devices that `only` names, or all, and waits a moment for those that take their time.
 * @throws PosternError `USAGE`, `BOARD_UNREADABLE`, `ALREADY_RUNNING`, `CONFIG_INVALID`
 */
export async function openChosenBoard(choice: BoardChoice, only: readonly string[]): Promise<OpenedBoard> {
  if (isRunning(choice.dataDir))
    throw new PosternError(
      'ALREADY_RUNNING',
      `a terminal is running on ${choice.dataDir} and holds its devices: stop it first`,
    )
  const config =
    choice.config === undefined
      ? undefined
      : secureConfigFrom(JSON.parse(readFileSync(choice.config, 'utf8')))
  const name = choice.board ?? config?.board
  if (name === undefined)
    throw new PosternError('USAGE', "name a board (--board), or the terminal's configuration (--config)")
  const simulated = [
    ...SIMULATED_DRIVERS,
    escposDriver('simulated', busOptionFields, busPrinterPort(), (options) => options),
  ]
  const drivers: readonly Driver[] = [
    ...secureDrivers(systemClock),
    ...openDrivers(systemClock),
    ...(config?.profile === 'production' ? [] : simulated),
  ]
  const parsed = parseBoard(readBoard(name), drivers, {
    params: { ...config?.boardParams, ...choice.param },
  })
  const unknown = only.filter((id) => !parsed.profile.devices.some((device) => device.id === id))
  if (unknown.length > 0)
    throw new PosternError(
      'USAGE',
      `no device ${unknown.join(', ')}; there are ${parsed.profile.devices.map(({ id }) => id).join(', ')}`,
    )
  const devices = parsed.profile.devices.filter(({ id }) => only.length === 0 || only.includes(id))
  const profile = { ...parsed.profile, devices }
  const folder = config === undefined ? undefined : join(config.dataDir, 'statistics')
  const board = await openBoard(profile, drivers, {
    clock: systemClock,
    log: silentLog,
    ...(folder === undefined ? {} : { statistics: fileStatistics(folder, silentLog) }),
  })
  const until = systemClock.monotonicMs() + COME_MS
  while (
    board.devices.some((device) => device.status().presence !== 'ready') &&
    systemClock.monotonicMs() < until
  )
    await systemClock.sleep(50)
  return { board, profile, problems: [...parsed.problems, ...board.problems].map(describeProblem), config }
}
