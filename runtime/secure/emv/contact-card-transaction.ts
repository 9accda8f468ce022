// CardTransaction on the contact kernel: prompts, keys and reader around transaction.ts; the seam's promises kept (runtime/secure/card-transaction.ts).
import { erase } from '../../../hal/base/bytes.js'
import type { Clock, Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import type { Money } from '../../../hal/base/money.js'
import type { ChipCardReader, ChipCardSession } from '../../../hal/chip-card-reader.js'
import type { MagneticStripeReader } from '../../../hal/magnetic-stripe-reader.js'
import type {
  CardAuthorisation,
  CardFacts,
  CardHistory,
  CardPrompts,
  CardRequest,
  CardTransaction,
  CardTransactionFactory,
  FinalOutcome,
  HostAnswer,
  StartOutcome,
} from '../card-transaction.js'
import type { CardKeys } from '../keys/terminal-keys.js'
import { type CardEnd, isEnd } from './card-end.js'
import { buildDe55, cardFacts } from './card-facts.js'
import { awaitCard, promptUntilRemoved, raceAndStop } from './card-presence.js'
import { whileCardIsIn } from './card-watch.js'
import type { EmvConfiguration } from './configuration.js'
import type { FirstResult } from './first-cryptogram.js'
import { kernelServices, tokenOf } from './kernel-services.js'
import { TRANSACTION_TYPE } from './processing-restrictions.js'
import { type AcceptedStripe, startStripe, stripeOutcome } from './stripe-sale.js'
import { paymentStripe } from './stripe-slot.js'
import type { Trace } from './traces/trace.js'
import { recordTransaction, type TraceRecorder } from './traces/trace-recorder.js'
import { completeTransaction, transactToFirstCryptogram } from './transaction.js'
import { TransactionData, track2Equivalent } from './transaction-data.js'
import { type CardChannel, cardChannel } from './transport.js'

export interface ContactCardOptions {
  readonly reader: ChipCardReader
  /** Read beside the chip where the configuration says which stripes count. */
  readonly stripeReader?: MagneticStripeReader | undefined
  readonly keys: CardKeys
  /** Read once at the start of each payment, so that a pushed document holds from the next one on. */
  readonly configuration: () => EmvConfiguration
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Keeps each transaction with a chip, masked, so that it can be replayed. */
  readonly keepTrace?: (trace: Trace) => void
}

/** 9C for what is asked (Book 3, annex A; ISO 8583, processing code). */
const CARD_TYPE: Readonly<Record<CardRequest['type'], number>> = {
  sale: TRANSACTION_TYPE.purchase,
  cash: TRANSACTION_TYPE.cash,
  cashback: TRANSACTION_TYPE.cashback,
  refund: TRANSACTION_TYPE.refund,
}

/** How long `finish` waits for the card to be taken out. */
const REMOVAL_TIMEOUT_MS = 60_000

/** Makes the factory that payments are given. */
export function contactCardTransactions(options: ContactCardOptions): CardTransactionFactory {
  return (prompts, history) => new ContactCardTransaction(options, prompts, history)
}

/** Instruction byte of GENERATE AC (Book 3, 6.5.5). */
const GENERATE_AC = 0xae

class ContactCardTransaction implements CardTransaction {
  readonly #options: ContactCardOptions
  readonly #prompts: CardPrompts
  readonly #history: CardHistory
  #data = new TransactionData()
  #recorder: TraceRecorder | undefined
  #cryptogramAsked = false
  #session: ChipCardSession | undefined
  #amount: Money | undefined
  #first: FirstResult | undefined
  /** Facts of the stripe that was read instead. */
  #swiped: CardFacts | undefined
  #finished: Promise<void> | undefined

  constructor(options: ContactCardOptions, prompts: CardPrompts, history: CardHistory) {
    this.#options = options
    this.#prompts = prompts
    this.#history = history
  }

  async start(request: CardRequest, signal: AbortSignal): Promise<StartOutcome> {
    if (this.#amount) throw new PosternError('CARD_TRANSACTION_ORDER', 'start was called twice')
    this.#amount = request.amount
    const configuration = this.#options.configuration()
    const first = await this.#chipOrStripe(request, configuration, signal)
    if (isEnd(first)) return this.#ended(first)
    if (first.kind === 'stripe') {
      const started = await startStripe(
        first.stripe,
        request.amount,
        this.#options.keys,
        this.#prompts,
        signal,
      )
      if (isEnd(started)) return this.#ended(started)
      this.#swiped = started.authorisation.facts
      return started
    }
    this.#first = first
    const facts = this.#facts(first)
    if (!facts) return this.#ended({ kind: 'end', reason: 'cardError', rule: 'PAN is not decimal' })
    switch (first.decision) {
      case 'online':
        this.#prompts.busy('authorising')
        return { kind: 'online', authorisation: await this.#authorisation(facts, first) }
      case 'approved':
        return {
          kind: 'approvedOffline',
          authorisation: await this.#authorisation(facts, first),
          signatureRequired: first.cvm.signatureRequired,
          adviceRequired: first.adviceRequired,
        }
      case 'declined': {
        const { reason, adviceRequired } = first
        return { kind: 'declinedOffline', facts, de55: buildDe55(this.#data), reason, adviceRequired }
      }
    }
  }

  /** The chip to its first cryptogram, tried as often as stripe fallback asks for, or a stripe that counts. */
  async #chipOrStripe(
    request: CardRequest,
    configuration: EmvConfiguration,
    signal: AbortSignal,
  ): Promise<FirstResult | { readonly kind: 'stripe'; readonly stripe: AcceptedStripe } | CardEnd> {
    const { reader, stripeReader, log } = this.#options
    const stripe = paymentStripe(stripeReader, configuration, request, log)
    const presence = { reader, prompts: this.#prompts, amount: request.amount, stripe }
    for (;;) {
      const present = await awaitCard(presence, stripe?.wanted() ? 'stripe' : 'chip', signal)
      if (isEnd(present) || present.kind === 'stripe') return present
      const { session } = present
      this.#session = session
      const first = await this.#transact(session, request, configuration, signal)
      // Each failure brings the stripe nearer, so that this ends; without a stripe reader the first one is the last.
      if (!isEnd(first) || !stripe?.ended(first, this.#cryptogramAsked)) return first
      log.info('emv.chipFailed', { reason: first.reason, rule: first.rule })
      this.#data.eraseCard()
      this.#keepTrace()
      this.#session = undefined
      await session.release()
      if (stripe.wanted()) continue
      const gaveUp = await promptUntilRemoved(reader, this.#prompts, signal)
      if (gaveUp) return gaveUp
    }
  }

  /** One try with the chip; with its trace where traces are kept. */
  async #transact(
    session: ChipCardSession,
    request: CardRequest,
    configuration: EmvConfiguration,
    signal: AbortSignal,
  ): Promise<FirstResult | CardEnd> {
    const asked = { ...request, type: CARD_TYPE[request.type] }
    const forceOnline = request.forceOnline ?? false
    const recorder = this.#options.keepTrace && recordTransaction(configuration, asked, forceOnline)
    this.#recorder = recorder
    this.#data = new TransactionData(recorder?.judge)
    this.#cryptogramAsked = false
    const channel = this.#channel(session, signal)
    return whileCardIsIn(this.#options.reader, signal, (both, wasRemoved) => {
      const transaction = { request, signal: both, wasRemoved }
      const services = kernelServices(this.#options, this.#prompts, this.#history, transaction)
      const run = () =>
        transactToFirstCryptogram(
          channel,
          this.#data,
          configuration,
          asked,
          recorder?.services(services) ?? services,
        )
      return recorder ? recorder.run(this.#data, run) : run()
    })
  }

  async hostAnswer(answer: HostAnswer, signal: AbortSignal): Promise<FinalOutcome> {
    if (this.#swiped) {
      this.#prompts.busy('finishing')
      return stripeOutcome(this.#swiped, answer)
    }
    const first = this.#first
    const session = this.#session
    if (first?.decision !== 'online' || !session)
      throw new PosternError('CARD_TRANSACTION_ORDER', 'hostAnswer needs a start that went online')
    this.#prompts.busy('finishing')
    const recorder = this.#recorder
    recorder?.answer(answer)
    const run = () => completeTransaction(this.#channel(session, signal), this.#data, first, answer)
    const second = await (recorder ? recorder.run(this.#data, run) : run())
    if (isEnd(second)) {
      this.#options.log.warn('emv.ended', { reason: second.reason, rule: second.rule })
      return { kind: 'ended', reason: second.reason, facts: this.#facts(first)! }
    }
    const facts = this.#facts({ ...first, cryptogramType: second.cryptogramType })!
    const de55 = buildDe55(this.#data, second)
    const { adviceRequired, cardSaidNo } = second
    if (!second.approved) return { kind: 'declined', facts, de55, cardSaidNo, adviceRequired }
    const { signatureRequired } = first.cvm
    return {
      kind: second.offline ? 'approvedOffline' : 'approved',
      facts,
      de55,
      signatureRequired,
      adviceRequired,
    }
  }

  finish(result: { approved: boolean }): Promise<void> {
    this.#finished ??= this.#release(result.approved)
    return this.#finished
  }

  async #release(approved: boolean): Promise<void> {
    this.#data.eraseCard()
    this.#keepTrace()
    this.#first = undefined
    const session = this.#session
    if (!session) return
    this.#session = undefined
    const { reader, clock, log } = this.#options
    try {
      await session.release()
      this.#prompts.removeCard(this.#amount!, approved)
      const over = new AbortController()
      await raceAndStop(
        [reader.waitForRemoval(over.signal), clock.sleep(REMOVAL_TIMEOUT_MS, over.signal)],
        over,
      )
    } catch (error) {
      // The payment is decided; a reader that is lost by now must not change that.
      log.warn('emv.release', { fault: error instanceof PosternError ? error.code : 'UNKNOWN' })
    }
  }

  /** The channel; notes whether GENERATE AC was sent on it. */
  #channel(session: ChipCardSession, signal: AbortSignal): CardChannel {
    const channel = cardChannel(this.#recorder?.session(session) ?? session, { signal })
    const recorded = this.#recorder?.channel(channel) ?? channel
    return {
      exchange: (command) => {
        if (command[1] === GENERATE_AC) this.#cryptogramAsked = true
        return recorded.exchange(command)
      },
    }
  }

  #keepTrace(): void {
    const recorder = this.#recorder
    this.#recorder = undefined
    try {
      const trace = recorder?.finish()
      if (trace) this.#options.keepTrace?.(trace)
    } catch (error) {
      // A payment is not for want of its trace to fail.
      this.#options.log.warn('emv.trace', { fault: error instanceof PosternError ? error.code : 'FAULT' })
    }
  }

  async #authorisation(facts: CardFacts, first: FirstResult): Promise<CardAuthorisation> {
    const track2 = track2Equivalent(this.#data)
    try {
      return {
        facts,
        de55: buildDe55(this.#data),
        cardData: await this.#options.keys.encryptCardData(track2, facts.aid),
        pinBlock: first.cvm.pinBlock,
        cardToken: await tokenOf(this.#data, this.#options.keys),
      }
    } finally {
      erase(track2)
    }
  }

  #facts(first: FirstResult): CardFacts | undefined {
    return cardFacts(this.#data, first.name, first.cvm.cvm, first.cryptogramType)
  }

  #ended(end: CardEnd): StartOutcome {
    this.#options.log.info('emv.ended', { reason: end.reason, rule: end.rule })
    return { kind: 'ended', reason: end.reason }
  }
}
