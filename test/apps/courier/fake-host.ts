// A host in memory for the courier's app: storage, payments and screens that outlive the app, over a real connection.
import { duplexPair } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Parcel } from '../../../apps/courier/messages.js'
import type { Desk } from '../../../apps/courier/payment.js'
import { openRound } from '../../../apps/courier/round.js'
import { type AppContext, AppMethods, HostMethods } from '../../../runtime/api/app-contract.js'
import { type Client, connectContract, type Served } from '../../../runtime/api/contract.js'
import { RpcError, type RpcPeer } from '../../../runtime/api/json-rpc.js'
import type { Operator, PaymentOutcome, PaymentView, RoundTotals } from '../../../runtime/api/payments.js'
import type { PrintDocument } from '../../../runtime/api/print-document.js'
import type { Screen, ScreenResult } from '../../../runtime/api/screens.js'
import { guardPrompts } from '../../../runtime/secure/screens/prompt-guard.js'

type Method = keyof typeof HostMethods
interface Shown {
  readonly id: string
  screen: Screen
  readonly end: (result: ScreenResult) => void
}

export const ANNA: Operator = { id: '1001', name: 'Anna', role: 'courier', locale: 'en' }
export const START_MS = 1_800_000_000_000

export const eur = (minor: number | string) => ({ minor: String(minor), currency: 'EUR' })

/** A parcel with nothing unusual about it. */
export function parcel(stop: number, change: Partial<Parcel> = {}): Parcel {
  return {
    waybill: `PH-${100000 + stop}`,
    stop,
    recipient: `Recipient ${stop}`,
    address: [`Street ${stop}`, '20357 Hamburg'],
    shipper: 'Shipper',
    pieces: 1,
    due: eur(1000 * stop),
    rules: { partialAllowed: false },
    ...change,
  }
}

/** What `fail` makes of a call: its number among the calls of that method from now on, from 1. */
export type Failure = (call: number, params: unknown) => 'dieBefore' | 'dieAfter' | RpcError | undefined

