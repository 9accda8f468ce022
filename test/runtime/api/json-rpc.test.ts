// The wire: framing, calls both ways, cancelling, and peers that mean harm.
import type { Socket } from 'node:net'
import t from 'tap'
import { PosternError } from '../../../hal/base/errors.js'
import {
  connectRpc,
  lineSplitter,
  MAX_IN_FLIGHT,
  MAX_LINE,
  RpcError,
  type RpcHandler,
} from '../../../runtime/api/json-rpc.js'
import { socketPair, until } from '../socket-pair.js'

/** A peer under test and the bare socket of whoever talks to it. */
async function bare(
  handlers: Record<string, RpcHandler>,
  onFault?: (method: string, error: unknown) => void,
) {
  const [near, far] = await socketPair()
  const peer = connectRpc(near, handlers, onFault)
  const lines: Record<string, unknown>[] = []
  far.on(
    'data',
    lineSplitter(
      1 << 24,
      (line) => lines.push(JSON.parse(line)),
      () => undefined,
    ),
  )
  far.on('error', () => undefined)
  const say = (message: unknown) => far.write(`${JSON.stringify(message)}\n`)
  return { peer, far, lines, say, end: () => ends(peer, far) }
}
function ends(peer: { close(): void }, far: Socket): void {
  peer.close()
  far.destroy()
}

t.test('calls in both directions over one socket, answers in any order', async (t) => {
  const [a, b] = await socketPair()
  const left = connectRpc(a, {
    twice: (params) => (params as number) * 2,
  })
  const right = connectRpc(b, {
    slow: async (params) => {
      await new Promise((resolve) => setTimeout(resolve, (params as { ms: number }).ms))
      return params
    },
    nothing: () => undefined,
  })
  const order: number[] = []
  await Promise.all(
    [60, 5, 30].map(async (ms) => {
      t.same(await left.call('slow', { ms }), { ms })
      order.push(ms)
    }),
  )
  t.same(order, [5, 30, 60])
  t.equal(await right.call('twice', 21), 42)
  t.equal(await left.call('nothing'), null, 'no result crosses as null')
  left.close('done here')
  t.equal(await left.closed, 'done here')
  t.equal(await right.closed, 'the peer is gone')
  await t.rejects(right.call('twice', 1), { code: 'DISCONNECTED' })
  await t.rejects(left.call('slow', { ms: 0 }), { code: 'DISCONNECTED' })
})

t.test('refusals carry their code; other faults only INTERNAL, and the host hears of them', async (t) => {
  const faults: string[] = []
  const secret = 'a text that must not cross'
  const [a, b] = await socketPair()
  const left = connectRpc(a, {})
  const right = connectRpc(
    b,
    {
      refuse: () => {
        throw new RpcError('NO_PAPER', 'put paper in')
      },
      fault: () => {
        throw new PosternError('DEVICE_LOST', 'the printer is gone')
      },
      bug: () => {
        throw new Error(secret)
      },
      nullThrow: () => {
        throw null
      },
      bigint: () => 1n,
      huge: () => 'x'.repeat(MAX_LINE),
    },
    (method, error) => faults.push(`${method}: ${error instanceof Error ? error.message : error}`),
  )
  await t.rejects(left.call('refuse'), { code: 'NO_PAPER', message: 'put paper in' })
  await t.rejects(left.call('fault'), { code: 'DEVICE_LOST', message: 'the printer is gone' })
  await t.rejects(left.call('bug'), { code: 'INTERNAL', message: 'bug failed' })
  await t.rejects(left.call('nullThrow'), { code: 'INTERNAL' }, 'a defect once: the process died')
  await t.rejects(left.call('bigint'), { code: 'INTERNAL' })
  await t.rejects(left.call('huge'), { code: 'TOO_LARGE' })
  await t.rejects(left.call('none'), { code: 'METHOD_NOT_FOUND' })
  await t.rejects(left.call('__proto__'), { code: 'METHOD_NOT_FOUND' })
  await t.rejects(left.call('refuse', 'x'.repeat(MAX_LINE)), { code: 'TOO_LARGE' })
  await t.rejects(left.call('refuse', { amount: 1n }), { code: 'INVALID_PARAMS' })
  t.equal(faults[0], `bug: ${secret}`)
  t.equal(faults.length, 3, 'refusals are no faults')
  left.close()
  await right.closed
})

