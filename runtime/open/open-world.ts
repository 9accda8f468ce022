// The open world put together: bridge, pipes, apps, link, printing, scanning; it starts in order and closes in reverse.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { loadFont } from '../../hal/base/font/font.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { API_VERSION, type AppContext } from '../api/app-contract.js'
import { RpcError } from '../api/json-rpc.js'
import type { OpenStatus, TerminalInfo } from '../bridge/contract.js'
import { type AppHost, startAppHost } from './app-host/app-host.js'
import type { AppState } from './app-host/app-runner.js'
import { type Bridge, connectBridge } from './bridge/bridge-client.js'
import { deliverDocument } from './bridge/deliver-document.js'
import { carryGateway } from './bridge/gateway-carrier.js'
import { createPipes } from './bridge/pipes.js'
import { connectLocalGateway } from './gateway/local-gateway.js'
import { createDocumentCourier } from './link/document-courier.js'
import { createInbox } from './link/inbox.js'
import { type Link, startLink } from './link/link.js'
import { openLinkDatabase } from './link/link-database.js'
import { createOutbox } from './link/outbox.js'
import { createPaymentEvents } from './link/payment-events.js'
import type { OpenConfig } from './open-config.js'
import type { OpenDevices } from './open-devices.js'
import { reportPower } from './peripherals/power-reports.js'
import { createScannerService } from './peripherals/scanner-service.js'
import { readLogo } from './receipts/logo.js'
import { createPrintService } from './receipts/print-service.js'
import { loadReceiptTexts } from './receipts/receipt-texts.js'
import { openSettings } from './settings.js'
import { openAppStorage } from './storage.js'

/** What `app.ready` waits for the secure world's first word. */
const FIRST_WORD_MS = 60_000
const STATUS_SOON_MS = 50

export interface OpenWorld {
  /** For the supervisor and tests. */
  status(): OpenStatus & { readonly bridge: boolean; readonly apps: Readonly<Record<string, AppState>> }
  /** Ends apps and link, then pipes and bridge; at most about 3 s. The devices stay open. */
  close(): Promise<void>
}

export interface OpenWorldFolders {
  /** Where the apps' folders are, with manifests and texts, and where they are compiled to. */
  readonly sources: string
  readonly built: string
}

const FOLDERS: OpenWorldFolders = {
  sources: join(packageRoot, 'apps'),
  built: join(packageRoot, 'dist', 'apps'),
}