export function fakeHost() {
  const storage = new Map<string, unknown>()
  const published: { topic: string; payload: unknown }[] = []
  const acknowledged: string[] = []
  const receipts: { key: string; copy: string }[] = []
  const printed: PrintDocument[] = []
  const payments = new Map<string, { view: PaymentView; round: number }>()
  const failures = new Map<string, { calls: number; failure: Failure }>()
  const calls: string[] = []
  const asked: string[] = []
  const shown: Shown[] = []
  let rounds = 1
  let isRoundOpen = true
  let app: { remote: Client<typeof AppMethods>; peer: RpcPeer } | undefined
  const world = {
    storage,
    published,
    acknowledged,
    receipts,
    printed,
    calls,
    /** Reasons of supervisor's questions. */
    asked,
    outcome: 'approved' as PaymentOutcome,
    voidOutcome: 'voided' as PaymentOutcome,
    voidCode: undefined as string | undefined,
    granted: true,
    operator: ANNA as Operator | null,
    signsIn: ANNA as Operator | null,
    extraTaken: 0n,
    online: true,
    printer: 'ready' as NonNullable<AppContext['printer']>,
    nowMs: START_MS,
    keys: () => [...payments.keys()],
    payment: (key: string) => payments.get(key)?.view,
    /** Payments that stand, of which the cardholder is charged. */
    charged: () => [...payments.values()].filter(({ view }) => view.outcome === 'approved'),
    setPayment(key: string, outcome: PaymentOutcome, reference = 'PH-100001', minor = '1000') {
      payments.set(key, { view: viewOf(key, outcome, reference, minor), round: rounds })
    },
    statuses: () =>
      published.filter(({ topic }) => topic === 'status').map(({ payload }) => payload as never as Status),
    fail(method: Method, failure: Failure) {
      failures.set(method, { calls: 0, failure })
    },
    mend: () => failures.clear(),
    context: (): AppContext => ({
      apiVersion: '1.0',
      terminalId: 'T1',
      merchantName: 'Parcel House',
      currency: 'EUR',
      locale: 'en',
      now: world.nowMs,
      online: world.online,
      printer: world.printer,
      operator: world.operator,
    }),
    /** The app's end of a fresh connection; the one before is cut. */
    connect() {
      app?.peer.close('cut')
      for (const one of shown.splice(0)) one.end({ type: 'closed' })
      const [ours, theirs] = duplexPair()
      app = connectContract(ours, HostMethods, guarded(), AppMethods)
      // A pair in memory does not notice by itself that its other end is gone.
      void app.peer.closed.then(() => theirs.destroy())
      return theirs
    },
    app: () => app!.remote,
    /** Cuts the connection, as when either side dies. */
    cut: () => app?.peer.close('cut'),
    /** What stands on the display: the newest screen that is no progress. */
    front: (): Shown | undefined => shown.findLast(({ screen }) => screen.kind !== 'progress'),
    /** Waits, at most a minute, for a screen whose JSON holds all the words; answers it where told to. */
    async sees(words: string | readonly string[], answer?: ScreenResult): Promise<Screen> {
      const wanted = [words].flat()
      for (let tries = 0; tries < 12_000; tries++) {
        const front = world.front()
        const text = JSON.stringify(front?.screen ?? null)
        if (front !== undefined && wanted.every((word) => text.includes(word))) {
          if (answer !== undefined) {
            shown.splice(shown.indexOf(front), 1)
            front.end(answer)
          }
          return front.screen
        }
        await sleep(5)
      }
      throw new Error(`not seen: ${wanted.join(', ')}; stands: ${JSON.stringify(world.front()?.screen)}`)
    },
    /** Chooses an item or answers what stands. */
    choose: (words: string | readonly string[], id: string) => world.sees(words, { type: 'selected', id }),
    yes: (words: string | readonly string[]) => world.sees(words, { type: 'confirmed' }),
  }

  const viewOf = (key: string, outcome: PaymentOutcome, reference: string, minor: string): PaymentView => ({
    key,
    outcome,
    reference,
    amount: eur(minor),
    message: `It is ${outcome}`,
    tender: 'card',
  })
  const standing = () => [...payments.values()].filter(({ round }) => round === rounds)
  const totals = (): RoundTotals => {
    const sales = standing().filter(({ view }) => ['approved', 'voided'].includes(view.outcome))
    const voids = sales.filter(({ view }) => view.outcome === 'voided')
    const sum = (list: typeof sales) => list.reduce((all, { view }) => all + BigInt(view.amount.minor), 0n)
    return {
      round: isRoundOpen ? `round-${rounds}` : '-',
      operator: world.operator?.id ?? '-',
      openedAt: new Date(START_MS).toISOString(),
      tenders: [
        {
          tender: 'card',
          currency: 'EUR',
          sales: sales.length,
          salesMinor: (sum(sales) + world.extraTaken).toString(),
          voids: voids.length,
          voidsMinor: sum(voids).toString(),
        },
      ],
      unresolved: [],
      payments: standing().map(({ view: { key, reference, amount, outcome } }) => ({
        key,
        reference,
        amount,
        outcome,
      })),
    }
  }
  let lastTotals: RoundTotals | undefined

  const served: Served<typeof HostMethods> = {
    'app.ready': () => world.context(),
    'screens.show': ({ id, screen }, signal) => {
      guardPrompts(screen)
      return new Promise((resolve) => {
        const one: Shown = { id, screen, end: resolve }
        shown.push(one)
        signal.addEventListener('abort', () => {
          if (shown.includes(one)) shown.splice(shown.indexOf(one), 1)
          resolve({ type: 'closed' })
        })
      })
    },
    'screens.update': ({ id, screen }) => {
      guardPrompts(screen)
      const one = shown.find((each) => each.id === id)
      if (one === undefined) throw new RpcError('NOT_SHOWN', 'not shown')
      one.screen = screen
      return null
    },
    'session.signIn': () => {
      world.operator = world.signsIn
      if (world.operator !== null && !isRoundOpen) {
        rounds++
        isRoundOpen = true
      }
      return world.operator
    },
    'session.signOut': () => {
      world.operator = null
      return null
    },
    'session.authorise': ({ reason }) => {
      asked.push(reason)
      return world.granted ? { granted: true, supervisor: '9001' } : { granted: false }
    },
    'payments.collect': ({ key, reference, amount }) => {
      const known = payments.get(key)
      if (known !== undefined) return known.view
      if (
        [...payments.values()].some(({ view }) => view.reference === reference && view.outcome === 'approved')
      )
        return viewOf(key, 'alreadyPaid', reference, amount.minor)
      const view = viewOf(key, world.outcome, reference, amount.minor)
      payments.set(key, { view, round: rounds })
      return view
    },
    'payments.status': ({ key }) => payments.get(key)?.view ?? viewOf(key, 'unknown', '-', '0'),
    'payments.cancel': () => ({ cancelled: false }),
    'payments.void': ({ key, original }) => {
      const known = payments.get(original)
      if (known === undefined) return viewOf(key, 'declined', '-', '0')
      const { reference, amount } = known.view
      if (known.view.outcome === 'voided')
        return { ...viewOf(key, 'declined', reference, amount.minor), code: 'ALREADY_VOIDED' }
      if (world.voidOutcome === 'voided' || world.voidOutcome === 'reversing')
        payments.set(original, { ...known, view: { ...known.view, outcome: world.voidOutcome } })
      const view = viewOf(key, world.voidOutcome, reference, amount.minor)
      return world.voidCode === undefined ? view : { ...view, code: world.voidCode }
    },
    'payments.refund': ({ key, reference, amount }) => {
      const known = payments.get(key)
      if (known !== undefined) return known.view
      const view: PaymentView = { ...viewOf(key, world.outcome, reference, amount.minor), type: 'refund' }
      if (world.outcome !== 'cancelled') payments.set(key, { view, round: rounds })
      return view
    },
    'payments.preauthorise': ({ key, reference, amount }) => {
      const known = payments.get(key)
      if (known !== undefined) return known.view
      const view: PaymentView = { ...viewOf(key, world.outcome, reference, amount.minor), type: 'preauth' }
      payments.set(key, { view, round: rounds })
      return view
    },
    'payments.increment': () => {
      throw new Error('not asked for here')
    },
    'payments.complete': ({ key, original, amount }) => {
      const known = payments.get(key)
      if (known !== undefined) return known.view
      const held = payments.get(original)!
      payments.delete(original)
      const { reference } = held.view
      const view: PaymentView = { ...viewOf(key, 'approved', reference, amount.minor), type: 'completion' }
      payments.set(key, { view, round: rounds })
      return view
    },
    'payments.stuck': () => ({ items: [] }),
    'payments.review': () => null,
    'round.totals': totals,
    'round.close': () => {
      if (isRoundOpen) lastTotals = totals()
      isRoundOpen = false
      if (lastTotals === undefined) throw new RpcError('NO_ROUND', 'no round')
      return { totals: lastTotals, agreement: 'agrees', differences: [] }
    },
    'printer.print': (document) => {
      printed.push(document)
      return { outcome: 'printed' }
    },
    'printer.receipt': ({ key, copy }) => {
      receipts.push({ key, copy })
      return { outcome: 'printed' }
    },
    'printer.resume': ({ job }) => {
      printed.push({ blocks: [{ kind: 'text', text: `rest of ${job}` }] })
      return { outcome: 'printed' }
    },
    'scanner.trigger': () => null,
    'storage.get': ({ key }) => ({ value: storage.get(key) ?? null }),
    'storage.set': ({ key, value }) => {
      storage.set(key, structuredClone(value))
      return null
    },
    'storage.delete': ({ key }) => {
      storage.delete(key)
      return null
    },
    'messages.publish': (message) => {
      published.push(message as { topic: string; payload: unknown })
      return { id: String(published.length) }
    },
    'messages.ack': ({ id }) => {
      acknowledged.push(id)
      return null
    },
    'log.write': () => null,
  }

  /** Every method, failing as told and with the line cut where told. */
  function guarded(): Served<typeof HostMethods> {
    const wrapped: Record<string, unknown> = {}
    for (const [name, method] of Object.entries(served)) {
      wrapped[name] = async (params: never, signal: AbortSignal) => {
        calls.push(name)
        const plan = failures.get(name)
        const failure = plan?.failure(++plan.calls, params)
        if (failure instanceof RpcError) throw failure
        if (failure === 'dieBefore') {
          app?.peer.close('died')
          throw new RpcError('DISCONNECTED', 'died')
        }
        const result = await (method as (params: never, signal: AbortSignal) => unknown)(params, signal)
        if (failure === 'dieAfter') app?.peer.close('died')
        return result
      }
    }
    return wrapped as Served<typeof HostMethods>
  }
  return world
}

