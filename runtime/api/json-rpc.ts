// JSON-RPC 2.0 over any duplex stream: one object a line of at most 64 KiB, bounded before it is parsed.
import type { Duplex } from 'node:stream'

/** Longest line accepted or sent, in bytes without the newline. */
export const MAX_LINE = 64 * 1024
/** Requests that one side may have open at once. */
export const MAX_IN_FLIGHT = 256
/** Bytes that may wait for a peer that does not read; past them it is disconnected. */
export const MAX_UNSENT = 4 * 1024 * 1024
/** Longest text that a peer may choose as the id of a request. */
const MAX_ID = 64

/** An error that crosses the wire: a literal `code` that callers switch on, and a message for people. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** Serves one method. Throw `RpcError` to refuse; any other throw reaches the peer as `INTERNAL` without its text. */
export type RpcHandler = (params: unknown, signal: AbortSignal) => unknown

export interface RpcPeer {
  /** Calls the peer. Rejects with `RpcError`; `DISCONNECTED` when the stream ends first; an abort cancels there too. */
  call(method: string, params?: unknown, signal?: AbortSignal): Promise<unknown>
  /** Sends without an answer. Dropped silently when the stream is gone. */
  notify(method: string, params?: unknown): void
  /** Resolves with the reason once the stream has ended or the peer broke the protocol. */
  readonly closed: Promise<string>
  close(reason?: string): void
}

interface Message {
  jsonrpc?: unknown
  id?: unknown
  method?: unknown
  params?: unknown
  result?: unknown
  error?: unknown
}

function isId(id: unknown): id is string | number {
  return typeof id === 'string' ? id.length <= MAX_ID : Number.isSafeInteger(id)
}

/** What a handler's throw may say to the peer; undefined for a fault of our own. */
function refusal(error: unknown): { readonly code: string; readonly message: string } | undefined {
  if (error instanceof RpcError) return error
  // By name, as this room imports nothing: a PosternError's message and code are safe to tell.
  if (error instanceof Error && error.name === 'PosternError' && 'code' in error) {
    return { code: String(error.code), message: error.message }
  }
  return undefined
}

/** Splits a byte stream into lines of at most `max` bytes; `onOverflow` once, then it stays deaf. */
export function lineSplitter(
  max: number,
  onLine: (line: string) => void,
  onOverflow: () => void,
): (chunk: Buffer) => void {
  let parts: Buffer[] = []
  let held = 0
  let deaf = false
  return (chunk) => {
    let from = 0
    while (!deaf && from < chunk.length) {
      const newline = chunk.indexOf(10, from)
      const end = newline < 0 ? chunk.length : newline
      held += end - from
      if (held > max) {
        deaf = true
        parts = []
        return onOverflow()
      }
      parts.push(chunk.subarray(from, end))
      if (newline < 0) {
        // A line that comes byte by byte would else cost a buffer object a byte.
        if (parts.length > 256) parts = [Buffer.concat(parts)]
        return
      }
      const line = Buffer.concat(parts).toString('utf8')
      parts = []
      held = 0
      from = newline + 1
      onLine(line)
    }
  }
}

/**
 * Speaks JSON-RPC on `stream` and serves `handlers` (methods and notifications alike; no batches).
 * A peer that breaks the framing or the protocol is disconnected; a handler's fault is answered, never fatal.
 * `onFault` hears of throws that are not refusals, whose text never crosses the wire.
 */
