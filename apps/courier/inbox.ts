// Messages from the depot, one after another: said to be safe only once they are kept, and held back while full.
import type { Host } from '../../runtime/api/client.js'
import { RpcError } from '../../runtime/api/json-rpc.js'
import { TOPICS } from './messages.js'

export interface Message {
  readonly id: string
  readonly topic: string
  readonly payload: unknown
}

/** What is done with a topic's payload: `bad` is not as the topic asks, and never will be. */
type Take = (payload: unknown) => Promise<'kept' | 'bad'>

export interface InboxHandlers {
  readonly deliveries: Take
  readonly notice: Take
  /** The storage is full: the message waits until there is room. */
  readonly onFull: () => void
}

export interface Inbox {
  /** Returns at once; the host is told later that the message is kept. */
  take(message: Message): void
  /** Tries again what did not fit. */
  again(): void
}

/** Messages that wait here; further ones come again after a restart. */
const MOST_WAITING = 50

/** A message that cannot be kept now stays with the host as not acknowledged, so nothing is lost by a restart. */
export function createInbox(host: Pick<Host, 'messages.ack' | 'log.write'>, handlers: InboxHandlers): Inbox {
  const held: Message[] = []
  let tail: Promise<void> = Promise.resolve()

  const handlerOf = (topic: string): Take | undefined =>
    topic === TOPICS.deliveries ? handlers.deliveries : topic === TOPICS.notice ? handlers.notice : undefined

  async function work(message: Message): Promise<void> {
    try {
      const outcome = (await handlerOf(message.topic)?.(message.payload)) ?? 'bad'
      if (outcome === 'bad')
        await host['log.write']({ level: 'warn', event: 'message.refused', text: message.topic }).catch(
          () => undefined,
        )
      await host['messages.ack']({ id: message.id })
    } catch (error) {
      if (held.length < MOST_WAITING) held.push(message)
      if (error instanceof RpcError && error.code === 'STORAGE_FULL') handlers.onFull()
    }
  }
  const take = (message: Message) => {
    tail = tail.then(() => work(message))
  }
  return {
    take,
    again: () => {
      for (const message of held.splice(0)) take(message)
    },
  }
}
