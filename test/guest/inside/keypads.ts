// Keypads on the kernel's own lines and input devices: a matrix on gpio-sim through sysfs and the character device, a line
// a key, and uinput. Each passes the suite of its class; contacts chatter, and the matrix has no diodes.
import { spawn } from 'node:child_process'
import type { Test } from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { evdevKeypadDriver } from '../../../hal/drivers/evdev/evdev-keypad.js'
import { KEY_CODES, type KeyCodeName, LAYOUTS } from '../../../hal/drivers/evdev/key-codes.js'
import { gpioKeysDriver } from '../../../hal/drivers/gpio/gpio-keys.js'
import { gpioMatrixDriver } from '../../../hal/drivers/gpio/matrix-keypad.js'
import type { Key } from '../../../hal/keypad.js'
import { createKeyMatrix } from '../../../hal/simulated/hardware/key-matrix.js'
import { seededRandom } from '../../../hal/simulated/hardware/machine.js'
import { keypadConformance } from '../../hal/conformance/keypad.js'
import { testContext } from '../../hal/conformance/support.js'
import { type SimulatedChip, simulatedChip } from './gpio-sim.js'
import { virtualInput } from './uinput.js'

export type Matrix = readonly (readonly (Key | null)[])[]
export const MATRIX: Matrix = [
  ['1', '2', '3', 'up'],
  ['4', '5', '6', 'clear'],
  ['7', '8', '9', null],
  ['cancel', '0', 'enter', 'down'],
]
const KEYS: readonly Key[] = MATRIX.flat().filter((key) => key !== null)
const GHOST = { pressed: ['1', '2', '4'], ghost: '5' } as const
const ROWS = [8, 9, 10, 11]
const COLUMNS = [0, 1, 2, 3]

/** Options of the matrix driver for `chip`. */
export const matrixOptions = (chip: string, keys: Matrix = MATRIX) => ({
  backend: 'onoff',
  rows: keys.map((_, row) => `${chip}:${ROWS[0]! + row}`),
  columns: COLUMNS.map((offset) => `${chip}:${offset}`),
  keys,
  activeLow: true,
  wake: 'interrupt',
  // An emulated processor: the switches are another program.
  settleUs: 1000,
})

/** Switches of `keys` on the chip's lines; ended with the process, or by `end`. */
export function keySwitches(chip: SimulatedChip, keys: Matrix = MATRIX) {
  const rows = keys.map((_, row) => ROWS[0]! + row).join(',')
  const child = spawn('/postern/bin/key-switches', [chip.label, rows, ...COLUMNS.map(chip.folder)], {
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  return {
    contact(key: Key, closed: boolean) {
      const row = keys.findIndex((each) => each.includes(key))
      child.stdin.write(`${row} ${keys[row]!.indexOf(key)} ${closed ? 1 : 0}\n`)
    },
    end: () => child.kill(),
  }
}

/** Fingers on contacts that chatter. */
function fingers(matrix: Matrix, contact: (key: Key, closed: boolean) => void) {
  const { keypad } = createKeyMatrix(
    {
      clock: systemClock,
      random: seededRandom(7),
      off: new AbortController().signal,
      send: ({ key, closed }) => contact(key, closed),
      changed: () => undefined,
    },
    KEYS,
    matrix,
  )
  return { press: keypad.press, release: keypad.release }
}

export async function keypads(t: Test): Promise<void> {
  const bank = simulatedChip('bank', 16)
  const switches = keySwitches(bank)
  t.teardown(switches.end)
  await t.test('a matrix on gpio-sim through onoff', async (t) => {
    const driver = gpioMatrixDriver()
    const open = () => driver.open(matrixOptions('bank') as never, testContext('keypad'))
    await keypadConformance(t, { open, ...fingers([], switches.contact), ghost: GHOST })
  })

  await t.test('a line a key on gpio-sim', async (t) => {
    const chip = simulatedChip('keys', 20)
    for (const backend of ['onoff', 'character-device']) {
      const driver = gpioKeysDriver()
      const options = {
        backend,
        keys: Object.fromEntries(KEYS.map((key, at) => [key, `keys:${at}`])),
        activeLow: true,
      }
      const hands = fingers([], (key, closed) => chip.pull(KEYS.indexOf(key), closed ? 0 : 1))
      await keypadConformance(t, {
        open: () => driver.open(options as never, testContext('keypad')),
        ...hands,
      })
    }
  })

  await t.test('an input device of uinput, grabbed', async (t) => {
    const names = Object.entries(LAYOUTS.terminal) as [KeyCodeName, Key][]
    const codeOf = (key: Key) => KEY_CODES[names.find(([, each]) => each === key)![0]]
    const input = virtualInput({ name: 'guest keypad', keys: names.map(([name]) => KEY_CODES[name]) })
    const absent = names.filter(([, key]) => !KEYS.includes(key)).map(([name]) => [name, null])
    const options = {
      match: { name: 'guest keypad' },
      layout: 'terminal',
      keys: Object.fromEntries(absent),
      matrix: MATRIX,
      grab: true,
    }
    const hands = fingers(MATRIX, (key, closed) => input.send([[1, codeOf(key), closed ? 1 : 0]]))
    const driver = evdevKeypadDriver()
    const open = () => driver.open(options as never, testContext('keypad'))
    await keypadConformance(t, { open, ...hands, ghost: GHOST, cable: input })
    input.unplug()
  })
}
