// Asking the ledger: plain HTTP on loopback, for tests, the scenario player and people. Card numbers are masked.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Static, Type } from 'typebox'
import { PosternError } from '../../../hal/base/errors.js'
import { checker } from '../../../runtime/api/contract.js'
import type { Ledger } from './ledger.js'
import { verdict } from './verdict.js'

const MAX_BODY_BYTES = 64 * 1024

/** A terminal's own totals, to be held against the ledger. Without a batch, all its batches. */
export const VerdictRequest = Type.Object(
  {
    terminalId: Type.String(),
    /** ISO 4217 numeric, three digits. */
    currency: Type.String({ pattern: '^[0-9]{3}$' }),
    batch: Type.Optional(Type.String({ pattern: '^[0-9]{1,6}$' })),
    totals: Type.Object(
      {
        sales: Type.Integer({ minimum: 0 }),
        salesMinor: Type.String({ pattern: '^[0-9]+$' }),
        voids: Type.Integer({ minimum: 0 }),
        voidsMinor: Type.String({ pattern: '^[0-9]+$' }),
        refunds: Type.Optional(Type.Integer({ minimum: 0 })),
        refundsMinor: Type.Optional(Type.String({ pattern: '^[0-9]+$' })),
        refundVoids: Type.Optional(Type.Integer({ minimum: 0 })),
        refundVoidsMinor: Type.Optional(Type.String({ pattern: '^[0-9]+$' })),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)
export type VerdictRequest = Static<typeof VerdictRequest>

async function readBody(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request) {
    length += (part as Buffer).length
    if (length > MAX_BODY_BYTES) throw new PosternError('REQUEST_INVALID', 'the body is too long')
    parts.push(part as Buffer)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch (error) {
    throw new PosternError('REQUEST_INVALID', 'the body is not JSON', {}, error)
  }
}

async function answer(ledger: Ledger, request: IncomingMessage): Promise<unknown> {
  const url = new URL(request.url ?? '/', 'http://loopback')
  if (request.method === 'GET' && url.pathname === '/entries')
    return { entries: ledger.entries(url.searchParams.get('terminal') ?? undefined) }
  if (request.method === 'POST' && url.pathname === '/verdict') {
    const body = await readBody(request)
    const fault = checker(VerdictRequest)(body)
    if (fault !== undefined) throw new PosternError('REQUEST_INVALID', fault)
    const { terminalId, currency, batch, totals } = body as VerdictRequest
    const none = { refunds: 0, refundsMinor: '0', refundVoids: 0, refundVoidsMinor: '0' }
    return verdict({ ...none, ...totals }, ledger.totals(terminalId, currency, batch?.padStart(6, '0')))
  }
  throw new PosternError('REQUEST_INVALID', 'GET /entries[?terminal=ID] or POST /verdict')
}

export interface QueryServer {
  readonly port: number
  close(): Promise<void>
}

/** Serves `GET /entries` and `POST /verdict`. @throws PosternError `LISTEN_FAILED` */
export function startQueryServer(
  ledger: Ledger,
  listen: { readonly host: string; readonly port: number },
): Promise<QueryServer> {
  const reply = (response: ServerResponse, status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  const server = createServer((request, response) => {
    answer(ledger, request).then(
      (body) => reply(response, 200, body),
      (error: unknown) =>
        reply(response, error instanceof PosternError ? 400 : 500, {
          error: error instanceof Error ? error.message : String(error),
        }),
    )
  })
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new PosternError('LISTEN_FAILED', 'the ledger cannot be asked', {}, error)),
    )
    server.listen(listen.port, listen.host, () => {
      const address = server.address()
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        close: () =>
          new Promise((done) => {
            server.close(() => done())
            server.closeAllConnections()
          }),
      })
    })
  })
}
