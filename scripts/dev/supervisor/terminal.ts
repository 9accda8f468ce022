// A development terminal: acquirer, cloud, hardware and the two worlds, started in order and watched.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex, toHex } from '../../../hal/base/bytes.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { parseBoard } from '../../../hal/board.js'
import { readBoard } from '../../../hal/boards.js'
import type { OpenConfig } from '../../../runtime/open/open-config.js'
import type { SecureConfig } from '../../../runtime/secure/secure-config.js'
import { deriveProtectionKey } from '../../key-room/packages.js'
import type { AcquirerConfig } from '../acquirer/config.js'
import type { CloudConfig } from '../cloud/config.js'
import { MERCHANT_ID, TERMINAL_ID } from '../factory/documents.js'
import {
  giveTransportIdentity,
  personalise,
  personaliseModule,
  prepareSurroundings,
} from '../factory/factory.js'
import type { HandheldConfig } from '../handheld/main.js'
import type { ModuleConfig } from '../module/main.js'
import { detectIsolation, type Isolation } from './isolation.js'
import { giveTo, type Layout, layOut } from './layout.js'
import { type Stacks, startStacks } from './stacks.js'
import { type ProcessState, type Supervised, supervise } from './supervised.js'

export interface TerminalOptions {
  readonly dataDir: string
  /** A board profile, as `readBoard` takes it. */
  readonly board: string
  /** Of the page; 0 chooses a free one. */
  readonly port: number
  /** How long the terminal waits for the acquirer's answer. */
  readonly hostMs: number
  /** The merchant's country wants receipts signed. */
  readonly fiscal?: boolean
  readonly logLevel: SecureConfig['logLevel']
  /** A line for whoever started it: what is being done, what fell over. */
  readonly tell: (line: string) => void
}

export interface DevTerminal {
  readonly layout: Layout
  readonly isolation: Isolation
  /** The virtual handheld's page and control. */
  readonly page: string
  /** The cloud's page. */
  readonly cloud: string
  /** Where the acquirer's ledger is asked. */
  readonly ledger: string
  states(): Readonly<Record<string, ProcessState>>
  pid(name: 'secure' | 'open' | 'handheld' | 'acquirer' | 'cloud'): number | undefined
  /** Kills both worlds at once, as pulling the battery does. */
  cutPower(): Promise<void>
  /** Kills the acquirer and starts it anew where it was: its ledger is what it had on disk. */
  killAcquirer(): Promise<void>
  powerOn(): Promise<void>
  stop(): Promise<void>
}

const WORLDS = ['secure', 'open', 'module']
const dist = (path: string) => join(packageRoot, 'dist', path)

