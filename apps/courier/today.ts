// Today's list, the heart of the app: parcels in the depot's order, found by scan, by list or by number.
import type { AppContext } from '../../runtime/api/app-contract.js'
import type { Screen } from '../../runtime/api/screens.js'
import { endOfRound, printLastHandIn, resumeHandIn } from './end-of-round.js'
import { parcelScreen } from './parcel.js'
import type { Desk } from './payment.js'
import { refundWithoutParcel } from './refund.js'
import { isPending, type Stop } from './round.js'
import { clip } from './texts.js'
import type { MakeScreen, Ui } from './ui.js'

/** Rows that a list may have, and bytes that leave room in a line of the wire. */
const MOST_ITEMS = 200
const MOST_BYTES = 48 * 1024
/** The row below a list that is cut; no waybill has small letters. */
const MORE = 'more'

type Item = Extract<Screen, { kind: 'list' }>['items'][number]

/** What the list needs beside the desk. */
export interface Day {
  context(): AppContext | undefined
  /** The next sentence from the depot that has not been shown. */
  notice(): string | undefined
  hasNotice(): boolean
  signOut(): Promise<void>
}

function mark(stop: Stop): 'done' | 'failed' | 'attention' | undefined {
  if (isPending(stop) || stop.held !== undefined) return 'attention'
  if (stop.state === 'open') return undefined
  return stop.state === 'delivered' || stop.state === 'partlyAccepted' ? 'done' : 'failed'
}

function itemOf(stop: Stop, ui: Ui, plain: boolean): Item {
  const { parcel } = stop
  const marked = mark(stop)
  return {
    id: parcel.waybill,
    label: plain ? parcel.waybill : clip(parcel.recipient, 60),
    detail: plain ? String(parcel.stop) : clip(`${parcel.stop}  ${parcel.address[0] ?? ''}`, 60),
    right: parcel.due.minor === '0' ? '' : clip(ui.texts().money(parcel.due), 20),
    ...(marked === undefined ? {} : { mark: marked }),
  }
}

/** As many stops as one screen takes: where they are too many, finished ones go first, and a last row says so. */
export function listItems(stops: readonly Stop[], ui: Ui, plain: boolean): Item[] {
  const fits = (items: readonly Item[]) =>
    items.length <= MOST_ITEMS && Buffer.byteLength(JSON.stringify(items)) <= MOST_BYTES
  const all = stops.map((stop) => itemOf(stop, ui, plain))
  if (fits(all)) return all
  const shown = all.filter(({ mark }) => mark !== 'done' && mark !== 'failed')
  const more = (): Item => ({
    id: MORE,
    label: ui.texts().t('today.more', { count: stops.length - shown.length }),
  })
  while (!fits([...shown, more()])) shown.length -= Math.max(1, Math.ceil(shown.length / 20))
  return [...shown, more()]
}

function makeList(ui: Ui, desk: Desk, day: Day, selected: string | undefined): MakeScreen {
  return (plain) => {
    if (desk.operator() === undefined || day.hasNotice()) return undefined
    const { t } = ui.texts()
    const stops = desk.round.stops()
    const open = stops.filter(({ state }) => state === 'open').length
    const items = listItems(stops, ui, plain)
    return {
      kind: 'list',
      title:
        stops.length === 0
          ? t('today.title')
          : t('today.progress', { done: stops.length - open, all: stops.length }),
      items,
      empty: day.context()?.online ? t('today.empty') : t('today.emptyOffline'),
      ...(items.some(({ id }) => id === selected) ? { selected: selected! } : {}),
      softKeys: [
        { id: 'menu', label: t('key.menu') },
        { id: 'scan', label: t('key.scan') },
      ],
    }
  }
}

