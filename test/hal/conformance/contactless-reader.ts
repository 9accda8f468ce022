// Conformance of a contactless reader's driver with hal/contactless-reader.ts.
import type { Test } from 'tap'
import { fromHex, toHex } from '../../../hal/base/bytes.js'
import type { ContactlessReader } from '../../../hal/contactless-reader.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'
import {
  codeOf,
  type DeviceBench,
  deviceConformance,
  eventually,
  opened,
  testCard,
  within,
} from './support.js'

/** A bench with cards to tap. The field is empty between tests. */
export interface ContactlessReaderBench extends DeviceBench<ContactlessReader> {
  tap(card: VirtualCard): void | Promise<void>
  /** Takes all cards away. */
  leave(): void | Promise<void>
  /** Is the field on? Absent where the reader keeps it by itself (`controlsField` false). */
  field?(): boolean
}

const SELECT = fromHex('00A4040000')
const HANG = fromHex('00EE000000')

export async function contactlessReaderConformance(t: Test, bench: ContactlessReaderBench): Promise<void> {
  await deviceConformance(t, bench, (reader, signal) => reader.poll(signal))
  const run = (name: string, body: (t: Test, reader: ContactlessReader, events: string[]) => Promise<void>) =>
    t.test(name, async (t) => {
      const reader = await opened(bench)
      const events: string[] = []
      reader.on((event) => event.type !== 'status' && events.push(event.type))
      try {
        await body(t, reader, events)
      } finally {
        await reader.close()
        await bench.leave()
      }
    })
  const polled = async (reader: ContactlessReader) => {
    const outcome = await within('poll', reader.poll())
    if (outcome.kind !== 'session') throw new Error(`poll: ${outcome.kind}`)
    return outcome.session
  }

  await run('the field is on only while polling and while a session lives', async (t, reader) => {
    t.notOk(bench.field?.())
    t.equal(reader.capabilities.controlsField, bench.field !== undefined)
    const poll = polled(reader)
    await eventually('field on', () => bench.field?.() ?? reader.status().state === 'polling')
    t.equal(reader.status().state, 'polling')
    await bench.tap(testCard())
    const session = await poll
    t.equal(reader.status().state, 'present')
    const answer = await within('transmit', session.transmit(SELECT))
    t.equal(answer.kind === 'response' && toHex(answer.bytes), '04009000')
    t.equal(await codeOf('poll with a session', reader.poll()), 'DEVICE_BUSY')
    await within('release', session.release())
    t.notOk(bench.field?.())
    t.equal(reader.status().state, 'fieldOff')
    t.equal(await codeOf('transmit after release', session.transmit(SELECT)), 'DEVICE_CLOSED')
  })

  await run('a card that is held there already is found; the next poll is a new start', async (t, reader) => {
    await bench.tap(testCard())
    const first = await polled(reader)
    await first.release()
    const second = await polled(reader)
    t.match(await within('transmit', second.transmit(SELECT)), { kind: 'response' })
    await within('fieldOff', reader.fieldOff())
    t.notOk(bench.field?.())
    t.same(await within('transmit', second.transmit(SELECT)), { kind: 'removed' })
  })

  await run('two cards collide: told as event and outcome', async (t, reader, events) => {
    await bench.tap(testCard())
    await bench.tap(testCard())
    t.same(await within('poll', reader.poll()), { kind: 'collision' })
    t.same(events, ['collision'])
    t.notOk(bench.field?.())
    await bench.leave()
    await bench.tap(testCard())
    await polled(reader)
  })

  await run('a card that leaves too early ends the session and is told', async (t, reader, events) => {
    const card = testCard()
    let torn: boolean | undefined
    reader.on((event) => {
      if (event.type === 'removedEarly') torn = event.torn
    })
    await bench.tap(card)
    const session = await polled(reader)
    const hanging = session.transmit(HANG)
    await eventually('the command reaches the card', () => card.commands.length === 1)
    await bench.leave()
    card.answerNow()
    t.same(await within('transmit', hanging), { kind: 'removed' })
    await eventually('the event', () => events.includes('removedEarly'))
    t.equal(torn, true, 'in the middle of a command')
    await session.release()
    await bench.tap(testCard())
    await polled(reader)
  })

  await run('a tag that is no payment card is passed over', async (t, reader) => {
    await bench.tap(testCard({ mute: true }))
    const poll = polled(reader)
    await eventually('it was looked at', () => reader.statistics()['FailedReadCount']! >= 1)
    await bench.leave()
    await bench.tap(testCard())
    t.match(await within('transmit', (await poll).transmit(SELECT)), { kind: 'response' })
  })
}
