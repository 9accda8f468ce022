// The simulated certified module's process: `main.js CONFIG.json`; it plays the hardware's part that a PTS device would.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { erase } from '../../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../../hal/base/clock.js'
import { createLog } from '../../../hal/base/pino-log.js'
import { openBoard, parseBoard } from '../../../hal/board.js'
import { readBoard } from '../../../hal/boards.js'
import { SIMULATED_DRIVERS } from '../../../hal/simulated/drivers.js'
import { checker } from '../../../runtime/api/contract.js'
import { openDocuments } from '../../../runtime/secure/documents.js'
import { EmvDocument, emvConfiguration } from '../../../runtime/secure/emv/configuration.js'
import { openTerminalKeys } from '../../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openFileKeyStore } from '../../../runtime/secure/keys/file-key-store.js'
import { MODULE_KEYS } from '../factory/factory.js'
import { serveModule } from './serve-module.js'

const ModuleConfig = Type.Object(
  {
    /** There is no other: no terminal in production has a simulated module. */
    profile: Type.Literal('development'),
    socket: Type.String({ minLength: 1, maxLength: 107 }),
    socketMode: Type.Integer({ minimum: 0, maximum: 0o777 }),
    /** The virtual handheld's socket for the secure half of its devices. */
    hardwareSocket: Type.String({ minLength: 1, maxLength: 107 }),
    /** The terminal's board profile: display and keypad are wired to both. */
    board: Type.String({ pattern: '^[a-z0-9-]{1,64}$' }),
    /** The module's own keys and documents. */
    dataDir: Type.String({ minLength: 1 }),
    logLevel: Type.Enum(['debug', 'info', 'warn', 'error']),
  },
  { additionalProperties: false },
)
export type ModuleConfig = Static<typeof ModuleConfig>

const config = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as ModuleConfig
const fault = checker(ModuleConfig)(config)
if (fault !== undefined) throw new Error(`the simulated module's configuration: ${fault}`)
process.umask(0o077)
const log = createLog('module', config.logLevel)

const SHARED = ['display', 'keypad', 'indicators']
const { profile } = parseBoard(readBoard(config.board), SIMULATED_DRIVERS, {
  world: 'secure',
  params: { hardware: config.hardwareSocket, module: config.socket },
})
const board = await openBoard(
  {
    ...profile,
    devices: [
      ...profile.devices.filter(({ deviceClass }) => SHARED.includes(deviceClass)),
      {
        id: 'chip',
        deviceClass: 'chip-card-reader',
        driver: 'simulated',
        options: { socket: config.hardwareSocket },
      },
      {
        id: 'stripe',
        deviceClass: 'magnetic-stripe-reader',
        driver: 'simulated',
        options: { socket: config.hardwareSocket },
      },
    ],
  },
  SIMULATED_DRIVERS,
  { clock: systemClock, log },
)
const reader = board.device('chip-card-reader')
const display = board.device('display')
const keypad = board.device('keypad')
const indicators = board.device('indicators')
if (!reader || !display || !keypad || !indicators) throw new Error('the module lacks a device of its board')

const passphrase = new Uint8Array(readFileSync(join(config.dataDir, 'passphrase')))
const store = await openFileKeyStore({
  folder: join(config.dataDir, 'keys'),
  passphrase,
  random: systemRandom,
})
erase(passphrase)
const keys = await openTerminalKeys(store, systemRandom, MODULE_KEYS)
const documents = openDocuments(config.dataDir)
const emv = emvConfiguration(documents.read('emv', EmvDocument))

const server = await serveModule(config.socket, config.socketMode, {
  reader,
  stripeReader: board.device('magnetic-stripe-reader'),
  display,
  keypad,
  indicators,
  keys,
  configuration: () => emv,
  clock: systemClock,
  random: systemRandom,
  log,
})

let ending = false
async function end(): Promise<void> {
  if (ending) return
  ending = true
  // A card that nobody takes out must not hold up the end; nothing of the module's is lost by ending hard.
  setTimeout(() => process.exit(0), 2000).unref()
  await server.close()
  keys.close()
  await board.close()
  process.exit(0)
}
process.on('SIGTERM', () => void end())
process.on('SIGINT', () => void end())
console.log(JSON.stringify({ ready: true }))
