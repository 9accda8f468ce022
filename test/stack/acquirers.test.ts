// Acquirers behind one real secure world process: three of other dialects at once, with keys, terminal id, limits, time-outs
// and trust of their own, which are documents and no code; and one through a gateway whose road is faulty.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../../hal/base/log.js'
import { startGateway } from '../../scripts/dev/gateway/start-gateway.js'
import { type GatewayProxy, startGatewayProxy } from './gateway-proxy.js'
import { eventually, OWNER, startSecureTerminal } from './secure-terminal.js'

/** Of the faulty road: each message that is lost costs so long. */
const HOST_MS = 5000

t.setTimeout(300_000)
const keysDir = mkdtempSync(join(tmpdir(), 'postern-issuer-'))
t.teardown(() => rmSync(keysDir, { recursive: true, force: true }))

t.test(
  'each takes its own cards in its own dialect, one is taken back while the others go on, one close ends all',
  async (t) => {
    const terminal = await startSecureTerminal(t, {
      keysDir,
      acquirers: [
        {
          document: {
            id: 'harbour',
            dialect: 'postern-dev',
            terminalId: 'HARB0001',
            keys: { set: 'harbour', scheme: 'aes' },
            timeouts: { hostMs: 60_000, connectMs: 60_000 },
            reversals: { notFoundFinalAfterMs: 0 },
          },
        },
        {
          mutualTls: true,
          host: {
            rules: [
              {
                name: 'the first answer to a reversal is lost',
                on: 'reversal',
                when: { amountEnds: '9978' },
                delivery: 'dropBeforeReply',
                times: 1,
              },
            ],
          },
          document: {
            id: 'mainframe',
            dialect: 'postern-ebcdic',
            terminalId: 'MAIN0001',
            merchantId: 'MF7',
            nii: '777',
            keys: { set: 'mainframe', scheme: 'tdes', pinBlock: 0, mac: 'retail' },
            framing: { length: 'ascii', tpdu: false },
            limits: { least: '100', most: '50000' },
            timeouts: { hostMs: 90_000, connectMs: 90_000 },
            reversals: { notFoundFinalAfterMs: 0 },
          },
        },
        {
          document: {
            id: 'exchange',
            dialect: 'postern-93',
            terminalId: 'EXCH0001',
            keys: { set: 'exchange', scheme: 'aes' },
            framing: { length: 'bcd', tpdu: true },
            timeouts: { hostMs: 60_000, connectMs: 60_000, lingerMs: 0 },
            reversals: { notFoundFinalAfterMs: 0 },
          },
        },
      ],
      routing: {
        schemes: { 'postern-debit': { aids: ['F0504F53542010'] } },
        rules: [
          { name: 'cards of the mainframe', when: { bins: ['99999950'] }, acquirers: ['mainframe'] },
          { name: 'debit', when: { schemes: ['postern-debit'] }, acquirers: ['exchange'] },
        ],
        otherwise: ['harbour'],
      },
    })
    await terminal.signIn()

    t.match(await terminal.pay('sale-harbour', 1250n, 'credit-pin'), { outcome: 'approved' })
    t.match(await terminal.pay('sale-mainframe', 2300n, 'long-pin'), { outcome: 'approved' })
    t.match(await terminal.pay('sale-exchange', 3400n, 'offline-plain-pin'), { outcome: 'approved' })
    t.match(
      await terminal.pay('sale-too-much', 50_001n, 'long-pin'),
      { outcome: /cancelled|needsNetwork|declined/ },
      'above the limit of the one that may take it',
    )

    const [harbour] = await terminal.entries('harbour')
    const [mainframe, ...others] = await terminal.entries('mainframe')
    const [exchange] = await terminal.entries('exchange')
    t.same(others, [])
    t.match(harbour, { terminalId: 'HARB0001', approvedMinor: '1250', pinOk: 1, cryptogramOk: 1 })
    t.match(mainframe, {
      terminalId: 'MAIN0001',
      merchantId: 'MF7',
      approvedMinor: '2300',
      pinOk: 1,
      cryptogramOk: 1,
    })
    t.match(exchange, { terminalId: 'EXCH0001', approvedMinor: '3400', cryptogramOk: 1 })

    const [voided, next] = await Promise.all([
      terminal.takeBack('void-mainframe', 'sale-mainframe'),
      terminal.bridge.secure['payments.stuck'](null),
    ])
    t.match(voided, { outcome: 'voided' })
    t.same(next.items, [])
    t.match(await terminal.pay('sale-harbour-2', 4250n, 'credit-pin'), { outcome: 'approved' })
    t.match((await terminal.entries('mainframe'))[0], { state: 'reversed', reason: /void|17/ })

    // Something is owed to one and stays owed: the others go on.
    t.match(await terminal.pay('sale-mainframe-2', 19978n, 'long-pin'), {
      outcome: /^revers/,
      code: 'LINE_LOST',
    })
    t.match(await terminal.pay('sale-exchange-2', 5600n, 'offline-plain-pin'), { outcome: 'approved' })

    for (const [acquirer, words] of Object.entries(await terminal.verdicts()))
      t.match(words, /^ledger and terminal agree/, acquirer)
    t.match(await terminal.bridge.secure['payments.status']({ owner: OWNER, key: 'sale-mainframe-2' }), {
      outcome: 'reversed',
    })
    t.match(terminal.record('sale-mainframe-2'), { reversal: { attempts: 2, responseCode: '00' } })
    t.match(await terminal.bridge.secure['round.close'](null), { agreement: 'agrees', differences: [] })
  },
)

