// The service as apps and the secure world use it: what is shown, what keys do, who is above whom.
import t, { type Test } from 'tap'
import { loadFont } from '../../../../hal/base/font/font.js'
import type { Screen } from '../../../../runtime/api/screens.js'
import { createScreenService } from '../../../../runtime/secure/screens/screen-service.js'
import { loadTexts } from '../../../../runtime/secure/texts.js'
import { settled, TestDevices } from './fakes.js'

const font = loadFont()
const texts = loadTexts()
const courier = { app: 'courier', name: 'Courier' }

function setUp(t: Test, options: { onScanKey?: () => void } = {}) {
  const devices = new TestDevices()
  const { display, keypad, indicators, clock, log } = devices
  const screens = createScreenService({ display, keypad, indicators, clock, log, texts, font, ...options })
  t.teardown(() => screens.close())
  return { devices, screens }
}

const list: Screen = {
  kind: 'list',
  title: 'Deliveries',
  items: Array.from({ length: 12 }, (_, i) => ({ id: `d${i}`, label: `Parcel ${i}`, detail: 'x' })),
}
const form: Screen = {
  kind: 'form',
  title: 'Receiver',
  fields: [
    { id: 'name', label: 'Name', input: 'text', maxLength: 10 },
    { id: 'phone', label: 'Phone', input: 'digits', minLength: 3 },
  ],
}

t.test('a list: keys move, digits choose what is in view, enter selects', async (t) => {
  const { devices, screens } = setUp(t)
  const chosen = screens.show(courier, 'a', list)
  t.match(await devices.seen(), /\[Courier\].*\nDeliveries \(1\/12\)\n> 1 Parcel 0/)
  await devices.press('down', 'down', 'enter')
  t.strictSame(await chosen, { type: 'selected', id: 'd2' })

  const byDigit = screens.show(courier, 'b', list)
  await devices.press('up')
  t.match(await devices.seen(), /> 5 Parcel 11/, 'up at the top turns round to the end')
  await devices.press('2')
  t.strictSame(await byDigit, { type: 'selected', id: 'd8' })
  t.match(await devices.seen(), /Starting/, 'home is shown where nothing is')
})

t.test('soft keys, cancel, time-out and abort each end a screen in their own way', async (t) => {
  const { devices, screens } = setUp(t)
  const soft = screens.show(courier, 'a', { ...list, softKeys: [{ id: 'scan', label: 'Scan' }] })
  await devices.press('soft2')
  t.equal(devices.tones.at(-1), 320, 'a soft key that is not there is refused')
  await devices.press('soft1')
  t.strictSame(await soft, { type: 'softKey', id: 'scan' })

  const back = screens.show(courier, 'a', list)
  await devices.press('cancel')
  t.strictSame(await back, { type: 'back' })

  const late = screens.show(courier, 'a', { ...list, timeoutMs: 5000 })
  await devices.clock.advance(4000)
  await devices.press('down')
  await devices.clock.advance(4000)
  t.match(await devices.seen(), /Deliveries/, 'a key begins the time anew')
  await devices.clock.advance(5000)
  t.strictSame(await late, { type: 'timeout' })

  const abort = new AbortController()
  const aborted = screens.show(courier, 'a', list, abort.signal)
  abort.abort()
  t.strictSame(await aborted, { type: 'closed' })
  t.strictSame(await screens.show(courier, 'a', list, abort.signal), { type: 'closed' })
})

t.test('confirm is yes with enter and no with cancel; progress ends only where it may', async (t) => {
  const { devices, screens } = setUp(t)
  const ask: Screen = {
    kind: 'confirm',
    title: 'Sure?',
    text: 'Really',
    amount: { minor: '1250', currency: 'EUR' },
  }
  const yes = screens.show(courier, 'a', ask)
  t.match(await devices.seen(), /€12.50\nReally\n\[cancel: No\]\n\[enter: Yes\]/)
  await devices.press('enter')
  t.strictSame(await yes, { type: 'confirmed' })
  const no = screens.show(courier, 'a', ask)
  await devices.press('cancel')
  t.strictSame(await no, { type: 'declined' })

  const abort = new AbortController()
  const stuck = screens.show(courier, 'a', { kind: 'progress', title: 'P', text: 'working' }, abort.signal)
  await devices.press('cancel', 'enter')
  t.match(await devices.seen(), /working/)
  screens.update(courier, 'a', {
    kind: 'progress',
    title: 'P',
    text: 'working',
    percent: 50,
    cancellable: true,
  })
  t.match(await devices.seen(), /working 50 %\n\[cancel: Cancel\]/)
  await devices.press('cancel')
  t.strictSame(await stuck, { type: 'back' })
})