/** Starts the open world. It works without the secure world, network or cloud, and waits for each of them. */
export async function startOpenWorld(
  config: OpenConfig,
  devices: OpenDevices,
  folders: OpenWorldFolders = FOLDERS,
): Promise<OpenWorld> {
  const { printer, scanner, power, network, clock, random, log } = devices
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
  const settings = openSettings(config.dataDir, log)
  const database = openLinkDatabase(join(config.dataDir, 'link.db'))
  const outbox = createOutbox(database, clock, random)
  const inbox = createInbox(database, clock)
  const printing = createPrintService({
    printer,
    font: loadFont(),
    texts: loadReceiptTexts(),
    logo: readLogo(join(config.dataDir, 'logo.pbm'), log),
    clock,
    log,
  })

  // The parts need each other only once something happens, which is after all of them are there.
  let bridge: Bridge
  let apps: AppHost | undefined
  let link: Link | undefined
  let info: TerminalInfo | undefined

  const pipes = createPipes({
    allowed: config.acquirerEndpoints,
    network,
    secure: () => bridge.secure,
    log,
  })
  const local =
    config.gatewaySocket === undefined
      ? undefined
      : connectLocalGateway({ socketPath: config.gatewaySocket, network, clock, random, log })
  const gateway = carryGateway(local?.transport, () => bridge.secure, log)
  const learn = (next: TerminalInfo) => {
    info = next
    apps?.contextChanged()
  }
  bridge = connectBridge({
    socketPath: config.bridgeSocket,
    clock,
    random,
    log,
    serve: {
      ...pipes.serve,
      ...gateway.serve,
      'apps.freeze': async () => {
        await apps?.freeze()
        return null
      },
      'apps.thaw': () => {
        apps?.thaw()
        return null
      },
      'payments.changed': () => {
        void payments.fetch()
        return null
      },
      'terminal.changed': (next) => {
        learn(next)
        return null
      },
    },
  })
  const payments = createPaymentEvents({ database, outbox, bridge, log })

  const status = (): OpenStatus => ({
    network: network.online() ? 'online' : 'offline',
    cloud: link?.state() ?? 'offline',
    printer: printing.summary(),
    outbox: outbox.size(),
    ...(troubles.length === 0 ? {} : { troubles: [...troubles] }),
  })
  let troubles: readonly string[] = []
  let told = ''
  let telling: NodeJS.Timeout | undefined
  /** Soon, as much may change at once. */
  const tellStatus = () => {
    telling ??= setTimeout(() => {
      telling = undefined
      const now = JSON.stringify(status())
      if (now === told || !bridge.connected()) return
      told = now
      bridge.secure['status.set'](status()).catch((error: Error) => {
        told = ''
        log.debug('status.not-told', { error: error.message })
      })
    }, STATUS_SOON_MS)
  }

  const stopListening = [
    bridge.on((connected) => {
      told = ''
      if (!connected) {
        // Nobody is left to thaw them, or to read the pipes.
        apps?.thaw()
        return pipes.closeAll('the secure world is away')
      }
      tellStatus()
      gateway.tell()
      bridge.secure['terminal.info'](null).then(learn, (error: Error) =>
        log.warn('terminal.info-failed', { error: error.message }),
      )
      void payments.fetch()
    }),
    network.on(() => {
      tellStatus()
      apps?.contextChanged()
    }),
    printing.onSummary(() => {
      tellStatus()
      apps?.contextChanged()
    }),
    outbox.on(tellStatus),
    reportPower(power, outbox, log),
    devices.watchTroubles?.((lines) => {
      troubles = lines
      tellStatus()
    }) ?? (() => undefined),
  ]

  const context = async (signal: AbortSignal): Promise<AppContext> => {
    const untilMs = clock.monotonicMs() + FIRST_WORD_MS
    while (info === undefined) {
      if (clock.monotonicMs() > untilMs)
        throw new RpcError('SECURE_WORLD_AWAY', 'the secure world has not said who this terminal is')
      await bridge.whenConnected(FIRST_WORD_MS, signal)
      if (info === undefined) await clock.sleep(20, signal)
    }
    const { terminalId, merchantName, currency, locale, operator } = info
    return {
      apiVersion: API_VERSION,
      terminalId,
      merchantName,
      currency,
      locale: operator?.locale ?? locale,
      now: clock.nowMs(),
      online: network.online(),
      printer: printing.summary(),
      operator,
    }
  }

  const storages = new Map<string, ReturnType<typeof openAppStorage>>()
  apps = startAppHost({
    apps: config.apps,
    ...folders,
    user: config.appUser,
    services: {
      bridge,
      context,
      locale: () => info?.operator?.locale ?? info?.locale ?? 'en',
      storage: (app) => {
        const open = storages.get(app) ?? openAppStorage(join(config.dataDir, 'apps', app), log)
        storages.set(app, open)
        return open
      },
      outbox,
      inbox,
      payments,
      printing,
      scanner: createScannerService(scanner),
      clock,
      log,
    },
  })

  const documents = createDocumentCourier({
    deliver: (type, envelope) => deliverDocument(bridge.secure, type, envelope),
    outbox,
    log,
  })
  stopListening.push(
    bridge.on((connected) => {
      if (connected) documents.retry()
    }),
  )
  if (config.mqtt !== undefined) {
    link = startLink({
      terminalId: config.terminalId,
      endpoint: config.mqtt,
      apps: config.apps,
      outbox,
      inbox,
      onDocument: (type, envelope) => documents.take(type, envelope),
      nextSession: settings.nextSession,
      network,
      clock,
      random,
      log,
    })
    stopListening.push(link.on(tellStatus))
  }
  log.info('open-world.started', { apps: config.apps.length })

  return {
    status: () => ({ ...status(), bridge: bridge.connected(), apps: apps.states() }),
    close: async () => {
      for (const stop of stopListening) stop()
      clearTimeout(telling)
      await Promise.all([apps.close(), link?.close()])
      printing.close()
      pipes.close()
      gateway.close()
      local?.close()
      await bridge.close()
      database.close()
    },
  }
}
