// What refers to an earlier payment: its refund, more of a pre-authorisation, and taking what was reserved.
import { PosternError } from '../../../hal/base/errors.js'
import { type Money, moneyFromJson, moneyToJson } from '../../../hal/base/money.js'
import type { HoldRequest, PaymentView, RefundRequest } from '../../api/payments.js'
import type { AcquirerCapabilities } from './acquirer-port.js'
import type { Advices } from './advices.js'
import type { Lane } from './lane.js'
import { createRecord, knownPayment, type Order, refundedOf } from './orders.js'
import type { Owner, PaymentDependencies } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { BOOKED_STATES, next, type PaymentInput } from './payment-states.js'
import { amountOf, type Views } from './payment-view.js'
import type { Reversals } from './reversals.js'
import type { Rounds } from './rounds.js'
import { countSupervised, supervise, unlinkedRefundMinor } from './supervision.js'
import { askWithoutCard } from './without-card.js'

export interface LinkedNeeds {
  readonly deps: PaymentDependencies
  readonly lane: Lane
  readonly reversals: Reversals
  readonly advices: Advices
  readonly rounds: Rounds
  readonly views: Views
}

/** How a refund goes on: over, or with a card that has to be asked for. */
export type RefundStep =
  | { readonly kind: 'view'; readonly view: PaymentView }
  | { readonly kind: 'card'; readonly order: Order }

export function checkedMoney(
  deps: Pick<PaymentDependencies, 'merchant'>,
  json: HoldRequest['amount'],
): Money {
  const amount = moneyFromJson(json)
  if (amount.currency !== deps.merchant.currency || amount.minor === 0n)
    throw new PosternError('MONEY_INVALID', `a payment is of more than nothing, in ${deps.merchant.currency}`)
  return amount
}

function operatorLocale({ session }: Pick<PaymentDependencies, 'session'>): string {
  if (session.operator === null) throw new PosternError('NO_OPERATOR', 'nobody is signed in')
  return session.operator.locale
}

const can = (
  { acquirers }: Pick<PaymentDependencies, 'acquirers'>,
  original: PaymentRecord | undefined,
  what: keyof AcquirerCapabilities,
): boolean =>
  original === undefined
    ? acquirers.all.some(({ capabilities }) => capabilities[what] === true)
    : acquirers.byId(original.acquirer)?.capabilities[what] === true

/** Why a payment cannot be given back so far, or undefined. */
function refundRefusal(deps: PaymentDependencies, original: PaymentRecord | undefined, minor: bigint) {
  if (original === undefined) return 'NOT_FOUND'
  const { type = 'sale', state, key } = original
  if (!BOOKED_STATES.includes(state) || (type !== 'sale' && type !== 'completion')) return 'NOT_APPROVED'
  const left = amountOf(original).minor - refundedOf(deps.journal, key)
  return minor > left ? 'REFUND_TOO_MUCH' : undefined
}

/**
 * A refund of `original`, or without one. Nothing is left behind where it is refused before a supervisor agreed.
 * @throws PosternError `KEY_REUSED`, `NO_OPERATOR`, `MONEY_INVALID`, `JOURNAL_FAILED`
 */
export async function refund(
  needs: LinkedNeeds,
  request: RefundRequest,
  owner: Owner,
  signal: AbortSignal,
): Promise<RefundStep> {
  const { deps, views, rounds, lane, reversals } = needs
  const amount = checkedMoney(deps, request.amount)
  const { key, reference, original: originalKey, reason } = request
  const order: Order = {
    key,
    type: 'refund',
    amount,
    reference,
    ...(originalKey === undefined ? {} : { original: originalKey }),
  }
  const over = (view: PaymentView): RefundStep => ({ kind: 'view', view })
  const known = knownPayment(deps, order, owner)
  if (known !== undefined) return over(views.view(known))
  const subject = { key, reference, amount: moneyToJson(amount), locale: operatorLocale(deps) }
  const found = originalKey === undefined ? undefined : deps.journal.payment(originalKey)
  const original = found?.app === owner.app ? found : undefined
  const refused = !can(deps, original, 'refund')
    ? 'REFUND_NOT_ALLOWED'
    : originalKey !== undefined
      ? refundRefusal(deps, original, amount.minor)
      : amount.minor > unlinkedRefundMinor(deps)
        ? 'CAP_REACHED'
        : undefined
  if (refused !== undefined) return over(views.plain(subject, 'declined', refused))
  if (!deps.isOnline()) return over(views.plain(subject, 'needsNetwork', 'NO_NETWORK'))
  const word = await supervise(deps, { action: 'refund', reason, minor: amount.minor }, signal)
  if (word.kind === 'refused')
    return over(views.plain(subject, word.code === 'CAP_REACHED' ? 'declined' : 'cancelled', word.code))
  const agreed: Order = { ...order, extra: { supervisor: word.supervisor, reason } }
  if (original === undefined) return { kind: 'card', order: agreed }
  const created = createRecord(deps, rounds, agreed, owner, (step, record) => {
    countSupervised(deps, step, 'refund', amount.minor)
    return record
  })
  return over(views.view(await askWithoutCard(deps, lane, reversals, created, original, 'refund')))
}

