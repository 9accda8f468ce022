// One parcel: what it is, and every way in which a stop can end.
import type { PaymentView } from '../../runtime/api/payments.js'
import type { PrintResult } from '../../runtime/api/print-document.js'
import { REFUSAL_REASONS, type RefusalReason } from './messages.js'
import { collect, type Desk, undo } from './payment.js'
import type { Stop } from './round.js'
import type { MoneyJson } from './texts.js'
import type { Ui } from './ui.js'

const nothingDue = (stop: Stop) => stop.parcel.due.minor === '0'

/** What can be done with a stop as it stands, by the text key of each item. */
export function actionsFor(stop: Stop): string[] {
  if (stop.collecting !== undefined || stop.undoing !== undefined) return ['check']
  if (stop.state !== 'open') return [...(stop.paid === undefined ? [] : ['receipt']), 'undo']
  return [
    nothingDue(stop) ? 'deliver' : 'collect',
    ...(nothingDue(stop) ? [] : ['partly']),
    'refused',
    'notAtHome',
  ]
}

function rows(stop: Stop, ui: Ui): { label: string; value: string }[] {
  const { t, money } = ui.texts()
  const { parcel } = stop
  const rules = [
    parcel.rules.partialAllowed ? t('rule.partial') : '',
    parcel.rules.openBeforePaying ? t('rule.open') : '',
    parcel.rules.recipientOnly ? t('rule.recipient') : '',
  ].filter((rule) => rule !== '')
  const all: [string, string | undefined][] = [
    ['row.due', nothingDue(stop) ? t('due.none') : money(parcel.due)],
    ['row.state', stop.state === 'open' ? undefined : stateText(stop, ui)],
    ['row.recipient', parcel.recipient],
    ['row.address', parcel.address.join(', ')],
    ['row.phone', parcel.phone],
    ['row.shipper', parcel.shipper],
    ['row.contents', parcel.contents],
    ['row.pieces', String(parcel.pieces)],
    ['row.rules', rules.length === 0 ? undefined : rules.join(', ')],
    ['row.note', parcel.note],
    ['row.waybill', parcel.waybill],
  ]
  return all.flatMap(([label, value]) =>
    value ? [{ label: t(label).slice(0, 24), value: value.slice(0, 80) }] : [],
  )
}

/** How a stop ended, in words. */
export function stateText(stop: Stop, ui: Ui): string {
  const { t, money } = ui.texts()
  const state = t(`state.${stop.state}`)
  if (stop.reason !== undefined) return `${state}: ${t(`reason.${stop.reason}`)}`
  return stop.paid === undefined ? state : `${state}, ${money(stop.paid.amount)}`
}

/** Shows a parcel until the courier goes back. */
export async function parcelScreen(ui: Ui, desk: Desk, waybill: string): Promise<void> {
  for (;;) {
    const stop = desk.round.stop(waybill)
    if (stop === undefined) return
    const { t, money } = ui.texts()
    const label = (action: string) =>
      action === 'collect' ? t('action.collect', { amount: money(stop.parcel.due) }) : t(`action.${action}`)
    const shown = await ui.showOpen({
      kind: 'details',
      title: stop.parcel.recipient.slice(0, 40),
      rows: rows(stop, ui),
      items: actionsFor(stop).map((id) => ({ id, label: label(id) })),
    })
    if (shown.type === 'changed') continue
    if (shown.type === 'scanned') return ui.scanned(shown.text)
    if (shown.type !== 'selected') return
    const finished = await act(shown.id, ui, desk, stop)
    if (finished) return
  }
}

/** True when the stop is finished and the list comes next. */
async function act(action: string, ui: Ui, desk: Desk, stop: Stop): Promise<boolean> {
  switch (action) {
    case 'collect':
      return take(ui, desk, stop, stop.parcel.due, 'delivered')
    case 'partly':
      return partly(ui, desk, stop)
    case 'deliver':
      return deliver(ui, desk, stop)
    case 'refused':
      return refused(ui, desk, stop)
    case 'notAtHome':
      if (!(await ui.confirm(ui.texts().t('notAtHome.confirm', { name: stop.parcel.recipient }))))
        return false
      await desk.round.report(
        { ...stop, state: 'notAtHome' },
        { status: 'notAtHome' },
        desk.operator(),
        desk.now(),
      )
      return true
    case 'receipt':
      await receipts(ui, desk, stop.paid!.key)
      return false
    case 'undo':
      await takeBack(ui, desk, stop)
      return false
    case 'check':
      await ui.busy(ui.texts().t('checking'), check(desk, stop))
      return false
    default:
      return false
  }
}

async function check(desk: Desk, stop: Stop): Promise<void> {
  const { resolveOpen } = await import('./payment.js')
  await resolveOpen({ ...desk, round: { ...desk.round, stops: () => [stop] } })
}

