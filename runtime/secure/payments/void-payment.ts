// Taking an approved payment back before its round is closed: a reversal that an operator asked for.
import { PosternError } from '../../../hal/base/errors.js'
import { moneyToJson } from '../../../hal/base/money.js'
import type { PaymentView, VoidRequest } from '../../api/payments.js'
import type { Lane } from './lane.js'
import type { Owner, PaymentDependencies } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { amountOf, type Views } from './payment-view.js'
import { owing, type Reversals } from './reversals.js'

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'acquirers' | 'merchant' | 'session' | 'clock' | 'log' | 'isOnline'
>

/** Why a payment cannot be voided, or undefined. */
function refusal(record: PaymentRecord): string | undefined {
  if (record.state === 'COMPLETED') return undefined
  if (record.void !== undefined) return 'ALREADY_VOIDED'
  return record.state === 'SETTLED' ? 'ROUND_CLOSED' : 'NOT_APPROVED'
}

/**
 * Voids under the void's own key: asked again with it, the same result. A supervisor's refusal and a missing
 * network leave nothing behind, so the same key may try again. Once it is durable it is sent until the host
 * acknowledges, and counts as voided only then.
 * @throws PosternError `KEY_REUSED`, `NO_OPERATOR`
 */
export async function voidPayment(
  deps: Needs,
  lane: Lane,
  reversals: Reversals,
  views: Views,
  request: VoidRequest,
  owner: Owner,
  signal: AbortSignal,
): Promise<PaymentView> {
  const { journal, session, merchant } = deps
  const known = journal.paymentByVoidKey(request.key)
  if (known !== undefined && known.key === request.original && known.app === owner.app)
    return views.voidView(known)
  if (known !== undefined || journal.payment(request.key) !== undefined)
    throw new PosternError('KEY_REUSED', 'this key was used for another payment')
  const operator = session.operator
  if (operator === null) throw new PosternError('NO_OPERATOR', 'nobody is signed in')

  const original = journal.payment(request.original)
  if (original === undefined || original.app !== owner.app) {
    const amount = { minor: '0', currency: merchant.currency }
    return views.plain(
      { key: request.key, reference: '-', amount, locale: operator.locale },
      'declined',
      'NOT_FOUND',
    )
  }
  const subject = {
    key: request.key,
    reference: original.reference,
    amount: moneyToJson(amountOf(original)),
    locale: operator.locale,
  }
  const refused = refusal(original)
  if (refused !== undefined) return views.plain(subject, 'declined', refused)
  if (!deps.isOnline()) return views.plain(subject, 'needsNetwork', 'NO_NETWORK')
  const acquirer = deps.acquirers.byId(original.acquirer)
  if (acquirer === undefined) return views.plain(subject, 'declined', 'ACQUIRER_GONE')
  const supervisor = await session.authorise('refund', request.reason, signal)
  if (supervisor === undefined) return views.plain(subject, 'cancelled', 'NOT_AUTHORISED')

  const nowMs = deps.clock.nowMs()
  journal.commit('payment.voided', (step) => {
    const receiptNumber = step.reserve('receipt')
    const { key, reason } = request
    step.putPayment({
      ...owing(original, 'voided', 'void', step, nowMs),
      void: { key, reason, supervisor, receiptNumber, operator: operator.id, atMs: nowMs },
    })
  })
  deps.log.info('payment.voiding', { payment: original.key, supervisor })
  await lane.run(() => reversals.clear(acquirer, signal))
  return views.voidView(journal.payment(original.key)!)
}
