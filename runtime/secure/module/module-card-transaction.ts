// CardTransaction on a certified module: reader, kernel, PIN and prompts are its own; here its answers are checked.
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import { type Money, moneyToJson } from '../../../hal/base/money.js'
import type {
  CardHistory,
  CardPrompts,
  CardRequest,
  CardTransaction,
  CardTransactionFactory,
  FinalOutcome,
  HostAnswer,
  StartOutcome,
} from '../card-transaction.js'
import type { ScreenService } from '../screens/screen-service.js'
import { checkFinal, checkStart } from './module-checks.js'
import { connectModule, type ModuleConnection } from './module-connection.js'
import type { ModuleFacts } from './module-contract.js'
import { answerToJson, finalFromJson, requestToJson, startFromJson } from './module-wire.js'

export interface ModuleCardOptions {
  readonly socketPath: string
  /** False in production: then a module that says that it is simulated is refused. */
  readonly acceptSimulated: boolean
  /** Display, keypad and light are the module's from `start` until `finish`. */
  readonly screens: Pick<ScreenService, 'suspend' | 'status'>
  /** The module's PIN entry has the apps stand still. */
  readonly apps: { freeze(): Promise<void>; thaw(): Promise<void> }
  readonly clock: Clock
  readonly log: Log
}

/** Card, choice, PIN in several tries: the prompts have time-outs of their own, far below this. */
const START_MS = 600_000
/** Second cryptogram and issuer scripts, with the slowest card. */
const ANSWER_MS = 120_000
/** 60 s until the card is out, and some to tell. */
const FINISH_MS = 75_000

/** Makes the factory that payments are given. */
export function moduleCardTransactions(options: ModuleCardOptions): CardTransactionFactory {
  return (prompts, history) => new ModuleCardTransaction(options, prompts, history)
}

class ModuleCardTransaction implements CardTransaction {
  readonly #options: ModuleCardOptions
  readonly #prompts: CardPrompts
  readonly #history: CardHistory
  #amount: Money | undefined
  #connection: ModuleConnection | undefined
  #resume: (() => void) | undefined
  /** Of the card that went online. */
  #first: ModuleFacts | undefined
  #frozen = false
  #finished: Promise<void> | undefined

  constructor(options: ModuleCardOptions, prompts: CardPrompts, history: CardHistory) {
    this.#options = options
    this.#prompts = prompts
    this.#history = history
  }

  async start(request: CardRequest, signal: AbortSignal): Promise<StartOutcome> {
    if (this.#amount) throw new PosternError('CARD_TRANSACTION_ORDER', 'start was called twice')
    this.#amount = request.amount
    const { screens } = this.#options
    const connection = await connectModule(this.#options, this.#served(), signal)
    this.#connection = connection
    this.#resume = await screens.suspend()
    const asked = requestToJson(request, screens.status())
    const outcome = await connection.call('card.start', asked, START_MS, signal)
    this.#checked(() => checkStart(outcome, request))
    if (outcome.kind === 'online' || outcome.kind === 'stripe') this.#first = outcome.authorisation.facts
    return startFromJson(outcome)
  }

  async hostAnswer(answer: HostAnswer, signal: AbortSignal): Promise<FinalOutcome> {
    const first = this.#first
    const connection = this.#connection
    if (first === undefined || connection === undefined)
      throw new PosternError(
        'CARD_TRANSACTION_ORDER',
        'hostAnswer needs a start that went online or read a stripe',
      )
    this.#first = undefined
    const outcome = await connection.call('card.hostAnswer', answerToJson(answer), ANSWER_MS, signal)
    this.#checked(() => checkFinal(outcome, this.#amount!, first))
    return finalFromJson(outcome)
  }

  finish(result: { approved: boolean }): Promise<void> {
    this.#finished ??= this.#release(result.approved)
    return this.#finished
  }

  async #release(approved: boolean): Promise<void> {
    const { apps, log } = this.#options
    const connection = this.#connection
    try {
      if (connection?.open()) await connection.call('card.finish', { approved }, FINISH_MS)
    } catch (error) {
      // The payment is decided; a module that is lost by now must not change that.
      log.warn('module.finish', { fault: isPosternError(error) ? error.code : 'FAULT' })
    } finally {
      connection?.close()
      this.#resume?.()
      if (this.#frozen) await apps.thaw().catch(() => log.error('module.thaw'))
    }
  }

  /** A module whose answer is refused is not spoken to again in this payment. */
  #checked(check: () => void): void {
    try {
      check()
    } catch (error) {
      this.#connection?.close()
      if (isPosternError(error)) this.#options.log.error('module.refused', { ...error.details })
      throw error
    }
  }

  #served() {
    const { apps } = this.#options
    return {
      'apps.freeze': async () => {
        // Said before it is done: a freeze that takes effect late must be undone too.
        this.#frozen = true
        await apps.freeze()
        return null
      },
      'apps.thaw': async () => {
        await apps.thaw()
        this.#frozen = false
        return null
      },
      'card.history': async ({ cardToken }: { cardToken: string }) => {
        const lastAmount = await this.#history.lastAmount(cardToken)
        return {
          ...(lastAmount === undefined ? {} : { lastAmount: moneyToJson(lastAmount) }),
          onExceptionFile: await this.#history.onExceptionFile(cardToken),
        }
      },
      'card.languages': ({ languages }: { languages: string[] }) => {
        this.#prompts.preferLanguages(languages)
        return null
      },
    }
  }
}