t.test('a call that is cancelled rejects here and aborts there; a late answer is nobody’s', async (t) => {
  const [a, b] = await socketPair()
  let aborted = 0
  const left = connectRpc(a, {})
  const right = connectRpc(b, {
    wait: (_params, signal) =>
      new Promise((resolve) =>
        signal.addEventListener('abort', () => {
          aborted++
          resolve('too late')
        }),
      ),
    ping: () => 'pong',
  })
  const controller = new AbortController()
  const call = left.call('wait', null, controller.signal)
  await left.call('ping')
  controller.abort()
  await t.rejects(call, { code: 'ABORTED' })
  await until('abort over there', () => aborted === 1)
  t.equal(await left.call('ping'), 'pong', 'the connection lives on')
  await t.rejects(left.call('ping', null, controller.signal), { code: 'ABORTED' })

  const open = left.call('wait')
  await left.call('ping')
  right.close('restart')
  await t.rejects(open, { code: 'DISCONNECTED' })
  t.equal(aborted, 2, 'what was being served is aborted when the stream ends')
})

t.test('framing: exactly 64 KiB passes, a byte more ends it, byte by byte is the same', async (t) => {
  const { peer, lines, say, far } = await bare({ length: (params) => (params as string).length })
  const empty = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'length', params: '' }).length
  say({ jsonrpc: '2.0', id: 1, method: 'length', params: 'x'.repeat(MAX_LINE - empty) })
  await until('the answer', () => lines.length === 1)
  t.equal(lines[0]!['result'], MAX_LINE - empty)
  for (const byte of Buffer.from(
    `${JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'length', params: '四' })}\n`,
  ))
    far.write(Buffer.of(byte))
  await until('the second answer', () => lines.length === 2)
  t.equal(lines[1]!['result'], 1)
  say({ jsonrpc: '2.0', id: 3, method: 'length', params: 'x'.repeat(MAX_LINE - empty + 1) })
  t.match(await peer.closed, /over 64 KiB/)
  far.destroy()

  const heard: string[] = []
  let overflows = 0
  const split = lineSplitter(
    8,
    (line) => heard.push(line),
    () => overflows++,
  )
  for (const byte of Buffer.from('12345678\n\n1234')) split(Buffer.of(byte))
  split(Buffer.from('5678\nabc\n123456789'))
  split(Buffer.from('\nlater\n'))
  t.same(heard, ['12345678', '', '12345678', 'abc'])
  t.equal(overflows, 1, 'once, then deaf')
  const many: number[] = []
  const long = lineSplitter(
    MAX_LINE,
    (line) => many.push(line.length),
    () => undefined,
  )
  for (let i = 0; i < 5000; i++) long(Buffer.from('y'))
  long(Buffer.from('\n'))
  t.same(many, [5000])
})

t.test('a peer that breaks the protocol is disconnected', async (t) => {
  for (const line of [
    'not json',
    '[{"jsonrpc":"2.0","id":1,"method":"a"}]',
    'null',
    '7',
    '{"id":1,"method":"a"}',
    '{"jsonrpc":"1.0","method":"a"}',
    '{"jsonrpc":"2.0","id":null,"method":"a"}',
    '{"jsonrpc":"2.0","id":{},"method":"a"}',
    '{"jsonrpc":"2.0","id":1e999,"method":"a"}',
    `{"jsonrpc":"2.0","id":"${'i'.repeat(65)}","method":"a"}`,
  ]) {
    const { peer, far } = await bare({})
    far.write(`${line}\n`)
    t.match(await peer.closed, /the peer sent/, line.slice(0, 50))
    far.destroy()
  }
})

