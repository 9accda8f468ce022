// The stripe's pure parts: tracks to fields, service codes, which stripe counts when, and what the configuration may say.
import t from 'tap'
import { ascii, fromHex, toHex } from '../../../../hal/base/bytes.js'
import { isPosternError } from '../../../../hal/base/errors.js'
import type { Swipe } from '../../../../hal/magnetic-stripe-reader.js'
import type { CardEndReason, CardRequestType } from '../../../../runtime/secure/card-transaction.js'
import { ends } from '../../../../runtime/secure/emv/card-end.js'
import { emvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { readServiceCode } from '../../../../runtime/secure/emv/service-code.js'
import {
  afterChipEnd,
  type ChipFailures,
  isStripeWanted,
  judgeStripe,
  NO_CHIP_FAILURE,
} from '../../../../runtime/secure/emv/stripe-acceptance.js'
import {
  type StripeDocument,
  stripeConfiguration,
} from '../../../../runtime/secure/emv/stripe-configuration.js'
import {
  cardOfSwipe,
  eraseSwipe,
  eraseTrack,
  parseTrack1,
  parseTrack2,
  TRACK_RULES,
} from '../../../../runtime/secure/emv/track2.js'

const PAN = '9999990000000360'
const two = (text: string) => parseTrack2(ascii.encode(text))
const one = (text: string) => parseTrack1(ascii.encode(text))
const seen = (track: ReturnType<typeof parseTrack2>) =>
  track.kind === 'fault'
    ? `${track.track}: ${track.rule}`
    : [
        ascii.decode(track.pan),
        track.expiry,
        track.serviceCode,
        ascii.decode(track.discretionary),
        toHex(track.equivalent),
      ]

t.test('track 2: its fields, and tag 57 of them', async (t) => {
  t.same(seen(two(`${PAN}=35122010000012300000`)), [
    PAN,
    '3512',
    '201',
    '0000012300000',
    '9999990000000360D35122010000012300000F',
  ])
  t.same(
    seen(two('999999000000014=3512101')),
    ['999999000000014', '3512', '101', '', '999999000000014D3512101F'],
    'an odd PAN, nothing discretionary',
  )
  t.same(seen(two(`${PAN}==201`)), [PAN, undefined, '201', '', `${PAN}DD201F`], 'no expiry date')
  t.same(seen(two(`${PAN}=3512=77`)), [PAN, '3512', undefined, '77', `${PAN}D3512D77`], 'no service code')
  t.same(seen(two(`${PAN}===`)), [PAN, undefined, undefined, '', `${PAN}DDDF`], 'neither')
  const longest = seen(two(`9999990000000000121=3512201${'1'.repeat(10)}`))
  t.equal(longest[0], '9999990000000000121')
  t.equal(longest[4]?.length, 38, '19 bytes hold 37 characters')
})

t.test('track 2: each rule that can be broken', async (t) => {
  const cases: readonly [string, keyof typeof TRACK_RULES][] = [
    [`${PAN}=3512201${'0'.repeat(14)}`, 'length'],
    [`${PAN}:3512201`, 'character'],
    ['', 'separator'],
    [PAN, 'separator'],
    ['99999900000=3512201', 'pan'],
    ['99999900000000000000=3512201', 'pan'],
    ['9999990000000361=3512201', 'checkDigit'],
    [`${PAN}=`, 'expiry'],
    [`${PAN}=35`, 'expiry'],
    [`${PAN}=351=201`, 'expiry'],
    [`${PAN}=3500201`, 'expiry'],
    [`${PAN}=3513201`, 'expiry'],
    [`${PAN}=3512`, 'serviceCode'],
    [`${PAN}=351220`, 'serviceCode'],
    [`${PAN}=3512201=1`, 'discretionary'],
  ]
  for (const [text, rule] of cases) t.equal(seen(two(text)), `2: ${rule}`, text.replace(PAN, 'PAN'))
  for (const says of Object.values(TRACK_RULES)) t.notMatch(says, /\d{5}/)
})

t.test('track 1: its fields, and each rule that can be broken', async (t) => {
  t.same(seen(one(`B${PAN}^TEST/CARD^3512201ABC`)), [PAN, '3512', '201', 'ABC', ''])
  t.same(seen(one(`B9999 990000 000360^TEST/CARD^3512201`)), [PAN, '3512', '201', '', ''], 'a grouped PAN')
  t.same(seen(one(`B${PAN}^A/^^^X`)), [PAN, undefined, undefined, 'X', ''])
  const cases: readonly [string, keyof typeof TRACK_RULES][] = [
    [`B${PAN}^${'A'.repeat(26)}^3512201${'0'.repeat(26)}`, 'length'],
    [`B${PAN}^test^3512201`, 'character'],
    ['', 'formatCode'],
    [`A${PAN}^TEST^3512201`, 'formatCode'],
    [`B${PAN}`, 'separator'],
    [`B${PAN}^TEST`, 'separator'],
    [`B${PAN}^T^3512201`, 'name'],
    [`B${PAN}^${'A'.repeat(27)}^3512201`, 'name'],
    ['B99999900000A0360^TEST^3512201', 'pan'],
    ['B9999990000000361^TEST^3512201', 'checkDigit'],
    [`B${PAN}^TEST^35A2201`, 'expiry'],
    [`B${PAN}^TEST^351220`, 'serviceCode'],
  ]
  for (const [text, rule] of cases) t.equal(seen(one(text)), `1: ${rule}`, rule)
})

t.test('a swipe is its track 2, and track 1 may not name another card', async (t) => {
  const read = (text: string | undefined): Swipe['track1'] =>
    text === undefined ? undefined : text === 'bad' ? 'bad' : ascii.encode(text)
  const swipe = (track1: string | undefined, track2: string | undefined): Swipe => ({
    track1: read(track1),
    track2: read(track2),
  })
  const good = `${PAN}=3512201`
  const of = (track1: string | undefined, track2: string | undefined) =>
    seen(cardOfSwipe(swipe(track1, track2)))
  const card = seen(two(good))
  t.same(of(undefined, good), card)
  t.same(of('bad', good), card)
  t.same(of(`B${PAN}^TEST^3512201`, good), card)
  t.same(of(`A${PAN}^TEST^3512201`, good), card, 'a track 1 that is not a bank’s says nothing')
  t.equal(of('B9999990000000014^TEST^3512201', good), '1: tracksDiffer')
  t.equal(of(`B${PAN}^TEST^3511201`, good), '1: tracksDiffer')
  t.equal(of(`B${PAN}^TEST^3512101`, good), '1: tracksDiffer', 'a service code that was rewritten on one')
  t.equal(of(`B${PAN}^TEST^3512201`, undefined), '2: notRead')
  t.equal(of(`B${PAN}^TEST^3512201`, 'bad'), '2: notRead')
  t.equal(of(undefined, `${PAN}1=3512201`), '2: checkDigit')
  const both = swipe(`B${PAN}^TEST^3512201`, good)
  const own = cardOfSwipe(both)
  if (own.kind === 'fault') throw new Error(own.rule)
  eraseSwipe(both)
  t.equal(ascii.decode(own.pan), PAN, 'a copy of its own')
  eraseTrack(own)
  eraseSwipe(swipe('bad', undefined))
  const left = [...own.pan, ...own.equivalent, ...(both.track1 as Uint8Array), ...(both.track2 as Uint8Array)]
  t.ok(left.every((byte) => byte === 0))
})

t.test('service codes: every digit of the table, reserved ones are none', async (t) => {
  const first = [...'0123456789'].map((digit) => readServiceCode(`${digit}01`))
  t.same(
    first.map((code) => code && `${code.use}${code.chip ? ', chip' : ''}`),
    [
      undefined,
      'international',
      'international, chip',
      undefined,
      undefined,
      'national',
      'national, chip',
      'agreedOnly',
      undefined,
      'test',
    ],
  )
  t.same(
    [...'0123456789'].map((digit) => readServiceCode(`1${digit}1`)?.authorisation),
    ['normal', undefined, 'online', undefined, 'onlineUnlessAgreed', ...Array(5).fill(undefined)],
  )
  t.same(
    [...'0123456789']
      .map((digit) => readServiceCode(`10${digit}`))
      .map((code) => code && `${code.services}, ${code.pin}`),
    [
      'all, required',
      'all, notAsked',
      'goods, notAsked',
      'atmOnly, required',
      'cash, notAsked',
      'goods, required',
      'all, whereFeasible',
      'goods, whereFeasible',
      undefined,
      undefined,
    ],
  )
  for (const text of ['', '20', '2011', '2a1']) t.equal(readServiceCode(text), undefined)
})

const refused = (where: string, key: string, rule: string): never => {
  throw new Error(`${where} | ${key} | ${rule}`)
}
const CAPABILITIES = fromHex('E0F8C8')
const rulesOf = (document: Partial<StripeDocument> = {}) =>
  stripeConfiguration({ withoutChip: true, fallback: true, ...document }, CAPABILITIES, refused)!

t.test(
  'configuration: what an issuer says goes before what holds for all, the longest IIN first',
  async (t) => {
    t.equal(stripeConfiguration(undefined, CAPABILITIES, refused), undefined)
    const rules = rulesOf({
      fallback: false,
      failedChipReads: 2,
      issuers: [
        { iin: '99', label: 'POSTERN', fallback: true },
        { iin: '99999910', withoutChip: false, fallback: true, emptyCandidateList: true },
      ],
    })
    const of = (pan: string) => rules.rulesFor(ascii.encode(pan))
    t.same(of('4761739001010119'), {
      withoutChip: true,
      fallback: false,
      emptyCandidateList: false,
      label: '',
    })
    t.same(of(PAN), { withoutChip: true, fallback: true, emptyCandidateList: false, label: 'POSTERN' })
    t.same(of('9999991000000004'), {
      withoutChip: false,
      fallback: true,
      emptyCandidateList: true,
      label: '',
    })
    t.match(rules, { failedChipReads: 2, anyFallback: true, anyEmptyCandidateList: true })
    t.match(rulesOf({ fallback: false }), {
      failedChipReads: 3,
      anyFallback: false,
      anyEmptyCandidateList: false,
    })
  },
)

t.test('configuration: what is refused, with place, key and rule', async (t) => {
  const faults: readonly [Partial<StripeDocument>, RegExp][] = [
    [{ fallback: false, emptyCandidateList: true }, /^stripe \| emptyCandidateList \| .*fallback/],
    [
      {
        issuers: [
          { iin: '99', fallback: true },
          { iin: '99', label: 'X' },
        ],
      },
      /IIN 99 \| iin \| stands twice/,
    ],
    [{ issuers: [{ iin: '99' }] }, /IIN 99 \| iin \| says nothing/],
    [{ issuers: [{ iin: '99', fallback: false, emptyCandidateList: true }] }, /IIN 99 \| emptyCandidateList/],
  ]
  for (const [document, message] of faults) t.throws(() => rulesOf(document), { message })
  t.throws(
    () => stripeConfiguration({ withoutChip: true, fallback: true }, fromHex('A0F8C8'), refused),
    { message: /terminal \| capabilities \| .*magnetic stripe/ },
    'a terminal that says to have no stripe reader',
  )
  const terminal = {
    countryCode: '0276',
    currency: 'EUR',
    type: '22',
    capabilities: 'E0F8C8',
    additionalCapabilities: '6000F0A001',
    pinBypass: false,
  }
  const application = {
    aid: 'A0000000031010',
    partialSelection: true,
    version: '008C',
    tacDenial: '0000000000',
    tacOnline: '0000000000',
    tacDefault: '0000000000',
    floorLimit: '0',
  }
  const document = (stripe: unknown) => ({ terminal, applications: [application], caKeys: [], stripe })
  t.equal(emvConfiguration(document({ withoutChip: true, fallback: true })).stripe?.failedChipReads, 3)
  for (const [stripe, place] of [
    [{ withoutChip: true, fallback: true, failedChipReads: 0 }, /stripe.failedChipReads/],
    [{ withoutChip: true }, /stripe/],
    [{ withoutChip: true, fallback: true, issuers: [{ iin: '9x', fallback: true }] }, /stripe.issuers.0.iin/],
  ] as const) {
    try {
      emvConfiguration(document(stripe))
      t.fail('accepted')
    } catch (error) {
      t.ok(isPosternError(error, 'EMV_CONFIGURATION_INVALID'))
      t.match((error as Error).message, place)
    }
  }
})

t.test('which ends of a chip count as failed reads', async (t) => {
  const rules = rulesOf({ emptyCandidateList: true })
  const after = (reason: CardEndReason, asked = false, more = {}, with_ = rules) =>
    afterChipEnd({ count: 1, reason: 'chipMute' }, { ...ends(reason, ''), ...more }, asked, with_)
  t.same(after('mute'), { count: 2, reason: 'chipMute' })
  t.same(after('cardError'), { count: 2, reason: 'chipError' })
  t.same(after('notAccepted', false, { noCommonApplication: true }), { count: 1, reason: 'noApplication' })
  t.equal(after('notAccepted'), undefined, 'candidates there were, and none is left')
  t.equal(after('notAccepted', false, { noCommonApplication: true }, rulesOf()), undefined)
  t.equal(after('cardError', false, {}, rulesOf({ fallback: false })), undefined)
  t.equal(after('cardError', true), undefined, 'the card was asked for a cryptogram')
  for (const reason of ['cancelled', 'timeout', 'removed', 'blocked', 'expired'] as const)
    t.equal(after(reason), undefined, reason)
  t.equal(
    afterChipEnd({ count: 12, reason: 'chipError' }, ends('mute', ''), false, rules),
    undefined,
    'bounded',
  )

  const wanted = (chip: ChipFailures, document: Partial<StripeDocument> = {}) =>
    isStripeWanted(chip, rulesOf(document))
  t.notOk(wanted(NO_CHIP_FAILURE))
  t.notOk(wanted({ count: 2, reason: 'chipMute' }))
  t.ok(wanted({ count: 3, reason: 'chipMute' }))
  t.ok(wanted({ count: 1, reason: 'chipError' }, { failedChipReads: 1 }))
  t.notOk(wanted({ count: 3, reason: 'chipMute' }, { fallback: false }))
  t.ok(wanted({ count: 0, reason: 'noApplication' }))
})

const judged = (
  serviceCode: string | undefined,
  given: {
    expiry?: string | undefined
    type?: CardRequestType
    chip?: ChipFailures
    capabilities?: string
    pinBypass?: boolean
    document?: Partial<StripeDocument>
    pan?: string
  } = {},
) => {
  const verdict = judgeStripe(
    { pan: ascii.encode(given.pan ?? PAN), expiry: 'expiry' in given ? given.expiry : '3512', serviceCode },
    {
      type: given.type ?? 'sale',
      today: fromHex('261122'),
      capabilities: fromHex(given.capabilities ?? 'E0F8C8'),
      pinBypass: given.pinBypass ?? false,
      chip: given.chip ?? NO_CHIP_FAILURE,
      rules: rulesOf(given.document),
    },
  )
  if (verdict.kind === 'accepted') return `${verdict.reason}, ${verdict.verification}`
  return verdict.kind === 'end' ? verdict.reason : verdict.kind
}
const MUTE: ChipFailures = { count: 3, reason: 'chipMute' }

t.test('chip first: a stripe that names a chip counts only once the chip has failed', async (t) => {
  t.equal(judged('201'), 'insertChip')
  t.equal(judged('601'), 'insertChip')
  t.equal(judged('201', { chip: { count: 2, reason: 'chipMute' } }), 'insertChip')
  t.equal(judged('201', { chip: MUTE }), 'chipMute, signature')
  t.equal(judged('601', { chip: { count: 4, reason: 'chipError' } }), 'chipError, signature')
  t.equal(judged('201', { chip: MUTE, document: { fallback: false } }), 'stripeNotAllowed')
  t.equal(
    judged('201', { chip: MUTE, document: { issuers: [{ iin: '999999', fallback: false }] } }),
    'stripeNotAllowed',
  )
  const empty: ChipFailures = { count: 0, reason: 'noApplication' }
  t.equal(judged('201', { chip: empty }), 'stripeNotAllowed')
  t.equal(judged('201', { chip: empty, document: { emptyCandidateList: true } }), 'noApplication, signature')
  t.equal(judged('101', { chip: MUTE }), 'noChip, signature', 'a card without a chip is no fallback')
  t.equal(judged('101', { document: { withoutChip: false } }), 'stripeNotAllowed')
  t.equal(judged(undefined), 'notAccepted', 'no service code would be the way round the chip')
  for (const code of ['301', '701', '901', '211', '108']) t.equal(judged(code), 'notAccepted', code)
})

t.test('services, expiry and the holder', async (t) => {
  const types = ['sale', 'cash', 'cashback', 'refund'] as const
  const allows = (code: string) => types.filter((type) => !judged(code, { type }).startsWith('not'))
  t.same(allows('101'), types)
  t.same(allows('102'), ['sale', 'refund'])
  t.same(allows('103'), [])
  t.same(allows('104'), ['cash'])
  t.equal(judged('101', { expiry: '2611' }), 'noChip, signature', 'good to the end of its month')
  t.equal(judged('101', { expiry: '2610' }), 'expired')
  t.equal(judged('101', { expiry: undefined }), 'noChip, signature')
  const holder = (code: string, capabilities?: string, pinBypass = false, type: CardRequestType = 'sale') =>
    judged(code, { type, pinBypass, ...(capabilities && { capabilities }) })
  t.equal(holder('101'), 'noChip, signature')
  t.equal(holder('101', 'E0D8C8'), 'noChip, none', 'a terminal that takes no signature')
  t.equal(holder('100'), 'noChip, pin')
  t.equal(holder('105', 'E0B8C8'), 'notAccepted', 'a PIN is required and none can be taken')
  t.equal(holder('106'), 'noChip, pin')
  t.equal(holder('106', 'E0B8C8'), 'noChip, signature', 'not feasible')
  t.equal(holder('107', 'E0F8C8', true), 'noChip, pinOrSignature')
  t.equal(holder('107', 'E0D8C8', true), 'noChip, pin', 'nothing to fall back to')
  t.equal(holder('100', 'E0F8C8', true), 'noChip, pin', 'what is required is not passed over')
  t.equal(holder('100', 'E0F8C8', false, 'refund'), 'noChip, none')
})
