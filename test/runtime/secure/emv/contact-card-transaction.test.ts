// The seam on the kernel: whole scripted transactions, prompts, removal at every moment, what leaves and what is erased.
import t from 'tap'
import { ascii, toHex } from '../../../../hal/base/bytes.js'
import { type Clock, systemClock } from '../../../../hal/base/clock.js'
import { PosternError } from '../../../../hal/base/errors.js'
import { silentLog } from '../../../../hal/base/log.js'
import { money } from '../../../../hal/base/money.js'
import { parseTlv, tagName } from '../../../../hal/base/tlv.js'
import type { ChipCardReader, ChipCardSession, PowerOnOutcome } from '../../../../hal/chip-card-reader.js'
import type {
  CardPrompts,
  CardRequest,
  HostAnswer,
  PinEntry,
} from '../../../../runtime/secure/card-transaction.js'
import type { EmvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { contactCardTransactions } from '../../../../runtime/secure/emv/contact-card-transaction.js'
import type { Trace } from '../../../../runtime/secure/emv/traces/trace.js'
import { application, hex, tlv } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const AID = 'A0000000031010'
const FCI = `${tlv('6F', tlv('84', AID), tlv('A5', tlv('50', '56495341'), tlv('5F2D', '7A68656E')))}9000`
const SELECTED: ScriptStep[] = [
  ['SELECT PSE', '00 A4 04 00 0E 31 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00', '6A82'],
  ['SELECT AID', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', FCI],
  ['final SELECT', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', FCI],
]
const record = (cvm: string, ...more: string[]) =>
  `${tlv('70', tlv('5A', '4761739001010119'), tlv('5F34', '01'), tlv('5F24', '301231'), tlv('57', '4761739001010119D3012201123456789F'), tlv('8C', '9F02069F3704'), tlv('8D', '8A029F3704'), tlv('8E', `0000000000000000${cvm}`), tlv('9F0D', '0000000000'), tlv('9F0E', '0000000000'), tlv('9F0F', '0000000000'), ...more)}9000`
const read = (cvm = '1F00', ...more: string[]): ScriptStep[] => [
  ['GPO', '80 A8 00 00 02 83 00 00', `${tlv('80', '1C00', '08010100')}9000`],
  ['READ RECORD', '00 B2 01 0C 00', record(cvm, ...more)],
]
const first = (cid: string, p1 = '80'): ScriptStep => [
  'first GENERATE AC',
  `80 AE ${p1} 00 0A 00 00 00 00 12 50 01 02 03 04 00`,
  `80 0B ${cid} 0042 1122334455667788 9000`,
]
const second = (p1: string, arc: string, response: ScriptStep[2]): ScriptStep => [
  'second GENERATE AC',
  `80 AE ${p1} 00 06 ${arc} 01 02 03 04 00`,
  response,
]
const TC = '80 0B 40 0042 8877665544332211 9000'
const AAC = '80 0B 00 0042 8877665544332211 9000'

const configuration = (
  changes: Partial<ReturnType<typeof application>> = {},
  terminal: object = {},
): EmvConfiguration => ({
  terminal: {
    countryCode: hex('0276'),
    currency: 'EUR',
    type: 0x22,
    capabilities: hex('E0F8C8'),
    additionalCapabilities: hex('6000F0A001'),
    acquirerId: undefined,
    merchantCategoryCode: hex('4215'),
    merchantId: 'MERCHANT',
    terminalId: 'TERM0001',
    merchantName: 'Shop',
    ifdSerial: 'IFD00001',
    pinBypass: false,
    ...terminal,
  },
  applications: [
    application(AID, {
      tac: { denial: hex('0000000000'), online: hex('0000008000'), default: hex('0000008000') },
      ...changes,
    }),
  ],
  caKeys: [],
  revoked: new Set(),
})

interface World {
  steps?: ScriptStep[]
  configuration?: EmvConfiguration
  entries?: (PinEntry | 'wait')[]
  power?: PowerOnOutcome['kind'][]
  presented?: 'cancelled' | 'timeout'
  beforeEntry?: (pull: () => void) => Promise<void>
  releaseFails?: Error
  traceFails?: Error
  atr?: string
  unreadable?: 'cancelled' | 'timeout' | 'acknowledged'
  choice?: number | undefined
  lastAmount?: bigint
  onExceptionFile?: boolean
}

const whenAborted = (signal: AbortSignal | undefined) =>
  new Promise<never>((_, reject) => {
    const fail = () => reject(new PosternError('ABORTED', 'cancelled'))
    if (signal?.aborted) fail()
    signal?.addEventListener('abort', fail, { once: true })
  })

/** A slot, its card and the people around it. `pull()` takes the card out. */
function world(given: World) {
  const shown: string[] = []
  const warned: string[] = []
  const trace: Trace[] = []
  const secrets: Uint8Array[] = []
  const card = scriptedCard(given.steps ?? [])
  let out: () => void = () => undefined
  const gone = new Promise<void>((resolve) => {
    out = resolve
  })
  let released = 0
  let powered = false
  const session: ChipCardSession = {
    ...card.session,
    atr: hex(given.atr ?? '3B600000'),
    release: async () => {
      released++
      if (given.releaseFails) throw given.releaseFails
    },
  }
  const power = [...(given.power ?? [])]
  const reader = {
    waitForCard: (signal?: AbortSignal) => (given.presented ? whenAborted(signal) : Promise.resolve()),
    waitForRemoval: (signal?: AbortSignal) =>
      // A card that does not answer is taken out at once, unless somebody decides otherwise.
      powered || given.unreadable ? Promise.race([gone, whenAborted(signal)]) : Promise.resolve(),
    powerOn: async (): Promise<PowerOnOutcome> => {
      const kind = power.shift() ?? 'session'
      powered = kind === 'session'
      return kind === 'session' ? { kind, session } : { kind }
    },
  } as unknown as ChipCardReader
  const prompts: CardPrompts = {
    presentCard: (_amount, signal) =>
      given.presented ? Promise.resolve(given.presented) : whenAborted(signal),
    cardUnreadable: async () => {
      shown.push('unreadable')
      return given.unreadable ?? 'acknowledged'
    },
    useStripe: async () => 'cancelled',
    useChip: async () => 'cancelled',
    chooseApplication: async (labels) => {
      shown.push(labels.join('/'))
      return given.choice
    },
    confirmApplication: async (label) => {
      shown.push(`confirm ${label}`)
      return given.choice !== undefined
    },
    enterPin: async ({ online }, signal) => {
      shown.push(online ? 'online PIN' : 'offline PIN')
      const entry = given.entries?.shift() ?? { kind: 'cancelled' as const }
      if (entry === 'wait') return whenAborted(signal)
      if (entry.kind === 'entered') secrets.push(entry.digits)
      await given.beforeEntry?.(out)
      return entry
    },
    preferLanguages: (codes) => void shown.push(codes.join()),
    busy: (what) => void shown.push(what),
    removeCard: (_amount, approved) => void shown.push(`remove ${approved}`),
  }
  const clock: Clock = { ...systemClock, sleep: (_ms, signal) => whenAborted(signal) }
  const transaction = contactCardTransactions({
    reader,
    keys: {
      encryptCardData: async (clear) => {
        secrets.push(clear)
        return { ksn: new Uint8Array(12), bytes: clear.slice() }
      },
      encryptPin: async (pin, pan) => {
        secrets.push(pan)
        return { ksn: new Uint8Array(12), bytes: pin.slice() }
      },
      cardToken: async (pan) => {
        secrets.push(pan)
        return 'AB'.repeat(32)
      },
    },
    configuration: () => given.configuration ?? configuration(),
    clock,
    random: (length) => hex('01020304').slice(0, length),
    log: { ...silentLog, warn: (event, details) => void warned.push(`${event} ${details?.fault}`) },
    keepTrace: (kept) => {
      if (given.traceFails) throw given.traceFails
      trace.push(kept)
    },
  })(prompts, {
    lastAmount: async () => (given.lastAmount === undefined ? undefined : money(given.lastAmount, 'EUR')),
    onExceptionFile: async () => given.onExceptionFile ?? false,
  })
  return { transaction, shown, warned, trace, secrets, card, pull: () => out(), released: () => released }
}

const REQUEST: CardRequest = {
  type: 'sale',
  amount: money(1250, 'EUR'),
  sequence: 7,
  at: new Date(2026, 10, 22, 10, 15),
  locale: 'en',
}
const APPROVED: HostAnswer = {
  kind: 'answered',
  responseCode: '00',
  approved: true,
  issuerAuthenticationData: undefined,
  scripts: [],
}
const never = () => new AbortController().signal

t.test('online and approved: what goes to the host, what comes back', async (t) => {
  const w = world({
    steps: [...SELECTED, ...read('0200'), first('80'), second('40', '30 30', TC)],
    entries: [{ kind: 'entered', digits: ascii.encode('1234') }],
  })
  const start = await w.transaction.start(REQUEST, never())
  if (start.kind !== 'online') throw new Error(start.kind)
  const { facts, de55, cardData, pinBlock } = start.authorisation
  t.match(facts, {
    aid: AID,
    label: 'VISA',
    maskedPan: '476173******0119',
    bin: '47617390',
    panLast4: '0119',
    panSequence: '01',
    cvm: 'pin',
    atc: '0042',
    cryptogram: '1122334455667788',
    cryptogramType: 'ARQC',
    tvr: '8000048000',
    tsi: '6800',
  })
  const tags = parseTlv(de55).map(({ tag }) => tagName(tag))
  for (const secret of ['57', '5A', '5F20', '5F24']) t.notOk(tags.includes(secret), secret)
  for (const needed of [
    '9F26',
    '9F27',
    '9F10',
    '9F37',
    '9F36',
    '95',
    '9A',
    '9C',
    '9F02',
    '5F2A',
    '82',
    '9F1A',
    '9F03',
    '9F33',
    '9F34',
    '9F35',
    '84',
    '9F41',
    '5F34',
  ].filter((tag) => tag !== '9F10'))
    t.ok(tags.includes(needed), needed)
  t.equal(toHex(cardData.bytes), '4761739001010119D3012201123456789F')
  t.equal(toHex(pinBlock!.bytes), toHex(ascii.encode('1234')))
  const final = await w.transaction.hostAnswer(APPROVED, never())
  t.match(final, {
    kind: 'approved',
    signatureRequired: false,
    facts: { cryptogramType: 'TC', cryptogram: '8877665544332211' },
  })
  w.card.done()
  const finish = w.transaction.finish({ approved: true })
  t.equal(w.transaction.finish({ approved: true }), finish, 'idempotent')
  w.pull()
  await finish
  t.equal(w.released(), 1)
  t.ok(
    w.secrets.length >= 3 && w.secrets.every((bytes) => bytes.every((byte) => byte === 0)),
    'PIN, PAN and track are erased',
  )
  t.notMatch(JSON.stringify(w.trace), /4761739001010119/)
  t.equal(w.trace[0]!.events.filter(({ kind }) => kind === 'apdu').length, 7)
  t.same(w.shown, ['reading', 'zh,en', 'online PIN', 'reading', 'authorising', 'finishing', 'remove true'])
})

t.test('declined by the host; approved by the host and refused by the card', async (t) => {
  const online = [...SELECTED, ...read(), first('80')]
  const declined = world({ steps: [...online, second('00', '35 31', AAC)] })
  t.match(await declined.transaction.start(REQUEST, never()), { kind: 'online' })
  t.match(
    await declined.transaction.hostAnswer({ ...APPROVED, responseCode: '51', approved: false }, never()),
    { kind: 'declined', cardSaidNo: false },
  )
  const refused = world({ steps: [...online, second('40', '30 30', AAC)] })
  await refused.transaction.start(REQUEST, never())
  t.match(await refused.transaction.hostAnswer(APPROVED, never()), { kind: 'declined', cardSaidNo: true })
})

t.test('unable to go online: the default codes decide, Y3 or Z3', async (t) => {
  const no = world({ steps: [...SELECTED, ...read(), first('80'), second('00', '5A 33', AAC)] })
  await no.transaction.start(REQUEST, never())
  t.match(await no.transaction.hostAnswer({ kind: 'unableToGoOnline' }, never()), {
    kind: 'declined',
    cardSaidNo: false,
  })
  const tac = { denial: hex('0000000000'), online: hex('0000008000'), default: hex('0000000000') }
  const yes = world({
    steps: [...SELECTED, ...read(), first('80'), second('40', '59 33', TC)],
    configuration: configuration({ tac }),
  })
  await yes.transaction.start(REQUEST, never())
  t.match(await yes.transaction.hostAnswer({ kind: 'unableToGoOnline' }, never()), {
    kind: 'approvedOffline',
  })
})

t.test(
  'offline: approved below the floor limit, declined by the card, declined by the terminal',
  async (t) => {
    const below = configuration({ floorLimit: 5000n })
    const approved = world({ steps: [...SELECTED, ...read('1E00'), first('40', '40')], configuration: below })
    t.match(await approved.transaction.start(REQUEST, never()), {
      kind: 'approvedOffline',
      authorisation: { facts: { cvm: 'signature', cryptogramType: 'TC' } },
    })
    const byCard = world({ steps: [...SELECTED, ...read(), first('00', '40')], configuration: below })
    t.match(await byCard.transaction.start(REQUEST, never()), {
      kind: 'declinedOffline',
      reason: 'card declined',
    })
    const split = world({
      steps: [...SELECTED, ...read(), first('80')],
      configuration: below,
      lastAmount: 4000n,
    })
    t.match(await split.transaction.start(REQUEST, never()), { kind: 'online' }, 'split sales add up')
    const tac = { denial: hex('8000000000'), online: hex('0000000000'), default: hex('0000000000') }
    const byTerminal = world({
      steps: [...SELECTED, ...read(), first('00', '00')],
      configuration: configuration({ tac }),
    })
    t.match(await byTerminal.transaction.start(REQUEST, never()), {
      kind: 'declinedOffline',
      reason: 'terminal declined',
      facts: { cryptogramType: 'AAC' },
    })
  },
)

t.test('an offline-only terminal settles an ARQC by itself', async (t) => {
  const run = (code: string) => {
    const tac = { denial: hex('0000000000'), online: hex('0000000000'), default: hex(code) }
    const type = code === '0000000000' ? '40' : '00'
    const steps = [...SELECTED, ...read(), first(type === '40' ? '80' : '00', type)]
    if (type === '40') steps.push(second('40', '59 33', TC))
    return world({ steps, configuration: configuration({ tac }, { type: 0x23 }) }).transaction.start(
      REQUEST,
      never(),
    )
  }
  t.match(await run('0000000000'), { kind: 'approvedOffline' })
  t.match(await run('0000008000'), { kind: 'declinedOffline' })
})

t.test('another currency than the limits’ is always above them', async (t) => {
  const w = world({
    steps: [...SELECTED, ...read(), first('80')],
    configuration: configuration({ floorLimit: 5000n }, { currency: 'USD' }),
  })
  t.match(await w.transaction.start(REQUEST, never()), { kind: 'online' })
})

t.test('scripts travel both phases and their results go into the final DE55', async (t) => {
  const steps: ScriptStep[] = [
    ...SELECTED,
    ...read(),
    first('80'),
    ['script 71', '84 1E 00 00 00', '9000'],
    second('40', '30 30', TC),
    ['script 72', '84 24 00 00 00', '6985'],
  ]
  const w = world({ steps })
  await w.transaction.start(REQUEST, never())
  const scripts = [hex(tlv('72', tlv('86', '8424000000'))), hex(tlv('71', tlv('86', '841E000000')))]
  const final = await w.transaction.hostAnswer({ ...APPROVED, scripts }, never())
  t.match(final, { kind: 'approved', facts: { tvr: '8000008010' } })
  t.match(toHex((final as { de55: Uint8Array }).de55), /9F5B0A20000000001100000000$/)
  w.card.done()
})

t.test('a card that leaves between two scripts of phase 72: the rest are not performed', async (t) => {
  const steps: ScriptStep[] = [
    ...SELECTED,
    ...read(),
    first('80'),
    second('40', '30 30', TC),
    ['first script', '84 24 00 00 00', '9000'],
    ['second script', '84 1E 00 00 00', { kind: 'removed' }],
  ]
  const w = world({ steps })
  await w.transaction.start(REQUEST, never())
  const script = (id: string, command: string) => hex(tlv('72', tlv('9F18', id), tlv('86', command)))
  const scripts = [
    script('00000001', '8424000000'),
    script('00000002', '841E000000'),
    script('00000003', '8418000000'),
  ]
  const final = await w.transaction.hostAnswer({ ...APPROVED, scripts }, never())
  t.match(final, { kind: 'approved' })
  t.match(toHex((final as { de55: Uint8Array }).de55), /9F5B0F200000000111000000020000000003$/)
  w.card.done()
})

t.test('a card that leaves: at every command the outcome is removed', async (t) => {
  const all = [...SELECTED, ...read(), first('80'), second('40', '30 30', TC)]
  for (let at = 0; at < all.length; at++) {
    const steps = all.slice(0, at + 1)
    steps[at] = [steps[at]![0], steps[at]![1], { kind: 'removed' }]
    const w = world({ steps })
    const start = await w.transaction.start(REQUEST, never())
    if (at < all.length - 1) t.match(start, { kind: 'ended', reason: 'removed' }, steps[at]![0])
    else
      t.match(await w.transaction.hostAnswer(APPROVED, never()), {
        kind: 'ended',
        reason: 'removed',
        facts: { panLast4: '0119' },
      })
  }
})

t.test('pulled while the PIN is typed: removed, and the prompt is taken down', async (t) => {
  const w = world({ steps: [...SELECTED, ...read('0200')], entries: ['wait'] })
  const start = w.transaction.start(REQUEST, never())
  setTimeout(w.pull, 20)
  t.match(await start, { kind: 'ended', reason: 'removed' })
})

t.test('pulled just as the PIN was entered: removed, and the digits are erased', async (t) => {
  const w = world({
    steps: [...SELECTED, ...read('0200')],
    entries: [{ kind: 'entered', digits: ascii.encode('1234') }],
    beforeEntry: async (pull) => {
      pull()
      await new Promise((resolve) => setImmediate(resolve))
    },
  })
  t.match(await w.transaction.start(REQUEST, never()), { kind: 'ended', reason: 'removed' })
  t.ok(w.secrets.length === 1 && w.secrets[0]!.every((byte) => byte === 0))
})

t.test('a reader that is lost at the end changes nothing', async (t) => {
  for (const [releaseFails, fault] of [
    [new PosternError('DEVICE_LOST', 'gone'), 'DEVICE_LOST'],
    [new Error('gone'), 'UNKNOWN'],
  ] as const) {
    const w = world({ steps: [...SELECTED, ...read(), first('80')], releaseFails })
    t.match(await w.transaction.start(REQUEST, never()), { kind: 'online' })
    await w.transaction.finish({ approved: false })
    t.notOk(w.shown.includes('remove false'))
    t.same(w.warned, [`emv.release ${fault}`])
  }
})

t.test('a trace that cannot be kept changes nothing', async (t) => {
  for (const [traceFails, fault] of [
    [new PosternError('DISK_FULL', 'full'), 'DISK_FULL'],
    [new Error('full'), 'FAULT'],
  ] as const) {
    const w = world({ steps: [...SELECTED, ...read(), first('80')], traceFails })
    t.match(await w.transaction.start(REQUEST, never()), { kind: 'online' })
    const finished = w.transaction.finish({ approved: true })
    w.pull()
    await finished
    t.ok(w.shown.includes('remove true'))
    t.same(w.warned, [`emv.trace ${fault}`])
  }
})

t.test('a template inside the FCI’s proprietary one is passed over', async (t) => {
  const fci = `${tlv('6F', tlv('84', AID), tlv('A5', tlv('50', '56495341'), tlv('E1', tlv('9F38', '9A03'))))}9000`
  const steps = [...SELECTED.slice(0, 2), [SELECTED[2]![0], SELECTED[2]![1], fci] as const]
  const w = world({ steps: [...steps, ...read(), first('80')] })
  t.match(await w.transaction.start(REQUEST, never()), { kind: 'online' }, 'its PDOL is none')
  w.card.done()
})

t.test('a card that leaves at the counters of velocity checking ends as removed', async (t) => {
  const steps = [...SELECTED, ...read('1F00', tlv('9F14', '02'), tlv('9F23', '05'))]
  const w = world({ steps: [...steps, ['GET DATA 9F36', '80 CA 9F 36 00', { kind: 'removed' }]] })
  t.match(await w.transaction.start(REQUEST, never()), { kind: 'ended', reason: 'removed' })
  w.card.done()
})

t.test('a card that answers to reset unlike EMV is not read', async (t) => {
  const w = world({ atr: '3C0000', power: ['session', 'session', 'session'] })
  t.match(await w.transaction.start(REQUEST, never()), { kind: 'ended', reason: 'mute' })
  t.equal(w.released(), 3)
})

t.test('more script results than DE55 has room for are cut', async (t) => {
  const script = hex(tlv('71', tlv('86', '841E000000')))
  const steps: ScriptStep[] = Array.from({ length: 16 }, () => ['script', '84 1E 00 00 00', '9000'])
  const w = world({ steps: [...SELECTED, ...read(), first('80'), ...steps, second('40', '30 30', TC)] })
  await w.transaction.start(REQUEST, never())
  const final = await w.transaction.hostAnswer({ ...APPROVED, scripts: Array(20).fill(script) }, never())
  t.match(final, { kind: 'approved' })
  t.ok((final as { de55: Uint8Array }).de55.length <= 255)
})

t.test('aborted by the caller: a typed fault, and finish still works', async (t) => {
  const caller = new AbortController()
  const w = world({ steps: [...SELECTED, ...read('0200')], entries: ['wait'] })
  const start = w.transaction.start(REQUEST, caller.signal)
  setTimeout(() => caller.abort(), 20)
  await t.rejects(start, { code: 'ABORTED' })
  w.pull()
  await w.transaction.finish({ approved: false })
  t.equal(w.released(), 1)
})

t.test('nobody, somebody who cancels, a mute card, a card put in again', async (t) => {
  for (const presented of ['cancelled', 'timeout'] as const) {
    const w = world({ presented })
    t.match(await w.transaction.start(REQUEST, never()), { kind: 'ended', reason: presented })
    await w.transaction.finish({ approved: false })
    t.same(w.shown, [])
  }
  const mute = world({ power: ['mute', 'mute', 'mute', 'mute'] })
  t.match(await mute.transaction.start(REQUEST, never()), { kind: 'ended', reason: 'mute' })
  t.same(mute.shown, ['reading', 'unreadable', 'reading', 'unreadable', 'reading'])
  const left = world({ power: ['mute'], unreadable: 'cancelled' })
  t.match(await left.transaction.start(REQUEST, never()), { kind: 'ended', reason: 'cancelled' })
  const forgotten = world({ power: ['mute'], unreadable: 'timeout' })
  t.match(await forgotten.transaction.start(REQUEST, never()), { kind: 'ended', reason: 'mute' })
  t.equal(forgotten.shown.length, 16)
  const again = world({
    steps: [...SELECTED, ...read(), first('80')],
    power: ['removed', 'removed', 'removed', 'mute'],
  })
  t.match(await again.transaction.start(REQUEST, never()), { kind: 'online' })
})

t.test('two applications: chosen, or not; a confirmation refused; 6985 goes to the next', async (t) => {
  const two = configuration()
  const both = {
    ...two,
    applications: [...two.applications, application('A0000000041010', { tac: two.applications[0]!.tac })],
  }
  const MC = `${tlv('6F', tlv('84', 'A0000000041010'), tlv('A5', tlv('50', '4D43'), tlv('87', '81')))}9000`
  const listed: ScriptStep[] = [
    ...SELECTED.slice(0, 2),
    ['SELECT second AID', '00 A4 04 00 07 A0 00 00 00 04 10 10 00', MC],
  ]
  const none = world({ steps: listed, configuration: both })
  t.match(await none.transaction.start(REQUEST, never()), { kind: 'ended', reason: 'cancelled' })
  t.same(none.shown.slice(1), ['MC/VISA'])
  const conditions = world({
    steps: [
      ...listed,
      ['SELECT the second', '00 A4 04 00 07 A0 00 00 00 04 10 10 00', MC],
      ['GPO', '80 A8 00 00 02 83 00 00', '6985'],
      SELECTED[2]!,
      ...read(),
      first('80'),
    ],
    configuration: both,
    choice: 0,
  })
  t.match(await conditions.transaction.start(REQUEST, never()), {
    kind: 'online',
    authorisation: { facts: { aid: AID } },
  })
  const refused = world({
    steps: [
      ['SELECT PSE', SELECTED[0]![1], '6A82'],
      ['SELECT AID', SELECTED[1]![1], '6A82'],
      ['SELECT second AID', '00 A4 04 00 07 A0 00 00 00 04 10 10 00', MC],
    ],
    configuration: both,
  })
  t.match(await refused.transaction.start(REQUEST, never()), { kind: 'ended', reason: 'cancelled' })
  t.same(refused.shown.slice(1), ['confirm MC'])
  const gone = world({ steps: [...SELECTED.slice(0, 2), ['final SELECT', SELECTED[2]![1], '6283']] })
  t.match(await gone.transaction.start(REQUEST, never()), { kind: 'ended', reason: 'blocked' })
})

t.test('calls out of order are faults', async (t) => {
  const w = world({ presented: 'cancelled' })
  await t.rejects(w.transaction.hostAnswer(APPROVED, never()), { code: 'CARD_TRANSACTION_ORDER' })
  await w.transaction.start(REQUEST, never())
  await t.rejects(w.transaction.start(REQUEST, never()), { code: 'CARD_TRANSACTION_ORDER' })
})

t.test('a card without track 2 gets it put together; a PAN that is none ends', async (t) => {
  const bare = `${tlv('70', tlv('5A', '476173900101011F'), tlv('5F24', '301231'), tlv('5F30', '0201'), tlv('8C', '9F02069F3704'), tlv('8D', '8A029F3704'))}9000`
  const steps = [...SELECTED, read()[0]!, ['READ RECORD', '00 B2 01 0C 00', bare] as ScriptStep, first('80')]
  const start = await world({ steps }).transaction.start(REQUEST, never())
  t.match(start, { kind: 'online', authorisation: { facts: { bin: '476173' } } })
  t.equal(
    toHex((start as { authorisation: { cardData: { bytes: Uint8Array } } }).authorisation.cardData.bytes),
    '476173900101011D3012201F',
  )
  const broken = [...steps]
  broken[4] = ['READ RECORD', '00 B2 01 0C 00', bare.replace('476173900101011F', '47617390010101AA')]
  t.match(await world({ steps: broken }).transaction.start(REQUEST, never()), {
    kind: 'ended',
    reason: 'cardError',
  })
})
