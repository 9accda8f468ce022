// Traces: every file of the folder replays bit for bit, a changed one fails where it was changed, and none tells a card.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import t from 'tap'
import { toHex } from '../../../../hal/base/bytes.js'
import { packageRoot } from '../../../../hal/base/package-root.js'
import type { Trace, TraceEvent } from '../../../../runtime/secure/emv/traces/trace.js'
import { maskExchanges, withoutPin } from '../../../../runtime/secure/emv/traces/trace-mask.js'
import { replayTrace } from '../../../../runtime/secure/emv/traces/trace-replay.js'
import { withoutScriptPins } from '../../../../runtime/secure/emv/traces/trace-scripts.js'
import { openTraceStore } from '../../../../runtime/secure/trace-store.js'
import { traceCommand } from '../../../../scripts/cli/trace.js'
import { hex, tlv } from './kernel-inputs.js'

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
