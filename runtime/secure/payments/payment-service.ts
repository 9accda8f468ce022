// The payment service: one payment at a time, each key paid once, everything in the journal before it acts.
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import { moneyFromJson, moneyToJson } from '../../../hal/base/money.js'
import type {
  CollectRequest,
  PaymentOutcome,
  PaymentView,
  PreauthoriseRequest,
  RefundRequest,
  RoundClose,
} from '../../api/payments.js'
import { createAdvices } from './advices.js'
import { authorisedKind } from './authorise.js'
import { type Background, startBackground } from './background.js'
import { type Sale, startSale } from './collect.js'
import { createFiscalReceipts } from './fiscal.js'
import { createLane } from './lane.js'
import { checkedMoney, complete, increment, refund } from './linked-operations.js'
import { createRecord, knownPayment, type Order, overpays } from './orders.js'
import type { Owner, PaymentDependencies, PaymentService } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { amountOf, createViews } from './payment-view.js'
import { recoverPayments } from './recovery.js'
import { createReversals } from './reversals.js'
import { createRounds } from './rounds.js'
import { askTip, refusedByAcquirers, saleOrder, withTip } from './sale-order.js'
import { createStuckItems } from './stuck-items.js'
import { countSupervised, supervise, typedCardMinor } from './supervision.js'
import { voidPayment } from './void-payment.js'

/** Most changes handed to the open world at once. */
const MAX_CHANGES = 20

const owned = (record: PaymentRecord | undefined, app: string | undefined) =>
  app === undefined || record?.app === app ? record : undefined

