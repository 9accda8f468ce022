// The courier's app: sign in, today's parcels, one after another, and the hand-in at the end of the round.
import type { AppContext } from '../../runtime/api/app-contract.js'
import { connectHost } from '../../runtime/api/client.js'
import { checker } from '../../runtime/api/contract.js'
import { endOfRound } from './end-of-round.js'
import { Deliveries, Notice } from './messages.js'
import { parcelScreen } from './parcel.js'
import { type Desk, resolveOpen, settle } from './payment.js'
import { openRound, type Stop } from './round.js'
import { createTexts, readTables } from './texts.js'
import { createUi, type Ui } from './ui.js'

const tables = readTables()
const isDeliveries = checker(Deliveries)
const isNotice = checker(Notice)

let context: AppContext | undefined
const notices: string[] = []
/** Messages and payments that come before the round has been read wait for it. */
let ready: () => void = () => undefined
const opened = new Promise<void>((resolve) => {
  ready = resolve
})

const { host, peer } = connectHost({
  'event.context': (next) => {
    context = next
    ui.changed()
    return null
  },
  'event.scan': ({ text }) => {
    ui.scanned(text)
    return null
  },
  'event.payment': async (view) => {
    await opened
    // While a collect is under way its own answer settles it; this is for payments that ended without us.
    await settle(desk, view.reference, view)
    return null
  },
  'event.message': async ({ id, topic, payload }) => {
    await opened
    if (topic === 'deliveries' && isDeliveries(payload) === undefined)
      await desk.round.merge(payload as Deliveries)
    else if (topic === 'notice' && isNotice(payload) === undefined) notices.push((payload as Notice).text)
    else await host['log.write']({ level: 'warn', event: 'message.refused', text: topic })
    await host['messages.ack']({ id })
    ui.changed()
    return null
  },
  'app.stop': () => {
    setTimeout(() => process.exit(0), 50)
    return null
  },
})
void peer.closed.then(() => process.exit(0))

const ui: Ui = createUi(host, () => createTexts(tables, context?.operator?.locale ?? context?.locale ?? 'en'))
// The clock is the terminal's, as told at start; what passes since then is counted here.
let toldAt = 0
const desk: Desk = {
  host,
  round: await openRound(host),
  operator: () => context?.operator?.id ?? '0',
  now: () => (context?.now ?? 0) + Math.round(performance.now() - toldAt),
}
context = await host['app.ready'](null)
toldAt = performance.now()
desk.round.onChange(() => ui.changed())
await resolveOpen(desk)
ready()

for (;;) {
  if (context.operator === null) await signIn()
  else await today()
}

async function signIn(): Promise<void> {
  const { t } = ui.texts()
  const shown = await ui.show({
    kind: 'confirm',
    title: t('app.title'),
    text: t('signIn.text'),
    yes: t('signIn.yes'),
    no: t('no'),
  })
  if (shown.type === 'closed') return
  const operator = shown.type === 'confirmed' ? await host['session.signIn'](null) : null
  if (operator !== null && context !== undefined) context = { ...context, operator, locale: operator.locale }
}

function mark(stop: Stop): 'done' | 'failed' | 'attention' | undefined {
  if (stop.collecting !== undefined || stop.undoing !== undefined) return 'attention'
  if (stop.state === 'open') return undefined
  return stop.state === 'delivered' || stop.state === 'partlyAccepted' ? 'done' : 'failed'
}

/** Today's list: the heart of the app. Returns when nobody is signed in any more. */
async function today(): Promise<void> {
  let selected: string | undefined
  while (context?.operator) {
    const { t, money } = ui.texts()
    const notice = notices.shift()
    if (notice !== undefined) {
      await ui.message(notice, 'info', t('notice.title'))
      continue
    }
    const stops = desk.round.stops()
    const open = stops.filter(({ state }) => state === 'open').length
    const shown = await ui.showOpen({
      kind: 'list',
      title:
        stops.length === 0
          ? t('today.title')
          : t('today.progress', { done: stops.length - open, all: stops.length }),
      items: stops.slice(0, 200).map((stop) => {
        const marked = mark(stop)
        return {
          id: stop.parcel.waybill,
          label: stop.parcel.recipient,
          detail: `${stop.parcel.stop}  ${stop.parcel.address[0] ?? ''}`.slice(0, 60),
          right: stop.parcel.due.minor === '0' ? '' : money(stop.parcel.due),
          ...(marked === undefined ? {} : { mark: marked }),
        }
      }),
      empty: context.online ? t('today.empty') : t('today.emptyOffline'),
      ...(selected !== undefined && desk.round.stop(selected) !== undefined ? { selected } : {}),
      softKeys: [
        { id: 'menu', label: t('key.menu') },
        { id: 'scan', label: t('key.scan') },
      ],
    })
    switch (shown.type) {
      case 'selected':
        selected = shown.id
        await parcelScreen(ui, desk, shown.id)
        break
      case 'scanned':
        selected = await found(shown.text)
        break
      case 'softKey':
        if (shown.id === 'scan') await host['scanner.trigger'](null)
        else await menu()
        break
      case 'back':
        await menu()
        break
    }
  }
}

/** Opens the parcel of a waybill; says so where the round has none. */
async function found(text: string): Promise<string | undefined> {
  const waybill = text.trim().toUpperCase()
  if (desk.round.stop(waybill) === undefined) {
    await ui.message(ui.texts().t('scan.unknown', { code: waybill.slice(0, 30) }), 'warning')
    return undefined
  }
  await parcelScreen(ui, desk, waybill)
  return waybill
}

async function menu(): Promise<void> {
  const { t } = ui.texts()
  const shown = await ui.show({
    kind: 'menu',
    title: t('key.menu'),
    items: ['find', 'end', 'signOut'].map((id) => ({ id, label: t(`menu.${id}`) })),
  })
  if (shown.type !== 'selected') return
  if (shown.id === 'find') return find()
  if (shown.id === 'end') {
    if (await endOfRound(ui, desk)) await signOut()
    return
  }
  if (await ui.confirm(t('signOut.confirm'))) await signOut()
}

async function signOut(): Promise<void> {
  await host['session.signOut'](null)
  if (context !== undefined) context = { ...context, operator: null }
}

/** By the last digits of the waybill, or the stop's number. */
async function find(): Promise<void> {
  const { t } = ui.texts()
  const shown = await ui.show({
    kind: 'form',
    title: t('menu.find'),
    fields: [{ id: 'digits', label: t('find.label'), input: 'digits', minLength: 1, maxLength: 20 }],
  })
  if (shown.type !== 'submitted') return
  const digits = shown.values['digits'] ?? ''
  const stops = desk.round.stops()
  const hits = stops.filter(
    ({ parcel }) => String(parcel.stop) === digits || parcel.waybill.replace(/\D/g, '').endsWith(digits),
  )
  if (hits.length === 0) return ui.message(t('find.none', { digits }), 'warning')
  if (hits.length === 1) return parcelScreen(ui, desk, hits[0]!.parcel.waybill)
  const chosen = await ui.show({
    kind: 'list',
    title: t('menu.find'),
    items: hits.map(({ parcel }) => ({
      id: parcel.waybill,
      label: parcel.recipient,
      detail: parcel.waybill,
    })),
  })
  if (chosen.type === 'selected') await parcelScreen(ui, desk, chosen.id)
}