t.test(
  'through a gateway whose road delays, doubles, loses and reorders: terminal and ledger agree',
  async (t) => {
    let proxy!: GatewayProxy
    const terminal = await startSecureTerminal(t, {
      keysDir,
      acquirers: [
        {
          document: {
            id: 'overland',
            dialect: 'postern-dev',
            terminalId: 'OVER0001',
            roads: ['gateway', 'tls'],
            timeouts: { hostMs: HOST_MS, connectMs: 60_000 },
          },
        },
      ],
      async gateway(dir, hosts) {
        const gateway = await startGateway(
          {
            socket: join(dir, 'gateway'),
            reversed: join(dir, 'reversed'),
            acquirers: hosts.map(({ id, port, ca }) => ({
              id,
              host: '127.0.0.1',
              port,
              tls: { serverName: 'localhost', ca },
              tpdu: { destination: 1, source: 3 },
            })),
          },
          silentLog,
        )
        proxy = await startGatewayProxy(join(dir, 'proxy'), join(dir, 'gateway'))
        t.teardown(async () => {
          await proxy.close()
          await gateway.close()
        })
        return join(dir, 'proxy')
      },
    })
    const { pay } = terminal
    await terminal.signIn()
    const wellAgain = () => {
      proxy.open = true
      proxy.onRequest = (_request, pass) => pass()
      proxy.onAnswer = (_answer, pass) => pass()
    }
    const standing = async () =>
      (await terminal.entries('overland')).filter(({ state }) => state === 'approved').length
    const roadOf = (key: string) => (terminal.record(key) as { sentOver?: { road?: string } }).sentOver?.road
    /** What the payment has come to once nothing is owed any more. */
    async function outcome(key: string): Promise<string> {
      await eventually(`the end of ${key}`, async () => {
        const { items } = await terminal.bridge.secure['payments.stuck'](null)
        return items.length === 0
      })
      return (await terminal.bridge.secure['payments.status']({ owner: OWNER, key })).outcome
    }
    const refusals = () =>
      proxy.answers.flatMap((answer) => (answer.kind === 'refused' ? [answer.reason] : []))

    t.match(await pay('over-plain', 1010n, 'credit-pin'), { outcome: 'approved' })
    t.equal(roadOf('over-plain'), 'gateway')

    proxy.open = false
    proxy.cut()
    await eventually('the gateway to be away', () => !terminal.gatewayConnected())
    t.match(await pay('over-shut', 1020n, 'credit-pin'), { outcome: 'approved' })
    t.equal(roadOf('over-shut'), 'tls', 'a road that is shut before anything is sent gives way to the next')
    wellAgain()
    await eventually('the gateway again', () => terminal.gatewayConnected())

    proxy.onRequest = (_request, pass) => {
      pass()
      pass()
    }
    t.match(await pay('over-doubled', 1030n, 'credit-pin'), { outcome: 'approved' })
    wellAgain()
    t.equal(roadOf('over-doubled'), 'gateway', 'it is open again')
    t.equal(await standing(), 3, 'booked once')

    let held: (() => void) | undefined
    proxy.onRequest = (request, pass) => {
      if (request.reversal) pass()
      else held = pass
    }
    t.match(await pay('over-delayed', 1040n, 'credit-pin'), { outcome: /^revers/, code: 'TIMEOUT' })
    t.equal(await outcome('over-delayed'), 'reversed')
    held!()
    await eventually('the refusal', () => refusals().includes('expired'))
    wellAgain()

    // The open world says that it could not hand the envelope over, and has: it is taken back by its own road, and overtaken
    // by its reversal.
    proxy.onRequest = (request, pass) => {
      if (request.reversal) return pass()
      held = pass
      throw new Error('taken all the same')
    }
    const beforehand = refusals().length
    t.match(await pay('over-overtaken', 1050n, 'credit-pin'), { outcome: /^revers/, code: 'LINE_LOST' })
    await eventually('its reversal to arrive', () => {
      const { reversal } = terminal.record('over-overtaken') as { reversal?: { attempts: number } }
      return (reversal?.attempts ?? 0) > 0
    })
    held!()
    await eventually('the refusal', () => refusals().length > beforehand)
    t.match(refusals().at(-1), /reversed|expired/, 'an original that comes after its reversal is refused')
    wellAgain()
    t.equal(await outcome('over-overtaken'), 'reversed')

    const holdAnswers = () => {
      held = undefined
      proxy.onAnswer = (_answer, pass) => {
        held = pass
      }
    }
    const answerHeld = () => eventually('the answer to be held', () => held !== undefined)
    holdAnswers()
    const lost = pay('over-unanswered', 1060n, 'credit-pin')
    await answerHeld()
    wellAgain()
    t.match(await lost, { outcome: /^revers/, code: 'TIMEOUT' })
    t.equal(await outcome('over-unanswered'), 'reversed')

    holdAnswers()
    const late = pay('over-late', 1070n, 'credit-pin')
    await answerHeld()
    wellAgain()
    t.match(await late, { outcome: /^revers/, code: 'TIMEOUT' })
    held!()
    t.equal(await outcome('over-late'), 'reversed')
    await eventually(
      'the late answer to be recorded',
      () => terminal.record('over-late')?.['lateAnswers'] === 1,
    )

    // Power fails with the envelope at the gateway: what the journal says decides, and the answer comes to nobody.
    holdAnswers()
    const cut = pay('over-cut', 1080n, 'credit-pin').catch((error: Error) => error.message)
    await answerHeld()
    await terminal.cutPower()
    await cut
    await terminal.powerOn()
    await terminal.signIn()
    wellAgain()
    held!()
    t.equal(await outcome('over-cut'), 'reversed')

    t.match(await pay('over-again', 1090n, 'credit-pin'), { outcome: 'approved' })
    t.match(await terminal.verdicts(), { overland: /^ledger and terminal agree: 4 sales of 4150, 0 voids/ })
    t.match(await terminal.bridge.secure['round.close'](null), { agreement: 'agrees', differences: [] })
  },
)
