// Stripe readers: one that types, through evdev, and one on a serial line, through a pty.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ascii } from '../../hal/base/bytes.js'
import { systemClock } from '../../hal/base/clock.js'
import { openDrivers } from '../../hal/drivers/open-drivers.js'
import { openKeyboardStripeReader } from '../../hal/drivers/stripe/keyboard-stripe-reader.js'
import { serialStripeReaderDriver } from '../../hal/drivers/stripe/serial-stripe-reader.js'
import { createSwipeDevice } from '../../hal/drivers/stripe/swipe-device.js'
import { readSwipe } from '../../hal/drivers/stripe/swipe-text.js'
import type { Swipe } from '../../hal/magnetic-stripe-reader.js'
import { readTrack, writeTrack } from '../../hal/stripe-tracks.js'
import { openPty, ptyMissing } from '../../scripts/dev/pty.js'
import { magneticStripeReaderConformance } from '../hal/conformance/magnetic-stripe-reader.js'
import { eventually, opened, testContext, within } from '../hal/conformance/support.js'
import { fakeEvdev, fakeRoots } from '../hal/drivers/evdev-bench.js'
import { typeOn } from '../hal/drivers/typing.js'

t.setTimeout(240_000)
const folder = mkdtempSync(join(tmpdir(), 'stripe-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const ONE = 'B5413330089600010^COURIER/TEST^2512201000'
const TWO = '5413330089600010=2512201000'
const told = ({ track1, track2 }: Swipe) =>
  [track1, track2].map((track) => (track instanceof Uint8Array ? ascii.decode(track) : track))

/** What a reader without LRC types of a stripe: tracks that it could read, `E` for one that it could not. */
function typedBy(track1: string | null, track2: string | null): string {
  const part = (number: 1 | 2, start: string, stripe: string | null) => {
    if (stripe === null) return ''
    const read = readTrack(number, ascii.encode(stripe))
    return `${start}${read instanceof Uint8Array ? ascii.decode(read) : 'E'}?`
  }
  return `${part(1, '%', track1)}${part(2, ';', track2)}\r`
}

t.test('tracks are found by their sentinels; what is broken is bad, what is not there is not', (t) => {
  const read = (typed: string, lrc = false) => told(readSwipe(ascii.encode(typed), lrc))
  t.same(read(`%${ONE}?;${TWO}?`), [ONE, TWO])
  t.same(read(`;${TWO}?`), [undefined, TWO])
  t.same(read(`%${ONE}?;E?`), [ONE, 'bad'], "the reader's own mark")
  t.same(read(`%${ONE}?;${TWO}?+012345?`), [ONE, TWO], 'track 3 is passed over')
  t.same(read(`%${ONE}`), ['bad', undefined], 'no end sentinel')
  t.same(read(`${ONE}?;${TWO}?`), ['bad', TWO], 'no start sentinel')
  t.same(read(`%${ONE}?;${TWO}?;${TWO}?`), [ONE, 'bad'], 'twice the same track')
  t.same(read(`;${'1'.repeat(38)}?`), [undefined, 'bad'])
  t.same(read(';12a?'), [undefined, 'bad'])
  t.same(read('%b?'), ['bad', undefined])
  t.same(read(''), [undefined, undefined])
  t.same(read(`${writeTrack(1, ONE)}${writeTrack(2, TWO)}`, true), [ONE, TWO])
  // An LRC that looks like a sentinel is an LRC all the same.
  const tricky = Array.from({ length: 10_000 }, (_, n) => `${TWO}${n}`).find((each) =>
    writeTrack(2, each).endsWith(';'),
  )!
  t.same(read(`${writeTrack(2, tricky)}`, true), [undefined, tricky])
  t.end()
})

t.test('a swipe that began before anybody waited is not for who waits now; buffers are erased', async (t) => {
  const device = createSwipeDevice(testContext('stripe'), 'test', false)
  device.base.update({ presence: 'ready' })
  const reader = device.reader()
  const type = (content: string) => {
    for (const byte of ascii.encode(content)) device.take(byte)
  }
  type(`%${ONE}?;54133`)
  const swipe = reader.swipe()
  type('30089600010=2512201000?\r')
  t.equal(reader.statistics()['DroppedReadCount'], 1)
  type(`;${TWO}?\r`)
  t.same(told(await within('swipe', swipe)), [undefined, TWO])

  const second = reader.swipe()
  type('x'.repeat(1000))
  t.same(told(await within('too long, ended by a pause', second)), ['bad', 'bad'])

  const stop = new AbortController()
  const third = reader.swipe(stop.signal)
  third.catch(() => undefined)
  type(`;${TWO}?\r`)
  stop.abort()
  await third.catch(() => undefined)
  await eventually('idle', () => reader.status().state === 'idle')
  await reader.close()
})

t.test('the open world can be given no stripe reader', (t) => {
  t.notOk(openDrivers(systemClock).some(({ deviceClass }) => deviceClass === 'magnetic-stripe-reader'))
  t.end()
})

t.test('conformance: a reader that types, through evdev', async (t) => {
  const roots = fakeRoots(folder)
  const fake = fakeEvdev(roots, { number: 5, name: 'ACME Swipe', phys: 'usb-1.4/input0', keys: [28, 30] })
  t.teardown(fake.end)
  await magneticStripeReaderConformance(t, {
    open: () => openKeyboardStripeReader({ device: { phys: 'usb-*/input0' } }, testContext('stripe'), roots),
    swipe: (track1, track2) =>
      typeOn('us', typedBy(track1, track2), (type, code, value) => fake.send([[type, code, value]])),
    cable: fake,
  })
})

t.test('conformance: a reader on a serial line, with LRC', { skip: ptyMissing() ?? false }, async (t) => {
  const pty = await openPty(systemClock, {
    path: join(folder, 'stripe'),
    baudRate: 9600,
    arrived: () => undefined,
  })
  t.teardown(pty.unplug)
  const options = { path: pty.path, baudRate: 9600, lrc: true }
  await magneticStripeReaderConformance(t, {
    open: () => serialStripeReaderDriver.open(options as never, testContext('stripe')),
    swipe: (track1, track2) => pty.say(ascii.encode(`\x02${track1 ?? ''}${track2 ?? ''}\x03`)),
    cable: pty,
  })
  const reader = await opened({
    open: () => serialStripeReaderDriver.open(options as never, testContext('stripe')),
  })
  const swipe = reader.swipe()
  await eventually('armed', () => reader.status().state === 'armed')
  pty.say(ascii.encode(writeTrack(2, TWO)))
  t.same(told(await within('swipe', swipe)), [undefined, TWO], 'a pause ends a swipe too')
  await reader.close()
})
