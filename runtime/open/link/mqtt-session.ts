// One MQTT 5 connection over TLS with a client certificate: it opens, works, ends, and never comes back by itself.
import { readFileSync } from 'node:fs'
import { connect, type IClientOptions } from 'mqtt'
import { PosternError } from '../../../hal/base/errors.js'

/** A broker, and the PEM files with which to meet it. */
export interface MqttEndpoint {
  readonly host: string
  readonly port: number
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface MqttSessionOptions {
  readonly endpoint: MqttEndpoint
  /** The certificate's CN: brokers tie the one to the other. */
  readonly clientId: string
  /** How long the broker keeps subscriptions and messages for us when we are away; 0 for none. */
  readonly sessionExpiryS: number
  readonly subscriptions: readonly string[]
  readonly will?: { readonly topic: string; readonly payload: string; readonly delayS: number }
  /** A message, acknowledged to the broker when this returns; a throw ends the session, and the broker repeats it. */
  readonly onMessage: (topic: string, payload: Uint8Array) => void
}

export interface MqttSession {
  /** QoS 1; resolves when the broker has it. That says nothing about the application. */
  publish(topic: string, payload: string, options?: { retain?: boolean }): Promise<void>
  /** Resolves once, with why; MQTT 5 reason code where the broker gave one (142: session taken over). */
  readonly closed: Promise<{ readonly reason: string; readonly reasonCode?: number }>
  /** Says goodbye: no will. Bounded by 2 s. */
  end(): Promise<void>
  /** Drops the connection without a word, as a lost network does. */
  drop(reason: string): void
}

const GOODBYE_MS = 2000

const KEEP_ALIVE_S = 30
const CONNECT_TIMEOUT_MS = 15_000
/** Messages the broker may send before we acknowledge. */
const RECEIVE_MAXIMUM = 16

/**
 * Connects and subscribes.
 * @throws PosternError `MQTT_REFUSED`, `MQTT_UNREACHABLE`, `MQTT_FILES` (certificate or key), `ABORTED`
 */
export async function openMqttSession(
  options: MqttSessionOptions,
  signal: AbortSignal,
): Promise<MqttSession> {
  const { endpoint, clientId, sessionExpiryS, subscriptions, will, onMessage } = options
  let files: Pick<IClientOptions, 'ca' | 'cert' | 'key'>
  try {
    // Anew at each try: a renewed certificate takes effect with the next connection.
    const { ca, cert, key } = endpoint
    files = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) }
  } catch (error) {
    throw new PosternError('MQTT_FILES', (error as Error).message, {}, error)
  }
  if (signal.aborted) throw new PosternError('ABORTED', 'cancelled')
  const client = connect({
    protocol: 'mqtts',
    host: endpoint.host,
    port: endpoint.port,
    ...files,
    rejectUnauthorized: true,
    protocolVersion: 5,
    clientId,
    clean: sessionExpiryS === 0,
    properties: { sessionExpiryInterval: sessionExpiryS, receiveMaximum: RECEIVE_MAXIMUM },
    keepalive: KEEP_ALIVE_S,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // The loop around is ours, and so is what is sent again: MQTT.js must keep nothing.
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    ...(will
      ? {
          will: {
            topic: will.topic,
            payload: Buffer.from(will.payload),
            qos: 1 as const,
            retain: true,
            properties: { willDelayInterval: will.delayS },
          },
        }
      : {}),
    customHandleAcks: (topic, payload, _packet, done) => {
      try {
        onMessage(topic, payload)
        done(null as never, 0)
      } catch (error) {
        done(error as Error, 0)
      }
    },
  } as IClientOptions)

  let reason = 'the connection was lost'
  let reasonCode: number | undefined
  const closed = new Promise<{ reason: string; reasonCode?: number }>((resolve) => {
    client.on('error', (error) => {
      reason = error.message || String(error)
      if ('code' in error && typeof error.code === 'number') reasonCode = error.code
      client.end(true)
    })
    client.on('disconnect', (packet) => {
      reasonCode = packet.reasonCode
      reason = `the broker ended it, code ${packet.reasonCode}`
    })
    const over = () => {
      client.end(true)
      resolve({ reason, ...(reasonCode === undefined ? {} : { reasonCode }) })
    }
    client.on('close', over)
    client.on('end', over)
  })

  const onAbort = () => {
    reason = 'cancelled'
    client.end(true)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  void closed.then(() => signal.removeEventListener('abort', onAbort))
  const connected = new Promise<void>((resolve) => client.once('connect', () => resolve()))
  const first = await Promise.race([connected, closed])
  if (first !== undefined) {
    if (signal.aborted) throw new PosternError('ABORTED', 'cancelled')
    throw new PosternError(
      first.reasonCode === undefined ? 'MQTT_UNREACHABLE' : 'MQTT_REFUSED',
      first.reason,
      {
        ...(first.reasonCode === undefined ? {} : { reasonCode: first.reasonCode }),
      },
    )
  }
  if (subscriptions.length > 0) {
    const granted = await Promise.race([
      client.subscribeAsync([...subscriptions], { qos: 1 }).catch((error: Error) => error),
      closed,
    ])
    if (!Array.isArray(granted) || granted.some(({ qos }) => qos > 2)) {
      client.end(true)
      throw new PosternError('MQTT_REFUSED', 'the broker refused our own topics')
    }
  }

  signal.removeEventListener('abort', onAbort)

  return {
    closed,
    drop: (why) => {
      reason = why
      client.end(true)
    },
    publish: async (topic, payload, { retain = false } = {}) => {
      if (!client.connected) throw new PosternError('MQTT_UNREACHABLE', 'not connected')
      await client.publishAsync(topic, payload, { qos: 1, retain })
    },
    end: async () => {
      reason = 'ended here'
      // MQTT.js waits for what is unacknowledged; a broker that stands still must not hold us.
      const timer = setTimeout(() => client.end(true), GOODBYE_MS)
      client.end()
      await closed
      clearTimeout(timer)
    },
  }
}
