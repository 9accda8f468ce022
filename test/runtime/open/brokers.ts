// Brokers for tests: the embedded one, and mosquitto where it is installed, both over TLS with client certificates.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../../../hal/base/log.js'
import type { MqttEndpoint } from '../../../runtime/open/link/mqtt-session.js'
import { startBroker } from '../../../scripts/dev/cloud/broker.js'
import { type CertificateFiles, developmentAuthority } from '../../../scripts/dev/factory/certificates.js'
import { until } from '../socket-pair.js'

export interface Credentials {
  readonly folder: string
  readonly ca: string
  readonly server: CertificateFiles
  client(name: string): CertificateFiles
}

/** An authority of its own, made with the openssl command. */
export function makeCredentials(): Credentials {
  const folder = mkdtempSync(join(tmpdir(), 'postern-mqtt-'))
  const authority = developmentAuthority(join(folder, 'ca'))
  return {
    folder,
    ca: authority.ca,
    server: authority.issue('server', 'broker.test', 'server'),
    client: (name) => authority.issue(name, name, 'client'),
  }
}

export interface TestBroker {
  readonly port: number
  endpoint(client: string): MqttEndpoint
  /** Ends it without a goodbye. */
  kill(): Promise<void>
  /** Starts it again on the same port. */
  start(): Promise<void>
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const SERVICE = 'delivery-service'

function endpointOf(credentials: Credentials, port: number) {
  return (client: string): MqttEndpoint => ({
    host: '127.0.0.1',
    port,
    ca: credentials.ca,
    ...credentials.client(client),
  })
}

export async function embeddedBroker(credentials: Credentials): Promise<TestBroker> {
  const port = await freePort()
  const { ca, server } = credentials
  let broker: { close(): Promise<void> } | undefined
  const start = async () => {
    broker = await startBroker({
      host: '127.0.0.1',
      port,
      ca,
      ...server,
      serviceName: SERVICE,
      log: silentLog,
    })
  }
  await start()
  return { port, endpoint: endpointOf(credentials, port), start, kill: async () => broker!.close() }
}

/** True where mosquitto 2 can be run. */
export function hasMosquitto(): boolean {
  try {
    execFileSync('mosquitto', ['-h'], { stdio: 'ignore' })
  } catch (error) {
    // It answers its help with code 3; only a missing program is none.
    return (error as { code?: string }).code !== 'ENOENT'
  }
  return true
}

/** Mosquitto with certificates as names and an ACL by them, its messages kept over a restart as a cluster keeps them. */
export async function mosquitto(credentials: Credentials): Promise<TestBroker> {
  const port = await freePort()
  const { folder, ca, server } = credentials
  const file = join(folder, 'mosquitto.conf')
  const acl = join(folder, 'acl')
  writeFileSync(
    acl,
    [
      `user ${SERVICE}`,
      'topic readwrite pos/v1/#',
      ...['presence', 'taken', 'evt/#', 'app/+/up/#'].map((path) => `pattern write pos/v1/d/%u/${path}`),
      ...['ack', 'documents/+', 'app/+/down/#'].map((path) => `pattern read pos/v1/d/%u/${path}`),
    ].join('\n'),
    { mode: 0o600 },
  )
  writeFileSync(
    file,
    [
      `listener ${port} 127.0.0.1`,
      `cafile ${ca}`,
      `certfile ${server.cert}`,
      `keyfile ${server.key}`,
      'require_certificate true',
      'use_identity_as_username true',
      `acl_file ${acl}`,
      'persistence false',
      ...(process.getuid?.() === 0 ? ['user root'] : []),
    ].join('\n'),
  )
  let process_: ChildProcess | undefined
  const start = async () => {
    process_ = spawn('mosquitto', ['-c', file], { stdio: 'ignore' })
    await until('mosquitto', () => {
      return new Promise<boolean>((resolve) => {
        const socket = connect(port, '127.0.0.1')
        socket.once('connect', () => {
          socket.destroy()
          resolve(true)
        })
        socket.once('error', () => resolve(false))
      })
    })
  }
  await start()
  return {
    port,
    endpoint: endpointOf(credentials, port),
    start,
    kill: async () => {
      const dying = process_!
      if (dying.exitCode !== null || dying.signalCode !== null) return
      const ended = new Promise((resolve) => dying.once('exit', resolve))
      dying.kill('SIGKILL')
      await ended
    },
  }
}
