// The acquirer's line: TLS, framing, and the ways an answer can go wrong on its way.
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { PosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import {
  Deframer,
  type Frame,
  type Framing,
  frame,
} from '../../../runtime/secure/payments/iso8583/framing.js'
import type { AcquirerHost, Answer } from './acquirer-host.js'

/** Terminals at once; a line that says nothing for so long is closed. */
const MAX_LINES = 64
const IDLE_MS = 300_000

export interface AcquirerServer {
  readonly port: number
  close(): Promise<void>
}

export interface ServerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly tls: Pick<TlsOptions, 'key' | 'cert' | 'ca'>
  readonly host: AcquirerHost
  readonly lateMs: number
  readonly framing: Framing
  readonly log: Log
}

/** Opens the line. @throws PosternError `LISTEN_FAILED` */
export function startAcquirerServer(options: ServerOptions): Promise<AcquirerServer> {
  const { host, log, lateMs, framing } = options
  const lines = new Set<TLSSocket>()
  const timers = new Set<NodeJS.Timeout>()

  function send(line: TLSSocket, bytes: Uint8Array): void {
    if (line.writable) line.write(bytes)
  }

  function deliver(line: TLSSocket, request: Frame, answer: Answer): void {
    const { source, destination } = request.tpdu
    const bytes = frame({ destination: source, source: destination }, answer.bytes, framing)
    switch (answer.delivery) {
      case 'normal':
      case 'badMac':
      case 'unreadable':
        return send(line, bytes)
      case 'twice':
        send(line, bytes)
        return send(line, bytes)
      case 'silent':
        return
      case 'late': {
        const timer = setTimeout(() => {
          timers.delete(timer)
          send(line, bytes)
        }, lateMs)
        timers.add(timer)
        return
      }
      case 'dropMidReply':
        // The half has left before the line breaks: `end` would flush, `destroy` alone could take it back.
        line.write(bytes.subarray(0, bytes.length >> 1), () => line.destroy())
        return
      case 'dropBeforeReply':
        line.destroy()
    }
  }

  async function serve(line: TLSSocket): Promise<void> {
    const reader = new Deframer(undefined, framing)
    for await (const chunk of line) {
      for (const request of reader.push(chunk as Uint8Array)) {
        const answer = await host.handle(request.message)
        if (answer === undefined) return void line.destroy()
        deliver(line, request, answer)
      }
    }
  }

  const mutual = options.tls.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true }
  const server = createServer({ ...options.tls, ...mutual, minVersion: 'TLSv1.2' }, (line) => {
    if (lines.size >= MAX_LINES) return void line.destroy()
    lines.add(line)
    line.setTimeout(IDLE_MS, () => line.destroy())
    line.on('close', () => lines.delete(line))
    line.on('error', () => undefined)
    serve(line).catch((error: unknown) => {
      log.warn('line lost', { why: error instanceof Error ? error.message : String(error) })
      line.destroy()
    })
  })
  server.on('tlsClientError', (error: Error) => log.warn('tls refused', { why: error.message }))

  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new PosternError('LISTEN_FAILED', 'the acquirer cannot listen', {}, error)),
    )
    server.listen(options.listen.port, options.listen.host, () => {
      const address = server.address()
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        close: () =>
          new Promise((done) => {
            for (const timer of timers) clearTimeout(timer)
            for (const line of lines) line.destroy()
            server.close(() => done())
          }),
      })
    })
  })
}
