// The gateway's contract: correlation, expiry, one message of a terminal at a time, reversed originals refused for ever;
// and several roads to one acquirer: the next only while nothing has left.
import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../../../../../hal/base/log.js'
import type { GatewayAnswer, GatewayRequest } from '../../../../../runtime/bridge/gateway.js'
import { createAcquirerClient } from '../../../../../runtime/secure/payments/acquirer-client.js'
import type { Exchange, ExchangeRequest, HostLine } from '../../../../../runtime/secure/payments/host-line.js'
import { unpack } from '../../../../../runtime/secure/payments/iso8583/codec.js'
import { hostDialect } from '../../../../../runtime/secure/payments/iso8583/dialects/host-dialects.js'
import { fromFields, toFields } from '../../../../../runtime/secure/payments/iso8583/host-message.js'
import { packWithMac } from '../../../../../runtime/secure/payments/iso8583/mac.js'
import { createGatewayLine } from '../../../../../runtime/secure/payments/roads/gateway-road.js'
import type { RoadKind, SentOver } from '../../../../../runtime/secure/payments/roads/road.js'
import { createRoadsLine } from '../../../../../runtime/secure/payments/roads/roads-line.js'
import { createGateway, type Forward } from '../../../../../scripts/dev/gateway/gateway.js'
import { forgetfulMemory, openReversedMemory } from '../../../../../scripts/dev/gateway/reversed-memory.js'
import { answerTo, facts, KSN } from '../../../../fuzz/support/host-messages.js'
import { settle, testClock } from '../support.js'

const SIGNAL = new AbortController().signal

const echo: Forward = async (_request, message, reply) => reply(message)

