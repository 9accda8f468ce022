// Collecting and undoing, so that a parcel and its money never come apart: write down, ask, write down the end.
import type { AppContext } from '../../runtime/api/app-contract.js'
import type { Host } from '../../runtime/api/client.js'
import type { PaymentView } from '../../runtime/api/payments.js'
import { type Change, type Collecting, isPending, type Round, type Stop } from './round.js'
import type { MoneyJson } from './texts.js'

/** How the money is asked for beside its amount. */
export interface Means {
  /** The card is typed on the secure screen, where it cannot be read. */
  readonly typed?: true
  /** The customer is asked for a tip first. */
  readonly tip?: true
}

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
    case 'endedByOperator':
    case 'busy':
    case 'alreadyPaid':
    case 'unknown':
      return 'notPaid'
  }
}

/** What the app works with. */
export interface Desk {
  readonly host: Host
  readonly round: Round
  /** The operator's number; undefined where nobody is signed in. */
  operator(): string | undefined
  /** Milliseconds since 1970, by the terminal's clock. */
  now(): number
  /** How the printer stands; undefined where the terminal does not say. */
  printer?(): AppContext['printer']
  /** The newer of `view` and what an event has told of the same payment since. */
  latest(view: PaymentView): PaymentView
  /** A key that was never used before, for a payment or a void of this parcel. */
  newKey(waybill: string): string
}

/** How an attempt at money ended, as far as this app knows. */
export type Attempt =
  | { readonly kind: 'ended'; readonly view: PaymentView }
  /** The terminal had taken this parcel's money before, under another key: it is written down now. */
  | { readonly kind: 'found'; readonly amount: MoneyJson }
  /** The depot changed or withdrew the parcel meanwhile: nothing was asked for. */
  | { readonly kind: 'changed' }
  /** The host refused. Where it could not even say how it stands, the stop stays marked and is asked about later. */
  | { readonly kind: 'refused'; readonly error: unknown }

/** Nobody signed in: an end that is learnt after a restart, before the sign-in. */
const NOBODY = '0'

/** Takes the parcel's amount. The key is stored before the payment is asked for: after a crash it is asked about. */
export async function collect(
  desk: Desk,
  seen: Stop,
  ask: { amount: MoneyJson; becomes: Collecting['becomes']; description: string; note?: string } & Means,
): Promise<Attempt> {
  const { host, round } = desk
  const { waybill, due } = seen.parcel
  const { description, typed, tip, ...wanted } = ask
  const key = desk.newKey(waybill)
  const collecting: Collecting = { key, ...wanted, operator: desk.operator() ?? NOBODY }
  const begun = await round.change(waybill, (stop) =>
    stop.state === 'open' &&
    !isPending(stop) &&
    stop.held?.key === seen.held?.key &&
    stop.parcel.due.minor === due.minor &&
    stop.parcel.due.currency === due.currency
      ? { stop: { ...stop, collecting } }
      : undefined,
  )
  if (!begun) return { kind: 'changed' }
  const { amount } = ask
  const attempt = await learn(desk, waybill, { key, ifNothingBegan: 'unknown' }, () => {
    // What was reserved is taken; it is not asked for a second time.
    if (seen.held !== undefined) return host['payments.complete']({ key, original: seen.held.key, amount })
    if (ask.becomes === 'held')
      return host['payments.preauthorise']({ key, amount, reference: waybill, description })
    return host['payments.collect']({
      key,
      amount,
      reference: waybill,
      description,
      ...(typed === undefined ? {} : { manual: true }),
      ...(tip === undefined ? {} : { tip: true }),
    })
  })
  if (attempt.kind === 'ended' && attempt.view.outcome === 'alreadyPaid')
    return (await adopt(desk, waybill)) ?? attempt
  return attempt
}

