// Pipes over the bridge: order, back-pressure both ways, what arrives early, and every way a pipe ends.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { RpcError } from '../../../../../runtime/api/json-rpc.js'
import { createBridgePipes } from '../../../../../runtime/secure/payments/roads/bridge-pipe.js'
import { settle } from '../support.js'

const never = new AbortController().signal

/** An open world whose answers the test gives. */
function openWorld() {
  const written: Buffer[] = []
  const closed: number[] = []
  let next = 1
  let opening: Promise<{ pipe: number }> | undefined
  let writing: () => Promise<null> = async () => null
  const remote = {
    'pipe.open': () => opening ?? Promise.resolve({ pipe: next++ }),
    'pipe.write': async ({ data }: { pipe: number; data: string }) => {
      written.push(Buffer.from(data, 'base64'))
      return writing()
    },
    'pipe.close': async ({ pipe }: { pipe: number }) => {
      closed.push(pipe)
      return null
    },
  }
  const state = { present: true }
  const pipes = createBridgePipes(() => (state.present ? remote : undefined))
  return {
    pipes,
    written,
    closed,
    state,
    openWith: (promise: Promise<{ pipe: number }>) => {
      opening = promise
    },
    writeWith: (how: () => Promise<null>) => {
      writing = how
    },
  }
}

t.test('writes leave in order, in frames of at most 32 KiB, one after another', async (t) => {
  const { pipes, written, writeWith } = openWorld()
  const pipe = await pipes.open('host', 1, never)
  let underWay = 0
  let most = 0
  writeWith(async () => {
    most = Math.max(most, ++underWay)
    await settle(1)
    underWay--
    return null
  })
  const bytes = randomBytes(100_000)
  await new Promise<void>((resolve) => pipe.write(bytes, () => resolve()))
  t.ok(written.every(({ length }) => length <= 32 * 1024))
  t.equal(most, 1)
  t.ok(Buffer.concat(written).equals(bytes))
  pipe.destroy()
})

t.test('a reader that does not read holds the sender back', async (t) => {
  const { pipes } = openWorld()
  const pipe = await pipes.open('host', 1, never)
  const bytes = randomBytes(32 * 1024)
  let taken = 0
  const send = async () => {
    for (let i = 0; i < 6; i++) {
      await pipes.methods['pipe.data']({ pipe: 1, data: bytes.toString('base64') }, never)
      taken++
    }
    await pipes.methods['pipe.closed']({ pipe: 1, reason: 'done' }, never)
  }
  const sending = send()
  await settle()
  t.ok(taken <= 1, `${taken} frames were taken with nobody reading`)
  const received: Buffer[] = []
  for await (const chunk of pipe) received.push(chunk as Buffer)
  await sending
  t.ok(Buffer.concat(received).equals(Buffer.concat(Array(6).fill(bytes))))
})

t.test('what arrives before the opening is answered is kept, within bounds', async (t) => {
  const { pipes, openWith } = openWorld()
  let answer = (_: { pipe: number }) => {}
  openWith(new Promise((resolve) => (answer = resolve)))
  const opening = pipes.open('host', 1, never)
  for (const text of ['one ', 'two '])
    await pipes.methods['pipe.data']({ pipe: 7, data: Buffer.from(text).toString('base64') }, never)
  for (let i = 0; i < 20; i++) await pipes.methods['pipe.data']({ pipe: 9, data: '' }, never)
  await pipes.methods['pipe.closed']({ pipe: 9, reason: 'x' }, never)
  answer({ pipe: 7 })
  const pipe = await opening
  await pipes.methods['pipe.closed']({ pipe: 7, reason: 'end' }, never)
  const received: Buffer[] = []
  for await (const chunk of pipe) received.push(chunk as Buffer)
  t.equal(Buffer.concat(received).toString(), 'one two ')
})

t.test('a pipe ends: closed here, closed there, refused write, and the open world gone', async (t) => {
  const { pipes, closed, writeWith, state } = openWorld()
  const first = await pipes.open('host', 1, never)
  first.destroy()
  await settle()
  t.strictSame(closed, [1], 'closed there once it is closed here')
  t.equal(await pipes.methods['pipe.data']({ pipe: 1, data: 'AAAA' }, never), null, 'late bytes are dropped')

  const second = await pipes.open('host', 1, never)
  writeWith(() => Promise.reject(new RpcError('PIPE_CLOSED', 'gone')))
  const failure = new Promise((resolve) => second.once('error', resolve))
  second.write('x')
  t.match(await failure, { code: 'ROAD_CLOSED' })

  const third = await pipes.open('host', 1, never)
  const ended = new Promise((resolve) => third.once('close', resolve))
  pipes.disconnected()
  await ended
  state.present = false
  await t.rejects(pipes.open('host', 1, never), { code: 'ROAD_CLOSED' })
})

t.test('an opening that fails or is cancelled says which', async (t) => {
  const { pipes, openWith } = openWorld()
  openWith(Promise.reject(new RpcError('CONNECT_FAILED', 'refused')))
  await t.rejects(pipes.open('host', 1, never), { code: 'ROAD_CLOSED' })
  openWith(Promise.reject(new RpcError('ABORTED', 'cancelled')))
  await t.rejects(pipes.open('host', 1, AbortSignal.abort()), { code: 'ABORTED' })
})
