// The courier's round: parcels and how each ended, kept by the host's storage so that a restart loses nothing.
import type { Host } from '../../runtime/api/client.js'
import { RpcError } from '../../runtime/api/json-rpc.js'
import type { Deliveries, Parcel, ParcelStatus, RefusalReason } from './messages.js'
import type { MoneyJson } from './texts.js'

/** How a stop stands on this terminal. */
export type StopState = 'open' | 'delivered' | 'refused' | 'notAtHome' | 'partlyAccepted'

/** A payment that was asked for and whose end this app has not written down yet. */
export interface Collecting {
  readonly key: string
  readonly amount: MoneyJson
  /** What the parcel becomes if it is approved; `held`: its amount is only reserved. */
  readonly becomes: 'delivered' | 'partlyAccepted' | 'held'
  readonly operator: string
  /** Who allowed what the shipper does not. */
  readonly note?: string
}

/** A void that was asked for and whose end is not written down yet. */
export interface Undoing {
  readonly key: string
  readonly original: string
  readonly amount: MoneyJson
  readonly operator: string
}

/** A refund that was asked for and whose end is not written down yet. */
export interface Refunding {
  readonly key: string
  readonly amount: MoneyJson
  readonly operator: string
}

/** What the cloud is to be told of a stop; its sequence number is given when it is told. */
export type Report = Omit<ParcelStatus, 'round' | 'waybill' | 'sequence'>

export interface Stop {
  readonly parcel: Parcel
  /** The depot's round that it belongs to. */
  readonly round: string
  readonly state: StopState
  readonly reason?: RefusalReason
  /** With what the customer added as a tip, which is named. */
  readonly paid?: {
    readonly key: string
    readonly amount: MoneyJson
    readonly tender: 'card'
    readonly tip?: MoneyJson
  }
  /** What of `paid` was given back so far. */
  readonly refunded?: MoneyJson
  /** Reserved on the customer's card and not taken yet, while they look inside. */
  readonly held?: { readonly key: string; readonly amount: MoneyJson }
  readonly collecting?: Collecting
  readonly undoing?: Undoing
  readonly refunding?: Refunding
  /** Taken off the round while a payment was under way: it goes where that payment fails. */
  readonly withdrawn?: true
  /** Not yet queued for the cloud. */
  readonly untold?: Report
  /** The last that was reported: who ended the stop, when and how. */
  readonly reported?: Report
}

/** What is kept of a paid stop after the hand-in: for a customer who says that nothing came. */
export interface DeliveryProof {
  readonly round: string
  readonly waybill: string
  readonly recipient: string
  readonly address: readonly string[]
  readonly report: Report
}

interface RoundHead {
  readonly round: string
  readonly date: string
  readonly depot: string
  readonly waybills: readonly string[]
  /** Finished and handed in: the same round sent again does not bring them back. */
  readonly handedIn?: readonly string[]
}

/** What becomes of a stop: changed, perhaps with something to tell the cloud; removed; or left as it is. */
export type Change = { readonly stop: Stop; readonly report?: Report } | 'remove' | undefined

/** The parcels of one round. Changes are made one after another, and each is durable when it resolves. */
export interface Round {
  head(): Omit<RoundHead, 'waybills' | 'handedIn'> | undefined
  /** In the depot's order. */
  stops(): readonly Stop[]
  stop(waybill: string): Stop | undefined
  /** Takes what the depot sent: new parcels, changed facts, withdrawn ones. Finished stops stay as they are. */
  merge(deliveries: Deliveries): Promise<void>
  /** Decides on the stop as it is when its turn comes. False where it is not there or was left as it is. */
  change(waybill: string, decide: (stop: Stop) => Change): Promise<boolean>
  /** Queues for the cloud what could not be queued before. */
  tellAgain(): Promise<void>
  /** After the hand-in: finished stops are dropped but for their proof, open and unsettled ones wait for the next round. */
  handedIn(): Promise<void>
  onChange(listener: () => void): () => void
}

/** Stops that a terminal keeps; the head with their waybills fits one stored value. */
export const MOST_STOPS = 999
/** Bytes of parcels that are taken: the rest of the host's 1 MiB is for how they end, and for the hand-in. */
const MOST_BYTES = 640 * 1024

/** Bytes of delivery proofs, well below what one stored value may have: some hundred, the newest. */
const MOST_PROOF_BYTES = 40 * 1024

/** The newest of `proofs` that fit. */
function newest(proofs: readonly DeliveryProof[]): readonly DeliveryProof[] {
  let bytes = 2
  const from = proofs.findLastIndex((proof) => {
    bytes += Buffer.byteLength(JSON.stringify(proof)) + 1
    return bytes > MOST_PROOF_BYTES
  })
  return proofs.slice(from + 1)
}
const sizeOf = (stop: Stop) => Buffer.byteLength(JSON.stringify(stop))
/** Its end is not known yet. */
export const isPending = ({ collecting, undoing, refunding }: Stop) =>
  collecting !== undefined || undoing !== undefined || refunding !== undefined

