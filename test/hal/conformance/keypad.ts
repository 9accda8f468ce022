// Conformance of a keypad's driver with hal/keypad.ts.
import type { Test } from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import type { Key, KeyPress, Keypad } from '../../../hal/keypad.js'
import { type DeviceBench, deviceConformance, eventually, opened } from './support.js'

/** A bench with fingers. Each resolves when the contact has come to rest; contacts bounce for up to 20 ms. */
export interface KeypadBench extends DeviceBench<Keypad> {
  press(key: Key): Promise<void>
  release(key: Key): Promise<void>
  /** Three keys that make a matrix show a fourth; absent where each key has a line of its own. */
  readonly ghost?: { readonly pressed: readonly [Key, Key, Key]; readonly ghost: Key }
}

export async function keypadConformance(t: Test, bench: KeypadBench): Promise<void> {
  await deviceConformance(t, bench)

  const run = (
    name: string,
    body: (t: Test, keypad: Keypad, presses: KeyPress[], tap: (key: Key) => Promise<void>) => Promise<void>,
  ) =>
    t.test(name, async (t) => {
      const keypad = await opened(bench)
      const presses: KeyPress[] = []
      keypad.on((event) => {
        if (event.type === 'key') presses.push(event)
      })
      const tap = async (key: Key) => {
        const before = presses.length
        await bench.press(key)
        await eventually(`press of ${key}`, () => presses.length > before)
        await bench.release(key)
        // A finger takes longer than that from one key to the next.
        await systemClock.sleep(40)
      }
      try {
        await body(t, keypad, presses, tap)
      } finally {
        await keypad.close()
      }
    })

  await run(
    'each key is told once per press, in order, whatever its contact chatters',
    async (t, keypad, presses, tap) => {
      const typed = [...keypad.capabilities.keys, ...keypad.capabilities.keys.slice(0, 3)]
      for (const key of typed) await tap(key)
      t.same(
        presses,
        typed.map((key) => ({ type: 'key', key, repeat: false })),
      )
      t.equal(keypad.statistics()['KeyPressedCount'], typed.length)
    },
  )

  await run('one key twice is two presses', async (t, _, presses, tap) => {
    for (let count = 0; count < 5; count++) await tap('5')
    t.equal(presses.length, 5)
  })

  await run('keys that overlap, as quick typists do, are all told', async (t, _, presses) => {
    await bench.press('1')
    await bench.press('2')
    await bench.release('1')
    await bench.release('2')
    await eventually('both', () => presses.length === 2)
    t.same(
      presses.map(({ key }) => key),
      ['1', '2'],
    )
  })

  await run('arrows repeat while held and stop when let go; digits never repeat', async (t, _, presses) => {
    await bench.press('up')
    await eventually('repeats', () => presses.length >= 4)
    await bench.release('up')
    await systemClock.sleep(60)
    const count = presses.length
    t.ok(presses.slice(1).every(({ key, repeat }) => key === 'up' && repeat))
    t.equal(presses[0]?.repeat, false)
    await bench.press('7')
    await systemClock.sleep(900)
    await bench.release('7')
    t.equal(presses.length, count + 1)
  })

  await t.test('nothing is buffered: what is typed before the first listener is gone', async (t) => {
    const keypad = await opened(bench)
    await bench.press('9')
    await bench.release('9')
    await systemClock.sleep(60)
    const presses: Key[] = []
    keypad.on((event) => event.type === 'key' && presses.push(event.key))
    await bench.press('1')
    await eventually('the press', () => presses.length > 0)
    await bench.release('1')
    t.same(presses, ['1'])
    await keypad.close()
    await bench.press('2')
    await bench.release('2')
    await systemClock.sleep(60)
    t.same(presses, ['1'], 'a closed keypad is silent')
  })

  const { ghost, cable } = bench
  if (ghost !== undefined) {
    await run('three keys of a rectangle never make a fourth', async (t, keypad, presses) => {
      for (const key of ghost.pressed) {
        await bench.press(key)
        await systemClock.sleep(60)
      }
      for (const key of ghost.pressed) await bench.release(key)
      await systemClock.sleep(60)
      const told = presses.map(({ key }) => key)
      t.same(told.slice(0, 2), ghost.pressed.slice(0, 2))
      t.notOk(told.includes(ghost.ghost), 'the third may be told or not, the ghost never')
      t.ok(keypad.statistics()['GhostKeyCount']! >= 1, `the ghost of ${ghost.ghost} is counted`)
    })
  }
  if (cable !== undefined) {
    await run(
      'a key that is held while the keypad comes back counts only after it was let go',
      async (t, keypad, presses, tap) => {
        await cable.unplug()
        await eventually('lost', () => keypad.status().presence === 'lost')
        await bench.press('4')
        await cable.plug()
        await eventually('ready', () => keypad.status().presence === 'ready')
        await systemClock.sleep(60)
        await bench.release('4')
        await systemClock.sleep(60)
        t.same(presses, [])
        await tap('4')
        t.equal(presses.length, 1)
      },
    )
  }
}
