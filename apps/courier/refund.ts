// Giving part or all of a paid parcel's money back: the terminal asks a supervisor and keeps the sums; the stop stays as it is.
import type { Desk } from './payment.js'
import { printCustomerReceipt } from './receipts.js'
import type { Stop } from './round.js'
import { clip } from './texts.js'
import type { Ui } from './ui.js'

/** Asks how much, and shows what became of it. The terminal refuses more than is left of the payment. */
export async function refund(ui: Ui, desk: Desk, stop: Stop): Promise<void> {
  if (stop.paid === undefined) return
  const { t, money } = ui.texts()
  const { waybill } = stop.parcel
  const { key: original, amount } = stop.paid
  const shown = await ui.show({
    kind: 'amount',
    title: t('action.refund'),
    text: t('refund.text', { amount: money(amount) }),
    currency: amount.currency,
    min: { minor: '1', currency: amount.currency },
    max: amount,
  })
  if (shown.type !== 'amount') return
  const view = await desk.host['payments.refund']({
    key: desk.newKey(waybill),
    original,
    amount: shown.amount,
    reference: waybill,
    reason: clip(t('refund.reason'), 60),
  })
  if (view.outcome !== 'approved') return ui.message(view.message, 'warning')
  await ui.message(t('undo.done', { amount: money(view.amount) }), 'success')
  await printCustomerReceipt(ui, desk, view.key)
}