/** Makes the service. `recover` must be called once before anything else. */
export function createPaymentService(given: PaymentDependencies): PaymentService {
  const deps: PaymentDependencies = {
    ...given,
    onChanged() {
      given.onChanged()
      signing?.wake()
    },
  }
  const { journal, acquirers, merchant, session } = deps
  const views = createViews(merchant, deps.texts)
  const lane = createLane()
  const reversals = createReversals(deps)
  const advices = createAdvices(deps)
  const rounds = createRounds(deps, lane, reversals, advices)
  const stuck = createStuckItems(deps, rounds, () => busy())
  const linked = { deps, lane, reversals, advices, rounds, views }
  let live: { readonly key: string; readonly sale: Sale; readonly view: Promise<PaymentView> } | undefined
  let occupied = false // a void or a close: no payment may begin meanwhile
  let closing: Promise<RoundClose> | undefined
  let background: Background | undefined
  const fiscal = createFiscalReceipts(deps)
  let signing: Background | undefined

  /** A journal that cannot be written ends everything: what it holds decides after the restart. */
  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isPosternError(error, 'JOURNAL_FAILED')) deps.onFatal(error)
      throw error
    }
  }

  const localeHere = () => {
    if (session.operator === null) throw new PosternError('NO_OPERATOR', 'nobody is signed in')
    return session.operator.locale
  }
  const busy = () => live !== undefined || occupied

  /** Takes an order with a card, from its record to the card out of the slot. */
  async function takeByCard(
    order: Order,
    owner: Owner,
    signal: AbortSignal | undefined,
    also?: Parameters<typeof createRecord>[4],
  ): Promise<PaymentView> {
    const { key, reference } = order
    const amount = moneyToJson(order.amount)
    if (busy()) return views.plain({ key, reference, amount, locale: localeHere() }, 'busy')
    const kind = authorisedKind(order)
    const prompts = deps.prompts({ owner, request: { key, amount, reference }, kind })
    let record: PaymentRecord
    try {
      record = createRecord(deps, rounds, order, owner, also)
    } catch (error) {
      prompts.close()
      throw error
    }
    const sale = startSale(deps, lane, reversals, record, prompts, () => background?.wake())
    const onAbort = () => void sale.cancel()
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    const view = sale.done
      .then(() => signed(key))
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

  /** The payment as it is told, with its receipt signed, or said to be unsigned. */
  async function signed(key: string): Promise<PaymentView> {
    await fiscal.sign(key)
    return views.view(journal.payment(key)!)
  }

  /** The payment of this key, under way or over; undefined where there is none yet. */
  function again(order: Order, owner: Owner): Promise<PaymentView> | undefined {
    const known = knownPayment(deps, order, owner)
    if (known === undefined) return undefined
    return live?.key === order.key ? live.view : Promise.resolve(views.view(known))
  }

  async function collect(request: CollectRequest, owner: Owner, signal?: AbortSignal): Promise<PaymentView> {
    const order = saleOrder(deps, request)
    const known = again(order, owner)
    if (known !== undefined) return known
    const { key, reference } = request
    const subject = { key, reference, amount: request.amount, locale: localeHere() }
    if (busy()) return views.plain(subject, 'busy')
    const { minor } = moneyFromJson(request.amount)
    const due = request.due === undefined ? undefined : moneyFromJson(request.due).minor
    if (overpays(journal, reference, minor, due) || (due !== undefined && minor > due))
      return views.plain(subject, 'alreadyPaid')
    const refused = refusedByAcquirers(deps, request)
    if (refused !== undefined) return views.plain(subject, 'declined', refused)
    const until = signal ?? new AbortController().signal
    const asked = await occupying(() => askedFirst(order, request, until))
    if ('outcome' in asked) return views.plain(subject, asked.outcome, asked.code)
    return takeByCard(asked, owner, signal, (step, record) => {
      if (record.manual === true) countSupervised(deps, step, 'override')
      return record
    })
  }

  /** A supervisor's word for a typed card, the customer's tip; or why it goes no further. */
  async function askedFirst(
    order: Order,
    { manual, tip, reference }: CollectRequest,
    signal: AbortSignal,
  ): Promise<Order | { readonly outcome: PaymentOutcome; readonly code: string }> {
    let agreed = order
    if (manual === true) {
      if (order.amount.minor > typedCardMinor(deps)) return { outcome: 'declined', code: 'CAP_REACHED' }
      if (!deps.isOnline()) return { outcome: 'needsNetwork', code: 'NO_NETWORK' }
      const reason = deps.texts.text(localeHere(), 'manual.reason', { reference })
      const word = await supervise(deps, { action: 'override', reason }, signal)
      if (word.kind === 'refused')
        return { outcome: word.code === 'CAP_REACHED' ? 'declined' : 'cancelled', code: word.code }
      agreed = { ...order, extra: { ...order.extra, supervisor: word.supervisor } }
    }
    if (tip !== true) return agreed
    const added = await askTip(deps, agreed, signal)
    return added === undefined ? { outcome: 'cancelled', code: 'CANCELLED' } : withTip(agreed, added)
  }

  async function preauthorise(
    request: PreauthoriseRequest,
    owner: Owner,
    signal?: AbortSignal,
  ): Promise<PaymentView> {
    const { key, reference, description } = request
    const amount = checkedMoney(deps, request.amount)
    const order: Order = {
      key,
      reference,
      amount,
      type: 'preauth',
      ...(description === undefined ? {} : { description }),
    }
    const known = again(order, owner)
    if (known !== undefined) return known
    const subject = { key, reference, amount: request.amount, locale: localeHere() }
    if (overpays(journal, reference, amount.minor, undefined)) return views.plain(subject, 'alreadyPaid')
    if (!acquirers.all.some(({ capabilities }) => capabilities.preauth))
      return views.plain(subject, 'declined', 'PREAUTH_NOT_ALLOWED')
    return takeByCard(order, owner, signal)
  }

  async function giveBack(request: RefundRequest, owner: Owner, signal: AbortSignal): Promise<PaymentView> {
    if (live?.key === request.key) return live.view
    const step = await unlessBusy(request, () => refund(linked, request, owner, signal))
    if (!('kind' in step)) return step
    if (step.kind === 'view') return step.view.outcome === 'approved' ? signed(request.key) : step.view
    const { minor } = step.order.amount
    return takeByCard(step.order, owner, signal, (journalStep, record) => {
      countSupervised(deps, journalStep, 'refund', minor)
      return record
    })
  }

  /** One thing at a time: another is told that the terminal is busy. */
  function unlessBusy<T>(
    { key, amount, original }: { key: string; amount?: PaymentView['amount']; original?: string },
    work: () => Promise<T>,
  ): Promise<T | PaymentView> {
    if (!busy()) return occupying(work)
    const record = original === undefined ? undefined : journal.payment(original)
    const nothing = { minor: '0', currency: merchant.currency }
    const about = amount ?? (record === undefined ? nothing : moneyToJson(amountOf(record)))
    const locale = session.operator?.locale ?? merchant.locale
    const view = views.plain({ key, reference: record?.reference ?? '-', amount: about, locale }, 'busy')
    return Promise.resolve(view)
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
    collect: (request, owner, signal) => guarded(() => collect(request, owner, signal)),
    preauthorise: (request, owner, signal) => guarded(() => preauthorise(request, owner, signal)),
    refund: (request, owner, signal = new AbortController().signal) =>
      guarded(() => giveBack(request, owner, signal)),
    increment: (request, owner) =>
      guarded(() => unlessBusy(request, () => increment(linked, request, owner))),
    complete: (request, owner, signal = new AbortController().signal) =>
      guarded(() =>
        unlessBusy(request, async () => {
          const view = await complete(linked, request, owner, signal)
          return view.outcome === 'approved' ? signed(request.key) : view
        }),
      ),

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
      guarded(() => {
        // Another app's payment is as good as none, here too.
        const { key } = request
        const about = owned(journal.payment(request.original), owner.app) === undefined ? { key } : request
        const { original } = { original: undefined, ...about } as { original?: string }
        return unlessBusy({ key, ...(original === undefined ? {} : { original }) }, async () => {
          const view = await voidPayment(deps, lane, { reversals, advices }, views, request, owner, signal)
          if (view.outcome !== 'voided') return view
          await fiscal.sign(request.original)
          return views.voidView(journal.payment(request.original)!)
        })
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

    async changeKeys(acquirer, signal = new AbortController().signal) {
      const { management } = deps
      if (management === undefined) return { kind: 'failed', code: 'KEY_CHANGE_NOT_ALLOWED' }
      if (busy()) throw new PosternError('BUSY', 'a payment is under way')
      return guarded(() => occupying(() => lane.run(() => management.changeKeys(acquirer, signal))))
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
        [...(deps.management ? [deps.management] : []), reversals, advices],
        () => (live === undefined || live.sale.owed) && !occupied && deps.isOnline(),
        (signal) => rounds.compareOwed(signal),
      )
      // It needs no network and holds no payment up.
      signing = startBackground(
        deps,
        createLane(),
        [fiscal],
        () => true,
        async () => true,
      )
    },
    signerReady() {
      fiscal.hurry()
      signing?.wake()
    },
    roadChanged() {
      reversals.hurry()
      advices.hurry()
      background?.wake()
    },
    async stop() {
      await signing?.stop()
      await background?.stop()
      await live?.view.catch(() => undefined)
    },
  }
}
