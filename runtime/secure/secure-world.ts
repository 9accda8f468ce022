// The secure world put together: documents, keys, journal, screens, card payments, and its end of the bridge.
import { join } from 'node:path'
import type { Clock, Random } from '../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../hal/base/errors.js'
import type { Log } from '../../hal/base/log.js'
import { type Money, moneyFromJson } from '../../hal/base/money.js'
import { packageRoot } from '../../hal/base/package-root.js'
import type { Board, BoardProfile } from '../../hal/board.js'
import type { Operator } from '../api/payments.js'
import type { OpenStatus, TerminalInfo } from '../bridge/contract.js'
import { createAppFreeze } from './app-freeze.js'
import { type BridgeServer, serveBridge } from './bridge-server.js'
import type { CardTransactionFactory } from './card-transaction.js'
import { type Documents, openDocuments } from './documents.js'
import type { EmvConfiguration } from './emv/configuration.js'
import { contactCardTransactions } from './emv/contact-card-transaction.js'
import { KeyPackage } from './keys/key-package.js'
import { createKeySets } from './keys/key-sets.js'
import { routedCardKeys } from './keys/routed-card-keys.js'
import type { CardKeys, MacKeys } from './keys/terminal-keys.js'
import { moduleCardTransactions } from './module/module-card-transaction.js'
import { openKeyStore } from './open-key-store.js'
import { OperatorsDocument, readOperatorsDocument } from './operators-document.js'
import { createAcquirerClient } from './payments/acquirer-client.js'
import {
  type AcquirerEntry,
  AcquirersDocument,
  keyProfile,
  keySetOf,
  readAcquirersDocument,
} from './payments/acquirer-document.js'
import { routedAcquirers } from './payments/acquirers.js'
import { servePayments } from './payments/bridge-payments.js'
import { openJournal } from './payments/journal.js'
import { EXPORTS, pruneJournal } from './payments/journal-export.js'
import { recordStray } from './payments/late-answers.js'
import { MerchantDocument, readMerchantDocument } from './payments/merchant-document.js'
import { createPaymentService } from './payments/payment-service.js'
import { createBridgePipes } from './payments/roads/bridge-pipe.js'
import { defaultRouting } from './payments/routing.js'
import { RoutingDocument, readRoutingDocument } from './payments/routing-document.js'
import { openCardVault } from './payments/sealed-cards.js'
import { tlsLine } from './payments/tls-line.js'
import { createPinEntry } from './pin/pin-entry.js'
import { type MissingProtection, missingProtections } from './protections.js'
import { openRunTimeDocuments } from './run-time-documents.js'
import { createCardPrompts } from './screens/card-prompts.js'
import { createOperatorPrompts } from './screens/operator-prompts.js'
import { createScreenService, type HomeScreen, type ScreenService } from './screens/screen-service.js'
import type { SecureConfig } from './secure-config.js'
import { createSession } from './session.js'
import { loadTexts, type Texts } from './texts.js'
import { openTraceStore } from './trace-store.js'

export interface SecureWorld {
  close(): Promise<void>
}

export interface SecureWorldOptions {
  readonly config: SecureConfig
  readonly board: Board
  /** Takes the cards in the place of our own reader and kernel. */
  readonly certifiedModule: BoardProfile['certifiedModule']
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** The journal is lost to this process: it must end and be started anew. */
  readonly onFatal: (error: unknown) => void
}

/** One line of the log for each protection that is missing; the open world may ask for them. */
function selfTest(config: SecureConfig, log: Log): readonly MissingProtection[] {
  const missing = missingProtections(config.keyStore ?? 'file')
  for (const { name, message } of missing)
    log.warn('secure.protection-missing', { protection: name, message })
  return missing
}

/** The rules of the routing document; without one, the acquirers in their order. */
function readRouting(documents: Documents, entries: readonly AcquirerEntry[]): RoutingDocument {
  const ids = entries.map(({ id }) => id)
  try {
    return readRoutingDocument(documents.read('routing', RoutingDocument), ids)
  } catch (error) {
    if (isPosternError(error, 'DOCUMENT_MISSING')) return defaultRouting(ids)
    throw error
  }
}

function openScreens(options: SecureWorldOptions, texts: Texts): ScreenService {
  const { board, clock, log } = options
  const display = board.device('display')
  const keypad = board.device('keypad')
  const indicators = board.device('indicators')
  if (display === undefined || keypad === undefined || indicators === undefined) {
    const why = board.problems.map(({ key, allowed }) => `${key}: ${allowed}`).join('; ')
    throw new PosternError('BOARD_UNUSABLE', `a terminal needs display, keypad and lights. ${why}`)
  }
  return createScreenService({ display, keypad, indicators, clock, log, texts })
}

