// What drivers stand on: operations and status, leases, counters, debounce, frames, tracks, battery levels.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Clock, systemClock } from '../../hal/base/clock.js'
import { isPosternError } from '../../hal/base/errors.js'
import { silentLog } from '../../hal/base/log.js'
import { createDeviceBase } from '../../hal/device-base.js'
import { dirtyRect, isLit, toMonochrome } from '../../hal/frame.js'
import { type ContactState, mayBeGhost, nextContact, OPEN } from '../../hal/key-debounce.js'
import { createLeasing } from '../../hal/lease.js'
import { nextPowerLevel } from '../../hal/power-level.js'
import { createCounters } from '../../hal/statistics.js'
import { fileStatistics } from '../../hal/statistics-file.js'
import { readTrack, writeTrack } from '../../hal/stripe-tracks.js'
import { codeOf, testContext, within } from './conformance/support.js'

const forever = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
const scanner = () => {
  const base = createDeviceBase<'scanner', 'idle' | 'scanning'>(testContext('s'), 'scanner', 'test', 'idle')
  base.update({ presence: 'ready' })
  return base
}

t.test('an operation ends with the code of what ended it', async (t) => {
  const base = scanner()
  const stop = new AbortController()
  const aborted = codeOf('aborted', base.operation({ signal: stop.signal, lane: 'a' }, forever))
  t.equal(await codeOf('same lane', base.operation({ lane: 'a' }, forever)), 'DEVICE_BUSY')
  t.equal(
    await codeOf(
      'other lane',
      base.operation({ lane: 'b' }, async () => 7),
    ),
    'resolved',
  )
  stop.abort()
  t.equal(await aborted, 'ABORTED')
  const lost = codeOf('lost', base.operation({ lane: 'a' }, forever))
  base.update({ presence: 'lost' })
  t.equal(await lost, 'DEVICE_LOST')
  base.update({ presence: 'ready' })
  const closed = codeOf('closed', base.operation({ lane: 'a' }, forever))
  await base.device.close()
  t.equal(await closed, 'DEVICE_CLOSED')
  t.equal(
    await codeOf(
      'late',
      base.operation({}, async () => 7),
    ),
    'DEVICE_CLOSED',
  )
})

t.test('a driver that does not let go keeps its lane, not its caller', async (t) => {
  const base = scanner()
  let letGo: () => void = () => undefined
  const stop = new AbortController()
  const work = base.operation(
    { signal: stop.signal, lane: 'a' },
    () => new Promise<void>((resolve) => (letGo = resolve)),
  )
  stop.abort()
  t.equal(await codeOf('abort', work), 'ABORTED')
  t.equal(
    await codeOf(
      'lane',
      base.operation({ lane: 'a' }, async () => 1),
    ),
    'DEVICE_BUSY',
  )
  letGo()
  await systemClock.sleep(1)
  t.equal(await base.operation({ lane: 'a' }, async () => 1), 1)
  await base.device.close()
})

t.test('listeners: once per change, after status(), none harmed by another', async (t) => {
  const base = scanner()
  const seen: string[] = []
  base.device.on(() => {
    throw new Error('mine')
  })
  const stop = base.device.on((event) => seen.push(`${event.status.state}/${base.device.status().state}`))
  base.update({ state: 'scanning' })
  base.update({ state: 'scanning' })
  stop()
  base.update({ state: 'idle' })
  t.same(seen, ['scanning/scanning'])
  const order: number[] = []
  base.onClose(() => void order.push(1))
  base.onClose(() => Promise.reject(new Error('a cleanup that fails stops no other')))
  base.onClose(() => void order.push(2))
  await base.device.close()
  t.same(order, [2, 1])
})