/** Asks, and writes down what came of it. Where the answer is lost the terminal's journal is asked about `key`. */
export async function learn(
  desk: Desk,
  waybill: string,
  { key, ifNothingBegan }: { key: string; ifNothingBegan: PaymentView['outcome'] },
  ask: () => Promise<PaymentView>,
): Promise<Attempt> {
  try {
    let view: PaymentView
    try {
      view = await ask()
    } catch (error) {
      const now = await desk.host['payments.status']({ key }).catch(() => undefined)
      if (now === undefined) return { kind: 'refused', error }
      await settle(desk, waybill, now)
      return now.outcome === ifNothingBegan ? { kind: 'refused', error } : { kind: 'ended', view: now }
    }
    await settle(desk, waybill, view)
    return { kind: 'ended', view }
  } catch (error) {
    return { kind: 'refused', error }
  }
}

/** Writes down how a payment of a parcel ended. Again with the same view it changes nothing. */
export async function settle(desk: Desk, waybill: string, view: PaymentView): Promise<void> {
  await desk.round.change(waybill, (stop) => settled(stop, view, desk))
}

function settled(stop: Stop, view: PaymentView, { operator, now }: Desk): Change {
  const { collecting, undoing, refunding } = stop
  if (collecting?.key === view.key) {
    const end = settledBy(view.outcome)
    if (end === 'open') return undefined
    const { collecting: _, ...rest } = stop
    if (end === 'notPaid') return stop.withdrawn && stop.held === undefined ? 'remove' : { stop: rest }
    return paidBy(rest, collecting, view, now())
  }
  if (refunding?.key === view.key) {
    const end = settledBy(view.outcome)
    if (end === 'open') return undefined
    const { refunding: _, ...rest } = stop
    return end === 'notPaid' ? { stop: rest } : refundedBy(rest, view.amount, refunding.operator, now())
  }
  if (undoing !== undefined && (view.key === undoing.key || view.key === undoing.original)) {
    if (view.outcome === 'voided') return undone(stop, undoing.operator, now())
    // On its way back: the terminal keeps trying and tells the end by an event.
    if (view.outcome === 'inProgress' || view.outcome === 'reversing') return undefined
    const { undoing: _, ...rest } = stop
    return { stop: rest }
  }
  // A payment that had been told as taken was taken back after all, by the acquirer or at the desk.
  if (stop.paid?.key === view.key && (view.outcome === 'voided' || view.outcome === 'reversed')) {
    const who = operator() ?? NOBODY
    const taken = { key: view.key, original: view.key, amount: view.amount, operator: who }
    return undone({ ...stop, undoing: taken }, who, now())
  }
  return undefined
}

function paidBy(
  { held: _, ...stop }: Stop,
  { becomes, operator, note }: Pick<Collecting, 'becomes' | 'operator' | 'note'>,
  { key, amount, tip }: Pick<PaymentView, 'key' | 'amount' | 'tip'>,
  at: number,
): Change {
  if (becomes === 'held') return { stop: { ...stop, held: { key, amount } } }
  const paid = { key, amount, tender: 'card' as const, ...(tip === undefined ? {} : { tip }) }
  return {
    stop: { ...stop, state: becomes, paid },
    report: { status: becomes, paid, operator, at, ...(note === undefined ? {} : { note }) },
  }
}

/** The stop stays as it is; what was given back so far is told beside it. */
function refundedBy(stop: Stop, amount: MoneyJson, operator: string, at: number): Change {
  const { paid, state } = stop
  if (paid === undefined || (state !== 'delivered' && state !== 'partlyAccepted')) return { stop }
  const minor = BigInt(stop.refunded?.minor ?? 0) + BigInt(amount.minor)
  const refunded = { ...amount, minor: minor.toString() }
  return { stop: { ...stop, refunded }, report: { status: state, paid, refunded, operator, at } }
}

function undone(stop: Stop, operator: string, at: number): Change {
  const { undoing, paid: _, reason: __, refunded: ___, ...rest } = stop
  // Released: nothing was paid, so there is nothing to tell.
  if (undoing !== undefined && rest.held?.key === undoing.original) {
    const { held: ____, ...open } = rest
    return open.withdrawn ? 'remove' : { stop: open }
  }
  if (undoing === undefined)
    return { stop: { ...rest, state: 'open' }, report: { status: 'undone', operator, at } }
  const { key, original, amount } = undoing
  return {
    stop: { ...rest, state: 'open' },
    report: { status: 'undone', voided: { key, original, amount }, operator, at },
  }
}

