// Routing: which rule decides and why, who may take a payment, cost, availability, and documents that are refused.
import t from 'tap'
import { money } from '../../../../hal/base/money.js'
import type { RouteQuestion } from '../../../../runtime/secure/payments/acquirer-port.js'
import { explainRoute, type RoutedAcquirer } from '../../../../runtime/secure/payments/routing.js'
import {
  type RoutingDocument,
  readRoutingDocument,
} from '../../../../runtime/secure/payments/routing-document.js'
import { routeInWords } from '../../../../scripts/cli/route.js'

const NOTHING = {
  refund: false,
  preauth: false,
  partial: false,
  tip: false,
  cashback: false,
  manualEntry: false,
  upload: false,
}
const ACQUIRERS: readonly RoutedAcquirer[] = [
  { id: 'big', currency: 'EUR', capabilities: { ...NOTHING, refund: true }, limits: {}, keySet: 'acquirer' },
  { id: 'cheap', currency: 'EUR', capabilities: NOTHING, limits: { mostMinor: 5000n }, keySet: 'acquirer' },
  { id: 'dollar', currency: 'USD', capabilities: NOTHING, limits: { leastMinor: 100n }, keySet: 'acquirer' },
]
const IDS = ACQUIRERS.map(({ id }) => id)
const DOCUMENT: RoutingDocument = {
  schemes: {
    red: { bins: ['510000-559999', '2221-2720'] },
    blue: { aids: ['A000000003'], bins: ['4'] },
  },
  costs: { big: { basisPoints: 90, fixed: '5' }, cheap: { basisPoints: 40 } },
  rules: [
    { name: 'one card', when: { bins: ['99999901'] }, acquirers: ['big'] },
    {
      name: 'small blue sales',
      when: { schemes: ['blue'], amount: { most: '2000' }, kinds: ['sale'] },
      acquirers: ['big', 'cheap'],
      prefer: 'cost',
    },
    { name: 'red', when: { schemes: ['red'], currencies: ['EUR'] }, acquirers: ['cheap', 'big'] },
  ],
  otherwise: ['big', 'dollar'],
}
const ask = (minor: bigint, rest: Partial<RouteQuestion> = {}): RouteQuestion => ({
  kind: 'sale',
  amount: money(minor, 'EUR'),
  ...rest,
})
const order = (question: RouteQuestion, available?: (id: string) => boolean) =>
  explainRoute(DOCUMENT, ACQUIRERS, question, available).order

t.test('the first rule that matches decides: BIN, range, AID, scheme, amount, currency, kind', async (t) => {
  const rows: [string, RouteQuestion, string[], string | undefined][] = [
    ['a whole BIN', ask(100n, { bin: '99999901' }), ['big'], 'one card'],
    ['another of its family', ask(100n, { bin: '99999902' }), ['big'], undefined],
    ['a range of six digits', ask(100n, { bin: '522222' }), ['cheap', 'big'], 'red'],
    ['a range of four', ask(100n, { bin: '272099' }), ['cheap', 'big'], 'red'],
    ['just above it', ask(100n, { bin: '272100' }), ['big'], undefined],
    ['scheme by BIN, the cheapest first', ask(100n, { bin: '476173' }), ['cheap', 'big'], 'small blue sales'],
    [
      'scheme by AID',
      ask(100n, { bin: '999999', aid: 'A0000000031010' }),
      ['cheap', 'big'],
      'small blue sales',
    ],
    ['too much for the rule', ask(2001n, { bin: '476173' }), ['big'], undefined],
    ['too much for an acquirer', ask(5001n, { bin: '522222' }), ['big'], 'red'],
    ['another kind', ask(100n, { bin: '522222', kind: 'refund' }), ['big'], 'red'],
    ['another currency', { kind: 'sale', amount: money(100n, 'USD'), bin: '522222' }, ['dollar'], undefined],
    ['nobody', { kind: 'sale', amount: money(99n, 'USD'), bin: '522222' }, [], undefined],
    ['nobody takes it', ask(100n, { bin: '522222', kind: 'preauth' }), [], 'red'],
  ]
  for (const [what, question, expected, decided] of rows) {
    const explained = explainRoute(DOCUMENT, ACQUIRERS, question)
    t.same(explained.order, expected, what)
    t.equal(explained.decided, decided, what)
  }
})

t.test(
  'before the card is read, a rule that might match decides; after it, only one that does',
  async (t) => {
    t.equal(explainRoute(DOCUMENT, ACQUIRERS, ask(100n)).decided, 'one card')
    const short = explainRoute(DOCUMENT, ACQUIRERS, ask(100n, { bin: '999999' }))
    t.equal(short.rules[0]!.holds, 'maybe', 'six digits of a card cannot prove eight')
    t.equal(short.decided, undefined)
  },
)

t.test('whose road did not open goes last, and is still there', async (t) => {
  t.same(
    order(ask(100n, { bin: '522222' }), (id) => id !== 'cheap'),
    ['big', 'cheap'],
  )
  t.same(
    order(ask(100n, { bin: '522222' }), () => false),
    ['cheap', 'big'],
  )
})

t.test('the explanation names every rule, every condition and every acquirer', async (t) => {
  t.same(routeInWords(explainRoute(DOCUMENT, ACQUIRERS, ask(1250n, { bin: '476173', kind: 'refund' }))), [
    '✗ one card',
    '    BIN 476173 is not in 99999901',
    '✗ small blue sales',
    '    scheme is blue',
    '    refund is not sale',
    '    amount 1250 is from 0 to 2000 (minor units)',
    '✗ red',
    '    scheme is not red',
    '    currency EUR is EUR',
    'No rule matches: the rest of the acquirers (otherwise)',
    '✓ big: costs 16.2500 (minor units)',
    '✗ dollar: takes USD, not EUR; takes no refund',
    'Goes to big.',
  ])
})

t.test('a document that names what is not there is refused with the place', async (t) => {
  t.same(readRoutingDocument(DOCUMENT, IDS), DOCUMENT)
  const rows: [string, unknown][] = [
    ['/otherwise/0', { rules: [], otherwise: ['none'] }],
    ['/rules/0/acquirers/1', { rules: [{ name: 'x', when: {}, acquirers: ['big', 'none'] }], otherwise: [] }],
    [
      '/rules/0/when/schemes/0',
      { rules: [{ name: 'x', when: { schemes: ['red'] }, acquirers: ['big'] }], otherwise: [] },
    ],
    [
      '/rules/0/when/bins/0',
      { rules: [{ name: 'x', when: { bins: ['55-5'] }, acquirers: ['big'] }], otherwise: [] },
    ],
    ['/schemes/red/bins/0', { schemes: { red: { bins: ['55-51'] } }, rules: [], otherwise: [] }],
    ['rules', { otherwise: [] }],
  ]
  for (const [path, document] of rows)
    t.throws(
      () => readRoutingDocument(document, IDS),
      { code: 'DOCUMENT_INVALID', message: new RegExp(path) },
      path,
    )
})
