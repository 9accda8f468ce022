// What a collect asks for beside its amount: cash, a part, a tip; each only where the acquirer allows it.
import { PosternError } from '../../../hal/base/errors.js'
import { type Money, moneyFromJson, moneyToJson } from '../../../hal/base/money.js'
import type { CollectRequest } from '../../api/payments.js'
import { checkedMoney } from './linked-operations.js'
import type { Order } from './orders.js'
import type { PaymentDependencies } from './payment-port.js'

type Needs = Pick<PaymentDependencies, 'acquirers' | 'typedCards' | 'merchant' | 'session' | 'ask' | 'texts'>

/** A tip is at most so much of the amount. */
const MOST_TIP_PERCENT = 50n
const TIP_MS = 60_000

/** The order of a collect, its tip left out. @throws PosternError `MONEY_INVALID` */
export function saleOrder(deps: Pick<Needs, 'merchant'>, request: CollectRequest): Order {
  const { key, reference, description, cashback, due, partial, manual } = request
  const goods = checkedMoney(deps, request.amount)
  const cash = cashback === undefined ? undefined : checkedMoney(deps, cashback)
  if (due !== undefined && moneyFromJson(due).currency !== goods.currency)
    throw new PosternError('MONEY_INVALID', 'an order is due in one currency')
  return {
    key,
    reference,
    type: 'sale',
    amount: { ...goods, minor: goods.minor + (cash?.minor ?? 0n) },
    ...(description === undefined ? {} : { description }),
    extra: {
      ...(cash === undefined ? {} : { cashbackMinor: cash.minor.toString() }),
      ...(partial === true ? { partialAllowed: true } : {}),
      ...(due === undefined ? {} : { dueMinor: due.minor }),
      ...(manual === true ? { manual } : {}),
    },
  }
}

/** Why no acquirer takes what is asked for, or undefined. A part is a wish: without it all or nothing is approved. */
export function refusedByAcquirers(
  { acquirers, typedCards }: Pick<Needs, 'acquirers' | 'typedCards'>,
  { cashback, tip, manual }: CollectRequest,
): string | undefined {
  const takes = (what: 'cashback' | 'tip' | 'manualEntry') =>
    acquirers.all.some(({ capabilities }) => capabilities[what])
  // A certified module reads cards only.
  if (manual === true && (typedCards === undefined || !takes('manualEntry'))) return 'MANUAL_NOT_ALLOWED'
  if (manual === true && cashback !== undefined) return 'MANUAL_NOT_ALLOWED'
  if (cashback !== undefined && !takes('cashback')) return 'CASHBACK_NOT_ALLOWED'
  return tip === true && !takes('tip') ? 'TIP_NOT_ALLOWED' : undefined
}

/** The customer's tip; nothing is a tip too. Undefined where the payment is given up. */
export async function askTip(deps: Needs, order: Order, signal: AbortSignal): Promise<Money | undefined> {
  const { amount } = order
  const locale = deps.session.operator?.locale ?? deps.merchant.locale
  const none = { ...amount, minor: 0n }
  const answer = await deps.ask(
    {
      kind: 'amount',
      title: deps.texts.text(locale, 'tip.title'),
      text: deps.texts.text(locale, 'tip.text'),
      currency: amount.currency,
      min: moneyToJson(none),
      max: moneyToJson({ ...amount, minor: (amount.minor * MOST_TIP_PERCENT) / 100n }),
      timeoutMs: TIP_MS,
    },
    signal,
  )
  if (answer.type === 'amount') return moneyFromJson(answer.amount)
  return answer.type === 'timeout' ? none : undefined
}

export function withTip(order: Order, tip: Money): Order {
  if (tip.minor === 0n) return order
  const amount = { ...order.amount, minor: order.amount.minor + tip.minor }
  return { ...order, amount, extra: { ...order.extra, tipMinor: tip.minor.toString() } }
}
