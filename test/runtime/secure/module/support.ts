// A terminal with a certified module on one virtual handheld: both ends in this process, a real socket between them.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../../hal/base/clock.js'
import { loadFont } from '../../../../hal/base/font/font.js'
import { silentLog } from '../../../../hal/base/log.js'
import { money } from '../../../../hal/base/money.js'
import { openBoard } from '../../../../hal/board.js'
import { simulatedDrivers } from '../../../../hal/simulated/drivers.js'
import { createSimulatedHardware, DEFAULT_DISPLAY } from '../../../../hal/simulated/hardware.js'
import { connectContract } from '../../../../runtime/api/contract.js'
import type { CardPrompts, CardRequest } from '../../../../runtime/secure/card-transaction.js'
import { emvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { deriveInitialKey } from '../../../../runtime/secure/keys/aes-dukpt.js'
import { loadInitialKey, openTerminalKeys } from '../../../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openFileKeyStore } from '../../../../runtime/secure/keys/file-key-store.js'
import { moduleCardTransactions } from '../../../../runtime/secure/module/module-card-transaction.js'
import { MODULE_PROTOCOL } from '../../../../runtime/secure/module/module-contract.js'
import { createScreenService } from '../../../../runtime/secure/screens/screen-service.js'
import { loadTexts } from '../../../../runtime/secure/texts.js'
import { emvTables } from '../../../../scripts/dev/factory/documents.js'
import { MODULE_KEYS } from '../../../../scripts/dev/factory/factory.js'
import { openDeck } from '../../../../scripts/dev/issuer/deck.js'
import { ensureIssuerKeys } from '../../../../scripts/dev/issuer/issuer-keys.js'
import { type ModuleServer, serveModule } from '../../../../scripts/dev/module/serve-module.js'

export const BDK = new Uint8Array(16).map((_, at) => 17 * at)
const font = loadFont()

export const REQUEST: CardRequest = {
  type: 'sale',
  amount: money(1250, 'EUR'),
  sequence: 7,
  at: new Date('2026-11-22T10:00:00Z'),
  locale: 'en',
}

/** The module's bounds are minutes: these waits are over at once, shorter ones keep their time. */
const hasty: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms > 70_000 ? 50 : ms, signal),
}

/** What the seam's client sees besides the socket. */
function clientOf(socketPath: string, screens: Parameters<typeof moduleCardTransactions>[0]['screens']) {
  const apps: string[] = []
  const languages: string[] = []
  const prompts = { preferLanguages: (codes: string[]) => void languages.push(...codes) }
  const make = (options: { acceptSimulated?: boolean; clock?: Clock } = {}) =>
    moduleCardTransactions({
      socketPath,
      acceptSimulated: options.acceptSimulated ?? true,
      screens,
      apps: {
        freeze: async () => void apps.push('freeze'),
        thaw: async () => void apps.push('thaw'),
      },
      clock: options.clock ?? systemClock,
      log: silentLog,
    })(prompts as unknown as CardPrompts, {
      lastAmount: async () => undefined,
      onExceptionFile: async () => false,
    })
  return { make, apps, languages }
}

