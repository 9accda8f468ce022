// Keypads of real hardware against the conformance suite: a matrix over sysfs lines, keys with a line each over the
// character device, and an input device of the kernel; contacts bounce, and a matrix without diodes shows ghosts.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { parseBoard } from '../../../hal/board.js'
import { loadFileCalls } from '../../../hal/drivers/device-file.js'
import { evdevKeypadDriver } from '../../../hal/drivers/evdev/evdev-keypad.js'
import { KEY_CODES, type KeyCodeName, LAYOUTS } from '../../../hal/drivers/evdev/key-codes.js'
import { characterDevicePort } from '../../../hal/drivers/gpio/character-device-port.js'
import { gpioKeysDriver } from '../../../hal/drivers/gpio/gpio-keys.js'
import { gpioMatrixDriver } from '../../../hal/drivers/gpio/matrix-keypad.js'
import { onoffPort } from '../../../hal/drivers/gpio/onoff-port.js'
import type { Key, Keypad } from '../../../hal/keypad.js'
import { createKeyMatrix } from '../../../hal/simulated/hardware/key-matrix.js'
import { seededRandom } from '../../../hal/simulated/hardware/machine.js'
import { keypadConformance } from '../conformance/keypad.js'
import { eventually, testContext } from '../conformance/support.js'
import { fakeEvdev, fakeRoots } from './evdev-bench.js'
import { FakeChip, fakeCharacterDevice, fakeSysfs } from './gpio-bench.js'