t.test('a form: multi-tap letters, digits under NOT FOR PIN, lengths checked', async (t) => {
  const { devices, screens } = setUp(t)
  const filled = screens.show(courier, 'a', form)
  t.match(await devices.seen(), /NOT FOR PIN\n> Name: \nPhone: /)
  await devices.press('2', '2', '3', 'menu', '3')
  t.match(await devices.seen(), /> Name: bdD/, 'b by two taps; d, then in capitals')
  await devices.press('2')
  await devices.clock.advance(1500)
  await devices.press('2', 'clear', 'enter', '0', '00')
  await devices.press('clear')
  await devices.press('enter')
  t.match(await devices.seen(), /At least 3/)
  await devices.press('7', '00', 'up', 'down', 'enter')
  t.strictSame(await filled, { type: 'submitted', values: { name: 'bdDA', phone: '00700' } })
})

t.test('an amount is typed from the right, and its bounds are said', async (t) => {
  const { devices, screens } = setUp(t)
  const eur = (minor: string) => ({ minor, currency: 'EUR' })
  const typed = screens.show(courier, 'a', {
    kind: 'amount',
    title: 'Amount',
    currency: 'EUR',
    initial: eur('4990'),
    min: eur('100'),
    max: eur('4990'),
  })
  t.match(await devices.seen(), /NOT FOR PIN\n€49.90/)
  await devices.press('5', '0')
  t.match(await devices.seen(), /€0.50/, 'the first digit replaces what was there')
  await devices.press('enter')
  t.match(await devices.seen(), /At least €1.00/)
  await devices.press('00', '0', 'enter')
  t.match(await devices.seen(), /€500.00\nAt most €49.90/)
  await devices.press('clear', 'clear', 'enter')
  t.strictSame(await typed, { type: 'amount', amount: eur('500') })
})

t.test(
  'a typed card number is withheld, in one field or split over several, and a waybill is not',
  async (t) => {
    const { devices, screens } = setUp(t)
    const type = async (fields: number, ...digits: string[]) => {
      const result = screens.show(courier, 'a', {
        kind: 'form',
        title: 'F',
        fields: Array.from({ length: fields }, (_, i) => ({
          id: `f${i}`,
          label: `Field ${i}`,
          input: 'digits' as const,
        })),
      })
      for (const value of digits) await devices.press(...([...value] as '1'[]), 'enter')
      return result
    }
    t.strictSame(await type(1, '4111111111111111'), { type: 'withheld' })
    t.match(await devices.seen(), /Not passed on/)
    await devices.press('enter')
    t.strictSame(await type(4, '4111', '1111', '1111', '1111'), { type: 'withheld' })
    await devices.press('enter')
    t.strictSame(await type(1, '9000000000000001'), {
      type: 'submitted',
      values: { f0: '9000000000000001' },
    })
  },
)

t.test('an update keeps selection and typed text', async (t) => {
  const { devices, screens } = setUp(t)
  const chosen = screens.show(courier, 'a', list)
  await devices.press('down', 'down')
  screens.update(courier, 'a', {
    ...list,
    items: [{ id: 'new', label: 'New' }, ...('items' in list ? list.items : [])] as never,
  })
  t.match(await devices.seen(), /> 4 Parcel 2/)
  screens.update(courier, 'unknown', list)
  screens.closeScreens('courier')
  t.strictSame(await chosen, { type: 'closed' })

  const filled = screens.show(courier, 'f', form)
  await devices.press('5')
  screens.update(courier, 'f', { ...form, title: 'Receiver (2)' })
  t.match(await devices.seen(), /Receiver \(2\)\nNOT FOR PIN\n> Name: j/)
  screens.closeScreens()
  t.strictSame(await filled, { type: 'closed' })
})

t.test('screens stack; the same id replaces; a screen that is covered does not time out', async (t) => {
  const { devices, screens } = setUp(t)
  const first = screens.show(courier, 'a', { ...list, timeoutMs: 2000 })
  const second = screens.show(courier, 'b', { kind: 'message', title: 'On top', text: 'text' })
  await devices.clock.advance(10_000)
  t.match(await devices.seen(), /On top/)
  const again = screens.show(courier, 'b', { kind: 'message', title: 'Instead', text: 'text' })
  t.strictSame(await second, { type: 'closed' })
  t.match(await devices.seen(), /Instead/)
  await devices.press('enter')
  t.strictSame(await again, { type: 'confirmed' })
  t.match(await devices.seen(), /Deliveries/)
  await devices.clock.advance(2100)
  t.strictSame(await first, { type: 'timeout' })

  const many = Array.from({ length: 9 }, (_, i) => screens.show(courier, `s${i}`, list))
  t.strictSame(await many[0], { type: 'closed' }, 'an app that opens a ninth screen loses its first')
})

t.test(
  'the secure world asks above every app, with light and lock, and gives the display back',
  async (t) => {
    const { devices, screens } = setUp(t)
    const app = screens.show(courier, 'a', list)
    await settled()
    t.equal(devices.lights.get('secure'), 'off')
    const asked = screens.ask({ kind: 'confirm', title: 'Secure?', text: 'x' }, 'zh')
    t.match(await devices.seen(), /^\[安全模式\].*\nSecure\?/)
    t.equal(devices.lights.get('secure'), 'on')
    const late = screens.show(courier, 'late', { kind: 'message', title: 'Enter your PIN', text: 'spoof' })
    t.match(await devices.seen(), /Secure\?/, 'a screen that an app opens now stays below')
    await devices.press('enter')
    t.strictSame(await asked, { type: 'confirmed' })
    t.match(await devices.seen(), /^\[Courier\].*\nEnter your PIN/)
    t.equal(devices.lights.get('secure'), 'off')
    await devices.press('enter')
    t.strictSame(await late, { type: 'confirmed' })
    await devices.press('enter')
    t.strictSame(await app, { type: 'selected', id: 'd0' })
  },
)

