// Documents from the link to the secure world: the newest of each type, tried again when the bridge is back, its fate told.
import type { Log } from '../../../hal/base/log.js'
import { DELIVERED_TYPES, type DeliveredType, type DocumentResult } from '../../bridge/documents.js'
import type { Outbox } from './outbox.js'

export interface DocumentCourierOptions {
  /** Rejects where the secure world is away. */
  readonly deliver: (type: DeliveredType, envelope: Uint8Array) => Promise<DocumentResult>
  readonly outbox: Pick<Outbox, 'put'>
  readonly log: Log
}

export interface DocumentCourier {
  /** Takes what the link brought; what no document may replace at run time is dropped. */
  take(type: string, envelope: Uint8Array): void
  /** The bridge is back. */
  retry(): void
}

/** What became of a document goes up as `evt/document`: type and version, or why it was refused. */
export function createDocumentCourier({ deliver, outbox, log }: DocumentCourierOptions): DocumentCourier {
  const waiting = new Map<DeliveredType, Uint8Array>()
  let running = false

  async function run(): Promise<void> {
    if (running) return
    running = true
    try {
      for (let next = first(); next !== undefined; next = first()) {
        const [type, envelope] = next
        const result = await deliver(type, envelope)
        // A newer one may have come meanwhile: it waits for its own turn.
        if (waiting.get(type) === envelope) waiting.delete(type)
        outbox.put('evt/document', { type, ...result })
      }
    } catch (error) {
      log.info('documents.waiting', { error: (error as Error).message })
    } finally {
      running = false
    }
  }
  const first = () => waiting.entries().next().value

  return {
    take(type, envelope) {
      const known = DELIVERED_TYPES.find((name) => name === type)
      // An empty payload clears what the broker retained.
      if (known === undefined || envelope.length === 0) return
      waiting.set(known, envelope)
      void run()
    },
    retry: () => void run(),
  }
}
