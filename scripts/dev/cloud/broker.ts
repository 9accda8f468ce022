// The embedded MQTT 5 broker of development: TLS with client certificates, and a device only on its own topics.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { Aedes } from 'aedes'
import type { Log } from '../../../hal/base/log.js'
import { MAX_DOCUMENT } from '../../../runtime/bridge/documents.js'
import { deviceTopics } from '../../../runtime/open/link/topics.js'

/** Largest packet that is taken, in bytes. */
const MAX_PACKET = MAX_DOCUMENT + 4096

export interface BrokerOptions {
  readonly host: string
  readonly port: number
  /** PEM files. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** The CN that may use every topic. */
  readonly serviceName: string
  readonly log: Log
}

/** Common name of a PEM certificate file's subject. */
export function commonNameOf(path: string): string {
  const subject = new X509Certificate(readFileSync(path)).subject
  return /^CN=(.+)$/m.exec(subject)?.[1] ?? ''
}

/** May the device publish there? Presence, what it has taken, its events, and its apps' messages up. */
export function mayPublish(device: string, topic: string): boolean {
  const { base, presence, taken } = deviceTopics(device)
  if (topic === presence || topic === taken) return true
  const rest = topic.startsWith(`${base}/`) ? topic.slice(base.length + 1) : ''
  return /^(evt\/[a-z-]+|app\/[a-z0-9-]+\/up\/[a-z0-9-/]+)$/.test(rest)
}

/** May the device subscribe to that? Acknowledgements, messages and documents down, its own. */
export function maySubscribe(device: string, filter: string): boolean {
  const { ack, base, documents } = deviceTopics(device)
  if (filter === `${documents}+`) return true
  return filter === ack || new RegExp(`^${base}/app/(\\+|[a-z0-9-]+)/down/`).test(filter)
}

const nameOf = (socket: TLSSocket): string => {
  const name = socket.getPeerCertificate().subject?.CN
  return typeof name === 'string' ? name : ''
}

/** Starts it; resolves with its port. */
export async function startBroker(options: BrokerOptions): Promise<{ port: number; close(): Promise<void> }> {
  const { host, port, ca, cert, key, serviceName, log } = options
  const names = new WeakMap<object, string>()
  const of = (client: { readonly conn: object } | null) => (client ? (names.get(client.conn) ?? '') : '')
  const refused = () => Object.assign(new Error('not authorised'), { returnCode: 5 })

  const broker = await Aedes.createBroker({
    maximumPacketSize: MAX_PACKET,
    receiveMaximum: 32,
    authenticate: (client, _username, _password, done) => {
      // The client id is the certificate's name: nobody takes over another's session. The service may come more than once.
      const name = of(client)
      const again = name === serviceName && client.id.startsWith(`${serviceName}.`)
      const allowed = name !== '' && (name === client.id || again)
      if (!allowed) log.warn('broker.refused', { client: client.id, name })
      done(allowed ? null : refused(), allowed)
    },
    authorizePublish: (client, packet, done) => {
      const name = of(client)
      const allowed = client === null || name === serviceName || mayPublish(name, packet.topic)
      if (!allowed) log.warn('broker.publish-refused', { name, topic: packet.topic })
      done(allowed ? null : refused())
    },
    authorizeSubscribe: (client, subscription, done) => {
      const name = of(client)
      const allowed = name === serviceName || maySubscribe(name, subscription.topic)
      if (!allowed) log.warn('broker.subscribe-refused', { name, topic: subscription.topic })
      done(null, allowed ? subscription : null)
    },
  })
  const server = createServer(
    {
      ca: readFileSync(ca),
      cert: readFileSync(cert),
      key: readFileSync(key),
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
    },
    (socket) => {
      names.set(socket, nameOf(socket))
      broker.handle(socket)
    },
  )
  server.on('tlsClientError', (error) => log.warn('broker.tls-refused', { error: error.message }))
  broker.on('clientError', (client, error) =>
    log.debug('broker.client-error', { client: client.id, error: error.message }),
  )
  broker.on('connectionError', (_client, error) =>
    log.debug('broker.connection-error', { error: error.message }),
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      await new Promise<void>((resolve) => broker.close(resolve))
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