export function connectRpc(
  stream: Duplex,
  handlers: Readonly<Record<string, RpcHandler>>,
  onFault: (method: string, error: unknown) => void = () => undefined,
): RpcPeer {
  const calls = new Map<number, { resolve: (value: unknown) => void; reject: (error: RpcError) => void }>()
  const serving = new Map<string | number, AbortController>()
  let nextId = 1
  let open = true
  const running = new Set<AbortController>()
  let resolveClosed: (reason: string) => void
  const closed = new Promise<string>((resolve) => {
    resolveClosed = resolve
  })

  const close = (reason = 'closed') => {
    if (!open) return
    open = false
    for (const controller of running) controller.abort()
    for (const pending of calls.values())
      pending.reject(new RpcError('DISCONNECTED', `connection ended: ${reason}`))
    calls.clear()
    serving.clear()
    stream.destroy()
    resolveClosed(reason)
  }
  const send = (message: object): boolean => {
    const line = JSON.stringify(message)
    if (Buffer.byteLength(line) > MAX_LINE) return false
    if (open) {
      stream.write(`${line}\n`)
      if (stream.writableLength > MAX_UNSENT) close('the peer does not read')
    }
    return true
  }

  async function serve(id: string | number | undefined, method: string, params: unknown): Promise<void> {
    if (method === '$/cancel') {
      const target = (params as { id?: string | number } | null | undefined)?.id
      if (target !== undefined) serving.get(target)?.abort()
      if (id !== undefined) send({ jsonrpc: '2.0', id, result: null })
      return
    }
    const fail = (code: string, message: string) => {
      const number = code === 'METHOD_NOT_FOUND' ? -32601 : code === 'INVALID_PARAMS' ? -32602 : -32000
      if (id !== undefined) send({ jsonrpc: '2.0', id, error: { code: number, message, data: { code } } })
    }
    const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined
    if (handler === undefined) return fail('METHOD_NOT_FOUND', `no method ${method.slice(0, 64)}`)
    if (running.size >= MAX_IN_FLIGHT || (id !== undefined && serving.has(id))) {
      return fail(
        'TOO_MANY_REQUESTS',
        `at most ${MAX_IN_FLIGHT} requests at once, each with an id of its own`,
      )
    }
    const controller = new AbortController()
    if (id !== undefined) serving.set(id, controller)
    running.add(controller)
    try {
      const result = (await handler(params, controller.signal)) ?? null
      if (id !== undefined && !send({ jsonrpc: '2.0', id, result }))
        fail('TOO_LARGE', 'the answer is over 64 KiB')
    } catch (error) {
      const fault = refusal(error)
      if (fault === undefined) onFault(method, error)
      fail(fault?.code ?? 'INTERNAL', fault?.message.slice(0, 1000) ?? `${method} failed`)
    } finally {
      running.delete(controller)
      if (id !== undefined) serving.delete(id)
    }
  }

  function receive(line: string): void {
    if (!open || line === '') return
    let message: Message
    try {
      message = JSON.parse(line) as Message
    } catch {
      return close('the peer sent a line that is not JSON')
    }
    if (typeof message !== 'object' || message === null || message.jsonrpc !== '2.0') {
      return close('the peer sent a line that is not JSON-RPC 2.0')
    }
    const { id, method } = message
    if (typeof method === 'string') {
      if (id !== undefined && !isId(id)) return close('the peer sent a bad id')
      void serve(id, method, message.params)
      return
    }
    const pending = typeof id === 'number' ? calls.get(id) : undefined
    if (pending === undefined || typeof id !== 'number') return // answered after we cancelled it
    calls.delete(id)
    if (message.error === undefined || message.error === null) return pending.resolve(message.result)
    const { message: text, data } = message.error as { message?: unknown; data?: { code?: unknown } | null }
    pending.reject(
      new RpcError(
        typeof data?.code === 'string' ? data.code : 'INTERNAL',
        typeof text === 'string' ? text : 'failed',
      ),
    )
  }

  stream.on(
    'data',
    lineSplitter(MAX_LINE, receive, () => close('the peer sent a line over 64 KiB')),
  )
  stream.on('error', (error: Error) => close(error.message))
  stream.on('close', () => close('the peer is gone'))
  stream.on('end', () => close('the peer is gone'))

  return {
    closed,
    close,
    notify: (method, params) => void send({ jsonrpc: '2.0', method, params }),
    call: (method, params, signal) =>
      new Promise((resolve, reject) => {
        if (!open) return reject(new RpcError('DISCONNECTED', 'connection ended'))
        if (signal?.aborted) return reject(new RpcError('ABORTED', 'cancelled'))
        if (calls.size >= MAX_IN_FLIGHT)
          return reject(new RpcError('TOO_MANY_REQUESTS', 'too many calls open'))
        const id = nextId++
        const onAbort = () => {
          calls.delete(id)
          send({ jsonrpc: '2.0', method: '$/cancel', params: { id } })
          reject(new RpcError('ABORTED', 'cancelled'))
        }
        const settle = () => signal?.removeEventListener('abort', onAbort)
        calls.set(id, {
          resolve: (value) => {
            settle()
            resolve(value)
          },
          reject: (error) => {
            settle()
            reject(error)
          },
        })
        signal?.addEventListener('abort', onAbort, { once: true })
        const refuse = (code: string, message: string) => {
          calls.delete(id)
          settle()
          reject(new RpcError(code, message))
        }
        try {
          if (!send({ jsonrpc: '2.0', id, method, params })) refuse('TOO_LARGE', 'the request is over 64 KiB')
        } catch {
          refuse('INVALID_PARAMS', `the parameters of ${method} do not fit JSON`)
        }
      }),
  }
}