/** Reads the round that was stored. */
export async function openRound(
  host: Pick<Host, 'storage.get' | 'storage.set' | 'storage.delete' | 'messages.publish'>,
): Promise<Round> {
  const get = async <T>(key: string) =>
    ((await host['storage.get']({ key })).value ?? undefined) as T | undefined
  const listeners = new Set<() => void>()
  const stops = new Map<string, Stop>()
  let head = await get<RoundHead>('round')
  let sequence = (await get<number>('sequence')) ?? 0
  for (const waybill of head?.waybills ?? []) {
    const stop = await get<Stop>(`stop.${waybill}`)
    if (stop !== undefined) stops.set(waybill, stop)
  }

  let tail: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = tail.then(work)
    tail = turn.catch(() => undefined)
    return turn
  }
  const changed = () => {
    for (const listener of [...listeners]) listener()
  }
  const ordered = () => [...stops.values()].sort((a, b) => a.parcel.stop - b.parcel.stop)

  async function put(stop: Stop): Promise<void> {
    await host['storage.set']({ key: `stop.${stop.parcel.waybill}`, value: stop })
    stops.set(stop.parcel.waybill, stop)
  }
  async function remove(waybill: string): Promise<void> {
    await host['storage.delete']({ key: `stop.${waybill}` })
    stops.delete(waybill)
  }
  async function putHead(next: Omit<RoundHead, 'waybills'>): Promise<void> {
    const value = { ...next, waybills: [...stops.keys()] }
    await host['storage.set']({ key: 'round', value })
    head = value
  }
  /** The number first, then the message, then that it was told: dying in between tells it again, numbered higher. */
  async function tell(stop: Stop): Promise<void> {
    const { untold, ...told } = stop
    if (untold === undefined) return
    await host['storage.set']({ key: 'sequence', value: sequence + 1 })
    sequence++
    const payload: ParcelStatus = { round: stop.round, waybill: stop.parcel.waybill, sequence, ...untold }
    await host['messages.publish']({ topic: 'status', payload })
    await put(told)
  }
  /** What cannot be queued now is kept with its stop, so a full outbox holds nobody up at the door. */
  const tellAll = async () => {
    for (const stop of ordered()) await tell(stop)
  }

  async function mergeParcel(round: string, parcel: Parcel, isKnownAsDone: boolean): Promise<void> {
    const known = stops.get(parcel.waybill)
    if (known === undefined) {
      if (isKnownAsDone) return
      const stop: Stop = { parcel, round, state: 'open' }
      const bytes = [...stops.values()].reduce((sum, each) => sum + sizeOf(each), sizeOf(stop))
      if (stops.size >= MOST_STOPS || bytes > MOST_BYTES)
        throw new RpcError('STORAGE_FULL', 'no room for further parcels')
      return put(stop)
    }
    if (known.state !== 'open' || isPending(known) || known.held !== undefined) return
    const next: Stop = { ...known, parcel, round }
    if (JSON.stringify(next) !== JSON.stringify(known)) await put(next)
  }
  async function withdraw(waybill: string): Promise<void> {
    const known = stops.get(waybill)
    if (known === undefined || known.state !== 'open') return
    if (isPending(known) || known.held !== undefined) await put({ ...known, withdrawn: true })
    else await remove(waybill)
  }

  return {
    head: () => head,
    stops: ordered,
    stop: (waybill) => stops.get(waybill),
    merge: ({ round, date, depot, parcels, withdrawn = [] }) =>
      inTurn(async () => {
        try {
          const handedIn = head?.round === round ? (head.handedIn ?? []) : []
          for (const parcel of parcels) await mergeParcel(round, parcel, handedIn.includes(parcel.waybill))
          for (const waybill of withdrawn) await withdraw(waybill)
        } finally {
          // A message of an earlier day, told late, does not turn the day back.
          const isLate = head !== undefined && date < head.date
          const same = head?.round === round ? { handedIn: head.handedIn ?? [] } : {}
          await putHead(isLate && head !== undefined ? head : { round, date, depot, ...same })
          changed()
        }
      }),
    change: (waybill, decide) =>
      inTurn(async () => {
        const stop = stops.get(waybill)
        const change = stop === undefined ? undefined : decide(stop)
        if (change === undefined) return false
        if (change === 'remove') await remove(waybill)
        else if (change.report === undefined) await put(change.stop)
        else await put({ ...change.stop, untold: change.report, reported: change.report })
        changed()
        if (change !== 'remove' && change.report) await tellAll().catch(() => undefined)
        return true
      }),
    tellAgain: () => inTurn(() => tellAll().catch(() => undefined)),
    handedIn: () =>
      inTurn(async () => {
        const done = ordered().filter((stop) => stop.state !== 'open' && !isPending(stop) && !stop.untold)
        if (head !== undefined) {
          const { round, date, depot } = head
          const ofRound = done.filter((stop) => stop.round === round).map(({ parcel }) => parcel.waybill)
          const handedIn = [...(head.handedIn ?? []), ...ofRound].slice(-MOST_STOPS)
          await putHead({ round, date, depot, handedIn })
        }
        const proofs = done.flatMap(({ round, parcel, paid, reported }): readonly DeliveryProof[] => {
          if (paid === undefined || reported === undefined) return []
          const { waybill, recipient, address } = parcel
          return [{ round, waybill, recipient, address, report: reported }]
        })
        if (proofs.length > 0) {
          const kept = (await get<readonly DeliveryProof[]>('proofs')) ?? []
          // A hand-in that was cut off is done again.
          const before = kept.filter(
            (one) => !proofs.some(({ waybill, round }) => one.waybill === waybill && one.round === round),
          )
          await host['storage.set']({ key: 'proofs', value: newest([...before, ...proofs]) })
        }
        for (const { parcel } of done) await remove(parcel.waybill)
        if (head !== undefined) await putHead(head)
        changed()
      }),
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
