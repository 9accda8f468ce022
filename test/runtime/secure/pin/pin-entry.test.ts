// PIN entry: what is typed goes into one buffer; what is shown are bullets; nothing is asked where it is not safe.
import t, { type Test } from 'tap'
import { loadFont } from '../../../../hal/base/font/font.js'
import { money } from '../../../../hal/base/money.js'
import type { Key } from '../../../../hal/keypad.js'
import { createPinEntry, type PinPrompt } from '../../../../runtime/secure/pin/pin-entry.js'
import { createScreenService } from '../../../../runtime/secure/screens/screen-service.js'
import { loadTexts } from '../../../../runtime/secure/texts.js'
import { settled, TestDevices } from '../screens/fakes.js'

const font = loadFont()
const texts = loadTexts()
const prompt: PinPrompt = {
  amount: money(4990n, 'EUR'),
  online: true,
  triesLeft: undefined,
  wrong: false,
  bypassAllowed: false,
  language: 'en',
}

function setUp(t: Test, freezeApps: () => Promise<void> = async () => undefined) {
  const devices = new TestDevices()
  const { display, keypad, indicators, clock, log } = devices
  const screens = createScreenService({ display, keypad, indicators, clock, log, texts, font })
  const calls: string[] = []
  const enterPin = createPinEntry({
    screens,
    texts,
    clock,
    log,
    freezeApps: () => {
      calls.push('freeze')
      return freezeApps()
    },
    thawApps: async () => {
      calls.push('thaw')
    },
  })
  t.teardown(() => screens.close())
  const start = (changes: Partial<PinPrompt> = {}, signal = new AbortController().signal) =>
    enterPin({ ...prompt, ...changes }, signal)
  return { devices, screens, calls, start }
}

t.test('a PIN of four to twelve digits, under lock and light, as bullets', async (t) => {
  const { devices, calls, start } = setUp(t)
  const entry = start()
  t.match(await devices.seen(), /^\[Secure\].*\nEnter PIN\n€49.90\nThen press the green key\n_\n/)
  t.equal(devices.lights.get('secure'), 'on')
  await devices.press('1', '2', '3', 'enter')
  t.match(await devices.seen(), /at least 4 digits\n.*\n•••\n/)
  await devices.press('4', '5', '6', '7', '8', '9', '0', '1', '2')
  t.match(await devices.seen(), /\n•{12}\n/)
  await devices.press('3')
  t.equal(devices.tones.at(-1), 320, 'a thirteenth digit is refused')
  t.notMatch(devices.alt.join('\n'), /1234/)
  await devices.press('enter')
  const result = await entry
  t.equal(result.kind, 'entered')
  t.equal(result.kind === 'entered' && Buffer.from(result.digits).toString(), '123456789012')
  t.strictSame(calls, ['freeze', 'thaw'])
  t.match(await devices.seen(), /Starting/)
  t.equal(devices.lights.get('secure'), 'off')
})

t.test('clear takes all digits back; cancel, abort and time-out end it', async (t) => {
  const { devices, calls, start } = setUp(t)
  const cleared = start()
  await settled()
  await devices.press('9', '9', '9', 'clear', '1', '1', '1', '1', 'enter')
  const result = await cleared
  t.equal(result.kind === 'entered' && Buffer.from(result.digits).toString(), '1111')

  const cancelled = start()
  await settled()
  await devices.press('1', 'cancel')
  t.strictSame(await cancelled, { kind: 'cancelled' })

  const abort = new AbortController()
  const aborted = start({}, abort.signal)
  await settled()
  abort.abort()
  t.strictSame(await aborted, { kind: 'cancelled' })
  t.strictSame(await start({}, abort.signal), { kind: 'cancelled' })

  const idle = start()
  await devices.clock.advance(29_000)
  await devices.press('1')
  await devices.clock.advance(29_000)
  t.match(await devices.seen(), /•/)
  await devices.clock.advance(2000)
  t.strictSame(await idle, { kind: 'timeout' })

  const slow = start()
  await settled()
  for (let i = 0; i < 5; i++) {
    await devices.press('1')
    await devices.clock.advance(20_000)
  }
  t.strictSame(await slow, { kind: 'timeout' }, 'the whole entry is bounded too')
  t.equal(calls.filter((call) => call === 'freeze').length, calls.filter((call) => call === 'thaw').length)
})

