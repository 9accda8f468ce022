// The PC/SC driver on a binding that does as it is told: which reader, hot plug, failures by their codes.
import t from 'tap'
import { fromHex } from '../../../hal/base/bytes.js'
import { systemClock } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { PcscBinding, PcscEvents, PcscReader } from '../../../hal/drivers/pcsc/pcsc-binding.js'
import { pcscFailure, STATE } from '../../../hal/drivers/pcsc/pcsc-codes.js'
import { openPcscReader } from '../../../hal/drivers/pcsc/pcsc-reader.js'
import { codeOf, eventually, testContext } from '../conformance/support.js'

const ATR = fromHex('3B6500002063CB6800')
const failure = (code: string) => new Error(`SCardTransmit error: Some text.(0x${code})`)

/** A reader whose calls are scripted; `calls` says what the driver did. */
function fakeReader(name: string) {
  const calls: string[] = []
  const script: { connect: Error[]; transmit: (Error | Uint8Array)[] } = { connect: [], transmit: [] }
  const reader: PcscReader = {
    name,
    async connect() {
      calls.push('connect')
      const error = script.connect.shift()
      if (error) throw error
      return 'T=1'
    },
    async disconnect() {
      calls.push('disconnect')
    },
    async transmit() {
      calls.push('transmit')
      const next = script.transmit.shift() ?? fromHex('9000')
      if (next instanceof Error) throw next
      return next
    },
    close: () => void calls.push('close'),
  }
  return { reader, calls, script }
}

/** A daemon that can be stopped; `events` are the driver's listeners of its current watch. */
function fakeDaemon() {
  let events: PcscEvents | undefined
  let running = true
  const binding: PcscBinding = {
    library: 'scripted',
    async probe() {
      if (!running) throw new PosternError('DEVICE_LOST', 'the PC/SC daemon does not answer')
    },
    watch(listeners) {
      events = listeners
      return () => {
        events = undefined
      }
    },
  }
  return {
    binding,
    attach(reader: PcscReader, bits: number, atr: Uint8Array = new Uint8Array(0)) {
      events?.reader(reader)
      events?.state(reader, bits, atr)
    },
    state: (reader: PcscReader, bits: number, atr: Uint8Array = new Uint8Array(0)) =>
      events?.state(reader, bits, atr),
    detach: (reader: PcscReader) => events?.readerGone(reader),
    stop() {
      running = false
      events?.failed('the PC/SC daemon went away')
    },
    start() {
      running = true
    },
    watched: () => events !== undefined,
  }
}

t.test('the reader is chosen by a part of its name; others are left alone', async (t) => {
  const daemon = fakeDaemon()
  const opening = openPcscReader('pcsc', daemon.binding, { reader: 'contact' }, testContext('chip'))
  await eventually('watched', daemon.watched)
  const [wrong, right] = [fakeReader('ACME PICC 0'), fakeReader('ACME Contact 1')]
  daemon.attach(wrong.reader, STATE.present, ATR)
  const device = await opening
  t.match(device.status(), {
    presence: 'lost',
    detail: 'no reader is called "contact"; attached: ACME PICC 0',
  })
  daemon.attach(right.reader, STATE.empty)
  t.match(device.status(), { presence: 'ready', state: 'empty' })
  await device.close()
  t.ok(right.calls.includes('close') && wrong.calls.includes('close'))
})

t.test('a reader that is unplugged leaves to another of the name, and comes back', async (t) => {
  const daemon = fakeDaemon()
  const opening = openPcscReader('pcsc', daemon.binding, {}, testContext('chip'))
  await eventually('watched', daemon.watched)
  const [first, second] = [fakeReader('A'), fakeReader('B')]
  daemon.attach(first.reader, STATE.empty)
  const device = await opening
  daemon.detach(first.reader)
  t.match(device.status(), { presence: 'lost' })
  daemon.attach(second.reader, STATE.present | (3 << 16), ATR)
  t.match(device.status(), { presence: 'ready', state: 'present' })
  daemon.stop()
  await eventually('lost', () => device.status().presence === 'lost')
  t.equal(device.status().detail, 'the PC/SC daemon went away')
  daemon.start()
  await eventually('watched again', daemon.watched)
  daemon.attach(first.reader, STATE.empty)
  t.equal(device.status().presence, 'ready')
  t.ok(device.statistics()['CommunicationErrorCount']! >= 2)
  await device.close()
})