export type FakeHost = ReturnType<typeof fakeHost>
export interface Status {
  readonly waybill: string
  readonly round: string
  readonly status: string
  readonly sequence: number
  readonly operator: string
  readonly note?: string
  readonly paid?: { readonly key: string; readonly amount: { readonly minor: string } }
  readonly voided?: { readonly original: string }
}

/** The app's round and desk on a fresh connection, without its screens: as after a restart. */
export async function openDesk(world: FakeHost): Promise<Desk> {
  const nothing = () => null
  const { remote: host } = connectContract(
    world.connect(),
    AppMethods,
    {
      'event.context': nothing,
      'event.scan': nothing,
      'event.payment': nothing,
      'event.message': nothing,
      'app.stop': nothing,
    },
    HostMethods,
  )
  let keys = 0
  return {
    host,
    round: await openRound(host),
    operator: () => world.operator?.id,
    now: () => world.nowMs,
    latest: (view) => view,
    newKey: (waybill) => `${waybill}.key-${world.calls.length}-${++keys}`,
  }
}

/** A desk with one round of parcels. */
export async function deskWith(world: FakeHost, ...parcels: Parcel[]): Promise<Desk> {
  const desk = await openDesk(world)
  await desk.round.merge({ round: 'R-1', date: '2026-11-22', depot: 'Depot', parcels })
  return desk
}