t.test('nothing comes above a PIN prompt: apps, notices and questions wait below', async (t) => {
  const { devices, screens, start } = setUp(t)
  const entry = start()
  await settled()
  await devices.press('1', '2')
  const waiting = [
    screens.show({ app: 'a', name: 'App' }, 'x', { kind: 'message', title: 'App', text: 'x' }),
    screens.ask({ kind: 'confirm', title: 'Question', text: 'x' }),
    screens.notify({ kind: 'message', title: 'Notice', text: 'x' }),
  ]
  await devices.press('3', '4')
  t.match(await devices.seen(), /Enter PIN\n.*\n.*\n••••/)
  await devices.press('enter')
  t.equal((await entry).kind, 'entered')
  for (const title of ['Question', 'Notice', 'App']) {
    t.match(await devices.seen(), new RegExp(`\\n${title}\\n`))
    await devices.press('enter')
  }
  t.strictSame(await Promise.all(waiting), Array(3).fill({ type: 'confirmed' }))
})

t.test('bypass only where it is allowed', async (t) => {
  const { devices, start } = setUp(t)
  const strict = start()
  await settled()
  await devices.press('enter')
  t.match(await devices.seen(), /at least 4/)
  await devices.press('cancel')
  await strict
  const loose = start({ bypassAllowed: true })
  await settled()
  await devices.press('enter')
  t.strictSame(await loose, { kind: 'bypassed' })
})

t.test('why it is asked again is said in the language of the cardholder', async (t) => {
  const { devices, start } = setUp(t)
  const says = async (changes: Partial<PinPrompt>, words: RegExp) => {
    const entry = start(changes)
    t.match(await devices.seen(), words)
    await devices.press('cancel')
    await entry
  }
  await says({ wrong: true }, /Wrong PIN. Try again/)
  await says({ wrong: true, triesLeft: 2 }, /Wrong PIN. 2 tries left/)
  await says({ wrong: true, triesLeft: 1 }, /Wrong PIN. Last try/)
  await says({ triesLeft: 1 }, /Last try/)
  await says({ wrong: true, triesLeft: 2, language: 'zh' }, /请输入密码\n€49.90\n密码错误 还剩2次/)
})

t.test('keys before the apps stand still are no digits', async (t) => {
  let frozen: () => void = () => undefined
  const { devices, start } = setUp(t, () => new Promise((resolve) => (frozen = resolve)))
  const entry = start()
  await devices.press('7', '7', '7', '7', 'enter')
  t.match(await devices.seen(), /Card payment\n€49.90\nOne moment…\n_/)
  frozen()
  await settled()
  await devices.press('1', '2', '3', '4', 'enter')
  const result = await entry
  t.equal(result.kind === 'entered' && Buffer.from(result.digits).toString(), '1234')
})

t.test('no PIN is asked where apps do not freeze in time, fail to, or the light stays dark', async (t) => {
  const slow = setUp(t, () => new Promise(() => undefined))
  const entry = slow.start()
  await slow.devices.clock.advance(3100)
  t.strictSame(await entry, { kind: 'cancelled' })
  t.strictSame(slow.calls, ['freeze', 'thaw'])

  const failing = setUp(t, () => Promise.reject(new Error('no')))
  t.strictSame(await failing.start(), { kind: 'cancelled' })

  const dark = setUp(t)
  dark.devices.lightFails = true
  t.strictSame(await dark.start(), { kind: 'cancelled' })
})

t.test('what was typed and not entered is erased', async (t) => {
  const buffers: Uint8Array[] = []
  const Real = globalThis.Uint8Array
  // The entry makes its one buffer when it starts: catch it, and look into it afterwards.
  globalThis.Uint8Array = new Proxy(Real, {
    construct(target, args, newTarget) {
      const made = Reflect.construct(target, args, newTarget)
      if (args[0] instanceof ArrayBuffer && args[0].byteLength === 12) buffers.push(made)
      return made
    },
  })
  t.teardown(() => {
    globalThis.Uint8Array = Real
  })
  const { devices, start } = setUp(t)
  const entry = start()
  globalThis.Uint8Array = Real
  await settled()
  await devices.press(...(['4', '3', '2', '1'] as Key[]))
  t.equal(buffers.length, 1)
  t.strictSame([...buffers[0]!.subarray(0, 4)], [0x34, 0x33, 0x32, 0x31])
  await devices.press('cancel')
  await entry
  t.strictSame([...buffers[0]!], Array(12).fill(0))
})
