// The courier's app from its connection to its end: events in, sign-in, the day, and no fault that loses the place.
import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AppContext } from '../../runtime/api/app-contract.js'
import { connectHost } from '../../runtime/api/client.js'
import { checker } from '../../runtime/api/contract.js'
import { RpcError } from '../../runtime/api/json-rpc.js'
import type { PaymentView } from '../../runtime/api/payments.js'
import { resumeHandIn } from './end-of-round.js'
import { createInbox } from './inbox.js'
import { Deliveries, Notice } from './messages.js'
import { type Desk, resolveOpen, settle } from './payment.js'
import { openRound, type Round } from './round.js'
import { createTexts, type Tables } from './texts.js'
import { today } from './today.js'
import { createUi, type Ui } from './ui.js'

export interface CourierOptions {
  readonly tables: Tables
  /** File descriptor 3 unless a test passes another. */
  readonly stream?: Duplex
  /** The host asked the app to end. */
  readonly onStop: () => void
}

/** How long the app waits where not even a fault could be shown. */
const FAULT_PAUSE_MS = 1000
const NOTICES = 20

/** Runs the app; resolves with the reason when its connection is gone. */
export async function runCourier({ tables, stream, onStop }: CourierOptions): Promise<string> {
  let context: AppContext | undefined
  /** The terminal's clock as told last; what passes since then is counted here. */
  let toldAtMs = 0
  const know = (next: AppContext) => {
    context = next
    toldAtMs = performance.now()
  }
  const notices: string[] = []
  let round: Round | undefined
  const notYet = () => new RpcError('NOT_READY', 'the round has not been read yet')

  const { host, peer } = connectHost(
    {
      'event.context': (next) => {
        const wasOnline = context?.online === true
        know(next)
        if (next.online && !wasOnline) round?.tellAgain().catch(() => undefined)
        ui.changed()
        return null
      },
      'event.scan': ({ text }) => {
        ui.scanned(text)
        return null
      },
      'event.payment': async (view) => {
        // Refused, not held up: an app that does not answer in time is taken for one that hangs.
        if (desk === undefined) throw notYet()
        latestView = view
        ui.changed()
        await settle(desk, view.reference, view)
        return null
      },
      'event.message': (message) => {
        inbox.take(message)
        return null
      },
      'app.stop': () => {
        onStop()
        return null
      },
    },
    stream,
  )
  let isOpen = true
  void peer.closed.then(() => {
    isOpen = false
  })
  const ui = createUi(host, () => createTexts(tables, context?.operator?.locale ?? context?.locale ?? 'en'))
  const notify = (text: string) => {
    if (notices.length < NOTICES) notices.push(text)
    ui.changed()
  }
  const isDeliveries = checker(Deliveries)
  const isNotice = checker(Notice)
  const inbox = createInbox(host, {
    deliveries: async (payload) => {
      if (isDeliveries(payload) !== undefined) return 'bad'
      await round!.merge(payload as Deliveries)
      return 'kept'
    },
    notice: async (payload) => {
      if (isNotice(payload) !== undefined) return 'bad'
      notify((payload as Notice).text)
      return 'kept'
    },
    onFull: () => notify(ui.texts().t('deliveries.full')),
  })

  let latestView: PaymentView | undefined
  let desk: Desk | undefined
  try {
    round = await openRound(host)
    desk = {
      host,
      round,
      operator: () => context?.operator?.id,
      printer: () => context?.printer,
      latest: (view) => (latestView?.key === view.key ? latestView : view),
      now: () => (context?.now ?? 0) + Math.round(performance.now() - toldAtMs),
      newKey: (waybill) => `${waybill}.${randomBytes(10).toString('hex')}`,
    }
    round.onChange(() => ui.changed())
    // Messages and payments come from here on, so the round is read before.
    know(await host['app.ready'](null))
    await resolveOpen(desk)
    await round.tellAgain()
  } catch (error) {
    // Without its round the app cannot begin: ended, it is started again.
    peer.close('could not begin')
    throw error
  }

  const signOut = async () => {
    await host['session.signOut'](null)
    if (context !== undefined) know({ ...context, now: desk!.now(), operator: null })
    inbox.again()
  }
  const day = {
    context: () => context,
    notice: () => notices.shift(),
    hasNotice: () => notices.length > 0,
    signOut,
  }
  while (isOpen) {
    try {
      if (desk.operator() === undefined) {
        const operator = await signIn(ui, desk)
        if (operator !== null && context !== undefined)
          know({ ...context, now: desk.now(), operator, locale: operator.locale })
        continue
      }
      // What cannot be gone on with now waits in the menu, and does not keep the courier from the parcels.
      const isHandedIn = await resumeHandIn(ui, desk).catch(async (error: unknown) => {
        await ui.fault(error)
        return false
      })
      if (isHandedIn) await signOut()
      await today(ui, desk, day)
    } catch (error) {
      await ui.fault(error).catch(() => (isOpen ? sleep(FAULT_PAUSE_MS) : undefined))
    }
  }
  return peer.closed
}

/** Asks until somebody signs in or is signed in. Null where it was given up. */
async function signIn(ui: Ui, desk: Desk) {
  const { t } = ui.texts()
  const shown = await ui.showOpen(() =>
    desk.operator() === undefined
      ? { kind: 'confirm', title: t('app.title'), text: t('signIn.text'), yes: t('signIn.yes'), no: t('no') }
      : undefined,
  )
  return shown.type === 'confirmed' ? desk.host['session.signIn'](null) : null
}
