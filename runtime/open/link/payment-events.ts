// Payments whose outcome changed: from the secure world into the outbox and to the app, then acknowledged there.
import type { Log } from '../../../hal/base/log.js'
import type { PaymentView } from '../../api/payments.js'
import type { Bridge } from '../bridge/bridge-client.js'
import type { LinkDatabase } from './link-database.js'
import type { Outbox } from './outbox.js'

/** Batches a fetch may take: a secure world that repeats itself must not hold us for ever. */
const MOST_BATCHES = 500

export interface PaymentEvent {
  readonly sequence: number
  readonly view: PaymentView
}

export interface PaymentEvents {
  /** What the app has not taken yet, oldest first, after `afterSequence`. */
  waiting(app: string, afterSequence: number): PaymentEvent[]
  /** The app knows this state of the payment. */
  taken(sequence: number): void
  /** The app was told a payment's outcome by other means: what waits for it with that outcome is dropped. */
  told(app: string, view: PaymentView): void
  /** Fetches what is new in the secure world; calls made meanwhile are one more round. */
  fetch(): Promise<void>
  /** Called with the app's name for each new event. Returns the unsubscriber. */
  on(listener: (app: string) => void): () => void
}

export interface PaymentEventsOptions {
  readonly database: LinkDatabase
  readonly outbox: Outbox
  readonly bridge: Pick<Bridge, 'secure'>
  readonly log: Log
}

/**
 * Moves payments over: on disk here (outbox and event in one transaction, under the journal's sequence, so that
 * repeating is harmless) before the secure world is told that they need not be kept for us.
 */
export function createPaymentEvents({ database, outbox, bridge, log }: PaymentEventsOptions): PaymentEvents {
  const insert = database.prepare(
    'insert into payment_event (sequence, app, key, view) values (?, ?, ?, ?) on conflict (sequence) do nothing',
  )
  const select = database.prepare(
    'select sequence, view from payment_event where app = ? and sequence > ? order by sequence limit 20',
  )
  const selectKey = database.prepare('select sequence, view from payment_event where app = ? and key = ?')
  const remove = database.prepare('delete from payment_event where sequence = ?')
  const keep = database.transaction((sequence: number, app: string, view: PaymentView) => {
    const body = { app, sequence, payment: view }
    outbox.put('evt/payments', body, { id: `payment-${sequence}-${view.key}`, important: true })
    insert.run(sequence, app, view.key, JSON.stringify(view))
  })
  const listeners = new Set<(app: string) => void>()
  let fetching: Promise<void> | undefined
  let again = false

  async function fetchAll(): Promise<void> {
    do {
      again = false
      for (let batches = 0; batches < MOST_BATCHES; batches++) {
        const batch = await bridge.secure['payments.unacknowledged'](null)
        for (const { app, sequence, view } of batch) {
          keep(sequence, app, view)
          await bridge.secure['payments.acknowledge']({ sequence })
          log.info('payment.outcome', { app, sequence, outcome: view.outcome })
          for (const listener of [...listeners]) listener(app)
        }
        if (batch.length === 0) break
      }
    } while (again)
  }

  return {
    waiting: (app, afterSequence) =>
      (select.all(app, afterSequence) as { sequence: number; view: string }[]).map(({ sequence, view }) => ({
        sequence,
        view: JSON.parse(view) as PaymentView,
      })),
    taken: (sequence) => void remove.run(sequence),
    told: (app, view) => {
      for (const row of selectKey.all(app, view.key) as { sequence: number; view: string }[]) {
        if ((JSON.parse(row.view) as PaymentView).outcome === view.outcome) remove.run(row.sequence)
      }
    },
    fetch: () => {
      again = true
      fetching ??= fetchAll()
        .catch((error: Error) => log.warn('payment.fetch-failed', { error: error.message }))
        .finally(() => {
          fetching = undefined
        })
      return fetching
    },
    on: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