/** Starts everything, recovers what a power cut left, and listens for the open world. */
export async function startSecureWorld(options: SecureWorldOptions): Promise<SecureWorld> {
  const { config, board, clock, random, log } = options
  const texts = loadTexts()
  const screens = openScreens(options, texts)
  /** What of the board does not work stands under every home screen. */
  const note = config.note ?? board.problems.map(({ key, value }) => `${key} ${value}`).join(', ')
  const showHome = (title: string, state: HomeScreen['state']) =>
    screens.setHome({ title, state, ...(note === '' ? {} : { note }) })
  showHome('Postern', 'starting')
  const documents = openDocuments(config.dataDir)
  const merchant = readMerchantDocument(documents.read('merchant', MerchantDocument))
  const entries = readAcquirersDocument(documents.read('acquirers', AcquirersDocument)).acquirers
  const operators = readOperatorsDocument(documents.read('operators', OperatorsDocument))
  const missing = selfTest(config, log)
  const keyStore = await openKeyStore(config, board, random)
  const vault = await openCardVault(keyStore, random)
  const keySets = createKeySets(keyStore, random)
  const keysOf = new Map<string, CardKeys & MacKeys>()
  for (const entry of entries)
    keysOf.set(keySetOf(entry), await keySets.open(keySetOf(entry), keyProfile(entry)))
  const ownKeys = keysOf.get(keySetOf(entries[0]!))!
  const tables = await openRunTimeDocuments(documents, keyStore, ownKeys, log)
  const journal = openJournal(join(config.dataDir, 'journal.db'), clock, options.onFatal)
  pruneJournal(journal, join(config.dataDir, EXPORTS), clock.nowMs())
  const paymentTexts = loadTexts(join(packageRoot, 'runtime/secure/payments/texts'))

  let bridge: BridgeServer | undefined
  let status: OpenStatus = { network: 'offline', cloud: 'offline', printer: 'none', outbox: 0 }
  const connected = () => (bridge?.connected() ? bridge.open : undefined)
  const tell = (call: Promise<unknown> | undefined) => void call?.catch(() => undefined)

  const info = (): TerminalInfo => ({
    terminalId: entries[0]!.terminalId,
    merchantName: merchant.name,
    merchantId: entries[0]!.merchantId,
    currency: merchant.currency,
    locale: screens.language(),
    operator: session.operator,
  })

  const pipes = createBridgePipes(connected)
  const clients = entries.map((entry) =>
    createAcquirerClient({
      entry,
      line: tlsLine({
        entry,
        dataDir: config.dataDir,
        carrier: (host, port, signal) => pipes.open(host, port, signal),
        clock,
      }),
      keys: keysOf.get(keySetOf(entry))!,
      clock,
      log,
      onStray: (stray) => recordStray(journal, log, stray),
    }),
  )
  const acquirers = routedAcquirers(clients, entries, readRouting(documents, entries), clock)
  /** What is being paid: the card's data go under the keys of whoever will take it. */
  let paying: Money = { minor: 0n, currency: merchant.currency }
  const cardKeys = routedCardKeys(
    ownKeys,
    (bin) => keysOf.get(acquirers.keySetFor({ kind: 'sale', amount: paying, bin }))!,
  )

  const apps = createAppFreeze(connected, log)
  const enterPin = createPinEntry({
    screens,
    texts,
    clock,
    log,
    freezeApps: apps.freeze,
    thawApps: apps.thaw,
  })

  const session = createSession({
    operators,
    prompts: createOperatorPrompts({ screens, texts, clock }),
    attempts: {
      attempts: (operator) => journal.attempts(operator),
      putAttempts: (operator, attempts) =>
        journal.commit('attempts', (step) => step.putAttempts(operator, attempts)),
    },
    beginRound: (operator) => payments.beginRound(operator),
    texts: paymentTexts,
    locale: merchant.locale,
    clock,
    log,
    onChanged(operator: Operator | null) {
      screens.setLanguage(operator?.locale ?? merchant.locale)
      tell(connected()?.['terminal.changed'](info()))
    },
  })

  /** How many hold the display in our place. */
  let lent = 0
  const lendDisplay = async () => {
    lent++
    const resume = await screens.suspend()
    let isBack = false
    return () => {
      if (!isBack) lent--
      isBack = true
      resume()
    }
  }
  const payments = createPaymentService({
    journal,
    acquirers,
    merchant,
    cards:
      options.certifiedModule === undefined
        ? cardTransactions(options, cardKeys, () => tables.emv())
        : moduleCardTransactions({
            socketPath: options.certifiedModule.socket,
            acceptSimulated: config.profile === 'development',
            screens: { status: screens.status, suspend: lendDisplay },
            apps,
            clock,
            log,
          }),
    prompts: ({ request }) => {
      paying = moneyFromJson(request.amount)
      return createCardPrompts({
        screens,
        texts,
        clock,
        enterPin,
        amount: paying,
        locale: screens.language(),
      })
    },
    exceptionFile: (cardToken) => tables.onExceptionFile(cardToken),
    session: {
      get operator() {
        return session.operator
      },
      authorise: (action, reason, signal) => session.authorise(action, reason, signal),
    },
    texts: paymentTexts,
    clock,
    log,
    vault,
    // While a certified module holds the display nobody could answer: the question is as good as refused.
    ask: async (screen, signal) =>
      lent > 0 ? { type: 'closed' } : screens.ask(screen, screens.language(), signal),
    isOnline: () => connected() !== undefined && status.network === 'online',
    onChanged: () => tell(connected()?.['payments.changed'](null)),
    onNotice: (text) =>
      void screens
        .notify({ kind: 'message', title: merchant.name, text, tone: 'warning' })
        .catch(() => undefined),
    onFatal: options.onFatal,
  })
  payments.recover()

  bridge = await serveBridge({
    socketPath: config.bridgeSocket,
    mode: config.bridgeMode,
    log,
    serve: {
      ...servePayments(payments, session),
      ...pipes.methods,
      'terminal.info': () => info(),
      'terminal.protections': () => [...missing],
      'keys.inject': async ({ document }) => {
        const offer = documents.verify('keys', document, KeyPackage)
        const receipt = await keySets.inject(info().terminalId, offer)
        log.info('keys.injected', { ...receipt })
        return receipt
      },
      'documents.deliver': (piece) => tables.deliver(piece),
      'status.set': (facts) => {
        const back = facts.network === 'online' && status.network === 'offline'
        status = facts
        screens.setStatus(facts)
        if (back) payments.roadChanged()
        return null
      },
      'screens.show': ({ owner, id, screen }, signal) => screens.show(owner, id, screen, signal),
      'screens.update': ({ owner, id, screen }) => {
        screens.update(owner, id, screen)
        return null
      },
    },
    onConnected(isConnected) {
      if (isConnected) {
        apps.connected()
        showHome(merchant.name, 'ready')
      } else {
        pipes.disconnected()
        screens.closeScreens()
        showHome(merchant.name, 'appsRestarting')
        screens.setStatus({ network: 'offline', cloud: 'offline', printer: 'none', outbox: 0 })
        status = { network: 'offline', cloud: 'offline', printer: 'none', outbox: 0 }
      }
    },
  })
  screens.setLanguage(merchant.locale)
  showHome(merchant.name, 'starting')
  followPower(board, screens)

  return {
    async close() {
      await payments.stop()
      await bridge?.close()
      for (const client of clients) client.close()
      journal.close()
      vault.close()
      keySets.close()
      await screens.close()
    },
  }
}

function cardTransactions(
  options: SecureWorldOptions,
  keys: CardKeys,
  configuration: () => EmvConfiguration,
): CardTransactionFactory {
  const { board, clock, random, log } = options
  const reader = board.device('chip-card-reader')
  if (reader === undefined) {
    // The terminal starts with what works; a card payment then says what is missing.
    return () => {
      throw new PosternError('DEVICE_LOST', 'this board has no chip card reader that works')
    }
  }
  const stripeReader = board.device('magnetic-stripe-reader')
  const traces = openTraceStore(join(options.config.dataDir, 'traces'))
  return contactCardTransactions({
    reader,
    stripeReader,
    keys,
    configuration,
    clock,
    random,
    log,
    keepTrace: (trace) => traces.keep(trace),
  })
}

function followPower(board: Board, screens: ScreenService): void {
  const power = board.device('power')
  if (power === undefined) return
  const show = () => {
    const { percent, source } = power.reading()
    screens.setStatus({ battery: { percent, charging: source === 'external' } })
  }
  power.on(show)
  show()
}
