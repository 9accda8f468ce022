// From the development gateway to an acquirer: a TLS line of its own for each message, open a while for late answers.
import { readFileSync } from 'node:fs'
import { connect, type TLSSocket } from 'node:tls'
import type { Log } from '../../../hal/base/log.js'
import { DEFAULT_FRAMING, Deframer, frame } from '../../../runtime/secure/payments/iso8583/framing.js'
import type { GatewayAcquirer } from './config.js'
import type { Forward } from './gateway.js'

const LINGER_MS = 10_000
/** Lines at once; a message beyond it is not forwarded. */
const MAX_LINES = 64

export interface Forwarder {
  readonly forward: Forward
  close(): void
}

/** Every frame that comes back is an answer under the request's id: the first ends the terminal's turn. */
export function createForwarder(
  acquirers: readonly GatewayAcquirer[],
  lingerMs = LINGER_MS,
  log: Pick<Log, 'warn'>,
): Forwarder {
  const targets = new Map(
    acquirers.map(({ tls, ...acquirer }) => [
      acquirer.id,
      {
        ...acquirer,
        tls: {
          servername: tls.serverName,
          ca: readFileSync(tls.ca),
          ...(tls.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
          ...(tls.key === undefined ? {} : { key: readFileSync(tls.key) }),
        },
      },
    ]),
  )
  const lines = new Set<TLSSocket>()
  return {
    forward(request, message, reply) {
      const target = targets.get(request.acquirer)
      if (target === undefined || lines.size >= MAX_LINES) {
        log.warn('not forwarded', { acquirer: request.acquirer, terminal: request.terminalId })
        return Promise.resolve()
      }
      const { host, port, tls, tpdu, framing = DEFAULT_FRAMING } = target
      return new Promise((done) => {
        const line = connect({ host, port, ...tls, minVersion: 'TLSv1.2' }, () =>
          line.write(frame(tpdu, message, framing)),
        )
        lines.add(line)
        const reader = new Deframer(undefined, framing)
        let timer: NodeJS.Timeout | undefined
        line.on('data', (bytes) => {
          try {
            for (const arrived of reader.push(bytes)) reply(arrived.message)
          } catch {
            line.destroy()
          }
          timer ??= setTimeout(() => line.destroy(), lingerMs)
          done()
        })
        line.on('error', (error) => log.warn('line lost', { acquirer: request.acquirer, why: error.message }))
        line.on('close', () => {
          clearTimeout(timer)
          lines.delete(line)
          done()
        })
        // Nothing is waited for longer than an envelope lives; what is later than that nobody takes for an answer.
        line.setTimeout(Math.max(request.expiresAtMs - Date.now(), 0) + lingerMs, () => line.destroy())
      })
    },
    close() {
      for (const line of lines) line.destroy()
    },
  }
}