t.test('a lease is exclusive, names its holder, ends by release or revoke', (t) => {
  const leasing = createLeasing({ id: 'printer' })
  const first = leasing.acquire('receipts')
  t.equal(leasing.holder(), 'receipts')
  try {
    leasing.acquire('self-test')
    t.fail('two owners')
  } catch (error) {
    t.ok(isPosternError(error, 'DEVICE_BUSY'))
    t.match(error, { message: 'printer is held by receipts', details: { holder: 'receipts' } })
  }
  t.equal(first.device().id, 'printer')
  first.release()
  first.release()
  t.ok(first.signal.aborted)
  t.throws(() => first.device(), { code: 'ABORTED' })
  const second = leasing.acquire('self-test')
  t.throws(() => first.device(), { code: 'DEVICE_BUSY', details: { holder: 'self-test' } })
  first.release()
  t.equal(leasing.holder(), 'self-test', 'an ended lease releases nobody else’s')
  t.ok(leasing.revoke('a payment needs it'))
  t.match(second.signal.reason, { code: 'ABORTED', message: 'a payment needs it' })
  t.equal(leasing.holder(), undefined)
  t.notOk(leasing.revoke('again'))
  t.end()
})

t.test('counters have the names of their class, only grow, and outlive a restart', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'statistics-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'statistics.json')
  let nowMs = 0
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs }
  const first = createCounters('keypad', 'keypad', clock, fileStatistics(path, silentLog))
  first.count('KeyPressedCount')
  first.count('KeyPressedCount', -5)
  first.count('KeyPressedCount', 0.5)
  nowMs += 1_800_000
  t.match(first.snapshot(), { KeyPressedCount: 1, BounceCount: 0, HoursPoweredCount: 0.5 })
  first.close()
  const second = createCounters('keypad', 'keypad', clock, fileStatistics(path, silentLog))
  nowMs += 61_000
  second.count('KeyPressedCount', 2)
  t.match(second.snapshot(), { KeyPressedCount: 3, HoursPoweredCount: 0.5169 })
  const third = createCounters('keypad', 'keypad', clock, fileStatistics(path, silentLog))
  t.equal(third.snapshot()['KeyPressedCount'], 3, 'saved once a minute, not only at close')
  for (const file of [path, `${path}.previous`]) writeFileSync(file, 'damaged')
  const fresh = createCounters('keypad', 'keypad', clock, fileStatistics(path, silentLog))
  t.equal(fresh.snapshot()['KeyPressedCount'], 0)
})

t.test(
  'debounce: one press and one release, whatever the chatter, even if the edges come late together',
  (t) => {
    const feed = (edges: readonly (readonly [number, boolean])[], endMs: number) => {
      let state: ContactState = OPEN
      const told: string[] = []
      for (const [atMs, closed] of edges) {
        const step = nextContact(state, { kind: 'edge', closed, atMs })
        state = step.state
        if (step.output) told.push(step.output)
      }
      const last = nextContact(state, { kind: 'time', atMs: endMs })
      if (last.output) told.push(last.output)
      return told
    }
    const chatter = [
      [0, true],
      [1, false],
      [3, true],
      [4, false],
      [19, true],
    ] as const
    t.same(feed(chatter, 23), [], 'not yet stable')
    t.same(feed(chatter, 30), ['pressed'])
    t.same(feed([...chatter, [80, false], [85, true], [99, false]], 121), ['pressed', 'released'])
    t.same(
      feed(
        [
          [0, true],
          [3, false],
        ],
        500,
      ),
      [],
      'a spike is no press',
    )
    t.same(
      feed(
        [
          [0, true],
          [60, false],
          [120, true],
          [180, false],
        ],
        500,
      ),
      ['pressed', 'released', 'pressed', 'released'],
    )
    t.end()
  },
)

