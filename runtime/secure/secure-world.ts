// The secure world put together: documents, keys, journal, screens, card payments, and its end of the bridge.
import { join } from 'node:path'
import type { Clock, Random } from '../../hal/base/clock.js'
import type { Log } from '../../hal/base/log.js'
import { moneyFromJson } from '../../hal/base/money.js'
import { packageRoot } from '../../hal/base/package-root.js'
import type { Board, BoardProfile } from '../../hal/board.js'
import type { Operator } from '../api/payments.js'
import type { OpenStatus, TerminalInfo } from '../bridge/contract.js'
import { connectAcquirers, openAcquirerKeys } from './acquiring.js'
import { createAppFreeze } from './app-freeze.js'
import { boardCardTransactions, createHome, followPower, type Home, openScreens } from './board-services.js'
import { type BridgeServer, serveBridge } from './bridge-server.js'
import { openDocuments } from './documents.js'
import { KeyPackage } from './keys/key-package.js'
import { moduleCardTransactions } from './module/module-card-transaction.js'
import { openKeyStore } from './open-key-store.js'
import { OperatorsDocument, readOperatorsDocument } from './operators-document.js'
import type { RouteQuestion } from './payments/acquirer-port.js'
import { servePayments } from './payments/bridge-payments.js'
import { openJournal } from './payments/journal.js'
import { EXPORTS, pruneJournal } from './payments/journal-export.js'
import { MerchantDocument, readMerchantDocument } from './payments/merchant-document.js'
import { createPaymentService } from './payments/payment-service.js'
import { createBridgeGateway } from './payments/roads/bridge-gateway.js'
import { createBridgePipes } from './payments/roads/bridge-pipe.js'
import { openCardVault } from './payments/sealed-cards.js'
import { createPinEntry } from './pin/pin-entry.js'
import { type MissingProtection, missingProtections } from './protections.js'
import { openRunTimeDocuments } from './run-time-documents.js'
import { createCardEntry } from './screens/card-entry.js'
import { createCardPrompts } from './screens/card-prompts.js'
import { createOperatorPrompts } from './screens/operator-prompts.js'
import type { ScreenService } from './screens/screen-service.js'
import type { SecureConfig } from './secure-config.js'
import { createSession } from './session.js'
import { createTerminalCheck, type TerminalCheck } from './terminal-check.js'
import { loadTexts, type Texts } from './texts.js'
import { typedCards } from './typed-card.js'

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

/** Starts everything, recovers what a power cut left, and listens for the open world. */
export async function startSecureWorld(options: SecureWorldOptions): Promise<SecureWorld> {
  const texts = loadTexts()
  const menu: MenuKey = { pressed: () => undefined }
  const screens = openScreens(options, texts, () => menu.pressed())
  const home = createHome(options, screens, options.config.note)
  try {
    return await startOnScreens(options, texts, screens, home, menu)
  } catch (error) {
    home.close()
    await screens.close()
    throw error
  }
}

/** What the menu key does, once there is something to do. */
interface MenuKey {
  pressed: () => void
}

