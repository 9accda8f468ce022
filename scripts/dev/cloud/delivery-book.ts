// What the delivery service knows: rounds, parcels and how they ended, payments, hand-ins. On disk before it is told on.
import { join } from 'node:path'
import type { Deliveries, HandIn, Parcel, ParcelStatus } from '../../../apps/courier/messages.js'
import type { Log } from '../../../hal/base/log.js'
import type { PaymentView } from '../../../runtime/api/payments.js'
import { openDocument } from '../../../runtime/open/storage.js'

/** Masked facts of a payment, as the terminal's secure world told them. */
export interface KnownPayment {
  readonly terminal: string
  readonly key: string
  readonly sequence: number
  readonly outcome: PaymentView['outcome']
  readonly reference: string
  readonly amount: { readonly minor: string; readonly currency: string }
  readonly card?: { readonly label: string; readonly last4: string }
  readonly authorisationCode?: string
}

export interface Round {
  readonly terminal: string
  readonly round: string
  readonly date: string
  readonly depot: string
  readonly parcels: readonly Parcel[]
  /** When the app said that it has them, milliseconds. */
  readonly takenAt?: number
  readonly handIn?: HandIn
}

interface Book {
  readonly rounds: readonly Round[]
  /** The highest status of each parcel, by `terminal/round/waybill`. */
  readonly statuses: Readonly<Record<string, ParcelStatus>>
  /** By `terminal/key`. */
  readonly payments: Readonly<Record<string, KnownPayment>>
}

/** A parcel as the page shows it. */
export interface ParcelView {
  readonly terminal: string
  readonly round: string
  readonly waybill: string
  readonly recipient: string
  readonly address: readonly string[]
  readonly due: { readonly minor: string; readonly currency: string }
  readonly status?: ParcelStatus['status']
  readonly reason?: string
  readonly at?: number
  readonly operator?: string
  readonly paid?: {
    readonly amount: { readonly minor: string; readonly currency: string }
    readonly tender: string
    readonly key: string
    /** The terminal's secure world said the same: approved, this amount, this parcel. Cash is the courier's word. */
    readonly confirmed: boolean
    readonly card?: { readonly label: string; readonly last4: string }
  }
}

export interface DeliveryBook {
  /** The round of that day, made of `parcels` where there is none yet. */
  roundOf(terminal: string, date: string, depot: string, parcels: readonly Parcel[]): Round
  taken(terminal: string, round: string, atMs: number): void
  /** Keeps it unless a later one is known. */
  status(terminal: string, status: ParcelStatus): void
  payment(terminal: string, sequence: number, view: PaymentView): void
  handIn(terminal: string, handIn: HandIn): void
  /** Rounds of the newest day of each terminal. */
  rounds(): readonly Round[]
  parcels(): ParcelView[]
  payments(): KnownPayment[]
}

/** Days that are kept. */
const MOST_ROUNDS = 60

export const deliveriesOf = ({ round, date, depot, parcels }: Round): Deliveries => ({
  round,
  date,
  depot,
  parcels: [...parcels],
})

const isBook = (value: unknown): value is Book =>
  typeof value === 'object' && value !== null && Array.isArray((value as Book).rounds)

/** Opens the book in `folder`. */
export function openDeliveryBook(folder: string, log: Log): DeliveryBook {
  const document = openDocument<Book>(
    join(folder, 'book.json'),
    { rounds: [], statuses: {}, payments: {} },
    isBook,
    log,
  )
  const update = (change: Partial<Book>) => {
    document.data = { ...document.data, ...change }
    document.write()
  }
  const replaceRound = (terminal: string, round: string, change: Partial<Round>) =>
    update({
      rounds: document.data.rounds.map((one) =>
        one.terminal === terminal && one.round === round ? { ...one, ...change } : one,
      ),
    })
  const rounds = () => {
    const newest = new Map<string, Round>()
    for (const round of document.data.rounds) newest.set(round.terminal, round)
    return [...newest.values()]
  }
  const viewOf = ({ terminal, round }: Round, parcel: Parcel): ParcelView => {
    const { waybill, recipient, address, due } = parcel
    const status = document.data.statuses[`${terminal}/${round}/${waybill}`]
    const view = { terminal, round, waybill, recipient, address, due }
    if (status === undefined || status.status === 'undone') return view
    const paid = status.paid
    const known = paid && document.data.payments[`${terminal}/${paid.key}`]
    const confirmed =
      known?.outcome === 'approved' &&
      known.amount.minor === paid?.amount.minor &&
      known.reference === waybill
    return {
      ...view,
      status: status.status,
      at: status.at,
      operator: status.operator,
      ...(status.reason ? { reason: status.reason } : {}),
      ...(paid ? { paid: { ...paid, confirmed, ...(known?.card ? { card: known.card } : {}) } } : {}),
    }
  }

  return {
    rounds,
    roundOf: (terminal, date, depot, parcels) => {
      const known = document.data.rounds.find((one) => one.terminal === terminal && one.date === date)
      if (known !== undefined) return known
      const round: Round = {
        terminal,
        round: `R-${date.replaceAll('-', '')}-${terminal}`,
        date,
        depot,
        parcels,
      }
      update({ rounds: [...document.data.rounds, round].slice(-MOST_ROUNDS) })
      return round
    },
    taken: (terminal, round, atMs) => replaceRound(terminal, round, { takenAt: atMs }),
    status: (terminal, status) => {
      const key = `${terminal}/${status.round}/${status.waybill}`
      const known = document.data.statuses[key]
      if (known !== undefined && known.sequence >= status.sequence) return
      update({ statuses: { ...document.data.statuses, [key]: status } })
    },
    payment: (terminal, sequence, view) => {
      const key = `${terminal}/${view.key}`
      const known = document.data.payments[key]
      if (known !== undefined && known.sequence >= sequence) return
      const { card, authorisationCode } = view.receipt ?? {}
      const payment: KnownPayment = {
        terminal,
        key: view.key,
        sequence,
        outcome: view.outcome,
        reference: view.reference,
        amount: view.amount,
        ...(card ? { card: { label: card.label, last4: card.panLast4 } } : {}),
        ...(authorisationCode ? { authorisationCode } : {}),
      }
      update({ payments: { ...document.data.payments, [key]: payment } })
    },
    handIn: (terminal, handIn) => replaceRound(terminal, handIn.round, { handIn }),
    parcels: () => rounds().flatMap((round) => round.parcels.map((parcel) => viewOf(round, parcel))),
    payments: () => Object.values(document.data.payments).sort((a, b) => b.sequence - a.sequence),
  }
}
