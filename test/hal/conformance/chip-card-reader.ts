// Conformance of a chip card reader's driver with hal/chip-card-reader.ts.
import type { Test } from 'tap'
import { fromHex, toHex } from '../../../hal/base/bytes.js'
import { systemClock } from '../../../hal/base/clock.js'
import type { ChipCardReader, ChipCardSession } from '../../../hal/chip-card-reader.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'
import {
  codeOf,
  type DeviceBench,
  deviceConformance,
  eventually,
  opened,
  TEST_ATR,
  type TestCard,
  testCard,
  within,
} from './support.js'

/** A bench where cards can be put into the reader under test. The slot is empty between tests. */
export interface ChipCardReaderBench extends DeviceBench<ChipCardReader> {
  insert(card: VirtualCard): void | Promise<void>
  pull(): void | Promise<void>
}

const HANG = fromHex('00EE000000')
const command = (hex: string) => fromHex(hex.replace(/ /g, ''))

export async function chipCardReaderConformance(t: Test, bench: ChipCardReaderBench): Promise<void> {
  await deviceConformance(t, bench, (reader, signal) => reader.waitForCard(signal))

  const run = (name: string, body: (t: Test, reader: ChipCardReader) => Promise<void>) =>
    t.test(name, async (t) => {
      const reader = await opened(bench)
      try {
        await body(t, reader)
      } finally {
        await reader.close()
        await bench.pull()
      }
    })
  const gone = (reader: ChipCardReader) => within('waitForRemoval', reader.waitForRemoval())
  const powered = async (reader: ChipCardReader, card: TestCard): Promise<ChipCardSession> => {
    await gone(reader)
    await bench.insert(card)
    await within('waitForCard', reader.waitForCard())
    const outcome = await within('powerOn', reader.powerOn())
    if (outcome.kind !== 'session') throw new Error(`powerOn: ${outcome.kind}`)
    return outcome.session
  }

  await run('sees a card come and go, and says so once each', async (t, reader) => {
    const states: string[] = []
    reader.on((event) => event.type === 'status' && states.push(event.status.state))
    t.equal(reader.status().state, 'empty')
    await gone(reader)
    const waiting = within('waitForCard', reader.waitForCard())
    await bench.insert(testCard())
    await waiting
    t.equal(reader.status().state, 'present')
    await within('waitForCard with a card', reader.waitForCard())
    const removal = within('waitForRemoval', reader.waitForRemoval())
    await bench.pull()
    await removal
    await eventually('state empty', () => reader.status().state === 'empty')
    t.same(states, ['present', 'empty'])
  })

  await t.test('a card that was in the slot before the driver started is seen', async (t) => {
    await bench.insert(testCard())
    const reader = await opened(bench)
    await within('waitForCard', reader.waitForCard())
    t.equal((await within('powerOn', reader.powerOn())).kind, 'session')
    await reader.close()
    await bench.pull()
  })

  await run('powers a card and carries APDUs unchanged both ways', async (t, reader) => {
    const card = testCard()
    const session = await powered(reader, card)
    t.equal(toHex(session.atr), toHex(TEST_ATR))
    t.equal(session.protocol, 'T=0')
    const exchanges = [
      ['00A4040000', '04009000'],
      ['00DD000000', toHex(testCardData())],
      ['00 B2 01 0C 00', '010C9000'],
      [`00D60000FE${'A5'.repeat(254)}`, '00009000'],
      ['0061000000', '6110'],
      ['006C000000', '6C20'],
    ] as const
    for (const [hex, expected] of exchanges) {
      const outcome = await within('transmit', session.transmit(command(hex)))
      t.same(outcome.kind === 'response' && toHex(outcome.bytes), expected)
    }
    t.same(
      card.commands.map(toHex),
      exchanges.map(([hex]) => toHex(command(hex))),
      'no retries, no GET RESPONSE, nothing added',
    )
    t.ok(reader.statistics()['CommandCount']! >= exchanges.length)
  })

  await run('an empty slot has no card to power', async (t, reader) => {
    t.same(await within('powerOn', reader.powerOn()), { kind: 'removed' })
  })

  await run('one session and one command at a time; release is idempotent', async (t, reader) => {
    const card = testCard()
    const session = await powered(reader, card)
    t.equal(await codeOf('second powerOn', reader.powerOn()), 'DEVICE_BUSY')
    const hanging = session.transmit(HANG)
    t.equal(await codeOf('second transmit', session.transmit(command('00A4040000'))), 'DEVICE_BUSY')
    await eventually('the command reaches the card', () => card.commands.length === 1)
    card.answerNow()
    t.same(await within('transmit', hanging), { kind: 'response', bytes: fromHex('00009000') })
    await within('release', Promise.all([session.release(), session.release()]))
    t.equal(await codeOf('transmit after release', session.transmit(HANG)), 'DEVICE_CLOSED')
    t.equal((await within('powerOn', reader.powerOn())).kind, 'session')
  })

  await run('a mute card is told from an empty slot', async (t, reader) => {
    await bench.insert(testCard({ mute: true }))
    await within('waitForCard', reader.waitForCard())
    t.same(await within('powerOn', reader.powerOn()), { kind: 'mute' })
    t.equal(reader.status().state, 'mute')
    await bench.pull()
    await gone(reader)
    await eventually('state empty', () => reader.status().state === 'empty')
    await powered(reader, testCard())
  })

  await run('removal during a command wins over an answer that comes later', async (t, reader) => {
    const card = testCard()
    const session = await powered(reader, card)
    const hanging = session.transmit(HANG)
    await eventually('the command reaches the card', () => card.commands.length === 1)
    await bench.pull()
    card.answerNow()
    t.same(await within('transmit', hanging), { kind: 'removed' })
    await gone(reader)
    t.same(await within('transmit', session.transmit(HANG)), { kind: 'removed' })
    await session.release()
    await powered(reader, testCard())
  })

  await run('a card that was out for a moment ends the session', async (t, reader) => {
    const session = await powered(reader, testCard())
    await bench.pull()
    await bench.insert(testCard())
    const outcome = await within('transmit', session.transmit(command('00A4040000')))
    t.same(outcome, { kind: 'removed' })
    await session.release()
    await within('waitForCard', reader.waitForCard())
    t.equal((await within('powerOn', reader.powerOn())).kind, 'session')
  })

  await run('a silent card ends in timeout, and the reader is not wedged', async (t, reader) => {
    const session = await powered(reader, testCard())
    t.same(await within('transmit', session.transmit(HANG, { timeoutMs: 200 })), { kind: 'timeout' })
    t.same(await within('transmit', session.transmit(HANG)), { kind: 'timeout' }, 'the session is dead')
    await session.release()
    await bench.pull()
    await gone(reader)
    await powered(reader, testCard())
  })

  await run('an aborted command ends the session, not the reader', async (t, reader) => {
    const card = testCard()
    const session = await powered(reader, card)
    const stop = new AbortController()
    const code = codeOf('aborted transmit', session.transmit(HANG, { signal: stop.signal }))
    await eventually('the command reaches the card', () => card.commands.length === 1)
    stop.abort()
    t.equal(await code, 'ABORTED')
    t.equal(await codeOf('transmit after abort', session.transmit(HANG)), 'DEVICE_CLOSED')
    card.answerNow()
    await within('release', session.release())
    t.equal((await within('powerOn', poweredAgain(reader))).kind, 'session')
  })

  if (bench.cable === undefined) return
  const { cable } = bench
  await run(
    'a reader that vanishes during a command ends it, and serves again when it is back',
    async (t, reader) => {
      const card = testCard()
      const session = await powered(reader, card)
      const code = codeOf('transmit at loss', session.transmit(HANG))
      await eventually('the command reaches the card', () => card.commands.length === 1)
      await cable.unplug()
      t.equal(await code, 'DEVICE_LOST')
      await session.release()
      await cable.plug()
      await eventually('ready again', () => reader.status().presence === 'ready')
      await bench.pull()
      await powered(reader, testCard())
    },
  )
}

/** A reader whose last command was aborted may need a moment until the card has let go of it. */
async function poweredAgain(reader: ChipCardReader) {
  for (;;) {
    try {
      return await reader.powerOn()
    } catch {
      await systemClock.sleep(20)
    }
  }
}

function testCardData(): Uint8Array {
  return testCard().transmit(fromHex('00DD000000')) as Uint8Array
}
