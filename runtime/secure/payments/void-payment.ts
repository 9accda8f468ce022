// Taking an approved payment back before its round is closed: a reversal that an operator asked for.
import { PosternError } from '../../../hal/base/errors.js'
import { moneyToJson } from '../../../hal/base/money.js'
import type { PaymentView, VoidRequest } from '../../api/payments.js'
import type { Advices } from './advices.js'
import { fiscalFrom } from './fiscal-marks.js'
import type { Lane } from './lane.js'
import type { Owner, PaymentDependencies } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { next } from './payment-states.js'
import { amountOf, type Views } from './payment-view.js'
import { owing, type Reversals } from './reversals.js'
import { countSupervised, supervise } from './supervision.js'

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'acquirers' | 'merchant' | 'session' | 'vault' | 'clock' | 'log' | 'isOnline'
>

/** Approved without the host, which has not been told of it: it can be taken back without it too. */
const isUnsent = ({ state, advice }: PaymentRecord) =>
  state === 'ADVICE_PENDING' && advice !== undefined && advice.attempts === 0

/** What was reserved beyond a pre-authorisation is released with it. */
const incrementsOf = (journal: Needs['journal'], preauth: string) =>
  journal
    .paymentsOfOriginal(preauth)
    .filter(({ type, state }) => type === 'increment' && state === 'COMPLETED')

/** Why a payment cannot be voided, or undefined. */
function refusal({ journal }: Pick<Needs, 'journal'>, record: PaymentRecord): string | undefined {
  const { type = 'sale' } = record
  if (type !== 'sale' && type !== 'preauth') return 'NOT_VOIDABLE'
  if (isUnsent(record)) return undefined
  if (record.state === 'COMPLETED' || record.state === 'ADVISED') {
    // The totals of a batch that is closing may have left, and are sent again as they were. What is reserved is in none.
    const isCounted = type === 'sale' && journal.round(record.round)?.state !== 'OPEN'
    return isCounted ? 'ROUND_CLOSED' : undefined
  }
  if (record.state === 'ADVICE_PENDING') return 'ADVICE_FIRST'
  if (record.void !== undefined) return 'ALREADY_VOIDED'
  if (record.state === 'CAPTURED') return 'CAPTURED'
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
  { reversals, advices }: { readonly reversals: Reversals; readonly advices: Advices },
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

  let original = journal.payment(request.original)
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
  /** The host is told of an approval of ours before it is taken back; one that it never heard of needs no host. */
  const acquirer = deps.acquirers.byId(original.acquirer)
  const online = acquirer !== undefined && deps.isOnline()
  if (original.state === 'ADVICE_PENDING' && !isUnsent(original) && online)
    await lane.run(() => advices.clear(acquirer, signal))
  const refusedFirst = refusal(deps, journal.payment(request.original)!)
  if (refusedFirst !== undefined) return views.plain(subject, 'declined', refusedFirst)
  if (!isUnsent(original)) {
    if (!deps.isOnline()) return views.plain(subject, 'needsNetwork', 'NO_NETWORK')
    if (acquirer === undefined) return views.plain(subject, 'declined', 'ACQUIRER_GONE')
  }
  const minor = amountOf(original).minor
  const word = await supervise(deps, { action: 'refund', reason: request.reason, minor }, signal)
  if (word.kind === 'refused')
    return views.plain(subject, word.code === 'CAP_REACHED' ? 'declined' : 'cancelled', word.code)

  const nowMs = deps.clock.nowMs()
  original = journal.payment(request.original)! // an advice on its way may have been answered meanwhile
  const refused = refusal(deps, original)
  if (refused !== undefined) return views.plain(subject, 'declined', refused)
  const current = original
  journal.commit('payment.voided', (step) => {
    const receiptNumber = step.reserve('receipt')
    const { key, reason } = request
    const { supervisor } = word
    const mark = {
      key,
      reason,
      supervisor,
      receiptNumber,
      operator: operator.id,
      atMs: nowMs,
      ...(current.type === 'preauth' ? {} : fiscalFrom(merchant, 'void')),
    }
    countSupervised(deps, step, 'refund', minor)
    if (isUnsent(current)) {
      const sealedCard = current.sealedCard && { sealedCard: { ...current.sealedCard, sealed: '' } }
      step.putPayment({ ...current, ...sealedCard, state: next(current.state, 'voidedUnsent'), void: mark })
      step.queueChange(current.key, current.app)
    } else {
      step.putPayment({ ...owing(current, 'voided', 'void', step, nowMs), void: mark })
      for (const increment of incrementsOf(journal, current.key))
        step.putPayment(owing(increment, 'voided', 'void', step, nowMs))
    }
  })
  deps.log.info('payment.voiding', { payment: current.key, supervisor: word.supervisor })
  if (isUnsent(current)) {
    if (current.sealedCard) await deps.vault.destroy([current.sealedCard.keyId]).catch(() => undefined)
  } else if (acquirer !== undefined) await lane.run(() => reversals.clear(acquirer, signal))
  return views.voidView(journal.payment(current.key)!)
}