t.test('home, status row, language and clock follow what they are told', async (t) => {
  const { devices, screens } = setUp(t)
  screens.setHome({ title: 'Green Parcel', state: 'ready' })
  screens.setStatus({
    network: 'online',
    printer: 'paperLow',
    outbox: 2,
    battery: { percent: 40, charging: false },
  })
  const words = await devices.seen()
  t.match(words, /network online · cloud offline · paper low · 2 to send · battery 40 %/)
  t.match(words, /Green Parcel\nReady/)
  screens.setLanguage('zh-CN')
  t.match(await devices.seen(), /网络正常/)
  t.equal(screens.language(), 'zh')
  const time = /\d\d:(\d\d)/
  const before = time.exec(await devices.seen())![1]
  await devices.clock.advance(61_000)
  t.not(time.exec(await devices.seen())![1], before)
})

t.test('a thousand updates make few frames, and a display that fails is drawn again', async (t) => {
  const { devices, screens } = setUp(t)
  const shown = screens.show(courier, 'a', { kind: 'progress', title: 'P', text: '0', percent: 0 })
  await devices.clock.advance(100)
  const before = devices.frames
  for (let i = 0; i < 1000; i++)
    screens.update(courier, 'a', { kind: 'progress', title: 'P', text: `${i}`, percent: 1 })
  await devices.clock.advance(99)
  t.ok(devices.frames - before <= 4)
  t.match(await devices.seen(), /999/)
  devices.drawFails = true
  screens.update(courier, 'a', { kind: 'progress', title: 'P', text: 'after', percent: 1 })
  await devices.clock.advance(500)
  devices.drawFails = false
  await devices.clock.advance(1100)
  t.match(devices.alt.join(), /after/)
  screens.closeScreens()
  await shown
})

t.test('the scan key reaches the scanner from any screen', async (t) => {
  let scans = 0
  const { devices, screens } = setUp(t, { onScanKey: () => scans++ })
  void screens.show(courier, 'a', list)
  await devices.press('scan')
  t.equal(scans, 1)
})

t.test('texts that would deceive are cleaned', async (t) => {
  const { devices, screens } = setUp(t)
  void screens.show(courier, 'a', {
    kind: 'message',
    title: 'A\u202eB\u200b\u0007C',
    text: 'one\ntwo\u2066',
  })
  t.match(await devices.seen(), /\nABC\none\ntwo\n/)
})

t.test('a screen that asks for a PIN is refused, shown or as an update', async (t) => {
  const { devices, screens } = setUp(t)
  const spoof: Screen = { ...form, title: 'Enter PIN' } as Screen
  await t.rejects(screens.show(courier, 'a', spoof), {
    code: 'PROMPT_FORBIDDEN',
    details: { path: '/title' },
  })
  const honest = screens.show(courier, 'a', form)
  t.throws(() => screens.update(courier, 'a', spoof), { code: 'PROMPT_FORBIDDEN' })
  t.match(await devices.seen(), /Receiver/)
  screens.closeScreens()
  await honest
})

t.test('suspended: nothing drawn, no key taken, no time-out; then everything anew', async (t) => {
  const scans: string[] = []
  const { devices, screens } = setUp(t, { onScanKey: () => scans.push('scan') })
  const shown = screens.show(courier, 'a', { ...list, timeoutMs: 5000 })
  t.match(await devices.seen(), /Deliveries/)
  const resume = await screens.suspend()
  const frames = devices.frames
  screens.setStatus({ network: 'online', battery: { percent: 50, charging: false } })
  const asked = screens.ask({ kind: 'message', title: 'Notice', text: 'Later', timeoutMs: 1000 })
  await devices.press('enter', 'scan')
  devices.lights.set('secure', 'on') // the other's doing
  await devices.clock.advance(70_000)
  t.equal(devices.frames, frames)
  t.equal(devices.lights.get('secure'), 'on')
  t.strictSame(scans, [])
  const again = await screens.suspend()
  resume()
  resume()
  await devices.clock.advance(100)
  t.equal(devices.frames, frames, 'as long as one of two wants it')
  again()
  t.match(await devices.seen(), /Notice/)
  t.equal(devices.lights.get('secure'), 'on')
  await devices.clock.advance(1000)
  t.strictSame(await asked, { type: 'timeout' }, 'its time began when it was seen')
  t.match(await devices.seen(), /50 ?%(.|\n)*Deliveries/, 'status kept')
  t.equal(devices.lights.get('secure'), 'off')
  await devices.press('enter')
  t.strictSame(await shown, { type: 'selected', id: 'd0' })
})
