// What is asked for, whatever it is: held against its key and its order's sums, and made a record in one durable step.
import { PosternError } from '../../../hal/base/errors.js'
import type { Money } from '../../../hal/base/money.js'
import type { MoneyKind } from './acquirer-port.js'
import { fiscalFrom } from './fiscal-marks.js'
import type { JournalStep } from './journal.js'
import { utcOffsetMin } from './local-time.js'
import type { Owner, PaymentDependencies } from './payment-port.js'
import type { PaymentRecord, PaymentType } from './payment-record.js'
import { LIVE_STATES, STANDING_STATES } from './payment-states.js'
import { amountOf } from './payment-view.js'
import type { Rounds } from './rounds.js'

export interface Order {
  readonly key: string
  readonly type: PaymentType
  /** Everything that the host is asked for. */
  readonly amount: Money
  readonly reference: string
  readonly description?: string
  readonly original?: string
  readonly extra?: Pick<
    PaymentRecord,
    'tipMinor' | 'cashbackMinor' | 'partialAllowed' | 'dueMinor' | 'supervisor' | 'reason' | 'manual'
  >
}

type Needs = Pick<PaymentDependencies, 'journal' | 'acquirers' | 'session' | 'clock' | 'merchant'>

/** Without what the customer added: the tip is not part of what was asked for. */
const askedOf = ({ minor, tipMinor }: { readonly minor: string; readonly tipMinor?: string }) =>
  BigInt(minor) - BigInt(tipMinor ?? 0)

/** The payment of this key. @throws PosternError `KEY_REUSED` where it is another one, a void, or long gone */
export function knownPayment(
  { journal }: Pick<Needs, 'journal'>,
  order: Order,
  owner: Owner,
): PaymentRecord | undefined {
  const record = journal.payment(order.key)
  const reused = (of: string) => new PosternError('KEY_REUSED', `this key was used for ${of}`)
  if (record === undefined) {
    if (journal.paymentByVoidKey(order.key) !== undefined) throw reused('a void')
    if (journal.retired('key', order.key)) throw reused('a payment of long ago')
    return undefined
  }
  const same =
    (record.type ?? 'sale') === order.type &&
    askedOf(record) === order.amount.minor &&
    record.cashbackMinor === order.extra?.cashbackMinor &&
    record.manual === order.extra?.manual &&
    record.currency === order.amount.currency &&
    record.reference === order.reference &&
    record.original === order.original &&
    record.app === owner.app
  if (!same) throw reused('another payment')
  return record
}

/** What was given back of a payment, or may yet be. */
export function refundedOf(journal: PaymentDependencies['journal'], original: string): bigint {
  return journal
    .paymentsOfOriginal(original)
    .filter(({ type, state }) => type === 'refund' && (counts(state) || isOwed(state)))
    .reduce((sum, record) => sum + amountOf(record).minor, 0n)
}
const counts = (state: PaymentRecord['state']) =>
  STANDING_STATES.includes(state) || LIVE_STATES.includes(state)
/** A refund that is being taken back may stand with the bank until it is. */
const isOwed = (state: PaymentRecord['state']) => state.startsWith('REVERSAL_')

/** What of an order is paid or being paid: of its goods, without tips and cash, and without what was given back. */
function paidOf(journal: PaymentDependencies['journal'], reference: string) {
  const standing = journal
    .paymentsOfReference(reference)
    .filter(({ type = 'sale', state }) => type !== 'refund' && type !== 'increment' && counts(state))
    // The completion of a pre-authorisation stands in its place.
    .filter(({ state }) => state !== 'CAPTURED')
  return standing.reduce((sum, record) => {
    const { minor } = amountOf(record)
    const goods = minor - BigInt(record.tipMinor ?? 0) - BigInt(record.cashbackMinor ?? 0)
    return sum + goods - refundedOf(journal, record.key)
  }, 0n)
}

/** True where a payment of `minor` would take more than the order comes to. */
export function overpays(
  journal: PaymentDependencies['journal'],
  reference: string,
  minor: bigint,
  dueMinor: bigint | undefined,
): boolean {
  if (journal.retired('reference', reference)) return true
  const paid = paidOf(journal, reference)
  return paid > 0n && (dueMinor === undefined || paid + minor > dueMinor)
}

/** CREATED, with all its numbers, in the open round; `also` is written in the same step. */
export function createRecord(
  deps: Needs,
  rounds: Pick<Rounds, 'ensureOpen'>,
  order: Order,
  owner: Owner,
  also: (step: JournalStep, record: PaymentRecord) => PaymentRecord = (_, record) => record,
): PaymentRecord {
  const { journal, acquirers, session, clock } = deps
  const operator = session.operator
  if (operator === null) throw new PosternError('NO_OPERATOR', 'nobody is signed in')
  const { key, type, amount, reference, description, original, extra } = order
  const now = clock.nowMs()
  const likely = acquirers.route({ kind: type as MoneyKind, amount })[0] ?? acquirers.all[0]
  return journal.commit('payment.created', (step) => {
    const round = rounds.ensureOpen(operator, step)
    const record = also(step, {
      key,
      state: 'CREATED',
      ...(type === 'sale' ? {} : { type }),
      ...(original === undefined ? {} : { original }),
      app: owner.app,
      appName: owner.name,
      operator: operator.id,
      round: round.id,
      batch: round.batch,
      reference,
      ...(description === undefined ? {} : { description }),
      minor: amount.minor.toString(),
      currency: amount.currency,
      ...extra,
      ...fiscalFrom(deps.merchant, type),
      locale: operator.locale,
      createdAtMs: now,
      utcOffsetMin: utcOffsetMin(now),
      sequence: step.reserve('sequence'),
      receiptNumber: step.reserve('receipt'),
      // Who it probably goes to; the card decides, and `prepare` writes whom it does go to.
      acquirer: likely?.id ?? '-',
      terminalId: likely?.terminalId ?? '-',
      merchantId: likely?.merchantId ?? '-',
    })
    step.putPayment(record)
    return record
  })
}