export function scratch(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-module-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The whole: handheld, cards, module, the secure world's screens, the client of the seam. */
export async function terminalWithModule(t: Test) {
  const folder = scratch(t)
  const hardware = createSimulatedHardware()
  const deck = openDeck({ keysDir: folder })
  const drivers = simulatedDrivers(() => hardware.bus('secure'))
  const open = async () => {
    const socket = 'in process'
    const board = await openBoard(
      {
        name: 'test',
        certifiedModule: undefined,
        devices: [
          {
            id: 'display',
            deviceClass: 'display',
            driver: 'simulated',
            options: { socket, ...DEFAULT_DISPLAY },
          },
          { id: 'keypad', deviceClass: 'keypad', driver: 'simulated', options: { socket } },
          { id: 'indicators', deviceClass: 'indicators', driver: 'simulated', options: { socket } },
          { id: 'chip', deviceClass: 'chip-card-reader', driver: 'simulated', options: { socket } },
        ],
      },
      drivers,
      { clock: systemClock, log: silentLog },
    )
    t.teardown(() => board.close())
    return {
      display: board.device('display')!,
      keypad: board.device('keypad')!,
      indicators: board.device('indicators')!,
      reader: board.device('chip-card-reader')!,
    }
  }
  const texts = loadTexts()
  const own = await open()
  const screens = createScreenService({ ...own, clock: systemClock, log: silentLog, texts, font })
  t.teardown(() => screens.close())

  const store = await openFileKeyStore({
    folder: join(folder, 'keys'),
    passphrase: new Uint8Array(8),
    random: systemRandom,
    cost: { N: 1024, r: 8, p: 1 },
  })
  const ikid = systemRandom(8)
  await loadInitialKey(store, MODULE_KEYS, { ikid, key: deriveInitialKey(BDK, ikid) }, systemRandom)
  const keys = await openTerminalKeys(store, systemRandom, MODULE_KEYS)
  t.teardown(() => keys.close())
  const configuration = emvConfiguration(emvTables(ensureIssuerKeys(folder)))
  const socketPath = join(folder, 'module.sock')
  const parts = await open()
  const servers: ModuleServer[] = []
  t.teardown(() => Promise.all(servers.map((server) => server.close())))
  const startModule = async () => {
    const server = await serveModule(socketPath, 0o600, {
      ...parts,
      keys,
      configuration: () => configuration,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      font,
    })
    servers.push(server)
    return server
  }
  const glass = () => hardware.display.alt().join('\n')
  return {
    folder,
    hardware,
    deck,
    screens,
    startModule,
    glass,
    ...clientOf(socketPath, screens),
    async seen(words: string): Promise<void> {
      for (let i = 0; i < 1500; i++) {
        if (glass().includes(words)) return
        await systemClock.sleep(10)
      }
      throw new Error(`waited in vain for ${words}; the glass says ${glass()}`)
    },
    async type(text: string): Promise<void> {
      for (const key of text.split(' ')) await hardware.keypad.tap(key as '1')
    },
  }
}

type Answers = Readonly<Record<string, unknown>>

/** A module that answers what it is told to, or does with the connection what it likes. */
export async function lyingModule(t: Test, answers: Answers, onConnection?: (socket: Socket) => void) {
  const socketPath = join(scratch(t), 'liar.sock')
  const sockets: Socket[] = []
  const calls: string[] = []
  const remotes: ((method: string) => Promise<unknown>)[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    if (onConnection !== undefined) return onConnection(socket)
    const all: Record<string, unknown> = {
      'module.info': { protocol: MODULE_PROTOCOL, model: 'Liar', simulated: false },
      'card.finish': null,
      ...answers,
    }
    const own = Object.fromEntries(Object.keys(all).map((name) => [name, { params: {}, result: {} }]))
    const serve = Object.fromEntries(
      Object.entries(all).map(([name, answer]) => [
        name,
        async () => {
          calls.push(name)
          return typeof answer === 'function' ? await answer() : answer
        },
      ]),
    )
    const { peer } = connectContract(socket, own, serve as never, {})
    remotes.push((method) => peer.call(method, null))
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const suspensions = { now: 0 }
  const screens = {
    async suspend() {
      suspensions.now++
      return () => void suspensions.now--
    },
    status: () => ({
      network: 'online' as const,
      cloud: 'connected' as const,
      printer: 'ready' as const,
      outbox: 0,
      battery: undefined,
    }),
  }
  const { make, apps, languages } = clientOf(socketPath, screens)
  return {
    make: (options: { acceptSimulated?: boolean } = {}) => make({ clock: hasty, ...options }),
    apps,
    languages,
    suspensions,
    calls,
    /** Calls the terminal as the newest connection's module. */
    call: (method: string) => remotes.at(-1)!(method),
  }
}
