// One parcel: what it is, and every way in which a stop can end.
import { REFUSAL_REASONS, type RefusalReason } from './messages.js'
import { collect, type Desk, type Means, resolveOpen, undo } from './payment.js'
import { chooseReceipt, paperIsReady, printCustomerReceipt, printReceipts } from './receipts.js'
import { refund } from './refund.js'
import { isPending, type Report, type Stop, type StopState } from './round.js'
import { tell } from './tell-attempt.js'
import { clip, type MoneyJson, pieces } from './texts.js'
import type { MakeScreen, Ui } from './ui.js'

/** What the contract takes of a row's label and value, and of rows. */
const LABEL = 24
const VALUE = 80
const MOST_ROWS = 20

const nothingDue = (stop: Stop) => stop.parcel.due.minor === '0'

/** What can be done with a stop as it stands, by the text key of each item. */
export function actionsFor(stop: Stop): string[] {
  if (isPending(stop)) return ['check']
  if (stop.state !== 'open') return stop.paid === undefined ? ['undo'] : ['receipt', 'undo', 'refund']
  if (stop.held !== undefined) return ['collect', 'partly', 'release']
  if (nothingDue(stop)) return ['deliver', 'refused', 'notAtHome']
  const looksFirst = stop.parcel.rules.openBeforePaying === true
  return ['collect', 'partly', 'refused', 'notAtHome', 'typed', ...(looksFirst ? ['hold'] : [])]
}

function rows(stop: Stop, ui: Ui, plain: boolean): { label: string; value: string }[] {
  const { t, money } = ui.texts()
  const { parcel, state } = stop
  const rules = [
    parcel.rules.partialAllowed ? t('rule.partial') : '',
    parcel.rules.openBeforePaying ? t('rule.open') : '',
    parcel.rules.recipientOnly ? t('rule.recipient') : '',
  ].filter((rule) => rule !== '')
  const free: [string, readonly (string | undefined)[]][] = plain
    ? []
    : [
        ['row.recipient', [parcel.recipient]],
        ['row.address', parcel.address],
        ['row.phone', [parcel.phone]],
        ['row.shipper', [parcel.shipper]],
        ['row.contents', [parcel.contents]],
        ['row.note', [parcel.note]],
      ]
  const all: [string, readonly (string | undefined)[]][] = [
    ['row.due', [nothingDue(stop) ? t('due.none') : money(parcel.due)]],
    ['row.state', [state === 'open' ? undefined : stateText(stop, ui)]],
    ['row.held', [stop.held && money(stop.held.amount)]],
    ['row.refunded', [stop.refunded && money(stop.refunded)]],
    ...free,
    ['row.pieces', [String(parcel.pieces)]],
    ['row.rules', rules],
    ['row.waybill', [parcel.waybill]],
  ]
  return all
    .flatMap(([key, values]) =>
      values
        .flatMap((value) => pieces(value ?? '', VALUE))
        .map((value, index) => ({ label: index === 0 ? clip(t(key), LABEL) : '', value })),
    )
    .slice(0, MOST_ROWS)
}

/** How a stop ended, in words. */
export function stateText(stop: Stop, ui: Ui): string {
  const { t, money } = ui.texts()
  const state = t(`state.${stop.state}`)
  if (stop.reason !== undefined) return `${state}: ${t(`reason.${stop.reason}`)}`
  return stop.paid === undefined ? state : `${state}, ${money(stop.paid.amount)}`
}

function makeParcelScreen(ui: Ui, desk: Desk, waybill: string): MakeScreen {
  return (plain) => {
    const stop = desk.round.stop(waybill)
    if (stop === undefined || desk.operator() === undefined) return undefined
    const { t, money } = ui.texts()
    const actions = [...actionsFor(stop), ...(plain ? ['read'] : [])]
    return {
      kind: 'details',
      title: plain ? t('parcel.title', { stop: stop.parcel.stop }) : clip(stop.parcel.recipient, 40),
      rows: rows(stop, ui, plain),
      items: actions.map((id) => ({
        id,
        label: id === 'collect' ? t('action.collect', { amount: money(stop.parcel.due) }) : t(`action.${id}`),
      })),
    }
  }
}