/** Shows the list until nobody is signed in any more. */
export async function today(ui: Ui, desk: Desk, day: Day): Promise<void> {
  let selected: string | undefined
  while (desk.operator() !== undefined) {
    const notice = day.notice()
    if (notice !== undefined) {
      await ui.message(notice, 'info', ui.texts().t('notice.title'))
      continue
    }
    const shown = await ui.showOpen(makeList(ui, desk, day, selected))
    try {
      if (shown.type === 'selected' && shown.id === MORE) await find(ui, desk)
      else if (shown.type === 'selected') {
        selected = shown.id
        await parcelScreen(ui, desk, shown.id)
      } else if (shown.type === 'scanned') selected = await found(ui, desk, shown.text)
      else if (shown.type === 'softKey' && shown.id === 'scan') await desk.host['scanner.trigger'](null)
      else if (shown.type === 'softKey' || shown.type === 'back') await menu(ui, desk, day)
    } catch (error) {
      await ui.fault(error)
    }
  }
}

/** The waybill of a label: alone in it, or the only one of the round's that its text contains. */
export function waybillIn(text: string, stops: readonly Stop[]): string | undefined {
  const code = text.trim().toUpperCase()
  const waybills = stops.map(({ parcel }) => parcel.waybill)
  if (waybills.includes(code)) return code
  const within = waybills.filter((waybill) => code.includes(waybill))
  return within.length === 1 ? within[0] : undefined
}

/** Opens the parcel of a label; says so where the round has none. */
async function found(ui: Ui, desk: Desk, text: string): Promise<string | undefined> {
  const waybill = waybillIn(text, desk.round.stops())
  if (waybill === undefined) {
    const code = clip(text.trim(), 30)
    await ui.message(ui.texts().t('scan.unknown', { code }), 'warning')
  } else await parcelScreen(ui, desk, waybill)
  return waybill
}

async function menu(ui: Ui, desk: Desk, day: Day): Promise<void> {
  const { t } = ui.texts()
  const shown = await ui.show({
    kind: 'menu',
    title: t('key.menu'),
    items: ['find', 'end', 'signOut', 'slip', 'unresolved', 'refund'].map((id) => ({
      id,
      label: t(`menu.${id}`),
    })),
  })
  if (shown.type !== 'selected') return
  switch (shown.id) {
    case 'find':
      return find(ui, desk)
    case 'end':
      if ((await resumeHandIn(ui, desk)) || (await endOfRound(ui, desk))) await day.signOut()
      return
    case 'signOut':
      if (await ui.confirm(t('signOut.confirm'))) await day.signOut()
      return
    case 'slip':
      return printLastHandIn(ui, desk)
    case 'unresolved':
      await desk.host['payments.review'](null)
      return
    case 'refund':
      return refundWithoutParcel(ui, desk, day.context()?.currency ?? '')
  }
}

/** Stops with this number in the depot's order, or whose waybill's digits end so. */
export function stopsByDigits(digits: string, stops: readonly Stop[]): Stop[] {
  return stops.filter(
    ({ parcel }) => parcel.stop === Number(digits) || parcel.waybill.replace(/\D/g, '').endsWith(digits),
  )
}

async function find(ui: Ui, desk: Desk): Promise<void> {
  const { t } = ui.texts()
  const shown = await ui.show({
    kind: 'form',
    title: t('menu.find'),
    fields: [{ id: 'digits', label: t('find.label'), input: 'digits', minLength: 1, maxLength: 20 }],
  })
  if (shown.type !== 'submitted') return
  const digits = shown.values['digits'] ?? ''
  const hits = digits === '' ? [] : stopsByDigits(digits, desk.round.stops())
  if (hits.length === 0) return ui.message(t('find.none', { digits }), 'warning')
  if (hits.length === 1) return parcelScreen(ui, desk, hits[0]!.parcel.waybill)
  const chosen = await ui.showOpen((plain) => ({
    kind: 'list',
    title: t('menu.find'),
    items: hits.slice(0, 50).map((stop) => ({ ...itemOf(stop, ui, plain), detail: stop.parcel.waybill })),
  }))
  if (chosen.type === 'scanned') return ui.scanned(chosen.text)
  if (chosen.type === 'selected') await parcelScreen(ui, desk, chosen.id)
}
