// The delivery service: a client of whatever MQTT 5 broker. Sends rounds, takes what terminals report, acknowledges.

import { type Static, Type } from 'typebox'
import { HandIn, ParcelStatus, TOPICS } from '../../../apps/courier/messages.js'
import type { Clock, Random } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import { checker } from '../../../runtime/api/contract.js'
import { PaymentView } from '../../../runtime/api/payments.js'
import { type ConnectionState, keepConnected } from '../../../runtime/open/link/keep-connected.js'
import {
  type MqttEndpoint,
  type MqttSession,
  openMqttSession,
} from '../../../runtime/open/link/mqtt-session.js'
import {
  type DownEnvelope,
  deviceTopics,
  Ids,
  Presence,
  readPayload,
  UpEnvelope,
} from '../../../runtime/open/link/topics.js'
import { alwaysOnline } from '../../../runtime/open/peripherals/always-online.js'
import { type DeliveryBook, deliveriesOf } from './delivery-book.js'

const REPEAT_MS = 15_000
const SESSION_EXPIRY_S = 3600
const APP = 'courier'

const PowerEvent = Type.Object({
  state: Type.Enum(['ok', 'low', 'critical']),
  source: Type.Enum(['battery', 'external']),
  percent: Type.Integer({ minimum: 0, maximum: 100 }),
})
const PaymentEvent = Type.Object({ app: Type.String(), sequence: Type.Integer(), payment: PaymentView })

export interface TerminalPresence {
  readonly online: boolean
  readonly sessionSeq: number
  readonly at: number
}

export interface DeliveryService {
  state(): ConnectionState
  presence(): ReadonlyMap<string, TerminalPresence>
  /** What each terminal last said of its battery. */
  power(): ReadonlyMap<string, Static<typeof PowerEvent>>
  /** Sends now what terminals have not taken yet. */
  sendRounds(): void
  close(): Promise<void>
}

export interface DeliveryServiceOptions {
  readonly endpoint: MqttEndpoint
  /** CN of its certificate. */
  readonly name: string
  readonly book: DeliveryBook
  readonly repeatMs?: number | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Starts it; it reconnects by itself. */
export function startDeliveryService(options: DeliveryServiceOptions): DeliveryService {
  const { endpoint, name, book, repeatMs = REPEAT_MS, clock, random, log } = options
  const presence = new Map<string, TerminalPresence>()
  const power = new Map<string, Static<typeof PowerEvent>>()
  let state: ConnectionState = 'connecting'
  let current: MqttSession | undefined

  const publish = (topic: string, body: unknown) =>
    current
      ?.publish(topic, JSON.stringify(body))
      .catch((error: Error) => log.debug('cloud.publish-failed', { topic, error: error.message }))
  const deliveryId = (round: string) => `deliveries-${round}`
  const sendRounds = (only?: string) => {
    for (const round of book.rounds()) {
      if (round.takenAt !== undefined || (only !== undefined && round.terminal !== only)) continue
      const envelope: DownEnvelope = {
        v: 1,
        id: deliveryId(round.round),
        at: clock.nowMs(),
        body: deliveriesOf(round),
      }
      void publish(deviceTopics(round.terminal).down(APP, TOPICS.deliveries), envelope)
    }
  }

  /** True where it was understood and is on disk, or can never be understood: the terminal need not keep it. */
  function keep(terminal: string, topic: string, { id, body }: UpEnvelope): void {
    const bad = (fault: string | undefined) =>
      log.warn('cloud.not-understood', { terminal, topic, id, fault })
    if (topic === `app/${APP}/up/${TOPICS.status}`) {
      const fault = checker(ParcelStatus)(body)
      return fault === undefined ? book.status(terminal, body as ParcelStatus) : bad(fault)
    }
    if (topic === `app/${APP}/up/${TOPICS.handIn}`) {
      const fault = checker(HandIn)(body)
      return fault === undefined ? book.handIn(terminal, body as HandIn) : bad(fault)
    }
    if (topic === 'evt/payments') {
      const fault = checker(PaymentEvent)(body)
      const event = body as { sequence: number; payment: PaymentView }
      return fault === undefined ? book.payment(terminal, event.sequence, event.payment) : bad(fault)
    }
    if (topic === 'evt/power') {
      const fault = checker(PowerEvent)(body)
      return fault === undefined ? void power.set(terminal, body as Static<typeof PowerEvent>) : bad(fault)
    }
    bad('unknown topic')
  }

  function onMessage(topic: string, payload: Uint8Array): void {
    const [, , , terminal = '', ...rest] = topic.split('/')
    const path = rest.join('/')
    if (path === 'presence') {
      const seen = readPayload(Presence, payload)
      if (seen === undefined) return
      const known = presence.get(terminal)
      // A will of an older connection may arrive after the newer one's word.
      if (known !== undefined && known.sessionSeq > seen.sessionSeq) return
      presence.set(terminal, { online: seen.online, sessionSeq: seen.sessionSeq, at: seen.at })
      if (seen.online) sendRounds(terminal)
      return
    }
    if (path === 'taken') {
      const taken = readPayload(Ids, payload)
      for (const round of book.rounds()) {
        if (round.terminal !== terminal || round.takenAt !== undefined) continue
        if (taken?.ids.includes(deliveryId(round.round))) book.taken(terminal, round.round, clock.nowMs())
      }
      return
    }
    const envelope = readPayload(UpEnvelope, payload)
    if (envelope === undefined) return log.warn('cloud.not-understood', { topic: topic.slice(0, 200) })
    keep(terminal, path, envelope)
    // Only now, as it is on disk.
    void publish(deviceTopics(terminal).ack, { v: 1, ids: [envelope.id] })
  }

  const connection = keepConnected({
    name: 'cloud',
    network: alwaysOnline,
    clock,
    random,
    log,
    onState: (next) => {
      state = next
    },
    open: (signal) =>
      openMqttSession(
        {
          endpoint,
          clientId: name,
          sessionExpiryS: SESSION_EXPIRY_S,
          subscriptions: ['presence', 'taken', 'evt/+', 'app/+/up/#'].map((path) => `pos/v1/d/+/${path}`),
          onMessage,
        },
        signal,
      ),
    use: async (session) => {
      current = session
      const over = new AbortController()
      void session.closed.then(() => over.abort())
      while (!over.signal.aborted) {
        sendRounds()
        await clock.sleep(repeatMs, over.signal).catch(() => undefined)
      }
      if (current === session) current = undefined
    },
  })

  return {
    state: () => state,
    presence: () => presence,
    power: () => power,
    sendRounds: () => sendRounds(),
    close: () => connection.close(),
  }
}