/** Shows a parcel until the courier goes back. */
export async function parcelScreen(ui: Ui, desk: Desk, waybill: string): Promise<void> {
  const name = desk.round.stop(waybill)?.parcel.recipient ?? ''
  for (;;) {
    const shown = await ui.showOpen(makeParcelScreen(ui, desk, waybill))
    const stop = desk.round.stop(waybill)
    if (stop === undefined) return ui.message(ui.texts().t('parcel.withdrawn', { name }), 'warning')
    if (desk.operator() === undefined) return
    if (shown.type === 'changed') continue
    if (shown.type === 'scanned') return ui.scanned(shown.text)
    if (shown.type !== 'selected') return
    try {
      if (await act(shown.id, ui, desk, stop)) return
    } catch (error) {
      await ui.fault(error)
    }
  }
}

/** True when the stop is finished and the list comes next. */
async function act(action: string, ui: Ui, desk: Desk, stop: Stop): Promise<boolean> {
  if (action !== 'read' && !actionsFor(stop).includes(action)) return false // it changed as the key was pressed
  const { t } = ui.texts()
  const { waybill, recipient, due } = stop.parcel
  switch (action) {
    case 'collect':
      return take(ui, desk, stop, due)
    case 'partly':
      return partly(ui, desk, stop)
    case 'typed':
      return take(ui, desk, stop, due, { typed: true })
    case 'hold':
      return hold(ui, desk, stop)
    case 'release':
    case 'undo':
      await takeBack(ui, desk, stop)
      return false
    case 'deliver':
      if (!(await ui.confirm(t('deliver.confirm', { name: recipient })))) return false
      return finish(ui, desk, stop, 'delivered')
    case 'refused':
      return refused(ui, desk, stop)
    case 'notAtHome':
      if (!(await ui.confirm(t('notAtHome.confirm', { name: recipient })))) return false
      return finish(ui, desk, stop, 'notAtHome')
    case 'receipt':
      await chooseReceipt(ui, desk, stop.paid!.key)
      return false
    case 'refund':
      await refund(ui, desk, stop)
      return false
    case 'check':
      if (!(await ui.busy(t('checking'), resolveOpen(desk, waybill))))
        await ui.message(t('check.open'), 'warning')
      return false
    case 'read': {
      const { address, phone, shipper, contents, note } = stop.parcel
      const lines = [recipient, ...address, phone, shipper, contents, note].filter(Boolean)
      await ui.message(lines.join('\n'))
      return false
    }
    default:
      return false
  }
}

/** Ends a stop without money. */
async function finish(
  ui: Ui,
  desk: Desk,
  { parcel }: Stop,
  state: Exclude<StopState, 'open' | 'partlyAccepted'>,
  reason?: RefusalReason,
): Promise<boolean> {
  const why = reason === undefined ? {} : { reason }
  const report: Report = { status: state, ...why, operator: desk.operator() ?? '0', at: desk.now() }
  const done = await desk.round.change(parcel.waybill, (stop) =>
    stop.state === 'open' && !isPending(stop) && stop.held === undefined
      ? { stop: { ...stop, state, ...why }, report }
      : undefined,
  )
  if (!done) await ui.message(ui.texts().t('parcel.changed'), 'warning')
  return done
}

async function refused(ui: Ui, desk: Desk, stop: Stop): Promise<boolean> {
  const { t } = ui.texts()
  const shown = await ui.show({
    kind: 'menu',
    title: t('refused.title'),
    text: t('refused.text'),
    items: REFUSAL_REASONS.map((reason) => ({ id: reason, label: t(`reason.${reason}`) })),
  })
  const reason = REFUSAL_REASONS.find((one) => shown.type === 'selected' && shown.id === one)
  if (reason === undefined || !(await finish(ui, desk, stop, 'refused', reason))) return false
  await ui.message(t('refused.done', { name: stop.parcel.recipient }), 'info')
  return true
}

