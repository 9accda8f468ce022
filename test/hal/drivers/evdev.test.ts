// Input devices: which one is meant, whole reports, loss and return, and silent ones that starve nobody.
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { loadFileCalls } from '../../../hal/drivers/device-file.js'
import { type EvdevDevice, keepEvdevOpen } from '../../../hal/drivers/evdev/evdev-reader.js'
import { type EvdevMatch, findEvdev, listEvdev } from '../../../hal/drivers/evdev/find-device.js'
import type { InputEvent } from '../../../hal/drivers/evdev/input-event.js'
import { eventually, within } from '../conformance/support.js'
import { eventBytes, fakeEvdev, fakeRoots } from './evdev-bench.js'

const folder = mkdtempSync(join(tmpdir(), 'evdev-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const roots = fakeRoots(folder)

function follow(match: EvdevMatch, needs: readonly number[] = []) {
  const stop = new AbortController()
  const reports: (readonly InputEvent[])[] = []
  const story: string[] = []
  let device: EvdevDevice | undefined
  const ended = keepEvdevOpen({ match, needs, roots }, systemClock, stop.signal, {
    up(found) {
      device = found
      story.push(`up ${found.info.name}`)
    },
    report: (events) => void reports.push(events),
    dropped: () => void story.push('dropped'),
    down: (reason) => void story.push(`down ${reason}`),
  })
  return {
    reports,
    story,
    device: () => device,
    async end() {
      stop.abort()
      await within('end', ended)
    },
  }
}
const skip = await loadFileCalls().then(
  () => false as const,
  (error: Error) => error.message,
)

await t.test('a device is found by path, name, place, id, and by the keys it has', async (t) => {
  const first = fakeEvdev(roots, {
    number: 3,
    name: 'ACME Keypad',
    phys: 'usb-0-1.2/input0',
    id: ['0c2e', '0b61'],
    keys: [2, 3],
  })
  const second = fakeEvdev(roots, {
    number: 12,
    name: 'ACME Keypad',
    phys: 'usb-0-1.2/input1',
    id: ['0c2e', '0b61'],
    keys: [330],
  })
  symlinkSync(second.path, join(folder, 'by-id-touch'))
  t.same(
    listEvdev(roots).map(({ path }) => path),
    [first.path, second.path],
  )
  const path = (match: EvdevMatch, needs: number[] = []) => findEvdev(match, needs, roots)?.path
  t.equal(path({ name: 'ACME*' }), first.path)
  t.equal(path({ name: 'ACME*' }, [330]), second.path, 'by what it can send')
  t.equal(path({ phys: 'usb-*/input1' }), second.path)
  t.equal(path({ id: '0c2e:0b61' }, [2, 3]), first.path)
  t.equal(path({ path: join(folder, 'by-id-touch') }), join(folder, 'by-id-touch'))
  t.equal(
    path({ path: join(folder, 'by-id-touch'), name: 'Other' }),
    undefined,
    'all that is given has to fit',
  )
  t.equal(path({ name: 'ACME' }), undefined)
  t.equal(path({ id: '0c2e:0000' }), undefined)
  t.same(listEvdev({ sys: '/nonexistent', dev: '/nonexistent' }), [])
  first.end()
  second.end()
})

await t.test('reports come whole, in order, however the bytes are cut', { skip }, async (t) => {
  const fake = fakeEvdev(roots, { number: 0, name: 'cut' })
  const { reports, story, end } = follow({ name: 'cut' })
  await eventually('up', () => story.length === 1)
  const bytes = Buffer.concat([
    eventBytes(3, 0, 17, 1000.5),
    eventBytes(3, 1, -4, 1000.5),
    eventBytes(0, 0, 0, 1000.5),
    eventBytes(1, 330, 1, 1001),
    eventBytes(0, 0, 0, 1001),
  ])
  for (let at = 0; at < bytes.length; at += 7) {
    fake.raw(bytes.subarray(at, at + 7))
    await systemClock.sleep(1)
  }
  await eventually('both reports', () => reports.length === 2)
  t.same(reports, [
    [
      { atMs: 1000.5, type: 3, code: 0, value: 17 },
      { atMs: 1000.5, type: 3, code: 1, value: -4 },
    ],
    [{ atMs: 1001, type: 1, code: 330, value: 1 }],
  ])
  // 200 reports at once are more than one read.
  for (let at = 0; at < 200; at++) fake.send([[1, 2, at % 2]])
  await eventually('all of them', () => reports.length === 202)

  fake.send([[1, 30, 1]], 0, false)
  fake.send([
    [0, 3, 0],
    [1, 31, 1],
  ])
  fake.send([[1, 32, 1]])
  await eventually('what follows', () => reports.length === 203)
  t.same(story.slice(1), ['dropped'], 'SYN_DROPPED: up to the next report nothing counts')
  t.equal(reports.at(-1)?.[0]?.code, 32)
  await end()
  fake.end()
})

await t.test(
  'a device that goes comes back by itself; what it sent meanwhile is an old story',
  { skip },
  async (t) => {
    const fake = fakeEvdev(roots, { number: 1, name: 'comes and goes' })
    fake.send([[1, 99, 1]])
    const { reports, story, device, end } = follow({ name: 'comes*' })
    await eventually('up', () => story.length === 1)
    t.equal(device()?.axis(0), undefined, 'a FIFO has no axes')
    fake.unplug()
    await eventually('down', () => story.length === 2)
    t.match(story[1], /^down .*event1 went away$/)
    await eventually('looked for', () => story.length === 3)
    t.equal(story[2], 'down no input device with name comes*')
    fake.plug()
    await eventually('up again', () => story.length === 4)
    fake.send([[1, 2, 1]])
    await eventually('a report', () => reports.length === 1)
    t.equal(reports[0]?.[0]?.code, 2)
    await end()
    fake.send([[1, 2, 0]])
    t.equal(reports.length, 1)
    fake.end()
  },
)

await t.test('eight silent devices take no thread from fs and leave no descriptor', { skip }, async (t) => {
  const open = () => readdirSync('/proc/self/fd').length
  const before = open()
  const fakes = Array.from({ length: 8 }, (_, at) =>
    fakeEvdev(roots, { number: 20 + at, name: `silent ${at}` }),
  )
  const followers = fakes.map((_, at) => follow({ name: `silent ${at}` }))
  await eventually('all are open', () => followers.every(({ story }) => story.length === 1))
  const reads = Array.from({ length: 64 }, () => readFile('/proc/self/stat', 'utf8'))
  t.equal((await within('64 reads of files', Promise.all(reads))).length, 64)
  for (const { end } of followers) await end()
  for (const fake of fakes) fake.end()
  await eventually('descriptors are closed', () => open() <= before)
})
