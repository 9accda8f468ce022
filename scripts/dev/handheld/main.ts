// The virtual handheld as a process of its own: it is the hardware, so it is the only one that sees cards and fingers.
import { readFileSync } from 'node:fs'
import { type Static, Type } from 'typebox'
import { parseBoard } from '../../../hal/board.js'
import { readBoard } from '../../../hal/boards.js'
import { SIMULATED_DRIVERS } from '../../../hal/simulated/drivers.js'
import { hardwareOptionsOf } from '../../../hal/simulated/hardware-of-board.js'
import { serveHardware } from '../../../hal/simulated/serve-hardware.js'
import { checker } from '../../../runtime/api/contract.js'
import { openDeck } from '../issuer/deck.js'
import { createHandheld } from './handheld.js'
import { joinRealStacks } from './real-stacks.js'
import { type Surroundings, servePage } from './server.js'

const closed = { additionalProperties: false } as const
const HandheldConfig = Type.Object(
  {
    /** There is no other: the virtual handheld never plays the hardware of a production terminal. */
    profile: Type.Literal('development'),
    secureSocket: Type.String(),
    openSocket: Type.String(),
    /** Mode of the sockets: 0600, or wider where the worlds have users of their own. */
    socketMode: Type.Integer({ minimum: 0, maximum: 0o777 }),
    keysDir: Type.String(),
    cardStateDir: Type.String(),
    /** 0 chooses a free one. */
    port: Type.Integer({ minimum: 0, maximum: 65_535 }),
    /** The board profile under hal/boards whose panel and keys are played. */
    board: Type.String(),
    labels: Type.Array(Type.Object({ text: Type.String(), label: Type.String() }, closed)),
    missing: Type.Array(Type.String()),
    /** Real stacks that take the place of the simulated reader and printer port. */
    stacks: Type.Object(
      {
        slotSocket: Type.Optional(Type.String()),
        printerPath: Type.Optional(Type.String()),
        printerUid: Type.Optional(Type.Integer({ minimum: 0 })),
      },
      closed,
    ),
  },
  closed,
)
export type HandheldConfig = Static<typeof HandheldConfig>

const config = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as HandheldConfig
const fault = checker(HandheldConfig)(config)
if (fault !== undefined) throw new Error(`the virtual handheld's configuration: ${fault}`)

const board = readBoard(config.board)
const params = {
  hardware: config.secureSocket,
  secureElement: config.cardStateDir,
  fiscalSigner: config.cardStateDir,
  module: '-',
  printerPort: '-',
}
const { profile } = parseBoard(board, SIMULATED_DRIVERS, { params })
const handheld = createHandheld({
  cards: openDeck({ keysDir: config.keysDir, stateDir: config.cardStateDir }),
  hardware: hardwareOptionsOf(profile),
  // A certified module has a stripe slot of its own.
  stripe:
    profile.certifiedModule !== undefined ||
    profile.devices.some(({ deviceClass }) => deviceClass === 'magnetic-stripe-reader'),
  onPower: (power) => process.send?.({ power }),
})
const surroundings: Surroundings = { worlds: {}, missing: config.missing, links: [], labels: config.labels }
const leaveStacks = await joinRealStacks(handheld, config.stacks, (readerPlugged) =>
  process.send?.({ readerPlugged }),
)
const servers = [
  await serveHardware(handheld.hardware, config.secureSocket, 'secure', { mode: config.socketMode }),
  await serveHardware(handheld.hardware, config.openSocket, 'open', { mode: config.socketMode }),
]
const page = await servePage(handheld, surroundings, config.port)

process.on('message', (message: { surroundings?: Partial<Surroundings>; powered?: boolean }) => {
  if (message.surroundings !== undefined) Object.assign(surroundings, message.surroundings)
  if (message.powered !== undefined) handheld.setPowered(message.powered)
  page.changed()
})
async function end(): Promise<void> {
  page.server.closeAllConnections()
  page.server.close()
  await Promise.all(servers.map((server) => server.close()))
  await leaveStacks()
  handheld.close()
  process.exit(0)
}
process.on('SIGTERM', () => void end())
process.on('SIGINT', () => void end())
process.on('disconnect', () => void end())
console.log(JSON.stringify({ ready: true, port: page.port }))
