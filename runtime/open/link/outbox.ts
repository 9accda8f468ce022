// The outbox: messages for the cloud, kept until the application there says that it has them.

import { toHex } from '../../../hal/base/bytes.js'
import type { Clock, Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { LinkDatabase } from './link-database.js'

/** Messages that may wait; payments may use the reserve above it. */
export const MOST_WAITING = 5000
const RESERVE = 1000

export interface OutboxMessage {
  readonly seq: number
  readonly id: string
  /** Below the device's own topics, such as `app/courier/up/status`. */
  readonly topic: string
  /** JSON text. */
  readonly body: string
  readonly atMs: number
}

export interface Outbox {
  /**
   * Queues a message, on disk when it returns; returns its id. A given `id` that is already queued is left as it is.
   * @throws PosternError `OUTBOX_FULL`
   */
  put(topic: string, body: unknown, options?: { id?: string; important?: boolean }): string
  /** The oldest messages after `afterSeq`. */
  next(afterSeq: number, limit: number): OutboxMessage[]
  /** The application has them. Unknown ids are ignored. */
  acknowledge(ids: readonly string[]): void
  size(): number
  /** Called soon after something was put or acknowledged. Returns the unsubscriber. */
  on(listener: () => void): () => void
}

/** The outbox in the link's database. Ids are 128 random bits: never used again, not even after a factory reset. */
export function createOutbox(database: LinkDatabase, clock: Clock, random: Random): Outbox {
  const insert = database.prepare(
    'insert into outbox (id, topic, body, at_ms) values (?, ?, ?, ?) on conflict (id) do nothing',
  )
  const select = database.prepare(
    'select seq, id, topic, body, at_ms as atMs from outbox where seq > ? order by seq limit ?',
  )
  const remove = database.prepare('delete from outbox where id = ?')
  const removeAll = database.transaction((ids: readonly string[]) => {
    for (const id of ids) remove.run(id)
  })
  const count = database.prepare('select count(*) from outbox').pluck()
  const listeners = new Set<() => void>()
  let size = count.get() as number
  /** Later, as the caller may be inside a transaction. */
  const changed = () =>
    queueMicrotask(() => {
      for (const listener of [...listeners]) listener()
    })

  return {
    put: (topic, body, { id = toHex(random(16)).toLowerCase(), important = false } = {}) => {
      if (size >= MOST_WAITING + (important ? RESERVE : 0))
        throw new PosternError('OUTBOX_FULL', `${size} messages wait for a network already`, { size })
      size += insert.run(id, topic, JSON.stringify(body) ?? 'null', clock.nowMs()).changes
      changed()
      return id
    },
    next: (afterSeq, limit) => select.all(afterSeq, limit) as OutboxMessage[],
    acknowledge: (ids) => {
      removeAll(ids)
      size = count.get() as number
      changed()
    },
    size: () => size,
    on: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
