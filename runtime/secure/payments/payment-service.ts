// The payment service: one payment at a time, each key paid once, everything in the journal before it acts.
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import { type Money, moneyFromJson, moneyToJson } from '../../../hal/base/money.js'
import type { CollectRequest, PaymentView, RoundClose } from '../../api/payments.js'
import { createAdvices } from './advices.js'
import { type Background, startBackground } from './background.js'
import { type Sale, startSale } from './collect.js'
import { createLane } from './lane.js'
import { utcOffsetMin } from './local-time.js'
import type { Owner, PaymentDependencies, PaymentService } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { LIVE_STATES, STANDING_STATES } from './payment-states.js'
import { amountOf, createViews } from './payment-view.js'
import { recoverPayments } from './recovery.js'
import { createReversals } from './reversals.js'
import { createRounds } from './rounds.js'
import { createStuckItems } from './stuck-items.js'
import { voidPayment } from './void-payment.js'

/** Most changes handed to the open world at once. */
const MAX_CHANGES = 20

const owned = (record: PaymentRecord | undefined, app: string | undefined) =>
  app === undefined || record?.app === app ? record : undefined

/** Makes the service. `recover` must be called once before anything else. */
export function createPaymentService(deps: PaymentDependencies): PaymentService {
  const { journal, acquirers, merchant, session, clock } = deps
  const views = createViews(merchant, deps.texts)
  const lane = createLane()
  const reversals = createReversals(deps)
  const advices = createAdvices(deps)
  const stuck = createStuckItems(deps)
  const rounds = createRounds(deps, lane, reversals, advices)
  let live: { readonly key: string; readonly sale: Sale; readonly view: Promise<PaymentView> } | undefined
  let occupied = false // a void or a close: no payment may begin meanwhile
  let closing: Promise<RoundClose> | undefined
  let background: Background | undefined

  /** A journal that cannot be written ends everything: what it holds decides after the restart. */
  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isPosternError(error, 'JOURNAL_FAILED')) deps.onFatal(error)
      throw error
    }
  }

  function checkedAmount(request: CollectRequest): Money {
    const amount = moneyFromJson(request.amount)
    if (amount.currency !== merchant.currency || amount.minor === 0n)
      throw new PosternError('MONEY_INVALID', `a payment is of more than nothing, in ${merchant.currency}`)
    return amount
  }

  function refuseOtherRequest(record: PaymentRecord, request: CollectRequest, owner: Owner): void {
    const same =
      record.minor === request.amount.minor &&
      record.currency === request.amount.currency &&
      record.reference === request.reference &&
      record.app === owner.app
    if (!same) throw new PosternError('KEY_REUSED', 'this key was used for another payment')
  }

  function create(request: CollectRequest, owner: Owner, amount: Money): PaymentRecord {
    const operator = session.operator
    if (operator === null) throw new PosternError('NO_OPERATOR', 'nobody is signed in')
    const now = clock.nowMs()
    const likely = acquirers.route({ kind: 'sale', amount })[0] ?? acquirers.all[0]
    return journal.commit('payment.created', (step) => {
      const round = rounds.ensureOpen(operator, step)
      const record: PaymentRecord = {
        key: request.key,
        state: 'CREATED',
        app: owner.app,
        appName: owner.name,
        operator: operator.id,
        round: round.id,
        batch: round.batch,
        reference: request.reference,
        ...(request.description === undefined ? {} : { description: request.description }),
        minor: amount.minor.toString(),
        currency: amount.currency,
        locale: operator.locale,
        createdAtMs: now,
        utcOffsetMin: utcOffsetMin(now),
        sequence: step.reserve('sequence'),
        receiptNumber: step.reserve('receipt'),
        // Who it probably goes to; the card decides, and `prepare` writes whom it does go to.
        acquirer: likely?.id ?? '-',
        terminalId: likely?.terminalId ?? '-',
        merchantId: likely?.merchantId ?? '-',
      }
      step.putPayment(record)
      return record
    })
  }

  async function takePayment(
    request: CollectRequest,
    owner: Owner,
    signal: AbortSignal | undefined,
  ): Promise<PaymentView> {
    const amount = checkedAmount(request)
    const known = journal.payment(request.key)
    if (known !== undefined) {
      refuseOtherRequest(known, request, owner)
      return live?.key === request.key ? live.view : views.view(known)
    }
    if (journal.paymentByVoidKey(request.key) !== undefined || journal.retired('key', request.key))
      throw new PosternError('KEY_REUSED', 'this key was used for a void')
    if (session.operator === null) throw new PosternError('NO_OPERATOR', 'nobody is signed in')
    const { key, reference } = request
    const subject = { key, reference, amount: moneyToJson(amount), locale: session.operator.locale }
    if (live !== undefined || occupied) return views.plain(subject, 'busy')
    const paid = journal
      .paymentsOfReference(reference)
      .some(({ state }) => STANDING_STATES.includes(state) || LIVE_STATES.includes(state))
    if (paid || journal.retired('reference', reference)) return views.plain(subject, 'alreadyPaid')

    const prompts = deps.prompts({ owner, request })
    let record: PaymentRecord
    try {
      record = create(request, owner, amount)
    } catch (error) {
      prompts.close()
      throw error
    }
    const sale = startSale(deps, lane, reversals, record, prompts, () => background?.wake())
    const onAbort = () => void sale.cancel()
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    const view = sale.done
      .then(({ key }) => views.view(journal.payment(key)!))
      .finally(() => {
        signal?.removeEventListener('abort', onAbort)
        prompts.close()
        live = undefined
        background?.wake()
      })
    live = { key, sale, view }
    const result = await view
    deps.onChanged()
    return result
  }

  async function occupying<T>(work: () => Promise<T>): Promise<T> {
    occupied = true
    try {
      return await work()
    } finally {
      occupied = false
      background?.wake()
    }
  }

  return {
    get live() {
      return live !== undefined
    },
    collect: (request, owner, signal) => guarded(() => takePayment(request, owner, signal)),

    status(key, app) {
      const record = owned(journal.payment(key), app)
      if (record !== undefined) return views.view(record)
      const voided = owned(journal.paymentByVoidKey(key), app)
      if (voided !== undefined) return views.voidView(voided)
      const locale = session.operator?.locale ?? merchant.locale
      const amount = { minor: '0', currency: merchant.currency }
      return views.plain({ key, reference: '-', amount, locale }, 'unknown')
    },

    cancel: (key, app) => ({
      cancelled: live?.key === key && owned(journal.payment(key), app) !== undefined && live.sale.cancel(),
    }),

    voidPayment: (request, owner, signal = new AbortController().signal) =>
      guarded(async () => {
        if (live !== undefined || occupied) {
          const original = owned(journal.payment(request.original), owner.app)
          const amount =
            original === undefined
              ? { minor: '0', currency: merchant.currency }
              : moneyToJson(amountOf(original))
          const locale = session.operator?.locale ?? merchant.locale
          const reference = original?.reference ?? '-'
          return views.plain({ key: request.key, reference, amount, locale }, 'busy')
        }
        return occupying(() => voidPayment(deps, lane, { reversals, advices }, views, request, owner, signal))
      }),

    receipt(key, app) {
      const record = owned(journal.payment(key), app)
      if (record !== undefined) return views.receipt(record)
      const voided = owned(journal.paymentByVoidKey(key), app)
      return voided === undefined ? null : views.voidReceipt(voided)
    },

    stuck: () => stuck.list(),
    review: (signal = new AbortController().signal) =>
      guarded(() =>
        stuck.review(signal, async () => {
          background?.wake()
        }),
      ),

    unacknowledged: () =>
      journal.changes(MAX_CHANGES).map(({ sequence, key, app }) => ({
        app,
        sequence,
        view: views.view(journal.payment(key)!),
      })),
    acknowledge(sequence) {
      // Only what was handed out: else whoever repeats itself fills the journal.
      if (journal.changes(MAX_CHANGES).every((change) => change.sequence !== sequence)) return
      journal.commit('change.acknowledged', (step) => step.dropChange(sequence))
    },

    beginRound: (operator) => rounds.begin(operator),
    totals: () => rounds.totals(),
    closeRound(signal = new AbortController().signal) {
      if (closing !== undefined) return closing
      if (session.operator === null) throw new PosternError('NO_OPERATOR', 'nobody is signed in')
      if (live !== undefined || occupied) throw new PosternError('BUSY', 'a payment is under way')
      closing = guarded(() => occupying(() => rounds.close(signal))).finally(() => {
        closing = undefined
      })
      return closing
    },

    recover() {
      if (recoverPayments(deps) > 0) deps.onChanged()
      void advices.sweep()
      background = startBackground(
        deps,
        lane,
        [reversals, advices],
        () => (live === undefined || live.sale.owed) && !occupied && deps.isOnline(),
        (signal) => rounds.compareOwed(signal),
      )
    },
    roadChanged() {
      reversals.hurry()
      advices.hurry()
      background?.wake()
    },
    async stop() {
      await background?.stop()
      await live?.view.catch(() => undefined)
    },
  }
}