t.test('a reader that was there all along takes over at once', async (t) => {
  const daemon = fakeDaemon()
  const opening = openPcscReader('pcsc', daemon.binding, {}, testContext('chip'))
  await eventually('watched', daemon.watched)
  const [first, second] = [fakeReader('A'), fakeReader('B')]
  daemon.attach(first.reader, STATE.empty)
  daemon.attach(second.reader, STATE.present, ATR)
  const device = await opening
  t.match(device.status(), { presence: 'ready', state: 'empty' })
  daemon.detach(first.reader)
  t.match(device.status(), { presence: 'ready', state: 'present' }, 'nothing new had to be told')
  await device.close()
})

t.test('a card from before the start is powered off and on: a cold reset', async (t) => {
  const daemon = fakeDaemon()
  const opening = openPcscReader('pcsc', daemon.binding, {}, testContext('chip'))
  await eventually('watched', daemon.watched)
  const fake = fakeReader('A')
  daemon.attach(fake.reader, STATE.present, ATR)
  const device = await opening
  const outcome = await device.powerOn()
  t.match(outcome, { kind: 'session', session: { protocol: 'T=1' } })
  t.same(fake.calls, ['connect', 'disconnect', 'connect'])
  if (outcome.kind !== 'session') throw new Error(outcome.kind)
  await outcome.session.release()
  // One that was put in since is fresh.
  daemon.state(fake.reader, STATE.empty | (1 << 16))
  daemon.state(fake.reader, STATE.present | (2 << 16), ATR)
  fake.calls.length = 0
  t.equal((await device.powerOn()).kind, 'session')
  t.same(fake.calls, ['connect'])
  await device.close()
})

t.test('failures are told apart by their codes', async (t) => {
  const daemon = fakeDaemon()
  const opening = openPcscReader('pcsc', daemon.binding, {}, testContext('chip'))
  await eventually('watched', daemon.watched)
  const fake = fakeReader('A')
  daemon.attach(fake.reader, STATE.empty)
  const device = await opening
  let count = 0
  const insert = () => {
    daemon.state(fake.reader, STATE.empty | (++count << 16))
    daemon.state(fake.reader, STATE.present | (++count << 16), ATR)
  }
  const power = async (code: string) => {
    insert()
    fake.script.connect.push(failure(code))
    return device.powerOn()
  }
  t.same(await power('80100069'), { kind: 'removed' })
  t.same(await power('80100066'), { kind: 'mute' })
  t.equal(device.status().state, 'mute')
  t.equal(await codeOf('shared', power('8010000b')), 'DEVICE_BUSY')
  t.equal(await codeOf('gone', power('80100017')), 'DEVICE_LOST')

  const send = async (answer: Error | Uint8Array) => {
    insert()
    const outcome = await device.powerOn()
    if (outcome.kind !== 'session') throw new Error(outcome.kind)
    fake.script.transmit.push(answer)
    const result = await outcome.session.transmit(fromHex('00A4040000'))
    await outcome.session.release()
    return result
  }
  t.same(await send(failure('80100069')), { kind: 'removed' })
  t.same(await send(failure('80100068')), { kind: 'removed' }, 'a reset by somebody else ends the session')
  t.same(await send(failure('80100016')), { kind: 'mute' })
  t.same(await send(fromHex('90')), { kind: 'mute' }, 'half a status word is none')
  t.same(await send(fromHex('6110')), { kind: 'response', bytes: fromHex('6110') })
  t.equal(pcscFailure(new Error('no code')), 'transport')
  t.equal(pcscFailure(failure('8010001D')), 'lost')
  await device.close()
})

t.test('a card that was out for a moment is another card', async (t) => {
  const daemon = fakeDaemon()
  const opening = openPcscReader('pcsc', daemon.binding, {}, testContext('chip'))
  await eventually('watched', daemon.watched)
  const fake = fakeReader('A')
  daemon.attach(fake.reader, STATE.present | (1 << 16), ATR)
  const device = await opening
  const outcome = await device.powerOn()
  if (outcome.kind !== 'session') throw new Error(outcome.kind)
  // Removed and put in again between two looks of the daemon: present both times, the count is two more.
  daemon.state(fake.reader, STATE.present | (3 << 16), ATR)
  t.same(await outcome.session.transmit(fromHex('00A4040000')), { kind: 'removed' })
  t.equal((await device.powerOn()).kind, 'session')
  t.equal(device.statistics()['CardInsertionCount'], 1)
  await device.close()
})

t.test('no daemon at the start is a lost reader, not an error', async (t) => {
  const daemon = fakeDaemon()
  daemon.stop()
  const device = await openPcscReader('pcsc', daemon.binding, {}, testContext('chip'))
  t.match(device.status(), { presence: 'lost', detail: 'the PC/SC daemon does not answer' })
  t.equal(await codeOf('powerOn', device.powerOn()), 'DEVICE_LOST')
  await systemClock.sleep(10)
  await device.close()
})