async function startOnScreens(
  options: SecureWorldOptions,
  texts: Texts,
  screens: ScreenService,
  home: Home,
  menu: MenuKey,
): Promise<SecureWorld> {
  const { config, board, clock, random, log } = options
  let check: TerminalCheck | undefined
  menu.pressed = () => void check?.review().catch(options.onFatal)
  const documents = openDocuments(config.dataDir)
  const merchant = readMerchantDocument(documents.read('merchant', MerchantDocument))
  const operators = readOperatorsDocument(documents.read('operators', OperatorsDocument))
  const missing = selfTest(config, log)
  const keyStore = await openKeyStore(config, board, random)
  const vault = await openCardVault(keyStore, random)
  const keys = await openAcquirerKeys(documents, keyStore, random)
  const { entries, keySets } = keys
  const inject = async (offer: KeyPackage) => {
    const receipt = await keySets.inject(entries[0]!.terminalId, offer)
    log.info('keys.injected', { ...receipt })
    return receipt
  }
  const tables = await openRunTimeDocuments(documents, keyStore, keys.own, inject, log)
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

  const notice = (text: string) =>
    void screens
      .notify({ kind: 'message', title: merchant.name, text, tone: 'warning' })
      .catch(() => undefined)

  const pipes = createBridgePipes(connected)
  const gateway = createBridgeGateway(connected)
  const acquiring = connectAcquirers(keys, {
    documents,
    dataDir: config.dataDir,
    pipes,
    gateway: gateway.transport,
    journal,
    random,
    clock,
    log,
    onNotice: (what, acquirer) =>
      notice(paymentTexts.text(screens.language(), `network.${what}`, { acquirer })),
  })
  /** What is being paid: the card's data go under the keys of whoever will take it. */
  let paying: Pick<RouteQuestion, 'kind' | 'amount'> = {
    kind: 'sale',
    amount: { minor: 0n, currency: merchant.currency },
  }
  const cardKeys = acquiring.cardKeys(() => paying)

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
    acquirers: acquiring.acquirers,
    merchant,
    cards:
      options.certifiedModule === undefined
        ? boardCardTransactions(options, config.dataDir, cardKeys, () => tables.emv())
        : moduleCardTransactions({
            socketPath: options.certifiedModule.socket,
            acceptSimulated: config.profile === 'development',
            screens: { status: screens.status, suspend: lendDisplay },
            apps,
            clock,
            log,
          }),
    typedCards:
      options.certifiedModule === undefined
        ? typedCards({ keys: cardKeys, enterCard: createCardEntry({ screens, texts, clock }) })
        : undefined,
    prompts: ({ request, kind }) => {
      paying = { kind, amount: moneyFromJson(request.amount) }
      return createCardPrompts({
        screens,
        texts,
        clock,
        enterPin,
        amount: paying.amount,
        locale: screens.language(),
      })
    },
    fiscalSigner: board.device('fiscal-signer'),
    signaturePad: board.device('signature-pad'),
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
    management: acquiring.management,
    onNotice: notice,
    onFatal: options.onFatal,
  })
  payments.recover()
  check = createTerminalCheck({
    missing,
    hosts: () => acquiring.management.hosts(),
    changeKeys: (acquirer) => payments.changeKeys(acquirer),
    authorise: (reason, signal) => session.authorise('override', reason, signal),
    ask: (screen, signal) => screens.ask(screen, screens.language(), signal),
    texts,
    language: () => screens.language(),
  })
  const stopListening = board.device('fiscal-signer')?.on((event) => {
    if (event.type === 'status' && event.status.presence === 'ready') payments.signerReady()
  })
  gateway.transport.onState((isConnected) => {
    if (isConnected) payments.roadChanged()
  })

  bridge = await serveBridge({
    socketPath: config.bridgeSocket,
    mode: config.bridgeMode,
    log,
    serve: {
      ...servePayments(payments, session),
      ...pipes.methods,
      ...gateway.methods,
      'terminal.info': () => info(),
      'terminal.protections': () => missing.map(({ name, message }) => ({ name, message })),
      'keys.inject': ({ document }) => inject(documents.verify('keys', document, KeyPackage)),
      'documents.deliver': (piece) => tables.deliver(piece),
      'status.set': (facts) => {
        const back = facts.network === 'online' && status.network === 'offline'
        status = facts
        screens.setStatus(facts)
        home.openTroubles(facts.troubles ?? [])
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
        home.show(merchant.name, 'ready')
      } else {
        pipes.disconnected()
        gateway.disconnected()
        screens.closeScreens()
        home.show(merchant.name, 'appsRestarting')
        home.openTroubles([])
        screens.setStatus({ network: 'offline', cloud: 'offline', printer: 'none', outbox: 0 })
        status = { network: 'offline', cloud: 'offline', printer: 'none', outbox: 0 }
      }
    },
  })
  screens.setLanguage(merchant.locale)
  home.show(merchant.name, 'starting')
  // A terminal in the field says it to whoever holds it; a developer's would say it at every start.
  if (config.profile === 'production' && missing.length > 0)
    notice(texts.text(merchant.locale, 'check.atStart', { count: missing.length }))
  followPower(options, screens)

  return {
    async close() {
      stopListening?.()
      home.close()
      await payments.stop()
      await bridge?.close()
      acquiring.close()
      journal.close()
      vault.close()
      keySets.close()
      await screens.close()
    },
  }
}
