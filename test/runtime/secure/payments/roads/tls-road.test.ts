// The TLS road against a real server, with an open world that adds bytes of its own to what it carries.
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer, type SecureVersion } from 'node:tls'
import t from 'tap'
import { createBridgePipes } from '../../../../../runtime/secure/payments/roads/bridge-pipe.js'
import { createTlsRoad } from '../../../../../runtime/secure/payments/roads/tls-road.js'
import { developmentAuthority } from '../../../../../scripts/dev/factory/certificates.js'
import { until } from '../../../socket-pair.js'

const authority = developmentAuthority(join(t.testdir(), 'tls'))
const issued = authority.issue('acquirer', 'acquirer', 'server')
const pem = (file: string) => readFileSync(file, 'utf8')
/** An application data record (RFC 8446, 5.1) that no key has made. */
const FORGED = Buffer.concat([Buffer.from('1703030020', 'hex'), Buffer.alloc(32, 7)])
const never = new AbortController().signal

t.test('a forged record right behind the handshake ends the road and nothing else', async (t) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as SecureVersion[]) {
    const server = createServer({ key: pem(issued.key), cert: pem(issued.cert), maxVersion }, (socket) =>
      socket.on('error', () => undefined),
    )
    server.on('tlsClientError', () => undefined)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    for (const forgedAfter of [1, 2]) {
      const faults: unknown[] = []
      let chunks = 0
      let carried: Socket | undefined
      const pipes = createBridgePipes(() => ({
        'pipe.open': async () => {
          carried = connect((server.address() as AddressInfo).port, '127.0.0.1')
          carried.on('error', () => undefined)
          carried.on('data', (chunk) => {
            const bytes = ++chunks === forgedAfter ? Buffer.concat([chunk, FORGED]) : chunk
            const data = bytes.toString('base64')
            Promise.resolve()
              .then(() => pipes.methods['pipe.data']({ pipe: 1, data }, never))
              .catch((error: unknown) => faults.push(error))
          })
          return { pipe: 1 }
        },
        'pipe.write': async ({ data }) => {
          carried!.write(Buffer.from(data, 'base64'))
          return null
        },
        'pipe.close': async () => {
          carried!.destroy()
          return null
        },
      }))
      const road = createTlsRoad({
        carrier: (signal) => pipes.open('127.0.0.1', 1, signal),
        serverName: 'localhost',
        ca: pem(authority.ca),
        connectMs: 30_000,
      })
      const name = `${maxVersion}, behind chunk ${forgedAfter}`
      const opened = await road.open(never).catch((error: { code: string }) => error.code)
      if (typeof opened === 'string') t.equal(opened, 'ROAD_CLOSED', name)
      else await until(`${name}: the road ends`, () => opened.destroyed)
      t.strictSame(faults, [], `${name}: no fault of ours`)
      carried!.destroy()
    }
    await new Promise((resolve) => server.close(resolve))
  }
})
