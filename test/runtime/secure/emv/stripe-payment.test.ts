// Stripe and chip in one payment: what is asked in which order, what leaves for the host, what is erased, what ends it.
import t from 'tap'
import { ascii, toHex } from '../../../../hal/base/bytes.js'
import { type Clock, systemClock } from '../../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../../hal/base/errors.js'
import { silentLog } from '../../../../hal/base/log.js'
import { money } from '../../../../hal/base/money.js'
import type { ChipCardReader, PowerOnOutcome } from '../../../../hal/chip-card-reader.js'
import type { MagneticStripeReader, Swipe } from '../../../../hal/magnetic-stripe-reader.js'
import type {
  CardPrompts,
  CardRequest,
  HostAnswer,
  PinEntry,
  StartOutcome,
} from '../../../../runtime/secure/card-transaction.js'
import type { EmvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { contactCardTransactions } from '../../../../runtime/secure/emv/contact-card-transaction.js'
import {
  type StripeDocument,
  stripeConfiguration,
} from '../../../../runtime/secure/emv/stripe-configuration.js'
import { application, hex, tlv } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const PAN = '9999990000000402'
const CHIP = `${PAN}=3512206000012300000`
const NO_CHIP = `${PAN}=3512101000012300000`
const AID = 'A0000000031010'

/** What happens at the terminal while one prompt stands. */
type Happening =
  | { readonly insert: 'mute' | 'strangeAtr' | 'removed' | readonly ScriptStep[] }
  | { readonly swipe: string | 'bad' }
  /** The card goes in, and is heard at the stripe head in the same moment. */
  | { readonly both: string }
  | 'cancelled'
  | 'timeout'
  | 'abort'

const PSE: ScriptStep = ['SELECT PSE', '00 A4 04 00 0E 31 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00', '6A82']
const select = (answer: string): ScriptStep => ['SELECT', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', answer]
const FCI = `${tlv('6F', tlv('84', AID), tlv('A5', tlv('50', '56495341')))}9000`
const NO_APPLICATION = [PSE, select('6A82')]
const BROKEN = [PSE, select(FCI), select(FCI), ['GPO', '80 A8 00 00 02 83 00 00', '8001009000']] as const
const READ: readonly ScriptStep[] = [
  PSE,
  select(FCI),
  select(FCI),
  ['GPO', '80 A8 00 00 02 83 00 00', `${tlv('80', '1C00', '08010100')}9000`],
  [
    'READ RECORD',
    '00 B2 01 0C 00',
    `${tlv('70', tlv('5A', '4761739001010119'), tlv('5F24', '301231'), tlv('8C', '9F02069F3704'), tlv('8D', '8A02'), tlv('8E', '00000000000000001F00'), tlv('9F0D', '0000000000'), tlv('9F0E', '0000000000'), tlv('9F0F', '0000000000'))}9000`,
  ],
]
const BROKEN_CRYPTOGRAM: readonly ScriptStep[] = [
  ...READ,
  ['GENERATE AC', '80 AE 80 00 0A 00 00 00 00 12 50 01 02 03 04 00', '80019000'],
]

interface World {
  readonly happenings: readonly Happening[]
  readonly stripe?: Partial<StripeDocument> | 'off'
  readonly entries?: PinEntry[]
  readonly pinBypass?: boolean
  readonly stripeLost?: boolean
  readonly unreadable?: 'cancelled'
  readonly keyMissing?: boolean
}

const whenAborted = (signal: AbortSignal | undefined) =>
  new Promise<never>((_, reject) => {
    const fail = () => reject(new PosternError('ABORTED', 'cancelled'))
    if (signal?.aborted) fail()
    signal?.addEventListener('abort', fail, { once: true })
  })

function configurationOf({ stripe = {}, pinBypass = false }: World): EmvConfiguration {
  const capabilities = hex('E0F8C8')
  return {
    terminal: {
      countryCode: hex('0276'),
      currency: 'EUR',
      type: 0x22,
      capabilities,
      additionalCapabilities: hex('6000F0A001'),
      acquirerId: undefined,
      merchantCategoryCode: undefined,
      merchantId: undefined,
      terminalId: undefined,
      merchantName: undefined,
      ifdSerial: undefined,
      pinBypass,
    },
    applications: [
      application(AID, {
        tac: { denial: hex('0000000000'), online: hex('0000008000'), default: hex('0000008000') },
      }),
    ],
    stripe:
      stripe === 'off'
        ? undefined
        : stripeConfiguration({ withoutChip: true, fallback: true, ...stripe }, capabilities, (where) => {
            throw new Error(where)
          }),
    caKeys: [],
    revoked: new Set(),
  }
}

/** A slot, a head and the people around them: each prompt for a card lets the next thing happen. */
function world(given: World) {
  const shown: string[] = []
  const swipes: Swipe[] = []
  const secrets: Uint8Array[] = []
  const cards: { done(): void }[] = []
  const happenings = [...given.happenings]
  const abort = new AbortController()
  let now: Happening | undefined
  let powered = false
  let released = 0

  const asked = (what: string, signal: AbortSignal) => {
    shown.push(what)
    powered = false
    // When nothing is left to happen, time passes.
    now = happenings.length === 0 ? 'timeout' : happenings.shift()
    if (now === 'cancelled' || now === 'timeout') return Promise.resolve(now)
    if (now === 'abort') abort.abort()
    return whenAborted(signal).catch(() => 'cancelled' as const)
  }
  const inserted = () => typeof now === 'object' && ('insert' in now || 'both' in now)
  const reader = {
    waitForCard: (signal?: AbortSignal) => (inserted() ? Promise.resolve() : whenAborted(signal)),
    waitForRemoval: (signal?: AbortSignal) =>
      powered || given.unreadable ? whenAborted(signal) : Promise.resolve(),
    powerOn: async (): Promise<PowerOnOutcome> => {
      const happening = now as Extract<Happening, { insert: unknown }>
      const card = 'insert' in happening ? happening.insert : BROKEN_CRYPTOGRAM
      if (card === 'mute' || card === 'removed') return { kind: card }
      powered = true
      const script = scriptedCard(card === 'strangeAtr' ? [] : card)
      cards.push(script)
      const atr = hex(card === 'strangeAtr' ? '0000' : '3B600000')
      const release = async () => {
        released++
        powered = false
      }
      return { kind: 'session', session: { ...script.session, atr, release } }
    },
  } as unknown as ChipCardReader
  const swipe = (text: string): Swipe => {
    const track: Swipe =
      text === 'bad'
        ? { track1: 'bad', track2: 'bad' }
        : { track1: ascii.encode(`B${text.replace('=', '^TEST/CARD^')}`), track2: ascii.encode(text) }
    swipes.push(track)
    return track
  }
  const stripeReader = {
    swipe: async (signal?: AbortSignal): Promise<Swipe> => {
      if (given.stripeLost) throw new PosternError('DEVICE_LOST', 'no head')
      if (typeof now === 'object' && 'swipe' in now) return swipe(now.swipe)
      if (typeof now === 'object' && 'both' in now) {
        const late = swipe(now.both)
        await new Promise((resolve) => setImmediate(resolve))
        return late
      }
      return whenAborted(signal)
    },
  } as unknown as MagneticStripeReader
  const prompts: CardPrompts = {
    presentCard: (_amount, signal) => asked('insert', signal),
    useStripe: (_amount, again, signal) => asked(again ? 'again' : 'swipe', signal),
    useChip: (_amount, signal) => asked('chip', signal),
    cardUnreadable: async (signal) => {
      shown.push('unreadable')
      return given.unreadable ?? whenAborted(signal).catch(() => 'cancelled' as const)
    },
    chooseApplication: async () => undefined,
    confirmApplication: async () => false,
    enterPin: async ({ online, bypassAllowed }) => {
      shown.push(`PIN${online ? '' : ' offline'}${bypassAllowed ? ', or none' : ''}`)
      const entry = given.entries?.shift() ?? { kind: 'cancelled' as const }
      if (entry.kind === 'entered') secrets.push(entry.digits)
      return entry
    },
    preferLanguages: () => undefined,
    busy: (what) => void shown.push(what),
    removeCard: (_amount, approved) => void shown.push(`remove ${approved}`),
  }
  const clock: Clock = { ...systemClock, sleep: (_ms, signal) => whenAborted(signal) }
  const transaction = contactCardTransactions({
    reader,
    stripeReader,
    keys: {
      encryptCardData: async (clear) => {
        if (given.keyMissing) throw new PosternError('KEY_UNAVAILABLE', 'no data key')
        secrets.push(clear)
        return { ksn: new Uint8Array(12), bytes: clear.slice() }
      },
      encryptPin: async (pin, pan) => {
        secrets.push(pan)
        return { ksn: new Uint8Array(12), bytes: Uint8Array.of(...pin, ...pan) }
      },
      cardToken: async (pan) => `token of ${ascii.decode(pan)}`,
    },
    configuration: () => configurationOf(given),
    clock,
    random: (length) => hex('01020304').slice(0, length),
    log: silentLog,
  })(prompts, { lastAmount: async () => undefined, onExceptionFile: async () => false })
  return {
    transaction,
    shown,
    start: (request: Partial<CardRequest> = {}) =>
      transaction.start({ ...REQUEST, ...request }, abort.signal),
    released: () => released,
    /** Everything that was typed, swiped or taken for a key has been overwritten. */
    erased: () =>
      [...secrets, ...swipes.flatMap(({ track1, track2 }) => [track1, track2])].every(
        (buffer) => !(buffer instanceof Uint8Array) || buffer.every((byte) => byte === 0),
      ),
    left: () => happenings.length,
    done: () => {
      for (const card of cards) card.done()
    },
  }
}

const REQUEST: CardRequest = {
  type: 'sale',
  amount: money(1250, 'EUR'),
  sequence: 7,
  at: new Date(2026, 10, 22, 10, 15),
  locale: 'en',
}
const answered = (approved: boolean): HostAnswer => ({
  kind: 'answered',
  responseCode: approved ? '00' : '05',
  approved,
  issuerAuthenticationData: undefined,
  scripts: [],
})
const never = () => new AbortController().signal
const pin = (): PinEntry => ({ kind: 'entered', digits: ascii.encode('6802') })
const stripeOf = (start: StartOutcome) => {
  if (start.kind !== 'stripe') throw new Error(start.kind === 'ended' ? start.reason : start.kind)
  return start.authorisation
}
const endOf = (start: StartOutcome) => (start.kind === 'ended' ? start.reason : start.kind)
const mute = { insert: 'mute' } as const

t.test('a chip that fails three times, then its stripe with a PIN: what leaves and what stays', async (t) => {
  const w = world({
    happenings: [mute, { swipe: CHIP }, mute, mute, { swipe: 'bad' }, { swipe: CHIP }],
    stripe: { issuers: [{ iin: '999999', label: 'POSTERN' }] },
    entries: [pin()],
  })
  const stripe = stripeOf(await w.start())
  t.same(w.shown, [
    'insert',
    'reading',
    'unreadable',
    'insert',
    'chip',
    'reading',
    'unreadable',
    'insert',
    'reading',
    'swipe',
    'again',
    'PIN',
    'authorising',
  ])
  t.same(stripe.facts, {
    aid: '',
    label: 'POSTERN',
    maskedPan: '999999******0402',
    bin: '99999900',
    panLast4: '0402',
    panSequence: undefined,
    entryMode: 'stripe',
    cvm: 'pin',
    tvr: '',
    tsi: '',
    atc: '',
    cryptogram: '',
    cryptogramType: 'none',
  })
  t.equal(stripe.reason, 'chipMute')
  t.equal(stripe.serviceCode, '206')
  t.equal(stripe.de55.length, 0)
  t.equal(toHex(stripe.cardData.bytes), '9999990000000402D3512206000012300000')
  t.equal(ascii.decode(stripe.pinBlock!.bytes), `6802${PAN}`)
  t.equal(stripe.cardToken, `token of ${PAN}`)
  t.ok(w.erased())
  t.same(await w.transaction.hostAnswer(answered(true), never()), {
    kind: 'approved',
    facts: stripe.facts,
    de55: new Uint8Array(),
    signatureRequired: false,
    adviceRequired: false,
  })
  await w.transaction.finish({ approved: true })
  t.same(w.shown.slice(13), ['finishing'], 'no card is in the slot to be taken out')
})

t.test('a card without a chip: signed for; the host alone decides', async (t) => {
  for (const [answer, kind] of [
    [answered(true), 'approved'],
    [answered(false), 'declined'],
    [{ kind: 'unableToGoOnline' }, 'declined'],
  ] as const) {
    const w = world({ happenings: [{ swipe: NO_CHIP }] })
    const stripe = stripeOf(await w.start())
    t.match(stripe, {
      reason: 'noChip',
      serviceCode: '101',
      pinBlock: undefined,
      facts: { cvm: 'signature' },
    })
    const final = await w.transaction.hostAnswer(answer, never())
    t.equal(final.kind, kind)
    if (final.kind === 'approved') t.ok(final.signatureRequired)
    if (final.kind === 'declined') t.notOk(final.cardSaidNo)
    t.ok(w.erased())
  }
  const short = world({ happenings: [{ swipe: '999999000006=3512101' }] })
  t.match(stripeOf(await short.start()).facts, { maskedPan: '999999**0006', bin: '999999' })
})

t.test('the PIN at a stripe: passed over where that is allowed, cancelled, too late', async (t) => {
  const swiped = (entry: PinEntry, pinBypass = false) =>
    world({ happenings: [{ swipe: `${PAN}=3512106` }], entries: [entry], pinBypass })
  const bypassed = swiped({ kind: 'bypassed' }, true)
  t.match(stripeOf(await bypassed.start()), { pinBlock: undefined, facts: { cvm: 'signature' } })
  t.same(bypassed.shown, ['insert', 'PIN, or none', 'authorising'])
  for (const kind of ['cancelled', 'timeout'] as const) {
    const w = swiped({ kind })
    t.equal(endOf(await w.start()), kind)
    t.ok(w.erased())
    await t.rejects(w.transaction.hostAnswer(answered(true), never()), { code: 'CARD_TRANSACTION_ORDER' })
  }
  const refund = world({ happenings: [{ swipe: `${PAN}=3512106` }] })
  t.equal(stripeOf(await refund.start({ type: 'refund' })).facts.cvm, 'none')
  const keyless = world({ happenings: [{ swipe: NO_CHIP }], keyMissing: true })
  await t.rejects(keyless.start(), { code: 'KEY_UNAVAILABLE' })
  t.ok(keyless.erased())
})

t.test('stripes that are refused end the payment, each for its reason', async (t) => {
  for (const [track, end, stripe] of [
    [NO_CHIP, 'stripeNotAllowed', { withoutChip: false }],
    [`${PAN}=2510101`, 'expired', {}],
    [`${PAN}=3512901`, 'notAccepted', {}],
    [`${PAN}=3512`, 'stripeUnreadable', {}],
  ] as const) {
    const w = world({ happenings: Array(5).fill({ swipe: track }), stripe })
    t.equal(endOf(await w.start()), end)
    t.equal(w.left(), end === 'stripeUnreadable' ? 0 : 4, 'five bad swipes are enough, one refusal is')
    t.ok(w.erased())
  }
})

t.test(
  'a chip that breaks the rules before its cryptogram counts as failed; after it nothing does',
  async (t) => {
    const broken = { insert: BROKEN } as const
    const w = world({
      happenings: [broken, { insert: 'strangeAtr' }, broken, { swipe: CHIP }],
      entries: [pin()],
    })
    t.equal(stripeOf(await w.start()).reason, 'chipError')
    t.same(
      w.shown.filter((what) => what !== 'reading'),
      ['insert', 'unreadable', 'insert', 'unreadable', 'insert', 'swipe', 'PIN', 'authorising'],
    )
    t.equal(w.released(), 3)
    w.done()

    const once = world({
      happenings: [broken, { swipe: CHIP }],
      stripe: { failedChipReads: 1 },
      entries: [pin()],
    })
    t.equal(stripeOf(await once.start()).reason, 'chipError', 'as often as is configured')

    const late = world({ happenings: [{ insert: BROKEN_CRYPTOGRAM }] })
    t.equal(endOf(await late.start()), 'cardError')
    late.done()

    const gaveUp = world({ happenings: [broken], unreadable: 'cancelled' })
    t.equal(endOf(await gaveUp.start()), 'cancelled')
    const noFallback = world({ happenings: [broken], stripe: { fallback: false } })
    t.equal(endOf(await noFallback.start()), 'cardError')
    const off = world({ happenings: [broken], stripe: 'off' })
    t.equal(endOf(await off.start()), 'cardError', 'without a configuration no head is listened to')
    const hostile = world({ happenings: Array(20).fill(broken) })
    t.equal(endOf(await hostile.start()), 'cardError')
    t.ok(hostile.left() > 0, 'and not for ever')
  },
)

t.test('no application in common: the stripe only where the configuration says so', async (t) => {
  const happenings = [{ insert: NO_APPLICATION }, { swipe: CHIP }] as const
  const allowed = world({ happenings, stripe: { emptyCandidateList: true }, entries: [pin()] })
  t.equal(stripeOf(await allowed.start()).reason, 'noApplication')
  t.same(allowed.shown, ['insert', 'reading', 'swipe', 'PIN', 'authorising'])
  t.equal(endOf(await world({ happenings }).start()), 'notAccepted')
  const blocked = [{ insert: [PSE, select(FCI.replace(/9000$/, '6283'))] }] as const
  const w = world({ happenings: blocked, stripe: { emptyCandidateList: true } })
  t.equal(endOf(await w.start()), 'blocked')
})

t.test('the chip goes before the stripe whenever it works', async (t) => {
  const again = world({ happenings: [mute, mute, mute, { insert: BROKEN_CRYPTOGRAM }] })
  t.equal(endOf(await again.start()), 'cardError', 'put in once more while the stripe is asked for')
  t.same(again.shown.slice(-2), ['swipe', 'reading'])
  const both = world({ happenings: [{ both: NO_CHIP }, 'cancelled'] })
  await both.start()
  t.ok(both.erased(), 'a swipe that came as the card was put in goes nowhere')
  t.notOk(both.shown.includes('authorising'))
  const lost = world({ happenings: [{ insert: BROKEN_CRYPTOGRAM }], stripeLost: true })
  t.equal(endOf(await lost.start()), 'cardError', 'a head that is lost does not take the chip with it')
})

t.test('everything is bounded, and people can leave at each prompt', async (t) => {
  const ends = async (given: World) => {
    const w = world(given)
    const end = endOf(await w.start())
    return `${end}, ${w.shown.at(-1)}`
  }
  t.equal(await ends({ happenings: ['cancelled'] }), 'cancelled, insert')
  t.equal(await ends({ happenings: [{ swipe: CHIP }, 'timeout'] }), 'timeout, chip')
  t.equal(await ends({ happenings: [mute, mute, mute, 'cancelled'] }), 'cancelled, swipe')
  t.equal(await ends({ happenings: [{ swipe: 'bad' }, 'cancelled'] }), 'cancelled, again')
  t.equal(await ends({ happenings: [mute, mute, mute], stripe: { fallback: false } }), 'mute, reading')
  t.equal(await ends({ happenings: Array(20).fill({ swipe: CHIP }) }), 'mute, chip')
  t.equal(await ends({ happenings: Array(20).fill({ insert: 'removed' }) }), 'mute, reading')
  t.equal(
    await ends({ happenings: [...Array(5).fill(mute), 'cancelled'], stripe: { failedChipReads: 5 } }),
    'cancelled, swipe',
    'more tries than the three of a terminal without a stripe',
  )
  for (const stripeLost of [false, true]) {
    const aborted = world({ happenings: ['abort'], stripeLost })
    const end = await aborted.start().catch((error: unknown) => error)
    t.ok(isPosternError(end, 'ABORTED') || endOf(end as StartOutcome) === 'cancelled')
  }
})