t.test('answers that make no sense are refused or ignored, never fatal', async (t) => {
  const { peer, lines, say, far, end } = await bare({})
  for (const [answer, code] of [
    [{ error: null, result: 5 }, undefined],
    [{ error: { message: { toString: 1 }, data: null } }, 'INTERNAL'],
    [{ error: 'a text' }, 'INTERNAL'],
    [{ error: { data: { code: 7 } } }, 'INTERNAL'],
    [{ error: { message: 'no', data: { code: 'PAPER_OUT' } } }, 'PAPER_OUT'],
    [{}, undefined],
  ] as const) {
    const call = peer.call('ask')
    const before = lines.length
    await until('the question', () => lines.length > before)
    say({ jsonrpc: '2.0', id: lines.at(-1)!['id'], ...answer })
    if (code === undefined) t.equal(await call, 'result' in answer ? 5 : undefined)
    else await t.rejects(call, { code })
  }
  say({ jsonrpc: '2.0', id: 999, result: 1 })
  say({ jsonrpc: '2.0' })
  say({ jsonrpc: '2.0', method: '$/cancel', params: null })
  say({ jsonrpc: '2.0', method: '$/cancel', params: { id: ['x'] } })
  say({ jsonrpc: '2.0', method: 'unknown-notification' })
  far.write('\n\n')
  say({ jsonrpc: '2.0', id: 'last', method: '$/cancel', params: { id: 'nothing' } })
  await until('an answer to the last', () => lines.at(-1)!['id'] === 'last')
  end()
})

t.test('floods are bounded: requests, notifications, one id twice, own calls', async (t) => {
  let running = 0
  let most = 0
  const release: (() => void)[] = []
  const { peer, lines, say, end } = await bare({
    hold: () => {
      most = Math.max(most, ++running)
      return new Promise<void>((resolve) =>
        release.push(() => {
          running--
          resolve()
        }),
      )
    },
  })
  for (let id = 0; id < MAX_IN_FLIGHT + 10; id++) say({ jsonrpc: '2.0', id, method: 'hold' })
  await until('ten refusals', () => lines.length === 10)
  t.ok(lines.every((line) => (line['error'] as { data: { code: string } }).data.code === 'TOO_MANY_REQUESTS'))
  for (const free of release.splice(0)) free()
  await until('the rest', () => lines.length === MAX_IN_FLIGHT + 10)

  for (let i = 0; i < 1000; i++) say({ jsonrpc: '2.0', method: 'hold' })
  say({ jsonrpc: '2.0', id: 'mark', method: 'none' })
  await until('the mark', () => lines.at(-1)!['id'] === 'mark')
  t.equal(most, MAX_IN_FLIGHT, 'notifications count too')
  for (const free of release.splice(0)) free()

  say({ jsonrpc: '2.0', id: 'same', method: 'hold' })
  say({ jsonrpc: '2.0', id: 'same', method: 'hold' })
  await until('the refusal of the second', () => lines.at(-1)!['id'] === 'same')
  t.ok(lines.at(-1)!['error'])

  const calls = Array.from({ length: MAX_IN_FLIGHT }, () => peer.call('never'))
  await t.rejects(peer.call('never'), { code: 'TOO_MANY_REQUESTS' })
  end()
  for (const call of calls) await t.rejects(call, { code: 'DISCONNECTED' })
})

t.test('a peer that sends and never reads is disconnected before it costs memory', async (t) => {
  const { peer, far } = await bare({ big: () => 'z'.repeat(60_000) })
  far.pause()
  far.removeAllListeners('data')
  let open = true
  void peer.closed.then(() => {
    open = false
  })
  for (let id = 0; open && id < 2000; id++) {
    far.write(`${JSON.stringify({ jsonrpc: '2.0', id, method: 'big' })}\n`)
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(await peer.closed, 'the peer does not read')
  far.destroy()
})
