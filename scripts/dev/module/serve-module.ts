// A simulated certified module behind the module's contract: our own kernel, prompts and PIN entry in its housing.
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import type { Clock, Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import { type Font, loadFont } from '../../../hal/base/font/font.js'
import type { Log } from '../../../hal/base/log.js'
import { moneyFromJson } from '../../../hal/base/money.js'
import type { ChipCardReader } from '../../../hal/chip-card-reader.js'
import type { Display } from '../../../hal/display.js'
import type { Indicators } from '../../../hal/indicators.js'
import type { Keypad } from '../../../hal/keypad.js'
import type { MagneticStripeReader } from '../../../hal/magnetic-stripe-reader.js'
import { connectContract, type Served } from '../../../runtime/api/contract.js'
import type { CardHistory, CardPrompts, CardTransaction } from '../../../runtime/secure/card-transaction.js'
import type { EmvConfiguration } from '../../../runtime/secure/emv/configuration.js'
import { contactCardTransactions } from '../../../runtime/secure/emv/contact-card-transaction.js'
import type { CardKeys } from '../../../runtime/secure/keys/terminal-keys.js'
import {
  MODULE_PROTOCOL,
  type ModuleCardRequest,
  ModuleMethods,
  TerminalMethods,
} from '../../../runtime/secure/module/module-contract.js'
import {
  answerFromJson,
  finalToJson,
  requestFromJson,
  startToJson,
} from '../../../runtime/secure/module/module-wire.js'
import { createPinEntry } from '../../../runtime/secure/pin/pin-entry.js'
import { createCardPrompts } from '../../../runtime/secure/screens/card-prompts.js'
import { createScreenService } from '../../../runtime/secure/screens/screen-service.js'
import { loadTexts } from '../../../runtime/secure/texts.js'

/** What is inside the module's housing. */
export interface ModuleParts {
  readonly reader: ChipCardReader
  readonly stripeReader?: MagneticStripeReader | undefined
  readonly display: Display
  readonly keypad: Keypad
  readonly indicators: Indicators
  readonly keys: CardKeys
  readonly configuration: () => EmvConfiguration
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly font?: Font
}

export interface ModuleServer {
  close(): Promise<void>
}

/** How long the terminal may take to have its apps stand still. */
const FREEZE_MS = 2500

/** Listens. One payment at a time: a new connection ends what the one before left. */
export async function serveModule(
  socketPath: string,
  mode: number,
  parts: ModuleParts,
): Promise<ModuleServer> {
  const font = parts.font ?? loadFont()
  let current: Socket | undefined
  let left: Promise<void> = Promise.resolve()

  const server = createServer((socket) => {
    current?.destroy()
    current = socket
    const payment = servePayment(socket, { ...parts, font }, left)
    left = payment.over
  })
  rmSync(socketPath, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath, resolve)
  })
  chmodSync(socketPath, mode)
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      current?.destroy()
      await left
      await closed
    },
  }
}

/** One connection; `over` resolves when card and display are free again. */
function servePayment(
  socket: Socket,
  parts: ModuleParts & { readonly font: Font },
  free: Promise<void>,
): { readonly over: Promise<void> } {
  const { clock, log } = parts
  const gone = new AbortController()
  let transaction: CardTransaction | undefined
  let working: Promise<unknown> = Promise.resolve()
  let leave: () => Promise<void> = async () => undefined
  let letGo: () => void = () => undefined
  const released = new Promise<void>((resolve) => {
    letGo = resolve
  })

  const begin = (request: ModuleCardRequest): CardTransaction => {
    const { display, keypad, indicators, font } = parts
    const texts = loadTexts()
    const screens = createScreenService({ display, keypad, indicators, clock, log, texts, font })
    const { battery, ...status } = request.status
    screens.setStatus({ ...status, battery })
    const prompts = createCardPrompts({
      screens,
      texts,
      clock,
      enterPin: createPinEntry({
        screens,
        texts,
        clock,
        log,
        async freezeApps() {
          await remote['apps.freeze'](null, AbortSignal.timeout(FREEZE_MS))
        },
        async thawApps() {
          await remote['apps.thaw'](null, AbortSignal.timeout(FREEZE_MS))
        },
      }),
      amount: requestFromJson(request).amount,
      locale: request.locale,
    })
    // Without a picture of the payment the glass would show that nothing is going on.
    prompts.busy('reading')
    leave = async () => {
      prompts.close()
      await screens.close()
    }
    const history: CardHistory = {
      async lastAmount(cardToken) {
        const { lastAmount } = await remote['card.history']({ cardToken })
        return lastAmount && moneyFromJson(lastAmount)
      },
      onExceptionFile: async (cardToken) => (await remote['card.history']({ cardToken })).onExceptionFile,
    }
    const itsPrompts: CardPrompts = {
      ...prompts,
      preferLanguages(languages) {
        prompts.preferLanguages(languages)
        void remote['card.languages']({ languages: [...languages] }).catch(() => undefined)
      },
      removeCard(amount, approved) {
        letGo()
        prompts.removeCard(amount, approved)
      },
    }
    return contactCardTransactions(parts)(itsPrompts, history)
  }
  /** Until the card is out and the display given back, whatever became of the work before. */
  const finish = async (approved: boolean): Promise<void> => {
    await working.catch(() => undefined)
    await transaction?.finish({ approved })
    await leave()
  }
  let finishing: Promise<void> | undefined

  const served: Served<typeof ModuleMethods> = {
    'module.info': () => ({ protocol: MODULE_PROTOCOL, model: 'Postern simulated module', simulated: true }),
    async 'card.start'(request, signal) {
      if (transaction !== undefined) throw new PosternError('CARD_TRANSACTION_ORDER', 'started already')
      await free
      const started = begin(request)
      transaction = started
      const both = AbortSignal.any([signal, gone.signal])
      const work = started.start(requestFromJson(request), both)
      working = work
      return startToJson(await work)
    },
    async 'card.hostAnswer'(answer, signal) {
      if (transaction === undefined) throw new PosternError('CARD_TRANSACTION_ORDER', 'not started')
      const work = transaction.hostAnswer(answerFromJson(answer), AbortSignal.any([signal, gone.signal]))
      working = work
      return finalToJson(await work)
    },
    async 'card.finish'({ approved }) {
      finishing ??= finish(approved)
      await finishing
      return null
    },
  }
  const { remote, peer } = connectContract(socket, ModuleMethods, served, TerminalMethods, (method, error) =>
    log.error('module.fault', { method, error: String(error) }),
  )
  const over = peer.closed.then(async () => {
    gone.abort()
    await working.catch(() => undefined)
    // The terminal is gone or new: its display is its own at once. The card is powered off and may stay where it is.
    await leave()
    finishing ??= finish(false)
    finishing.catch((error) => log.error('module.finish', { error: String(error) })).then(letGo)
    await released
  })
  return { over }
}
