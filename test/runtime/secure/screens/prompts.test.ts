// The cardholder's and the operator's prompts, as the payment and the session call them.
import t, { type Test } from 'tap'
import { loadFont } from '../../../../hal/base/font/font.js'
import { money } from '../../../../hal/base/money.js'
import type { Key } from '../../../../hal/keypad.js'
import { createCardEntry } from '../../../../runtime/secure/screens/card-entry.js'
import { createCardPrompts } from '../../../../runtime/secure/screens/card-prompts.js'
import { createOperatorPrompts } from '../../../../runtime/secure/screens/operator-prompts.js'
import { createScreenService } from '../../../../runtime/secure/screens/screen-service.js'
import { loadTexts } from '../../../../runtime/secure/texts.js'
import { settled, TestDevices } from './fakes.js'

const font = loadFont()
const texts = loadTexts()
const eur = money(4990n, 'EUR')
const never = () => new AbortController().signal

function setUp(t: Test) {
  const devices = new TestDevices()
  const { display, keypad, indicators, clock, log } = devices
  const screens = createScreenService({ display, keypad, indicators, clock, log, texts, font })
  t.teardown(() => screens.close())
  const languages: string[] = []
  const cards = createCardPrompts({
    screens,
    texts,
    clock,
    amount: eur,
    locale: 'en',
    enterPin: async (prompt) => {
      languages.push(prompt.language)
      return { kind: 'bypassed' }
    },
  })
  const operators = createOperatorPrompts({ screens, texts, clock })
  return { devices, screens, cards, operators, languages }
}

t.test('insert card waits for cancel, time or the caller', async (t) => {
  const { devices, cards } = setUp(t)
  const cancelled = cards.presentCard(eur, never())
  t.match(
    await devices.seen(),
    /^\[Secure\].*\nInsert card\n€49.90\nChip first, into the slot\n\[cancel: Cancel\]/,
  )
  await devices.press('enter', '5', 'cancel')
  t.equal(await cancelled, 'cancelled')
  t.match(await devices.seen(), /Starting/, 'cancel gives the display back')
  const late = cards.presentCard(eur, never())
  await devices.clock.advance(60_001)
  t.equal(await late, 'timeout')
  const abort = new AbortController()
  const inserted = cards.presentCard(eur, abort.signal)
  abort.abort()
  t.equal(await inserted, 'cancelled')
  cards.busy('reading')
  t.match(await devices.seen(), /Reading card\n€49.90\nLeave the card in/)
  await devices.press('cancel')
  t.match(await devices.seen(), /Reading card/, 'a card that is being read can not be cancelled')
})

t.test('an unreadable card is explained until a key or some seconds', async (t) => {
  const { devices, cards } = setUp(t)
  const keyed = cards.cardUnreadable(never())
  t.match(await devices.seen(), /Card not read/)
  await devices.press('enter')
  await keyed
  const timed = cards.cardUnreadable(never())
  await devices.clock.advance(4100)
  await timed
})

t.test('applications are chosen and confirmed on secure screens', async (t) => {
  const { devices, cards } = setUp(t)
  const chosen = cards.chooseApplication(['VISA CREDIT', 'VISA DEBIT'], never())
  t.match(await devices.seen(), /Choose application.*\n> 1 VISA CREDIT\n2 VISA DEBIT/)
  await devices.press('2')
  t.equal(await chosen, 1)
  const given = cards.chooseApplication(['A', 'B'], never())
  await devices.press('cancel')
  t.equal(await given, undefined)
  const yes = cards.confirmApplication('GIROCARD', never())
  t.match(await devices.seen(), /Use GIROCARD\?/)
  await devices.press('enter')
  t.equal(await yes, true)
  const no = cards.confirmApplication('GIROCARD', never())
  await devices.clock.advance(60_001)
  t.equal(await no, false)
})

t.test('the card says its language: prompts and PIN follow the first one with texts', async (t) => {
  const { devices, cards, languages } = setUp(t)
  cards.preferLanguages(['xx'])
  cards.busy('authorising')
  t.match(await devices.seen(), /Asking the bank/)
  cards.preferLanguages(['xx', 'zh', 'en'])
  t.match(await devices.seen(), /安全模式.*\n正在联系银行/)
  await cards.enterPin(
    { amount: eur, online: true, triesLeft: 1, wrong: false, bypassAllowed: true },
    never(),
  )
  t.strictSame(languages, ['zh'])
})

t.test('remove card stays until the payment is over, at most a minute', async (t) => {
  const { devices, cards, screens } = setUp(t)
  void screens.show({ app: 'courier', name: 'Courier' }, 'a', { kind: 'message', title: 'App', text: 'x' })
  cards.removeCard(eur, true)
  t.match(await devices.seen(), /Approved\n€49.90\nRemove card/)
  cards.close()
  t.match(await devices.seen(), /\[Courier\].*\nApp/)
  cards.busy('finishing')
  t.match(await devices.seen(), /App/, 'nothing is shown any more after close')

  const other = setUp(t)
  other.cards.removeCard(eur, false)
  t.match(await other.devices.seen(), /Not paid/)
  await other.devices.clock.advance(60_001)
  t.match(await other.devices.seen(), /Starting/)
})

