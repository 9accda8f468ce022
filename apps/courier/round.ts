// The courier's round: parcels and how each ended, kept by the host's storage so that a restart loses nothing.
import type { Host } from '../../runtime/api/client.js'
import type { Deliveries, Parcel, ParcelStatus, RefusalReason } from './messages.js'
import type { MoneyJson } from './texts.js'

/** How a stop stands on this terminal. */
export type StopState = 'open' | 'delivered' | 'refused' | 'notAtHome' | 'partlyAccepted'

/** A payment that was asked for and whose end this app has not written down yet. */
export interface Collecting {
  readonly key: string
  readonly amount: MoneyJson
  /** What the parcel becomes if it is approved. */
  readonly becomes: 'delivered' | 'partlyAccepted'
}

export interface Stop {
  readonly parcel: Parcel
  readonly state: StopState
  readonly reason?: RefusalReason
  readonly paid?: { readonly key: string; readonly amount: MoneyJson; readonly tender: 'card' }
  readonly collecting?: Collecting
  /** A void that was asked for and whose end is not written down yet. */
  readonly undoing?: { readonly key: string; readonly original: string; readonly amount: MoneyJson }
}

interface RoundHead {
  readonly round: string
  readonly date: string
  readonly depot: string
  readonly waybills: readonly string[]
}

/** The parcels of one round; every change is durable when it resolves. */
export interface Round {
  head(): RoundHead | undefined
  stops(): readonly Stop[]
  stop(waybill: string): Stop | undefined
  /** Takes what the depot sent: new parcels, changed facts, withdrawn ones. Finished stops stay as they are. */
  merge(deliveries: Deliveries): Promise<void>
  put(stop: Stop): Promise<void>
  /** Writes a stop's end and queues it for the cloud. */
  report(
    stop: Stop,
    status: Pick<ParcelStatus, 'status' | 'reason' | 'paid' | 'voided'>,
    operator: string,
    at: number,
  ): Promise<void>
  /** After the hand-in: finished stops are dropped, open ones wait for the next round. */
  handedIn(): Promise<void>
  onChange(listener: () => void): () => void
}

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
  const changed = () => {
    for (const listener of [...listeners]) listener()
  }
  const ordered = () => [...stops.values()].sort((a, b) => a.parcel.stop - b.parcel.stop)

  async function put(stop: Stop): Promise<void> {
    await host['storage.set']({ key: `stop.${stop.parcel.waybill}`, value: stop })
    stops.set(stop.parcel.waybill, stop)
    changed()
  }
  async function putHead(next: Omit<RoundHead, 'waybills'>): Promise<void> {
    head = { ...next, waybills: [...stops.keys()] }
    await host['storage.set']({ key: 'round', value: head })
  }

  return {
    head: () => head,
    stops: ordered,
    stop: (waybill) => stops.get(waybill),
    async merge({ round, date, depot, parcels, withdrawn = [] }) {
      for (const parcel of parcels) {
        const known = stops.get(parcel.waybill)
        if (known === undefined || (known.state === 'open' && known.collecting === undefined)) {
          await put({ ...known, parcel, state: known?.state ?? 'open' })
        }
      }
      for (const waybill of withdrawn) {
        const known = stops.get(waybill)
        if (known === undefined || known.state !== 'open' || known.collecting !== undefined) continue
        stops.delete(waybill)
        await host['storage.delete']({ key: `stop.${waybill}` })
      }
      await putHead({ round, date, depot })
      changed()
    },
    put,
    async report(stop, status, operator, at) {
      sequence++
      await host['storage.set']({ key: 'sequence', value: sequence })
      const message: ParcelStatus = {
        round: head?.round ?? 'none',
        waybill: stop.parcel.waybill,
        sequence,
        ...status,
        at,
        operator,
      }
      // The message first: were we to die in between, the status would be told again, with a higher number.
      await host['messages.publish']({ topic: 'status', payload: message })
      await put(stop)
    },
    async handedIn() {
      for (const stop of ordered()) {
        if (stop.state === 'open') continue
        stops.delete(stop.parcel.waybill)
        await host['storage.delete']({ key: `stop.${stop.parcel.waybill}` })
      }
      if (head !== undefined) await putHead(head)
      changed()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
