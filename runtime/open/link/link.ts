// The terminal's link to its cloud: presence, the outbox in a bounded window, the inbox, over one MQTT session.

import { toHex } from '../../../hal/base/bytes.js'
import type { Clock, Random } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import type { NetworkState } from '../../../hal/network-state.js'
import type { Inbox } from './inbox.js'
import { type ConnectionState, keepConnected } from './keep-connected.js'
import { type MqttEndpoint, type MqttSession, openMqttSession } from './mqtt-session.js'
import type { Outbox, OutboxMessage } from './outbox.js'
import {
  DownEnvelope,
  deviceTopics,
  Ids,
  MAX_DOWN,
  type Presence,
  readPayload,
  type UpEnvelope,
} from './topics.js'

/** Messages that may be sent and not yet acknowledged by the application. */
export const WINDOW = 16
/** After this the application is asked again, by sending again. */
const ACK_TIMEOUT_MS = 20_000
const SESSION_EXPIRY_S = 3 * 24 * 3600
const WILL_DELAY_S = 5

export interface LinkOptions {
  readonly terminalId: string
  readonly endpoint: MqttEndpoint
  /** Messages for other apps are not kept. */
  readonly apps: readonly string[]
  readonly outbox: Outbox
  readonly inbox: Inbox
  /** A signed document has come: `type` as the topic says, the envelope as it stands. */
  readonly onDocument: (type: string, envelope: Uint8Array) => void
  /** Reserves the next number of a connection, durably. */
  readonly nextSession: () => number
  readonly network: NetworkState
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** How long the application may take to acknowledge; 20 s. */
  readonly ackTimeoutMs?: number
}

export interface Link {
  state(): ConnectionState
  /** Called with every change. Returns the unsubscriber. */
  on(listener: (state: ConnectionState) => void): () => void
  /** Says that this terminal goes, and ends the session. What waits stays in the outbox. */
  close(): Promise<void>
}

/** Starts the link; it works whenever there is a network. */
export function startLink(options: LinkOptions): Link {
  const { terminalId, endpoint, apps, outbox, inbox, network, clock, random, log } = options
  const { ackTimeoutMs = ACK_TIMEOUT_MS } = options
  const topics = deviceTopics(terminalId)
  const bootId = toHex(random(8)).toLowerCase()
  const listeners = new Set<(state: ConnectionState) => void>()
  let state: ConnectionState = network.online() ? 'connecting' : 'offline'
  let sessionSeq = 0
  let current: MqttSession | undefined
  /** Sent over this session and not acknowledged, by id. */
  const inFlight = new Map<string, { readonly message: OutboxMessage; sentAtMs: number }>()
  let lastSeq = 0

  const presence = (online: boolean): string =>
    JSON.stringify({ v: 1, online, bootId, sessionSeq, at: clock.nowMs() } satisfies Presence)

  const send = (session: MqttSession, message: OutboxMessage) => {
    const { id, seq, topic, body, atMs } = message
    inFlight.set(id, { message, sentAtMs: clock.monotonicMs() })
    const envelope: UpEnvelope = { v: 1, id, seq, at: atMs, body: JSON.parse(body) }
    session.publish(`${topics.base}/${topic}`, JSON.stringify(envelope)).catch((error: Error) => {
      log.debug('link.publish-failed', { id, error: error.message })
    })
  }
  const fillWindow = () => {
    const session = current
    if (session === undefined || inFlight.size >= WINDOW) return
    for (const message of outbox.next(lastSeq, WINDOW - inFlight.size)) {
      lastSeq = message.seq
      send(session, message)
    }
  }
  const sendAgain = (session: MqttSession) => {
    const nowMs = clock.monotonicMs()
    for (const { message, sentAtMs } of [...inFlight.values()]) {
      if (nowMs - sentAtMs >= ackTimeoutMs) {
        log.warn('link.not-acknowledged', { id: message.id, topic: message.topic })
        send(session, message)
      }
    }
  }
  const sayTaken = (ids: readonly string[]) => {
    // Lost where there is no session: the cloud sends the message again, and hears it then.
    current
      ?.publish(topics.taken, JSON.stringify({ v: 1, ids } satisfies { v: 1; ids: readonly string[] }))
      .catch(() => undefined)
  }

  function onMessage(topic: string, payload: Uint8Array): void {
    if (topic === topics.ack) {
      const acks = readPayload(Ids, payload)
      if (acks === undefined) return log.warn('link.bad-message', { topic })
      for (const id of acks.ids) inFlight.delete(id)
      return outbox.acknowledge(acks.ids) // which fills the window
    }
    if (topic.startsWith(topics.documents))
      return options.onDocument(topic.slice(topics.documents.length), payload)
    const [app, down, ...rest] = topic.slice(`${topics.base}/app/`.length).split('/')
    const name = rest.join('/')
    const envelope = payload.length <= MAX_DOWN ? readPayload(DownEnvelope, payload) : undefined
    if (
      envelope === undefined ||
      down !== 'down' ||
      !/^[a-z0-9-]+(\/[a-z0-9-]+)*$/.test(name) ||
      name.length > 64
    )
      return log.warn('link.bad-message', { topic: topic.slice(0, 200), bytes: payload.length })
    if (app === undefined || !apps.includes(app))
      return log.warn('link.unknown-app', { topic: topic.slice(0, 200) })
    const outcome = inbox.receive(app, envelope.id, name, envelope.body)
    log.info('link.received', { app, topic: name, id: envelope.id, outcome })
    if (outcome === 'taken') sayTaken([envelope.id])
  }

  async function use(session: MqttSession): Promise<void> {
    current = session
    inFlight.clear()
    lastSeq = 0
    const over = new AbortController()
    void session.closed.then(() => over.abort())
    session.publish(topics.presence, presence(true), { retain: true }).catch(() => undefined)
    fillWindow()
    while (!over.signal.aborted) {
      await clock.sleep(ackTimeoutMs / 4, over.signal).catch(() => undefined)
      if (!over.signal.aborted) sendAgain(session)
    }
    if (current === session) current = undefined
  }

  const connection = keepConnected({
    name: 'link',
    network,
    clock,
    random,
    log,
    use,
    onState: (next) => {
      if (next === state) return
      state = next
      for (const listener of [...listeners]) listener(next)
    },
    open: (signal) => {
      sessionSeq = options.nextSession()
      return openMqttSession(
        {
          endpoint,
          clientId: terminalId,
          sessionExpiryS: SESSION_EXPIRY_S,
          subscriptions: [topics.ack, topics.allDown, `${topics.documents}+`],
          will: { topic: topics.presence, payload: presence(false), delayS: WILL_DELAY_S },
          onMessage,
        },
        signal,
      )
    },
  })
  const stopOutbox = outbox.on(fillWindow)
  const stopTaken = inbox.onTaken((id) => sayTaken([id]))

  return {
    state: () => state,
    on: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => {
      stopOutbox()
      stopTaken()
      // A goodbye sends no will, so the word comes from us. Bounded: without a network nobody can hear it.
      const enough = new AbortController()
      await Promise.race([
        current?.publish(topics.presence, presence(false), { retain: true }).catch(() => undefined),
        clock.sleep(1000, enough.signal).catch(() => undefined),
      ])
      enough.abort()
      await connection.close()
    },
  }
}