/** Starts it and resolves when both worlds are ready. On failure everything that was started is stopped again. */
export async function startTerminal(options: TerminalOptions): Promise<DevTerminal> {
  const { tell } = options
  const isolation = detectIsolation(options.dataDir)
  const layout = layOut(options.dataDir, isolation)
  const { dev, logs } = layout
  const running: Supervised[] = []
  const states: Record<string, ProcessState> = {}
  let handheld: Supervised | undefined
  let stacks: Stacks | undefined
  let readerTurn: Promise<void> = Promise.resolve()

  const configFile = (name: string, value: unknown, folder = dev) => {
    const path = join(folder, `${name}.json`)
    writeFileSync(path, JSON.stringify(value, null, 2), { mode: 0o600 })
    return path
  }
  const make = (
    name: string,
    command: string,
    args: readonly string[],
    more: { restart: boolean; ipc?: boolean; env?: Readonly<Record<string, string>> },
  ) => {
    const made = supervise({ name, command, args, logPath: join(logs, `${name}.log`), ...more }, (state) => {
      if (states[name] === 'running' && state === 'waiting')
        tell(`${name} world has stopped and is started again; see ${join(logs, `${name}.log`)}`)
      states[name] = state
      handheld?.send({
        surroundings: {
          worlds: { secure: states['secure'] ?? 'stopped', open: states['open'] ?? 'stopped' },
        },
      })
    })
    running.push(made)
    return made
  }
  const stop = async () => {
    // The worlds first: what they still say is heard.
    const worlds = running.filter(({ name }) => WORLDS.includes(name))
    await Promise.all(worlds.map((process) => process.stop()))
    await Promise.all(running.map((process) => process.stop()))
    await stacks?.stop()
    rmSync(layout.run, { recursive: true, force: true })
  }

  try {
    const surroundings = prepareSurroundings(dev)
    const acquirer = make(
      'acquirer',
      process.execPath,
      [dist('scripts/dev/acquirer/main.js'), configFile('acquirer', acquirerConfig())],
      { restart: false },
    )
    const cloud = make(
      'cloud',
      process.execPath,
      [dist('scripts/dev/cloud/main.js'), configFile('cloud', cloudConfig())],
      { restart: false },
    )
    const [host, broker] = await Promise.all([acquirer.start(), cloud.start()])
    const { port: acquirerPort, queryPort } = host as { port: number; queryPort: number }
    configFile('acquirer', acquirerConfig(acquirerPort, queryPort))
    const { mqttPort, httpPort } = broker as unknown as { mqttPort: number; httpPort: number }

    const { hostMs, fiscal = false } = options
    await personalise({ secureDir: layout.secure, dev, surroundings, acquirerPort, hostMs, fiscal })
    const links = [
      { label: 'Parcels in the cloud', href: `http://127.0.0.1:${httpPort}/` },
      { label: "Acquirer's ledger", href: `http://127.0.0.1:${queryPort}/entries` },
    ]
    stacks = await startStacks(options.board, layout, isolation)
    handheld = make(
      'handheld',
      process.execPath,
      [dist('scripts/dev/handheld/main.js'), configFile('handheld', await handheldConfig(httpPort))],
      { restart: false, ipc: true },
    )
    handheld.onMessage((message) => {
      const { power, readerPlugged } = message as {
        power?: 'cut' | 'on' | 'restart'
        readerPlugged?: boolean
      }
      if (readerPlugged !== undefined)
        readerTurn = readerTurn
          .then(() => stacks?.setReader(readerPlugged))
          .catch((error: unknown) => tell(String(error)))
      if (power === 'cut') void cutPower()
      else if (power === 'on') void powerOn().catch((error: unknown) => tell(String(error)))
      else if (power === 'restart')
        void cutPower()
          .then(powerOn)
          .catch((error: unknown) => tell(String(error)))
    })
    const { port } = (await handheld.start()) as { port: number }
    handheld.send({ surroundings: { links } })

    const secureFile = configFile('config', secureConfig(), layout.secure)
    const openFile = configFile('config', openConfig(mqttPort, acquirerPort), layout.open)
    giveTo('secure', layout.secure, isolation)
    giveTo('open', layout.open, isolation)
    const secureLine = isolation.wrap('secure', process.execPath, [
      dist('runtime/secure/boot.js'),
      secureFile,
    ])
    const module = await certifiedModule()
    const openLine = isolation.wrap('open', process.execPath, [dist('runtime/open/boot.js'), openFile])
    const secure = make('secure', secureLine.command, secureLine.args, {
      restart: true,
      env: stacks.secureEnv,
    })
    const open = make('open', openLine.command, openLine.args, { restart: true })

    let switching: Promise<unknown> = Promise.resolve()
    const oneAtATime = <T>(work: () => Promise<T>): Promise<T> => {
      const result = switching.then(work, work)
      switching = result.catch(() => undefined)
      return result
    }
    function cutPower(): Promise<void> {
      return oneAtATime(async () => {
        await Promise.all([secure.cut(), open.cut(), module?.cut()])
        handheld?.send({ powered: false })
      })
    }
    function powerOn(): Promise<void> {
      return oneAtATime(async () => {
        if (secure.state() !== 'stopped') return
        handheld?.send({ powered: true })
        // Each waits for the others by itself, as on a device.
        await Promise.all([module?.start(), secure.start(), open.start()])
      })
    }
    await powerOn()

    return {
      layout,
      isolation,
      page: `http://127.0.0.1:${port}/`,
      cloud: `http://127.0.0.1:${httpPort}/`,
      ledger: `http://127.0.0.1:${queryPort}/`,
      states: () => ({ ...states }),
      pid: (name) => running.find((process) => process.name === name)?.pid(),
      cutPower,
      powerOn,
      async killAcquirer() {
        await acquirer.cut()
        await acquirer.start()
      },
      stop,
    }

    /** The board's certified module, simulated: a world of its own beside the secure one, with that one's rights. */
    async function certifiedModule(): Promise<Supervised | undefined> {
      const board = readBoard(options.board)
      const params = { module: layout.moduleSocket }
      if (parseBoard(board, [], { params }).profile.certifiedModule === undefined) return undefined
      await personaliseModule(layout.module, dev, surroundings)
      const config: ModuleConfig = {
        profile: 'development',
        socket: layout.moduleSocket,
        socketMode: 0o600,
        hardwareSocket: layout.secureHardware,
        board: options.board,
        dataDir: layout.module,
        logLevel: options.logLevel,
      }
      const file = configFile('config', config, layout.module)
      giveTo('secure', layout.module, isolation)
      const line = isolation.wrap('secure', process.execPath, [dist('scripts/dev/module/main.js'), file])
      return make('module', line.command, line.args, { restart: true })
    }
    function acquirerConfig(port = 0, queryPort = 0): AcquirerConfig {
      return {
        listen: { host: '127.0.0.1', port },
        query: { host: '127.0.0.1', port: queryPort },
        tls: surroundings.acquirer,
        bdk: surroundings.bdk,
        kbpk: toHex(deriveProtectionKey(fromHex(surroundings.master), TERMINAL_ID)),
        signOnFirst: true,
        issuerKeys: surroundings.issuerKeys,
        issuerBooks: join(dev, 'issuer-books'),
        ledger: join(dev, 'ledger.db'),
        terminals: [{ terminalId: TERMINAL_ID, merchantId: MERCHANT_ID }],
        lateMs: options.hostMs + 1000,
      }
    }
    function cloudConfig(): CloudConfig {
      return {
        mqtt: { host: '127.0.0.1', port: 0, ca: surroundings.ca, ...surroundings.cloud },
        http: { host: '127.0.0.1', port: 0 },
        service: surroundings.service,
        terminals: [TERMINAL_ID],
        stateDir: join(dev, 'cloud'),
      }
    }
    async function handheldConfig(cloudPort: number): Promise<HandheldConfig> {
      const parcels = (await (await fetch(`http://127.0.0.1:${cloudPort}/state`)).json()) as {
        parcels: { waybill: string; recipient: string }[]
      }
      return {
        profile: 'development',
        secureSocket: layout.secureHardware,
        openSocket: layout.openHardware,
        socketMode: isolation.uid('secure') === undefined ? 0o600 : 0o666,
        keysDir: surroundings.issuerKeys,
        cardStateDir: join(dev, 'cards'),
        port: options.port,
        labels: parcels.parcels.map(({ waybill, recipient }) => ({ text: waybill, label: recipient })),
        missing: [...isolation.missing],
        board: options.board,
        stacks: stacks?.handheld ?? {},
      }
    }
    function secureConfig(): SecureConfig {
      return {
        profile: 'development',
        dataDir: layout.secure,
        bridgeSocket: layout.bridge,
        bridgeMode: isolation.uid('open') === undefined ? 0o600 : 0o660,
        board: options.board,
        boardParams: {
          hardware: layout.secureHardware,
          module: layout.moduleSocket,
          secureElement: join(layout.secure, 'secure-element'),
          fiscalSigner: join(layout.secure, 'fiscal-signer'),
        },
        passphraseFile: join(layout.secure, 'passphrase'),
        logLevel: options.logLevel,
      }
    }
    function openConfig(mqttPort: number, acquirerPort: number): OpenConfig {
      return {
        terminalId: TERMINAL_ID,
        bridgeSocket: layout.bridge,
        dataDir: layout.open,
        mqtt: { host: '127.0.0.1', port: mqttPort, ...giveTransportIdentity(layout.open, surroundings) },
        acquirerEndpoints: [{ host: '127.0.0.1', port: acquirerPort }],
        apps: ['courier'],
        hardwareSocket: layout.openHardware,
        board: options.board,
        boardParams: {
          hardware: layout.openHardware,
          ...(stacks?.printerPort === undefined ? {} : { printerPort: stacks.printerPort }),
        },
        logLevel: options.logLevel,
      }
    }
  } catch (error) {
    await stop()
    throw error
  }
}