t.setTimeout(240_000)
const folder = mkdtempSync(join(tmpdir(), 'keypads-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const calls = await loadFileCalls().catch((error: Error) => error.message)

const KEYPAD = [
  ['1', '2', '3', 'up'],
  ['4', '5', '6', 'clear'],
  ['7', '8', '9', null],
  ['cancel', '0', 'enter', 'down'],
] as const satisfies readonly (readonly (Key | null)[])[]
const KEYS: readonly Key[] = KEYPAD.flat().filter((key) => key !== null)
const GHOST = { pressed: ['1', '2', '4'], ghost: '5' } as const

/** Fingers that close contacts, with all their chatter. */
function fingers(matrix: typeof KEYPAD | [], contact: (key: Key, closed: boolean, atMs: number) => void) {
  const { keypad } = createKeyMatrix(
    {
      clock: systemClock,
      random: seededRandom(7),
      off: new AbortController().signal,
      send: ({ key, closed, atMs }) => contact(key, closed, atMs),
      changed: () => undefined,
    },
    KEYS,
    matrix,
  )
  return { press: keypad.press, release: keypad.release }
}

const ROWS = [8, 9, 10, 11]
const COLUMNS = [0, 1, 2, 3]
const matrixOptions = {
  backend: 'onoff',
  rows: ROWS.map((offset) => `bank:${offset}`),
  columns: COLUMNS.map((offset) => `bank:${offset}`),
  keys: KEYPAD,
  activeLow: true,
  wake: 'interrupt',
  settleUs: 0,
}

function matrixBench(name: string) {
  const chip = new FakeChip('bank', 16)
  const root = join(folder, name)
  const { Gpio, exported } = fakeSysfs(chip, root, 512)
  const driver = gpioMatrixDriver(async () => onoffPort(Gpio, systemClock, root))
  const hands = fingers([], (key, closed) => {
    const row = KEYPAD.findIndex((keys) => (keys as readonly (Key | null)[]).includes(key))
    chip.contact(ROWS[row]!, COLUMNS[(KEYPAD[row] as readonly (Key | null)[]).indexOf(key)]!, closed)
  })
  const open = (change: object = {}) =>
    driver.open({ ...matrixOptions, ...change } as never, testContext('keypad'))
  return { chip, exported, hands, open }
}

await t.test('a matrix over sysfs lines', async (t) => {
  const { chip, exported, hands, open } = matrixBench('matrix')
  await keypadConformance(t, { open, ...hands, ghost: GHOST, cable: chip })
  t.equal(exported.size, 0, 'every line was given back')

  await t.test('rests while no key is down: rows stay as they are, and a press wakes it', async (t) => {
    const keypad = await open()
    await eventually('ready', () => keypad.status().presence === 'ready')
    const presses: Key[] = []
    keypad.on((event) => event.type === 'key' && presses.push(event.key))
    const before = chip.changes.length
    await systemClock.sleep(60)
    t.equal(chip.changes.length, before, 'no line moves')
    t.ok(
      ROWS.every((offset) => chip.driven.get(offset) === 0),
      'every row waits for a key',
    )
    await hands.press('9')
    await eventually('the press', () => presses.length === 1)
    await eventually('scans while the key is down', () => chip.changes.length > before + 30)
    await hands.release('9')
    await eventually('rest', () => ROWS.every((offset) => chip.driven.get(offset) === 0))
    await keypad.close()
  })

  await t.test('never drives two rows against each other while it scans', async (t) => {
    const keypad = await open()
    await eventually('ready', () => keypad.status().presence === 'ready')
    await hands.press('1')
    let fights = 0
    const unwatch = chip.watch(() => {
      if ([...chip.driven.values()].includes(1)) fights += 1
    })
    await systemClock.sleep(50)
    unwatch()
    await hands.release('1')
    t.equal(fights, 0, 'an unselected row is open, not high')
    await keypad.close()
  })

  await t.test('lines without interrupts are scanned all the time', async (t) => {
    const keypad = await open({ wake: 'scan' })
    const presses: Key[] = []
    keypad.on((event) => event.type === 'key' && presses.push(event.key))
    await eventually('ready', () => keypad.status().presence === 'ready')
    await hands.press('6')
    await eventually('the press', () => presses.length === 1)
    t.same(presses, ['6'])
    await hands.release('6')
    await keypad.close()
  })
})

await t.test(
  'keys with a line each over the character device',
  { skip: typeof calls === 'string' ? calls : false },
  async (t) => {
    if (typeof calls === 'string') return
    const chip = new FakeChip('keys', 20)
    const dev = join(folder, 'dev')
    const kernel = fakeCharacterDevice(chip, dev, calls.Epoll)
    const driver = gpioKeysDriver(async () => characterDevicePort(kernel, dev))
    const options = {
      backend: 'character-device',
      keys: Object.fromEntries(KEYS.map((key, at) => [key, `keys:${at}`])),
      activeLow: true,
      bias: 'pull-up',
    }
    const hands = fingers([], (key, closed) => chip.pull(KEYS.indexOf(key), closed ? 0 : 1))
    const open = () => driver.open(options as never, testContext('keypad'))
    await keypadConformance(t, { open, ...hands, cable: chip })

    const first = await open()
    await eventually('ready', () => first.status().presence === 'ready')
    const second = await open()
    await eventually('refused', () => second.status().presence === 'lost')
    t.match(second.status().detail, /is used by something else/)
    await first.close()
    await eventually('its turn', () => second.status().presence === 'ready')
    await second.close()
  },
)

await t.test('keys with a line each over sysfs, whose edges bear no stamps', async (t) => {
  const chip = new FakeChip('sysfs-keys', 20)
  const root = join(folder, 'sysfs-keys')
  const { Gpio } = fakeSysfs(chip, root, 600)
  const driver = gpioKeysDriver(async () => onoffPort(Gpio, systemClock, root))
  const keys = { 1: 'sysfs-keys:4', enter: 'sysfs-keys:5' }
  const keypad = await driver.open(
    { backend: 'onoff', keys, activeLow: true } as never,
    testContext('keypad'),
  )
  const presses: Key[] = []
  keypad.on((event) => event.type === 'key' && presses.push(event.key))
  await eventually('ready', () => keypad.status().presence === 'ready')
  for (let round = 1; round <= 3; round++) {
    // Edges that the process is too busy to hear count as the state that it then finds.
    chip.pull(4, 0)
    chip.pull(4, 1)
    chip.pull(4, 0)
    await eventually('the press', () => presses.length === round)
    chip.pull(4, 1)
    await systemClock.sleep(100)
  }
  t.same(presses, ['1', '1', '1'])
  await keypad.close()
})

await t.test(
  'an input device of the kernel',
  { skip: typeof calls === 'string' ? calls : false },
  async (t) => {
    const roots = fakeRoots(folder)
    const names = Object.entries(LAYOUTS.terminal) as [KeyCodeName, Key][]
    const codeOf = (key: Key) => KEY_CODES[names.find(([, each]) => each === key)![0]]
    const fake = fakeEvdev(roots, { number: 5, name: 'matrix-keypad' })
    /** What the kernel knows of the keys; it answers EVIOCGKEY and lets one program grab. */
    const down = new Set<number>()
    const asked: number[] = []
    const ioctl = (_: number, request: number, argument?: Buffer | number) => {
      asked.push(request)
      if (request === 0x80604518) for (const code of down) (argument as Buffer)[code >> 3]! |= 1 << (code & 7)
      return 0
    }
    if (typeof calls === 'string') return
    const driver = evdevKeypadDriver({ roots, calls: { ...calls, ioctl } })
    const absent = names
      .filter(([, key]) => !(KEYS as readonly Key[]).includes(key))
      .map(([name]) => [name, null])
    const options = {
      device: { name: 'matrix-*' },
      layout: 'terminal',
      keys: Object.fromEntries(absent),
      matrix: KEYPAD,
      grab: true,
    }
    const hands = fingers(KEYPAD, (key, closed, atMs) => {
      if (closed) down.add(codeOf(key))
      else down.delete(codeOf(key))
      fake.send([[1, codeOf(key), closed ? 1 : 0]], atMs)
    })
    const open = (): Promise<Keypad> => driver.open(options as never, testContext('keypad'))
    await keypadConformance(t, { open, ...hands, ghost: GHOST, cable: fake })

    const keypad = await open()
    const presses: Key[] = []
    keypad.on((event) => event.type === 'key' && presses.push(event.key))
    await eventually('ready', () => keypad.status().presence === 'ready')
    fake.send([[1, codeOf('7'), 2]])
    fake.send([[4, 4, 0x70059]])
    fake.send([[1, KEY_CODES.KEY_VOLUMEUP, 1]])
    fake.send([[1, codeOf('5'), 1]])
    await eventually('the five', () => presses.length === 1)
    t.same(presses, ['5'], "the kernel's repeat, scan codes and unknown keys are no presses")
    await keypad.close()
    fake.end()
  },
)

await t.test('wrong options are refused with key, value and what would be right', async (t) => {
  const drivers = [gpioMatrixDriver(), gpioKeysDriver(), evdevKeypadDriver()]
  const lines = (driver: string, options: object) =>
    parseBoard(
      { name: 'b', devices: { keypad: { class: 'keypad', driver, options } } },
      drivers,
    ).problems.map(
      ({ key, value, allowed }) => `${key.replace('/devices/keypad/options', '')} ${value} ${allowed}`,
    )
  t.same(lines('gpio-matrix', matrixOptions), [])
  t.match(lines('gpio-matrix', { ...matrixOptions, rows: ['17'] }), [/^\/rows\/0 "17" has to/])
  t.match(lines('gpio-matrix', { ...matrixOptions, backend: 'sysfs' }), [
    /^\/backend "sysfs" has to be.*onoff.*character-device/,
  ])
  t.match(lines('gpio-matrix', { ...matrixOptions, keys: [['1', '11']] }), [/^\/keys\/0\/1 "11" has to be/])
  t.match(lines('gpio-keys', { keys: { one: 'bank:1' } }), [
    /^\/keys\/one "bank:1" is no known key; there are 0, 1/,
  ])
  t.match(lines('evdev', { device: { id: '0C2E' } }), [/^\/device\/id "0C2E" has to/])
  t.match(lines('evdev', { device: { name: 'x' }, keys: { KEY_FOO: '1' } }), [
    /^\/keys\/KEY_FOO "1" is no known key/,
  ])
  t.match(lines('evdev', { device: { name: 'x' }, layout: 'qwerty' }), [
    /^\/layout "qwerty" has to be.*terminal/,
  ])
})