/** The pre-authorisation of `request` with its increments, and what they reserve together; else why there is none. */
function holdOf({ deps }: LinkedNeeds, request: HoldRequest, owner: Owner) {
  const original = deps.journal.payment(request.original)
  if (original === undefined || original.app !== owner.app) return 'NOT_FOUND'
  if (original.type !== 'preauth' || original.state !== 'COMPLETED') return 'NOT_HELD'
  const increments = deps.journal
    .paymentsOfOriginal(original.key)
    .filter(({ type, state }) => type === 'increment' && state === 'COMPLETED')
  const minor = [original, ...increments].reduce((sum, record) => sum + amountOf(record).minor, 0n)
  return { original, increments, minor }
}

function holdOrder(
  { deps }: LinkedNeeds,
  type: 'increment' | 'completion',
  { key, original }: HoldRequest,
  amount: Money,
): Order {
  return { key, type, amount, original, reference: deps.journal.payment(original)?.reference ?? '-' }
}

/** More is reserved; the host decides. */
export async function increment(
  needs: LinkedNeeds,
  request: HoldRequest,
  owner: Owner,
): Promise<PaymentView> {
  const { deps, views, rounds, lane, reversals } = needs
  const amount = checkedMoney(deps, request.amount)
  const order = holdOrder(needs, 'increment', request, amount)
  const known = knownPayment(deps, order, owner)
  if (known !== undefined) return views.view(known)
  const { key, reference } = order
  const subject = { key, reference, amount: moneyToJson(amount), locale: operatorLocale(deps) }
  const hold = holdOf(needs, request, owner)
  if (typeof hold === 'string') return views.plain(subject, 'declined', hold)
  if (!can(deps, hold.original, 'preauth')) return views.plain(subject, 'declined', 'PREAUTH_NOT_ALLOWED')
  if (!deps.isOnline()) return views.plain(subject, 'needsNetwork', 'NO_NETWORK')
  const created = createRecord(deps, rounds, order, owner)
  return views.view(await askWithoutCard(deps, lane, reversals, created, hold.original, 'increment'))
}

/** CREATED to ADVICE_PENDING in one step: the host said yes when it reserved, and is told until it answers. */
const COMPLETING: readonly PaymentInput[] = ['offlineApproved', 'completed']

/** Takes what was reserved, or less. Needs no network: the host is told as soon as there is one. */
export async function complete(
  needs: LinkedNeeds,
  request: HoldRequest,
  owner: Owner,
  signal: AbortSignal,
): Promise<PaymentView> {
  const { deps, views, rounds, lane, reversals, advices } = needs
  const amount = checkedMoney(deps, request.amount)
  const order = holdOrder(needs, 'completion', request, amount)
  const known = knownPayment(deps, order, owner)
  if (known !== undefined) return views.view(known)
  const { key, reference } = order
  const subject = { key, reference, amount: moneyToJson(amount), locale: operatorLocale(deps) }
  const hold = holdOf(needs, request, owner)
  if (typeof hold === 'string') return views.plain(subject, 'declined', hold)
  if (amount.minor > hold.minor) return views.plain(subject, 'declined', 'COMPLETION_TOO_MUCH')
  const { acquirer, terminalId, merchantId, card, cardToken, response } = hold.original
  createRecord(deps, rounds, order, owner, (step, record) => {
    for (const held of [hold.original, ...hold.increments])
      step.putPayment({ ...held, state: next(held.state, 'captured') })
    const completion: PaymentRecord = {
      ...record,
      state: COMPLETING.reduce(next, record.state),
      acquirer,
      terminalId,
      merchantId,
      ...(card === undefined ? {} : { card }),
      ...(cardToken === undefined ? {} : { cardToken }),
      ...(response === undefined ? {} : { response }),
      stan: step.reserve('stan'),
      preparedAtMs: deps.clock.nowMs(),
      advice: { responseCode: '00', attempts: 0, failures: 0 },
    }
    step.queueChange(completion.key, completion.app)
    return completion
  })
  deps.onChanged()
  const host = deps.acquirers.byId(acquirer)
  if (host !== undefined && deps.isOnline())
    await lane.run(async () => (await reversals.clear(host, signal)) && advices.clear(host, signal))
  return views.view(deps.journal.payment(key)!)
}