function setUp(forward: Forward = echo) {
  const clock = testClock()
  const listeners = new Set<(message: unknown) => void>()
  const forwarded: string[] = []
  const strays: string[] = []
  const held: GatewayRequest[] = []
  const road = { connected: true, holding: false, losing: false }
  const tell = (message: unknown) => {
    for (const listener of listeners) listener(message)
  }
  const gateway = createGateway({
    clock,
    reversed: forgetfulMemory(),
    answer: tell,
    forward: (request, message, reply) => {
      forwarded.push(Buffer.from(message).toString())
      return forward(request, message, reply)
    },
  })
  let ids = 0
  const line = createGatewayLine(
    {
      acquirer: 'dev',
      terminalId: 'TERM0001',
      hostMs: 1000,
      random: (length) => new Uint8Array(length).fill(++ids),
      clock,
      transport: {
        connected: () => road.connected,
        async send(request) {
          if (road.losing) throw new Error('the open world fell over')
          if (road.holding) held.push(request)
          else void gateway.take(JSON.parse(JSON.stringify(request)))
        },
        onState: () => () => undefined,
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
  await gateway.take({ ...held[0]!, expiresAtMs: clock.nowMs() + 60_000 })
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
  const clock = testClock()
  const gateway = createGateway({
    clock,
    reversed: forgetfulMemory(),
    answer: (answer) => void answers.push(answer),
    forward: (_request, message, reply) => {
      order.push(Buffer.from(message).toString())
      return new Promise((resolve) =>
        release.push(() => {
          reply(message)
          resolve()
        }),
      )
    },
  })
  const envelope = (id: string, terminalId: string): GatewayRequest => ({
    id,
    acquirer: 'dev',
    terminalId,
    subject: id,
    reversal: false,
    expiresAtMs: clock.nowMs() + 60_000,
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
  for (const one of release.slice(1)) one()
  await Promise.all(all)
  t.same(answers.map(({ id }) => id).sort(), ['a1', 'a2', 'b1'], 'what is no envelope is dropped')
})

t.test(
  'late and double answers are strays, also from before a restart; others are none of ours',
  async (t) => {
    const { ask, tell, strays, line } = setUp(async (_request, message, reply) => {
      reply(message)
      reply(Buffer.from('twice'))
    })
    await ask('sale')
    const answered = (id: string, text: string) =>
      tell({ id, kind: 'answered', payload: Buffer.from(text).toString('base64') })
    answered(`dev-${'01'.repeat(12)}`, 'late')
    answered(`dev-${'AB'.repeat(12)}`, 'of another day')
    answered(`other-${'01'.repeat(12)}`, 'for another acquirer')
    answered(`dev-2-${'01'.repeat(12)}`, 'for one whose name begins like ours')
    tell({ id: `dev-${'01'.repeat(12)}`, kind: 'answered' })
    tell('nonsense')
    t.same(strays, ['twice', 'late', 'of another day'])
    line.close()
    answered(`dev-${'01'.repeat(12)}`, 'later')
    t.equal(strays.length, 3)
  },
)

t.test('what the open world fails to hand over may have left all the same', async (t) => {
  const { ask, road, sent } = setUp()
  road.losing = true
  t.same(await ask('sale'), { kind: 'unknown', cause: 'lineLost' })
  t.same(sent, ['sale'])
})

t.test(
  'a gateway waits for an acquirer no longer than the message lives, and takes none that lives too long',
  async (t) => {
    const { clock, ask, forwarded, gateway, tell } = setUp(() => new Promise(() => undefined))
    const asked = ask('sale')
    await settle()
    clock.advance(1000)
    t.match(await asked, { cause: 'timeout' })
    const next = ask('reversal', { subject: 'sale', reversal: true })
    await settle()
    t.same(forwarded, ['sale', 'reversal'], 'the silent one no longer holds the turn')
    clock.advance(1000)
    await next
    t.ok(tell)
    await gateway.take({
      id: 'x',
      acquirer: 'dev',
      terminalId: 'TERM0001',
      subject: 'long',
      reversal: false,
      expiresAtMs: clock.nowMs() + 3_600_000,
      payload: '',
    })
    t.equal(forwarded.length, 2)
  },
)

t.test('a gateway that was started again still refuses what was reversed', async (t) => {
  const path = join(t.testdir(), 'reversed')
  const first = openReversedMemory(path)
  first.add('dev TERM0001 payment 1')
  first.close()
  const second = openReversedMemory(path)
  t.ok(second.has('dev TERM0001 payment 1'))
  t.notOk(second.has('dev TERM0001 payment'))
  second.add('dev TERM0001 payment 2')
  second.close()
  const third = openReversedMemory(path)
  t.ok(third.has('dev TERM0001 payment 1') && third.has('dev TERM0001 payment 2'))
  third.close()
})

t.test('several roads: the next only where nothing was sent, and never after beforeSend', async (t) => {
  const clock = testClock()
  const tried: string[] = []
  const does: Record<string, 'shut' | 'silent' | 'answers' | 'noKeys'> = { tls: 'shut', gateway: 'answers' }
  const road = (kind: 'tls' | 'gateway'): { kind: typeof kind; line: HostLine } => ({
    kind,
    line: {
      close: () => void tried.push(`close ${kind}`),
      async exchange<T>(request: ExchangeRequest<T>): Promise<Exchange<T>> {
        tried.push(kind)
        if (does[kind] === 'shut') return { kind: 'notSent', reason: 'ROAD_CLOSED' }
        if (does[kind] === 'noKeys') return { kind: 'notSent', reason: 'KEY_UNAVAILABLE' }
        request.beforeSend({ road: kind })
        if (does[kind] === 'silent') return { kind: 'unknown', cause: 'timeout' }
        return { kind: 'answered', value: kind as T }
      },
    },
  })
  const line = createRoadsLine([road('tls'), road('gateway')], clock)
  const ask = async (more: Partial<ExchangeRequest<string>> = {}) => {
    tried.length = 0
    const answer = await line.exchange<string>(
      {
        fresh: true,
        build: async () => new Uint8Array(),
        beforeSend: () => undefined,
        judge: async () => ({ kind: 'stray' }),
        ...more,
      },
      SIGNAL,
    )
    return [answer.kind, ...tried]
  }
  t.same(await ask(), ['answered', 'tls', 'gateway'])
  t.same(await ask(), ['answered', 'gateway'], 'the one that was shut a moment ago comes last')
  does['gateway'] = 'shut'
  t.same(await ask(), ['notSent', 'gateway', 'tls'])
  does['tls'] = 'answers'
  clock.advance(61_000)
  t.same(await ask(), ['answered', 'tls'])
  does['gateway'] = 'answers'
  t.same(
    await ask({ prefer: 'gateway' }),
    ['answered', 'gateway'],
    'a reversal prefers the road of its original',
  )
  does['tls'] = 'silent'
  t.same(await ask(), ['unknown', 'tls'], 'what was sent stays with its road')
  does['tls'] = 'noKeys'
  t.same(await ask(), ['notSent', 'tls'], 'keys that are missing are missing on every road')
  does['tls'] = 'answers'
  await t.rejects(
    ask({
      beforeSend: () => {
        throw new Error('disk full')
      },
    }),
    { message: 'disk full' },
  )
  t.same(tried, ['tls'])
  const known = createRoadsLine(
    [{ ...road('gateway'), isOpen: () => does['gateway'] !== 'shut' }, road('tls')],
    clock,
  )
  does['gateway'] = 'shut'
  tried.length = 0
  const request: ExchangeRequest<string> = {
    fresh: true,
    build: async () => new Uint8Array(),
    beforeSend: () => undefined,
    judge: async () => ({ kind: 'stray' }),
  }
  await known.exchange(request, SIGNAL)
  does['gateway'] = 'answers'
  await known.exchange(request, SIGNAL)
  t.same(tried, ['tls', 'gateway'], 'one that says whether it is open is taken as soon as it is')
  tried.length = 0
  line.close()
  t.same(tried, ['close tls', 'close gateway'])
})

t.test(
  '"original not found" ends a reversal only once the original can arrive no more, by whichever road',
  async (t) => {
    const clock = testClock()
    const bornMs = clock.nowMs()
    const dialect = hostDialect('postern-93')
    const preferred: unknown[] = []
    const keys = {
      nextRequestKsn: async () => KSN.slice(),
      macRequest: async () => new Uint8Array(8),
      verifyResponse: async () => true,
    }
    /** A reversal by `road`, answered with 25, so long after its original was made. */
    async function reverse(afterMs: number, road: RoadKind, sentOver: SentOver | undefined, more = {}) {
      const client = createAcquirerClient({
        entry: {
          id: 'dev',
          tpdu: { destination: 1, source: 2 },
          nii: '001',
          terminalId: 'TERM0001',
          merchantId: 'MERCHANT1',
          dialect: 'postern-93',
          currency: 'EUR',
          ...more,
        },
        line: () => ({
          close: () => undefined,
          async exchange<T>({ build, judge, beforeSend, prefer }: ExchangeRequest<T>): Promise<Exchange<T>> {
            preferred.push(prefer)
            const asked = fromFields(dialect, unpack(dialect.wire, await build()))
            beforeSend({ road })
            const { elements, ...answer } = answerTo(asked)
            const notFound = toFields(dialect, { ...answer, elements: { ...elements, responseCode: '25' } })
            const verdict = await judge(
              await packWithMac(dialect.wire, notFound, async () => new Uint8Array(8)),
            )
            if (verdict.kind !== 'answer') throw new Error(`no answer but ${JSON.stringify(verdict)}`)
            return { kind: 'answered', value: verdict.value }
          },
        }),
        keys,
        clock: { ...clock, nowMs: () => bornMs + afterMs },
        log: silentLog,
        onStray: () => undefined,
      })
      const original = {
        ...facts('sale'),
        preparedAtMs: bornMs,
        ...(sentOver === undefined ? {} : { sentOver }),
      }
      const answer = await client.reverse(
        { original, stan: 43, atMs: bornMs, cause: 'timeout', repeat: true },
        () => undefined,
        SIGNAL,
      )
      return answer.kind === 'failed' ? answer.reason : answer.kind
    }
    const byGateway: SentOver = { road: 'gateway', expiresAtMs: bornMs + 45_000 }
    t.equal(await reverse(44_999, 'gateway', byGateway), 'NOT_FOUND_YET')
    t.equal(
      await reverse(45_000, 'gateway', byGateway),
      'acknowledged',
      'it has expired, and came before its reversal',
    )
    t.equal(await reverse(74_999, 'tls', byGateway), 'NOT_FOUND_YET', "the gateway's clock may be behind")
    t.equal(await reverse(75_000, 'tls', byGateway), 'acknowledged')
    t.equal(await reverse(119_999, 'tls', { road: 'tls' }), 'NOT_FOUND_YET')
    t.equal(await reverse(120_000, 'tls', { road: 'tls' }), 'acknowledged')
    t.equal(
      await reverse(119_999, 'gateway', undefined),
      'NOT_FOUND_YET',
      'of a release that did not write the road down',
    )
    const remembers = { reversals: { notFoundFinalAfterMs: 0 } }
    t.equal(await reverse(1, 'tls', byGateway, remembers), 'acknowledged', 'the host itself refuses it later')
    t.same(preferred.slice(0, 7), ['gateway', 'gateway', 'gateway', 'gateway', 'tls', 'tls', undefined])
  },
)