/** The parcel is paid, says the terminal, but not here: its books tell by which payment, and that one is taken over. */
async function adopt(desk: Desk, waybill: string): Promise<Attempt | undefined> {
  const totals = await desk.host['round.totals'](null).catch(() => undefined)
  const payment = totals?.payments.findLast(
    ({ reference, outcome }) => reference === waybill && outcome === 'approved',
  )
  if (payment === undefined) return undefined
  // What was only reserved is no payment yet.
  const known = await desk.host['payments.status']({ key: payment.key }).catch(() => undefined)
  const taken = await desk.round.change(waybill, (stop) => {
    if (stop.state !== 'open' || isPending(stop)) return undefined
    if (known?.type === 'preauth') return { stop: { ...stop, held: payment } }
    const becomes = stop.parcel.due.minor === payment.amount.minor ? 'delivered' : 'partlyAccepted'
    return paidBy(stop, { becomes, operator: desk.operator() ?? NOBODY }, payment, desk.now())
  })
  return taken && known?.type !== 'preauth' ? { kind: 'found', amount: payment.amount } : undefined
}

/** Takes a finished stop back. Where money was taken it is voided first; undefined where there was none. */
export async function undo(desk: Desk, seen: Stop, reason: string): Promise<Attempt | undefined> {
  const { host, round } = desk
  const { waybill } = seen.parcel
  const operator = desk.operator() ?? NOBODY
  const money = seen.paid ?? seen.held
  if (money === undefined) {
    const taken = await round.change(waybill, (stop) =>
      stop.state === seen.state && stop.paid === undefined && !isPending(stop)
        ? undone(stop, operator, desk.now())
        : undefined,
    )
    return taken ? undefined : { kind: 'changed' }
  }
  const key = desk.newKey(waybill)
  const { key: original, amount } = money
  const begun = await round.change(waybill, (stop) =>
    (stop.paid ?? stop.held)?.key === original && !isPending(stop)
      ? { stop: { ...stop, undoing: { key, original, amount, operator } } }
      : undefined,
  )
  if (!begun) return { kind: 'changed' }
  return learn(desk, waybill, { key: original, ifNothingBegan: 'approved' }, async () => {
    const view = await host['payments.void']({ key, original, reason })
    // Voided under an earlier key, whose answer was lost: the payment itself knows.
    return view.code === 'ALREADY_VOIDED' ? await host['payments.status']({ key: original }) : view
  })
}

/** Gives part or all of a parcel's money back. The key is stored before it is asked for. */
export async function giveBack(
  desk: Desk,
  seen: Stop,
  { amount, reason }: { amount: MoneyJson; reason: string },
): Promise<Attempt> {
  const { host, round } = desk
  const { waybill } = seen.parcel
  const original = seen.paid?.key
  const key = desk.newKey(waybill)
  const refunding = { key, amount, operator: desk.operator() ?? NOBODY }
  const begun = await round.change(waybill, (stop) =>
    stop.paid !== undefined && stop.paid.key === original && !isPending(stop)
      ? { stop: { ...stop, refunding } }
      : undefined,
  )
  if (!begun || original === undefined) return { kind: 'changed' }
  return learn(desk, waybill, { key, ifNothingBegan: 'unknown' }, () =>
    host['payments.refund']({ key, original, amount, reference: waybill, reason }),
  )
}

/** After a restart, or when the courier asks: how each payment ended that was under way. True where all are known. */
export async function resolveOpen(desk: Desk, only?: string): Promise<boolean> {
  for (const { parcel, collecting, undoing, refunding } of desk.round.stops()) {
    const key = collecting?.key ?? undoing?.original ?? refunding?.key
    if (key === undefined || (only !== undefined && only !== parcel.waybill)) continue
    try {
      await settle(desk, parcel.waybill, await desk.host['payments.status']({ key }))
    } catch {
      // It stays marked, and is asked about again.
    }
  }
  return desk.round
    .stops()
    .every(
      ({ parcel, collecting, undoing }) =>
        (only !== undefined && only !== parcel.waybill) || (collecting ?? undoing) === undefined,
    )
}
