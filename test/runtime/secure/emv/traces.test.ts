// Traces: every file of the folder replays bit for bit, a changed one fails where it was changed, and none tells a card.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import t from 'tap'
import { toHex } from '../../../../hal/base/bytes.js'
import { PosternError } from '../../../../hal/base/errors.js'
import { money } from '../../../../hal/base/money.js'
import { packageRoot } from '../../../../hal/base/package-root.js'
import type { HostAnswer } from '../../../../runtime/secure/card-transaction.js'
import type { EmvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import type { Trace, TraceEvent } from '../../../../runtime/secure/emv/traces/trace.js'
import { maskExchanges, withoutPin } from '../../../../runtime/secure/emv/traces/trace-mask.js'
import { recordTransaction } from '../../../../runtime/secure/emv/traces/trace-recorder.js'
import { replayTrace } from '../../../../runtime/secure/emv/traces/trace-replay.js'
import { withoutScriptPins } from '../../../../runtime/secure/emv/traces/trace-scripts.js'
import {
  completeTransaction,
  type TransactionServices,
  transactToFirstCryptogram,
} from '../../../../runtime/secure/emv/transaction.js'
import { TransactionData } from '../../../../runtime/secure/emv/transaction-data.js'
import { cardChannel } from '../../../../runtime/secure/emv/transport.js'
import { openTraceStore } from '../../../../runtime/secure/trace-store.js'
import { traceCommand } from '../../../../scripts/cli/trace.js'
import { application, hex, tlv } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const folder = join(packageRoot, 'test/runtime/secure/emv/traces')
const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
const load = (name: string): Trace => JSON.parse(readFileSync(join(folder, name), 'utf8'))

t.test('the folder replays', async (t) => {
  t.ok(files.length > 0)
  for (const name of files) {
    const trace = load(name)
    t.same(await replayTrace(trace), { kind: 'same', events: trace.events.length }, name)
  }
})

/** The trace with one event changed. */
function changed(trace: Trace, at: number, change: (event: never) => object): Trace {
  const events = trace.events.map((event, i) =>
    i === at ? ({ ...event, ...change(event as never) } as TraceEvent) : event,
  )
  return { ...trace, events }
}
const flip = (text: string, at: number) =>
  text.slice(0, at) + (Number.parseInt(text[at]!, 16) ^ 1).toString(16).toUpperCase() + text.slice(at + 1)

t.test('a changed trace fails where it was changed', async (t) => {
  const trace = load('credit-pin.json')
  const at = (test: (event: TraceEvent) => boolean) => trace.events.findIndex(test)
  type Apdu = Extract<TraceEvent, { kind: 'apdu' }>
  for (const [i, event] of trace.events.entries()) {
    if (event.kind === 'apdu') {
      const other = changed(trace, i, ({ c }: Apdu) => ({ c: flip(c, c.length - 1) }))
      t.match(await replayTrace(other), { kind: 'differs', event: i }, `command of event ${i}`)
    }
    const dropped = { ...trace, events: trace.events.filter((_, j) => j !== i) }
    const replay = await replayTrace(dropped)
    t.match(replay, { kind: 'differs', event: i }, `without event ${i}, ${event.kind}`)
  }
  const random = at(({ kind }) => kind === 'random')
  t.match(await replayTrace(changed(trace, random, () => ({ bytes: 'FFFFFFFF' }))), {
    kind: 'differs',
    expected: /"80AE|"0088|"80A8/,
  })
  const answer = at(({ kind }) => kind === 'answer')
  const declined = changed(trace, answer, ({ answer }: { answer: object }) => ({
    answer: { ...answer, approved: false },
  }))
  t.match(await replayTrace(declined), { kind: 'differs', got: /"80AE00/ })
  const outcome = trace.events.findLastIndex(({ kind }) => kind === 'outcome')
  const other = changed(trace, outcome, ({ outcome }: { outcome: { de55: string } }) => ({
    outcome: { ...outcome, de55: flip(outcome.de55, 9) },
  }))
  t.match(await replayTrace(other), { kind: 'differs', event: outcome })
  const amount = { ...trace, request: { ...trace.request, minor: '1251' } }
  t.match(await replayTrace(amount), { kind: 'differs' })
  const more = { ...trace, events: [...trace.events, trace.events[0]] }
  t.match(await replayTrace(more), { kind: 'differs', event: trace.events.length, got: '"the end"' })
  await t.rejects(replayTrace({ ...trace, format: 'another' }), { code: 'TRACE_INVALID' })
})

const SELECT = (aid: string) => `00 A4 04 00 07 ${aid} 00`
const [VISA, OTHER] = ['A0000000031010', 'A0000000041010']
const fci = (aid: string, priority: string) =>
  `${tlv('6F', tlv('84', aid), tlv('A5', tlv('50', '56495341'), tlv('87', priority)))}9000`
const NO_PSE: ScriptStep = ['PSE', '00 A4 04 00 0E 31 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00', '6A82']
const found = (priority = '01'): ScriptStep[] => [NO_PSE, ['SELECT', SELECT(VISA), fci(VISA, priority)]]
const read = (cvm: string): ScriptStep[] => [
  ['final SELECT', SELECT(VISA), fci(VISA, '01')],
  ['GPO', '80 A8 00 00 02 83 00 00', `${tlv('80', '1800', '08010100')}9000`],
  [
    'READ RECORD',
    '00 B2 01 0C 00',
    `${tlv('70', tlv('5A', '4761739001010119'), tlv('5F24', '301231'), tlv('8C', '9F0206'), tlv('8D', '8A02'), tlv('8E', `0000000000000000${cvm}`))}9000`,
  ],
]
const generated = (p1: string, data: string, cid: string): ScriptStep => [
  'GENERATE AC',
  `80 AE ${p1} 00 ${data} 00`,
  `80 0B ${cid} 0042 1122334455667788 9000`,
]

/** Records the kernel with a scripted card. */
async function recorded(
  steps: ScriptStep[],
  given: { services?: Partial<TransactionServices>; answer?: HostAnswer; aids?: string[] } = {},
): Promise<Trace> {
  const card = scriptedCard(steps)
  const configuration: EmvConfiguration = {
    terminal: {
      countryCode: hex('0276'),
      currency: 'EUR',
      type: 0x22,
      capabilities: hex('E0F8C8'),
      additionalCapabilities: hex('6000F0A001'),
      acquirerId: undefined,
      merchantCategoryCode: undefined,
      merchantId: undefined,
      terminalId: undefined,
      merchantName: undefined,
      ifdSerial: undefined,
      pinBypass: false,
    },
    applications: (given.aids ?? [VISA]).map((aid) => application(aid)),
    caKeys: [],
    revoked: new Set(),
  }
  const request = { type: 0, amount: money(1250, 'EUR'), sequence: 1, at: new Date(2026, 10, 22) }
  const recorder = recordTransaction(configuration, request, false)
  const data = new TransactionData(recorder.judge)
  const session = recorder.session(card.session)
  const channel = recorder.channel(cardChannel(session))
  const services = recorder.services({
    random: (length) => new Uint8Array(length).fill(7),
    chooseApplication: async () => 0,
    confirmApplication: async () => true,
    preferLanguages: () => undefined,
    enterPin: async () => ({ kind: 'cancelled' }),
    encryptPin: async () => ({ ksn: new Uint8Array(12), bytes: new Uint8Array(16) }),
    cardHistory: async () => ({ lastAmountOfCard: 0n, onExceptionFile: false }),
    forceOnline: false,
    ...given.services,
  })
  const run = () => transactToFirstCryptogram(channel, data, configuration, request, services)
  const first = await recorder.run(data, run).catch(() => undefined)
  const { answer } = given
  if (first?.kind === 'first' && answer) {
    recorder.answer(answer)
    await recorder.run(data, () => completeTransaction(channel, data, first, answer))
  }
  return recorder.finish()!
}

t.test('people who say no, cards that leave, faults: recorded as they were, and replayed', async (t) => {
  const goes = async (name: string, trace: Trace, last: object, before?: object) => {
    t.match(trace.events.at(-1), { kind: 'outcome', outcome: last }, name)
    if (before) t.match(trace.events.at(-2), before, name)
    const replay = await replayTrace(JSON.parse(JSON.stringify(trace)))
    t.same(replay, { kind: 'same', events: trace.events.length }, name)
  }
  const fault = async () => {
    throw new PosternError('ABORTED', 'by the caller')
  }
  await goes(
    'a reader that fails',
    await recorded([NO_PSE]),
    { kind: 'fault', fault: 'FAULT' },
    { kind: 'apdu', r: { fault: 'FAULT' } },
  )
  await goes(
    'a card that leaves',
    await recorded([NO_PSE, ['SELECT', SELECT(VISA), { kind: 'removed' }]]),
    { kind: 'ended', reason: 'removed' },
    { kind: 'apdu', r: { gone: 'removed' } },
  )
  await goes(
    'a prompt that is aborted',
    await recorded(found('81'), { services: { confirmApplication: fault } }),
    { kind: 'fault', fault: 'ABORTED' },
    { kind: 'confirm', answer: { fault: 'ABORTED' } },
  )
  await goes(
    'no confirmation',
    await recorded(found('81'), { services: { confirmApplication: async () => false } }),
    { kind: 'ended', reason: 'cancelled' },
    { kind: 'confirm', answer: false },
  )
  await goes(
    'no choice',
    await recorded([...found(), ['SELECT', SELECT(OTHER), fci(OTHER, '02')]], {
      aids: [VISA, OTHER],
      services: { chooseApplication: async () => undefined },
    }),
    { kind: 'ended', reason: 'cancelled' },
    { kind: 'choose', answer: null },
  )
  const tries: ScriptStep = ['GET DATA 9F17', '80 CA 9F 17 00', '9F170103 9000']
  await goes(
    'no PIN',
    await recorded([...found(), ...read('0100'), tries]),
    { kind: 'ended', reason: 'cancelled' },
    { kind: 'pin', answer: 'cancelled' },
  )
  const online = [...found(), ...read('1F00'), generated('80', '06 000000001250', '80')]
  await goes(
    'no line',
    await recorded([...online, generated('00', '02 5A33', '00')], { answer: { kind: 'unableToGoOnline' } }),
    { kind: 'second', approved: false, offline: true },
  )
  await goes(
    'approved without issuer authentication data',
    await recorded([...online, generated('40', '02 3030', '40')], {
      answer: {
        kind: 'answered',
        responseCode: '00',
        approved: true,
        issuerAuthenticationData: undefined,
        scripts: [],
      },
    }),
    { kind: 'second', approved: true, offline: false },
  )
})

t.test('what a recorder keeps of nothing, and a replay makes of what does not fit', async (t) => {
  const request = { type: 0, amount: money(1250, 'EUR'), sequence: 1, at: new Date(2026, 10, 22) }
  const configuration = { terminal: {}, applications: [] } as unknown as EmvConfiguration
  t.equal(recordTransaction(configuration, request, false).finish(), undefined, 'no card was there')
  const recorder = recordTransaction(configuration, request, false)
  recorder.session(scriptedCard([]).session)
  t.equal(
    recorder.judge('combined data', () => undefined),
    undefined,
  )
  t.same(recorder.finish()?.events, [{ kind: 'judged', step: 'combined data', result: null }])

  const trace = load('cda.json')
  const judged = trace.events.findIndex((event) => event.kind === 'judged' && event.step === 'combined data')
  t.match(await replayTrace(changed(trace, judged, () => ({ result: null }))), { kind: 'differs' })
  const random = trace.events.findIndex(({ kind }) => kind === 'random')
  t.match(await replayTrace(changed(trace, random, () => ({ bytes: 'FF' }))), { kind: 'differs' })
  const events = [trace.events[random], { kind: 'outcome', outcome: { kind: 'fault', fault: 'FAULT' } }]
  t.same(
    await replayTrace({ ...trace, configuration: {}, events }),
    { kind: 'same', events: 2 },
    'a configuration that the kernel cannot use',
  )
  await t.rejects(replayTrace({ ...trace, configuration: { hex: 'no hex' } }), { code: 'BYTES_INVALID' })
})

t.test('masking: the same digits become the same mask, wherever they stand', async (t) => {
  const PAN = '5413330089604111'
  const NAME = '50414E2F4D5220582E'
  const record = `${tlv('70', tlv('5A', PAN), tlv('57', `${PAN}D3012201012345678F`), tlv('5F20', NAME), tlv('93', 'C1'.repeat(40)), tlv('9F46', 'C2'.repeat(32)), tlv('DF01', `01${PAN}${NAME}`), tlv('DF02', `0${PAN}0`), tlv('DF03', toHex(Buffer.from(PAN))))}9000`
  const half = record.length / 4
  const exchange = (c: string, r: string) => ({ command: hex(c), response: hex(r) })
  const pin = withoutPin(hex('0020008008241234FFFFFFFFFF'))
  t.equal(toHex(pin), '00200080080000000000000000')
  const groups = [
    // In two pieces, as T=0 gives it.
    [
      exchange('00B2010C00', `${record.slice(0, Math.floor(half) * 2)}61FF`),
      exchange('00C00000FF', record.slice(Math.floor(half) * 2)),
    ],
    [exchange(`80AE80001A${PAN}${PAN.slice(0, 14)}${PAN.slice(0, 8)}${NAME.slice(0, 14)}00`, '9000')],
    [exchange('0088000004DEADBEEF00', `${tlv('80', 'C3'.repeat(64))}9000`)],
    [exchange('80CA9F1700', `9F17${PAN}9000`)],
  ]
  const de55 = hex(tlv('9F10', `06${PAN}`))
  maskExchanges(groups, [de55])
  const text = groups.flat().map(({ command, response }) => `${toHex(command)} ${toHex(response)}`)
  const all = [...text, toHex(de55)].join('\n')
  const MASK = '5413330000004111'
  t.notMatch(all, /541333008/)
  t.notOk(all.includes(toHex(Buffer.from(PAN.slice(0, 9)))), 'as text')
  t.notOk(all.includes(NAME))
  t.notMatch(all, /(C1|C2|C3){3}/)
  t.equal(all.split(MASK).length, 8, '5A, 57, two proprietary objects, DOL, unreadable answer, DE55')
  t.match(all, new RegExp(`${MASK}D0000000000`), 'nothing behind the separator')
  t.match(all, `80AE80001A${MASK}54133300000041${PAN.slice(0, 8)}`, 'as a DOL cuts it')
  t.equal(
    groups[0]!.reduce((sum, { response }) => sum + response.length, 0),
    record.length / 2 + 2,
  )
})

t.test('a script that changes a PIN is kept without it', async (t) => {
  const script = (command: string) => hex(tlv('72', tlv('9F18', '00000001'), tlv('86', command)))
  t.equal(
    toHex(withoutScriptPins(script('8424000210AABBCCDDAABBCCDDAABBCCDDAABBCCDD'))),
    toHex(script(`8424000210${'00'.repeat(16)}`)),
  )
  const block = script('841E000004AABBCCDD')
  t.same(withoutScriptPins(block), block)
  t.equal(toHex(withoutScriptPins(hex('7205AABB'))), '72FFFFFF')
})

t.test('the store keeps the newest and no more; the command lists, exports and replays', async (t) => {
  const dataDir = t.testdir()
  const path = join(dataDir, 'secure', 'traces')
  const store = openTraceStore(path, 3)
  t.same(store.list(), [])
  const trace = load('credit-pin.json')
  const numbered = (sequence: number) => ({ ...trace, request: { ...trace.request, sequence } })
  for (const sequence of [1, 2, 3, 4, 4]) store.keep(numbered(sequence))
  const names = store.list()
  t.match(names, [/-00000004-2$/, /-00000004$/, /-00000003$/])
  t.equal(names.length, 3)
  t.same(store.read(names[1]!), numbered(4))
  t.throws(() => store.read('../../journal'), { code: 'TRACE_UNKNOWN' })

  const printed: string[] = []
  const print = console.log
  t.teardown(() => {
    console.log = print
  })
  const postern = async (...args: string[]): Promise<string> => {
    printed.length = 0
    console.log = (text: string) => void printed.push(text)
    const program = new Command().option('--data-dir <folder>').option('--json').exitOverride()
    program.addCommand(traceCommand(program))
    await program.parseAsync(['--data-dir', dataDir, ...args], { from: 'user' }).finally(() => {
      console.log = print
    })
    return printed.join('\n')
  }
  t.match(await postern('trace', 'list'), /-00000004 .*events {2}approved/)
  const out = join(dataDir, 'out.json')
  await postern('trace', 'export', names[0]!, '--out', out)
  t.same(JSON.parse(readFileSync(out, 'utf8')), numbered(4))
  const good = join(folder, 'credit-pin.json')
  t.match(await postern('trace', 'replay', good), /credit-pin.json: the same, \d+ events/)
  await t.rejects(postern('trace', 'replay', good, names[0]!), { code: 'TRACE_DIFFERS' })
  t.match(printed.join('\n'), /differs at event \d+/)
  await t.rejects(postern('trace', 'replay', 'nothing'), { code: 'TRACE_UNKNOWN' })
})