t.test('an operator types number and code; the code shows as bullets, under NOT FOR PIN', async (t) => {
  const { devices, operators } = setUp(t)
  const question = { purpose: 'signIn', reason: undefined, locale: 'en', problem: undefined } as const
  const asked = operators.askOperator(question, never())
  t.match(await devices.seen(), /Sign in\nNOT FOR PIN\nYour operator number/)
  await devices.press('1', '2', '9', 'clear', '3', '4', 'enter')
  t.match(await devices.seen(), /NOT FOR PIN\nCode of operator 1234\n_/)
  await devices.press('5', '6', 'enter')
  t.match(await devices.seen(), /at least 4 digits/)
  await devices.press('7', '8')
  t.match(await devices.seen(), /\n••••\n/)
  t.notMatch(devices.alt.join('\n'), /5678/)
  await devices.press('enter')
  const answer = await asked
  t.equal(answer?.number, '1234')
  t.equal(Buffer.from(answer!.code).toString(), '5678')

  const again = operators.askOperator({ ...question, problem: 'Wrong code' }, never())
  t.match(await devices.seen(), /Wrong code\nCode of operator 1234/, 'the number stands after a wrong code')
  await devices.press('cancel')
  t.match(await devices.seen(), /Your operator number\n1234/)
  await devices.press('cancel')
  t.equal(await again, undefined)
})

t.test('a supervisor sees what they agree to; time and abort give up', async (t) => {
  const { devices, operators } = setUp(t)
  const question = { purpose: 'refund', reason: 'Void of €49.90', locale: 'zh', problem: undefined } as const
  const late = operators.askOperator(question, never())
  t.match(await devices.seen(), /主管授权：退款\n.*\nVoid of €49.90\n操作员编号/)
  await devices.clock.advance(60_001)
  t.equal(await late, undefined)
  const abort = new AbortController()
  const aborted = operators.askOperator(question, abort.signal)
  await settled()
  abort.abort()
  t.equal(await aborted, undefined)
})

t.test(
  'a card is typed: checked as it is, never more than four digits on the glass, erased on the way',
  async (t) => {
    const { devices, screens } = setUp(t)
    const { clock } = devices
    const keys = (digits: string) => [...digits] as Key[]
    const enter = createCardEntry({ screens, texts, clock })
    const wanted = { amount: eur, locale: 'en', cvv2: true }
    const typed = enter(wanted, never())
    t.match(await devices.seen(), /Type the card\nNOT FOR PIN\n€49.90\nCard number/)
    await devices.press(...keys('41111111111'), 'enter')
    t.match(await devices.seen(), /at least 12 digits/)
    await devices.press(...keys('11112'), 'enter')
    t.match(await devices.seen(), /mistyped/)
    t.match(await devices.seen(), /•••• •••• •••• 1112/)
    t.notMatch(await devices.seen(), /4111/)
    await devices.press('clear', '1', 'enter', ...keys('1336'), 'enter')
    t.match(await devices.seen(), /month is 01 to 12/)
    await devices.press('clear', 'clear', 'clear', 'clear', ...keys('0836'), 'enter')
    t.match(await devices.seen(), /Security code/)
    await devices.press(...keys('12'), 'enter')
    t.match(await devices.seen(), /Three or four digits/)
    await devices.press('3')
    t.match(await devices.seen(), /•••/)
    t.notMatch(await devices.seen(), /123/)
    await devices.press('cancel', 'enter', ...keys('123'), 'enter')
    const entry = await typed
    if (entry.kind !== 'typed') throw new Error(entry.kind)
    const word = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('latin1')
    t.same(
      [word(entry.card.pan), word(entry.card.expiry), word(entry.card.cvv2)],
      ['4111111111111111', '3608', '123'],
    )
    const without = enter({ ...wanted, cvv2: false }, never())
    await devices.press(...keys('4111111111111111'), 'enter', ...keys('0836'), 'enter')
    t.match(await without, { kind: 'typed', card: { cvv2: undefined } })
    const cancelled = enter(wanted, never())
    await devices.press('4', 'cancel')
    t.match(await cancelled, { kind: 'cancelled' })
    const late = enter(wanted, never())
    await devices.press('4')
    await clock.advance(60_001)
    t.match(await late, { kind: 'timeout' })
    const abort = new AbortController()
    const aborted = enter(wanted, abort.signal)
    abort.abort()
    t.match(await aborted, { kind: 'cancelled' })
  },
)
