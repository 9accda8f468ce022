// The inbox: messages from the cloud, kept until the app has them, and remembered so that none is delivered twice.
import type { Clock } from '../../../hal/base/clock.js'
import type { LinkDatabase } from './link-database.js'

/** Messages of one app that may wait; the cloud keeps and repeats what is refused. */
export const MOST_WAITING_PER_APP = 500
/** How many taken messages are remembered per app. */
const REMEMBERED = 2000

export interface InboxMessage {
  readonly seq: number
  readonly id: string
  readonly topic: string
  readonly payload: unknown
}

export interface Inbox {
  /**
   * Keeps a message, on disk when it returns. `new` it waits now; `waiting` it waited already; `taken` the app has it,
   * so the cloud may be told again; `full` it was not kept.
   */
  receive(app: string, id: string, topic: string, payload: unknown): 'new' | 'waiting' | 'taken' | 'full'
  /** What waits for the app, oldest first, after `afterSeq`. */
  waiting(app: string, afterSeq: number, limit: number): InboxMessage[]
  /** The app keeps it safely. False where it did not wait. */
  acknowledge(app: string, id: string): boolean
  /** Called with the app's name for each new message. Returns the unsubscriber. */
  onReceived(listener: (app: string) => void): () => void
  /** Called when an app has taken a message. Returns the unsubscriber. */
  onTaken(listener: (id: string) => void): () => void
}

/** The inbox in the link's database. */
export function createInbox(database: LinkDatabase, clock: Clock): Inbox {
  const find = database.prepare('select acked from inbox where app = ? and id = ?').pluck()
  const count = database.prepare('select count(*) from inbox where app = ? and acked = 0').pluck()
  const insert = database.prepare('insert into inbox (app, id, topic, payload, at_ms) values (?, ?, ?, ?, ?)')
  const select = database.prepare(
    'select seq, id, topic, payload from inbox where app = ? and acked = 0 and seq > ? order by seq limit ?',
  )
  const mark = database.prepare(
    'update inbox set acked = 1, payload = null where app = ? and id = ? and acked = 0',
  )
  const forget = database.prepare(
    `delete from inbox where app = ? and acked = 1 and seq <= (
       select seq from inbox where app = ? and acked = 1 order by seq desc limit 1 offset ${REMEMBERED})`,
  )
  const received = new Set<(app: string) => void>()
  const taken = new Set<(id: string) => void>()

  return {
    receive: (app, id, topic, payload) => {
      const acked = find.get(app, id) as number | undefined
      if (acked !== undefined) return acked === 1 ? 'taken' : 'waiting'
      if ((count.get(app) as number) >= MOST_WAITING_PER_APP) return 'full'
      insert.run(app, id, topic, JSON.stringify(payload) ?? 'null', clock.nowMs())
      for (const listener of [...received]) listener(app)
      return 'new'
    },
    waiting: (app, afterSeq, limit) =>
      (select.all(app, afterSeq, limit) as { seq: number; id: string; topic: string; payload: string }[]).map(
        (row) => ({ ...row, payload: JSON.parse(row.payload) as unknown }),
      ),
    acknowledge: (app, id) => {
      if (mark.run(app, id).changes === 0) return false
      forget.run(app, app)
      for (const listener of [...taken]) listener(id)
      return true
    },
    onReceived: (listener) => {
      received.add(listener)
      return () => received.delete(listener)
    },
    onTaken: (listener) => {
      taken.add(listener)
      return () => taken.delete(listener)
    },
  }
}