async function deliver(ui: Ui, desk: Desk, stop: Stop): Promise<boolean> {
  if (!(await ui.confirm(ui.texts().t('deliver.confirm', { name: stop.parcel.recipient })))) return false
  await desk.round.report(
    { ...stop, state: 'delivered' },
    { status: 'delivered' },
    desk.operator(),
    desk.now(),
  )
  return true
}

async function refused(ui: Ui, desk: Desk, stop: Stop): Promise<boolean> {
  const { t } = ui.texts()
  const shown = await ui.show({
    kind: 'menu',
    title: t('refused.title'),
    text: t('refused.text'),
    items: REFUSAL_REASONS.map((reason) => ({ id: reason, label: t(`reason.${reason}`) })),
  })
  if (shown.type !== 'selected') return false
  const reason = shown.id as RefusalReason
  await desk.round.report(
    { ...stop, state: 'refused', reason },
    { status: 'refused', reason },
    desk.operator(),
    desk.now(),
  )
  await ui.message(t('refused.done', { name: stop.parcel.recipient }), 'info')
  return true
}

/** A changed amount: where the shipper does not allow it, a supervisor has to. */
async function partly(ui: Ui, desk: Desk, stop: Stop): Promise<boolean> {
  const { t, money } = ui.texts()
  const { due, rules } = stop.parcel
  if (!rules.partialAllowed) {
    if (!(await ui.confirm(t('partly.notAllowed')))) return false
    const { granted } = await desk.host['session.authorise']({
      action: 'override',
      reason: t('partly.reason', { waybill: stop.parcel.waybill }).slice(0, 60),
    })
    if (!granted) return false
  }
  const least =
    rules.partialAllowed && rules.minimum !== undefined
      ? rules.minimum
      : { minor: '1', currency: due.currency }
  const shown = await ui.show({
    kind: 'amount',
    title: t('partly.title'),
    text: t('partly.text', { due: money(due) }),
    currency: due.currency,
    min: least,
    max: due,
  })
  if (shown.type !== 'amount') return false
  return take(ui, desk, stop, shown.amount, shown.amount.minor === due.minor ? 'delivered' : 'partlyAccepted')
}

async function take(
  ui: Ui,
  desk: Desk,
  stop: Stop,
  amount: MoneyJson,
  becomes: 'delivered' | 'partlyAccepted',
): Promise<boolean> {
  const { t } = ui.texts()
  const view = await collect(
    desk,
    stop,
    amount,
    becomes,
    t('collect.description', { waybill: stop.parcel.waybill }).slice(0, 60),
  )
  if (view.outcome === 'approved') {
    await receipts(ui, desk, view.key)
    return true
  }
  await tell(ui, view)
  if (view.outcome === 'declined' && view.receipt !== undefined)
    await print(ui, () => desk.host['printer.receipt']({ key: view.key, copy: 'customer' }))
  return false
}

/** The terminal's own sentence about how a payment ended. */
async function tell(ui: Ui, view: PaymentView): Promise<void> {
  const tone =
    view.outcome === 'cancelled'
      ? 'info'
      : view.outcome === 'reversing' || view.outcome === 'needsNetwork'
        ? 'warning'
        : 'error'
  await ui.message(view.message, tone)
}

/** The customer's copy, and the courier's on request. */
async function receipts(ui: Ui, desk: Desk, key: string): Promise<void> {
  const { t } = ui.texts()
  if (!(await print(ui, () => desk.host['printer.receipt']({ key, copy: 'customer' })))) return
  if (await ui.confirm(t('receipt.second')))
    await print(ui, () => desk.host['printer.receipt']({ key, copy: 'merchant' }))
}

/** Prints, and when the printer can't, says what to mend and offers to try again. True once it is on paper. */
export async function print(ui: Ui, job: () => Promise<PrintResult>): Promise<boolean> {
  for (;;) {
    const { outcome } = await ui.busy(ui.texts().t('printing'), job())
    if (outcome === 'printed') return true
    const { t } = ui.texts()
    const shown = await ui.show({
      kind: 'menu',
      title: t('printer.title'),
      text: t(`printer.${outcome}`),
      items: [
        { id: 'again', label: t('printer.again') },
        { id: 'without', label: t('printer.without') },
      ],
    })
    if (shown.type !== 'selected' || shown.id === 'without') return false
  }
}

async function takeBack(ui: Ui, desk: Desk, stop: Stop): Promise<void> {
  const { t, money } = ui.texts()
  const question =
    stop.paid === undefined
      ? t('undo.confirm', { state: stateText(stop, ui) })
      : t('undo.money', { amount: money(stop.paid.amount) })
  if (!(await ui.confirm(question))) return
  const view = await undo(desk, stop, t('undo.reason').slice(0, 60))
  if (view === undefined) return
  if (view.outcome === 'voided') {
    await ui.message(t('undo.done', { amount: money(view.amount) }), 'success')
    await print(ui, () => desk.host['printer.receipt']({ key: view.key, copy: 'customer' }))
  } else await tell(ui, view)
}