/** A changed amount: where the shipper does not allow it, a supervisor has to, knowing the amount. */
async function partly(ui: Ui, desk: Desk, stop: Stop): Promise<boolean> {
  const { t, money } = ui.texts()
  const { due, rules, waybill } = stop.parcel
  if (!rules.partialAllowed && !(await ui.confirm(t('partly.notAllowed')))) return false
  const minimum = rules.partialAllowed && rules.minimum?.currency === due.currency ? rules.minimum : undefined
  const least = minimum === undefined || BigInt(minimum.minor) < 1n ? '1' : minimum.minor
  const shown = await ui.show({
    kind: 'amount',
    title: t('partly.title'),
    text: t('partly.text', { due: money(due) }),
    currency: due.currency,
    min: { minor: BigInt(least) > BigInt(due.minor) ? due.minor : least, currency: due.currency },
    max: due,
  })
  if (shown.type !== 'amount') return false
  if (rules.partialAllowed || shown.amount.minor === due.minor) return take(ui, desk, stop, shown.amount)
  const reason = t('partly.reason', { waybill, amount: money(shown.amount), due: money(due) })
  const { granted, supervisor } = await desk.host['session.authorise']({
    action: 'override',
    reason: clip(reason, 60),
  })
  if (!granted) return false
  return take(ui, desk, stop, shown.amount, { note: `amount allowed by ${supervisor ?? 'a supervisor'}` })
}

async function take(
  ui: Ui,
  desk: Desk,
  stop: Stop,
  amount: MoneyJson,
  means: Means & { readonly note?: string } = {},
): Promise<boolean> {
  const { t, money } = ui.texts()
  const { waybill, due, rules } = stop.parcel
  if (!(await paperIsReady(ui, desk))) return false
  const attempt = await collect(desk, stop, {
    amount,
    becomes: amount.minor === due.minor ? 'delivered' : 'partlyAccepted',
    description: clip(t('collect.description', { waybill }), 60),
    // What was reserved can only be taken, or less.
    ...(rules.tip === true && stop.held === undefined ? { tip: true as const } : {}),
    ...means,
  })
  if (attempt.kind === 'found') {
    await ui.message(t('collect.found', { amount: money(attempt.amount) }), 'success')
    return true
  }
  if (attempt.kind !== 'ended' || attempt.view.outcome !== 'approved') {
    await tell(ui, desk, attempt)
    if (attempt.kind === 'ended' && attempt.view.outcome === 'declined' && attempt.view.receipt !== undefined)
      await printCustomerReceipt(ui, desk, attempt.view.key)
    return false
  }
  await printReceipts(ui, desk, attempt.view)
  return true
}

/** Reserves what is due, so that the customer can look inside; the parcel stays open. */
async function hold(ui: Ui, desk: Desk, stop: Stop): Promise<false> {
  const { t, money } = ui.texts()
  const { waybill, due } = stop.parcel
  if (!(await paperIsReady(ui, desk))) return false
  const attempt = await collect(desk, stop, {
    amount: due,
    becomes: 'held',
    description: clip(t('collect.description', { waybill }), 60),
  })
  if (attempt.kind !== 'ended' || attempt.view.outcome !== 'approved') {
    await tell(ui, desk, attempt)
    return false
  }
  await printCustomerReceipt(ui, desk, attempt.view.key)
  await ui.message(t('hold.done', { amount: money(attempt.view.amount) }), 'success')
  return false
}

async function takeBack(ui: Ui, desk: Desk, stop: Stop): Promise<void> {
  const { t, money } = ui.texts()
  const question =
    stop.held !== undefined
      ? t('release.confirm', { amount: money(stop.held.amount) })
      : stop.paid === undefined
        ? t('undo.confirm', { state: stateText(stop, ui) })
        : t('undo.money', { amount: money(stop.paid.amount) })
  if (!(await ui.confirm(question))) return
  const attempt = await undo(desk, stop, clip(t('undo.reason'), 60))
  if (attempt === undefined) return
  if (attempt.kind !== 'ended' || attempt.view.outcome !== 'voided') return tell(ui, desk, attempt)
  const amount = money(attempt.view.amount)
  const done = stop.held === undefined ? t('undo.done', { amount }) : t('release.done', { amount })
  await ui.message(done, 'success')
  await printCustomerReceipt(ui, desk, attempt.view.key)
}
