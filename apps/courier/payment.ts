// Collecting and undoing, so that a parcel and its money never come apart: write down, ask, write down the end.
import type { Host } from '../../runtime/api/client.js'
import type { PaymentView } from '../../runtime/api/payments.js'
import type { Round, Stop } from './round.js'
import type { MoneyJson } from './texts.js'

/** What a payment's end means for the parcel. */
export type Settled = 'paid' | 'notPaid' | 'open'

/** Money was taken, was not, or it is not known yet. */
export function settledBy(outcome: PaymentView['outcome']): Settled {
  switch (outcome) {
    case 'approved':
      return 'paid'
    case 'inProgress':
      return 'open'
    case 'declined':
    case 'cancelled':
    case 'cardRemoved':
    case 'cardUnusable':
    case 'needsNetwork':
    case 'reversing':
    case 'reversed':
    case 'voided':
    case 'busy':
    case 'alreadyPaid':
    case 'unknown':
      return 'notPaid'
  }
}

export interface Desk {
  readonly host: Host
  readonly round: Round
  operator(): string
  now(): number
}

/** Takes the parcel's amount. The key is stored before the payment is asked for: after a crash it is asked about. */
export async function collect(
  desk: Desk,
  stop: Stop,
  amount: MoneyJson,
  becomes: 'delivered' | 'partlyAccepted',
  description: string,
): Promise<PaymentView> {
  const { waybill } = stop.parcel
  const key = `${waybill}.${desk.now().toString(36)}`
  await desk.round.put({ ...stop, collecting: { key, amount, becomes } })
  const view = await desk.host['payments.collect']({ key, amount, reference: waybill, description })
  await settle(desk, waybill, view)
  return view
}

/** Writes down how a payment of a parcel ended. Again with the same view it changes nothing. */
export async function settle(desk: Desk, waybill: string, view: PaymentView): Promise<void> {
  const stop = desk.round.stop(waybill)
  if (stop === undefined) return
  const { collecting, undoing } = stop
  if (collecting?.key === view.key) {
    const settled = settledBy(view.outcome)
    if (settled === 'open') return
    const { collecting: _, ...rest } = stop
    if (settled === 'notPaid') return desk.round.put(rest)
    const paid = { key: view.key, amount: view.amount, tender: 'card' as const }
    return desk.round.report(
      { ...rest, state: collecting.becomes, paid },
      { status: collecting.becomes, paid },
      desk.operator(),
      desk.now(),
    )
  }
  if (undoing !== undefined && (view.key === undoing.key || view.key === undoing.original)) {
    if (view.outcome === 'voided') return finishUndo(desk, stop)
    if (view.outcome === 'inProgress') return
    const { undoing: _, ...rest } = stop
    return desk.round.put(rest)
  }
  // A payment that had been told as taken was taken back after all, by the acquirer or at the desk.
  if (stop.paid?.key === view.key && (view.outcome === 'voided' || view.outcome === 'reversed')) {
    return finishUndo(desk, { ...stop, undoing: { key: view.key, original: view.key, amount: view.amount } })
  }
}

async function finishUndo(desk: Desk, stop: Stop): Promise<void> {
  const { undoing, paid: _, reason: __, ...rest } = stop
  const voided = undoing === undefined ? {} : { voided: undoing }
  await desk.round.report(
    { ...rest, state: 'open' },
    { status: 'undone', ...voided },
    desk.operator(),
    desk.now(),
  )
}

/** Takes a finished stop back. Where money was taken it is voided first; undefined where there was none. */
export async function undo(desk: Desk, stop: Stop, reason: string): Promise<PaymentView | undefined> {
  if (stop.paid === undefined) {
    await finishUndo(desk, stop)
    return undefined
  }
  const key = `${stop.parcel.waybill}.v${desk.now().toString(36)}`
  const { key: original, amount } = stop.paid
  await desk.round.put({ ...stop, undoing: { key, original, amount } })
  const view = await desk.host['payments.void']({ key, original, reason })
  await settle(desk, stop.parcel.waybill, view)
  return view
}

/** After a restart: asks how each payment ended that was under way. */
export async function resolveOpen(desk: Desk): Promise<void> {
  for (const stop of desk.round.stops()) {
    const key = stop.collecting?.key ?? stop.undoing?.original
    if (key === undefined) continue
    await settle(desk, stop.parcel.waybill, await desk.host['payments.status']({ key }))
  }
}
