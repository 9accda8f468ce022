// Giving money back, of a paid parcel or without one: the terminal asks a supervisor and keeps the sums; keys are stored first.
import type { PaymentView } from '../../runtime/api/payments.js'
import { type Desk, giveBack, settledBy } from './payment.js'
import { printCustomerReceipt } from './receipts.js'
import type { Stop } from './round.js'
import { tell } from './tell-attempt.js'
import { clip, type MoneyJson } from './texts.js'
import type { Ui } from './ui.js'

/** Asks how much of what is left, and shows what became of it. */
export async function refund(ui: Ui, desk: Desk, stop: Stop): Promise<void> {
  if (stop.paid === undefined) return
  const { t, money } = ui.texts()
  const { amount, tip } = stop.paid
  const left = BigInt(amount.minor) - BigInt(stop.refunded?.minor ?? 0)
  if (left <= 0n) return ui.message(t('refund.nothing'), 'info')
  const most = { ...amount, minor: left.toString() }
  const shown = await ui.show({
    kind: 'amount',
    title: t('action.refund'),
    text:
      tip === undefined
        ? t('refund.text', { amount: money(most) })
        : t('refund.withTip', { amount: money(most), tip: money(tip) }),
    currency: amount.currency,
    min: { minor: '1', currency: amount.currency },
    max: most,
  })
  if (shown.type !== 'amount') return
  const attempt = await giveBack(desk, stop, { amount: shown.amount, reason: clip(t('refund.reason'), 60) })
  if (attempt.kind !== 'ended' || attempt.view.outcome !== 'approved') return tell(ui, desk, attempt)
  await told(ui, desk, attempt.view)
}

async function told(ui: Ui, desk: Desk, { key, amount }: PaymentView): Promise<void> {
  const { t, money } = ui.texts()
  await ui.message(t('undo.done', { amount: money(amount) }), 'success')
  await printCustomerReceipt(ui, desk, key)
}

/** What is stored under `refund` from before it is asked for until its end was told. */
interface OpenRefund {
  readonly key: string
  readonly amount: MoneyJson
  readonly reference: string
}

/**
 * A refund that no payment of this terminal stands for: by the customer's card, under the terminal's cap. One that was cut
 * off is told first.
 */
export async function refundWithoutParcel(ui: Ui, desk: Desk, currency: string): Promise<void> {
  const { t } = ui.texts()
  if (!(await tellOpenRefund(ui, desk))) return
  const typed = await ui.show({
    kind: 'form',
    title: t('menu.refund'),
    fields: [{ id: 'number', label: t('refund.number'), input: 'digits', minLength: 1, maxLength: 20 }],
  })
  const number = typed.type === 'submitted' ? (typed.values['number'] ?? '') : ''
  if (number === '') return
  const shown = await ui.show({
    kind: 'amount',
    title: t('menu.refund'),
    text: t('refund.card'),
    currency,
    min: { minor: '1', currency },
    max: { minor: '9999999', currency },
  })
  if (shown.type !== 'amount') return
  const open: OpenRefund = { key: desk.newKey('refund'), amount: shown.amount, reference: `R-${number}` }
  await desk.host['storage.set']({ key: 'refund', value: open })
  const reason = clip(t('refund.reason'), 60)
  let answer: PaymentView | undefined
  try {
    answer = await desk.host['payments.refund']({ ...open, reason })
  } catch (error) {
    // What became of it, the terminal's journal knows.
    await ui.fault(error)
  }
  await tellOpenRefund(ui, desk, answer)
}

/** Asks the terminal how the stored refund ended, and says it. True where none is open any more. */
async function tellOpenRefund(ui: Ui, desk: Desk, answer?: PaymentView): Promise<boolean> {
  const { value } = await desk.host['storage.get']({ key: 'refund' })
  if (value === null || value === undefined) return true
  const { t } = ui.texts()
  const known = await desk.host['payments.status']({ key: (value as OpenRefund).key })
  // Refused before it began: the journal knows nothing of it, and the answer says why.
  const view = known.outcome === 'unknown' ? (answer ?? known) : known
  const end = settledBy(view.outcome)
  if (end === 'open') {
    await ui.message(t('check.open'), 'warning')
    return false
  }
  await desk.host['storage.delete']({ key: 'refund' })
  if (end === 'paid') await told(ui, desk, view)
  else if (view.outcome !== 'unknown') await tell(ui, desk, { kind: 'ended', view })
  return true
}
