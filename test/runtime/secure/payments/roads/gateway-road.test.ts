// The gateway's contract: correlation, expiry, one message of a terminal at a time, reversed originals refused for ever.
import t from 'tap'
import type { ExchangeRequest } from '../../../../../runtime/secure/payments/host-line.js'
import type {
  GatewayAnswer,
  GatewayRequest,
} from '../../../../../runtime/secure/payments/roads/gateway-contract.js'
import { createGatewayLine } from '../../../../../runtime/secure/payments/roads/gateway-road.js'
import { createGateway } from '../../../../../scripts/dev/gateway/gateway.js'
import { settle, testClock } from '../support.js'

const SIGNAL = new AbortController().signal

function setUp(forward: (message: Uint8Array) => Promise<Uint8Array | undefined> = async (bytes) => bytes) {
  const clock = testClock()
  const listeners = new Set<(message: unknown) => void>()
  const forwarded: string[] = []
  const strays: string[] = []
  const held: GatewayRequest[] = []
  const road = { connected: true, holding: false }
  const tell = (message: unknown) => {
    for (const listener of listeners) listener(message)
  }
  const gateway = createGateway({
    clock,
    answer: tell,
    forward: (message) => {
      forwarded.push(Buffer.from(message).toString())
      return forward(message)
    },
  })
  let ids = 0
  const line = createGatewayLine(
    {
      acquirer: 'dev',
      terminalId: 'TERM0001',
      hostMs: 1000,
      newId: () => `id-${++ids}`,
      clock,
      transport: {
        connected: () => road.connected,
        send(request) {
          if (road.holding) held.push(request)
          else void gateway.take(JSON.parse(JSON.stringify(request)))
        },
        onMessage(listener) {
          listeners.add(listener)
          return () => listeners.delete(listener)
        },
      },
    },
    (bytes) => strays.push(Buffer.from(bytes).toString()),
  )
  const sent: string[] = []
  const ask = (text: string, about = { subject: text, reversal: false }) =>
    line.exchange(
      {
        fresh: false,
        build: async () => Buffer.from(text),
        beforeSend: () => void sent.push(text),
        judge: async (bytes) => ({ kind: 'answer', value: Buffer.from(bytes).toString() }),
        about: () => about,
      } satisfies ExchangeRequest<string>,
      SIGNAL,
    )
  return { clock, gateway, line, ask, road, held, forwarded, strays, sent, tell }
}

t.test('an exchange: the same bytes there and back; without a gateway nothing is sent', async (t) => {
  const { ask, road, sent, forwarded } = setUp()
  t.same(await ask('sale'), { kind: 'answered', value: 'sale' })
  road.connected = false
  t.same(await ask('later'), { kind: 'notSent', reason: 'ROAD_CLOSED' })
  t.same([sent, forwarded], [['sale'], ['sale']])
})

t.test('what was held beyond its expiry is refused and never forwarded', async (t) => {
  const { clock, gateway, ask, road, held, forwarded } = setUp()
  road.holding = true
  const asked = ask('sale')
  await settle()
  clock.advance(1000)
  t.same(await asked, { kind: 'unknown', cause: 'timeout' })
  await gateway.take(held[0])
  t.same(forwarded, [])
})

t.test('a reversal overtakes its original: the original is refused whenever it comes', async (t) => {
  const { clock, gateway, ask, road, held, forwarded } = setUp()
  road.holding = true
  const asked = ask('sale', { subject: 'payment 1', reversal: false })
  await settle()
  clock.advance(1000)
  t.match(await asked, { kind: 'unknown' })
  road.holding = false
  t.same(await ask('reversal', { subject: 'payment 1', reversal: true }), {
    kind: 'answered',
    value: 'reversal',
  })
  await gateway.take({ ...held[0]!, expiresAtMs: Number.MAX_SAFE_INTEGER })
  t.same(forwarded, ['reversal'], 'even with time left')
  t.same(await ask('again', { subject: 'payment 1', reversal: true }), { kind: 'answered', value: 'again' })
  t.match(
    await ask('sale', { subject: 'payment 1', reversal: false }),
    { kind: 'unknown', cause: 'lineLost' },
    'a refusal after SENT is not "not sent": it is taken back',
  )
})

t.test('one message of a terminal at a time; one of another goes on', async (t) => {
  const release: (() => void)[] = []
  const answers: GatewayAnswer[] = []
  const order: string[] = []
  const gateway = createGateway({
    clock: testClock(),
    answer: (answer) => answers.push(answer),
    forward: (message) => {
      order.push(Buffer.from(message).toString())
      return new Promise((resolve) => release.push(() => resolve(message)))
    },
  })
  const envelope = (id: string, terminalId: string): GatewayRequest => ({
    id,
    acquirer: 'dev',
    terminalId,
    subject: id,
    reversal: false,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    payload: Buffer.from(id).toString('base64'),
  })
  const all = [
    gateway.take(envelope('a1', 'TERM0001')),
    gateway.take(envelope('a2', 'TERM0001')),
    gateway.take(envelope('b1', 'TERM0002')),
    gateway.take({ ...envelope('x', 'TERM0001'), payload: '?' }),
  ]
  await settle()
  t.same(order, ['a1', 'b1'])
  release[0]!()
  await settle()
  t.same(order, ['a1', 'b1', 'a2'])
  for (const one of release) one()
  await Promise.all(all)
  t.same(answers.map(({ id }) => id).sort(), ['a1', 'a2', 'b1'], 'what is no envelope is dropped')
})

t.test('late and double answers are strays; what is no answer is ignored', async (t) => {
  const { ask, tell, strays, line } = setUp()
  await ask('sale')
  tell({ id: 'id-1', kind: 'answered', payload: Buffer.from('late').toString('base64') })
  tell({ id: 'id-1', kind: 'answered' })
  tell('nonsense')
  t.same(strays, ['late'])
  line.close()
  tell({ id: 'id-1', kind: 'answered', payload: '' })
  t.equal(strays.length, 1)
})