t.test('debounce: an edge of the chatter that comes after the release was told is no second press', (t) => {
  const told: string[] = []
  let state: ContactState = OPEN
  const feed = (input: Parameters<typeof nextContact>[1]) => {
    const step = nextContact(state, input)
    state = step.state
    if (step.output) told.push(step.output)
  }
  feed({ kind: 'edge', closed: true, atMs: 0 })
  feed({ kind: 'time', atMs: 5 })
  feed({ kind: 'edge', closed: false, atMs: 8 })
  // The process that stamps the edges is held up; the timer for the release runs out here meanwhile.
  feed({ kind: 'time', atMs: 29 })
  feed({ kind: 'edge', closed: true, atMs: 12 })
  feed({ kind: 'time', atMs: 60 })
  t.same(told, ['pressed', 'released'])
  feed({ kind: 'edge', closed: false, atMs: 100 })
  feed({ kind: 'time', atMs: 121 })
  feed({ kind: 'edge', closed: true, atMs: 200 })
  feed({ kind: 'time', atMs: 205 })
  t.same(told, ['pressed', 'released', 'released', 'pressed'])
  t.end()
})

t.test('ghosts: only the fourth corner of a rectangle', (t) => {
  const wiring = [
    ['1', '2', '3'],
    ['4', '5', null],
  ] as const
  t.ok(mayBeGhost(wiring, new Set(['1', '2', '4', '5'] as const), '5'))
  t.notOk(mayBeGhost(wiring, new Set(['1', '2', '3'] as const), '3'), 'one row')
  t.notOk(mayBeGhost(wiring, new Set(['1', '5', '3'] as const), '3'))
  t.notOk(mayBeGhost([], new Set(['1', '2', '4', '5'] as const), '5'), 'no matrix')
  t.end()
})

t.test('frames: the smallest rectangle of difference; monochrome by luminance', (t) => {
  const blank = { width: 8, height: 4, pixels: new Uint16Array(32) }
  const changed = { ...blank, pixels: blank.pixels.slice() }
  t.equal(dirtyRect(blank, changed), undefined)
  changed.pixels[1 * 8 + 6] = 1
  changed.pixels[3 * 8 + 2] = 1
  t.same(dirtyRect(blank, changed), { x: 2, y: 1, width: 5, height: 3 })
  t.ok(isLit(0xffff) && isLit(0x07e0) && !isLit(0x001f) && !isLit(0xf800) && !isLit(0))
  t.same(
    [...toMonochrome({ width: 2, height: 1, pixels: Uint16Array.of(0x07e0, 0xf800) }).pixels],
    [0xffff, 0],
  )
  t.end()
})

t.test('tracks: what is written is read; each kind of damage is bad', (t) => {
  const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
  const track2 = '4761739001010010=25122010123456789'
  t.same(readTrack(2, bytes(writeTrack(2, track2))), bytes(track2))
  t.same(readTrack(1, bytes(writeTrack(1, 'B1^A/B^2512'))), bytes('B1^A/B^2512'))
  t.equal(readTrack(2, new Uint8Array()), undefined)
  for (const damage of [
    ';123=456',
    '123=456?0',
    ';123=4A6?0',
    `${writeTrack(2, '12')}0`,
    writeTrack(1, 'B1'),
  ])
    t.equal(readTrack(2, bytes(damage)), 'bad', damage)
  t.end()
})

t.test('battery levels never flap around a threshold', (t) => {
  let level = nextPowerLevel('ok', 15)
  t.equal(level, 'low')
  for (const percent of [15.5, 16.9, 15]) level = nextPowerLevel(level, percent)
  t.equal(level, 'low')
  t.equal(nextPowerLevel('low', 17), 'ok')
  t.equal(nextPowerLevel('ok', 1), 'critical')
  t.equal(nextPowerLevel('critical', 6.9), 'critical')
  t.equal(nextPowerLevel('critical', 90), 'ok')
  t.end()
})

t.test('an operation that was aborted beforehand never starts', async (t) => {
  const base = scanner()
  let started = false
  const work = base.operation({ signal: AbortSignal.abort() }, async () => {
    started = true
  })
  t.equal(await codeOf('operation', work), 'ABORTED')
  t.notOk(started)
  await within('close', base.device.close())
})
