// Restrictions, risk, action analysis, cryptograms with CDA, issuer authentication, scripts: what decides, bit by bit.
import t from 'tap'
import { concat, toHex } from '../../../../hal/base/bytes.js'
import { sha1 } from '../../../../hal/base/ciphers.js'
import { TAG } from '../../../../hal/base/tags.js'
import { generateCryptogram } from '../../../../runtime/secure/emv/generate-ac.js'
import { issuerAuthentication } from '../../../../runtime/secure/emv/issuer-authentication.js'
import { runIssuerScripts } from '../../../../runtime/secure/emv/issuer-scripts.js'
import { processingRestrictions } from '../../../../runtime/secure/emv/processing-restrictions.js'
import {
  actionWithoutIssuer,
  onlineCapability,
  terminalActionAnalysis,
} from '../../../../runtime/secure/emv/terminal-action-analysis.js'
import {
  selectionPercent,
  terminalRiskManagement,
} from '../../../../runtime/secure/emv/terminal-risk-management.js'
import { TSI, TVR, type TvrBit } from '../../../../runtime/secure/emv/verification-results.js'
import { padForSignature, signRecoverable } from '../../../../scripts/dev/issuer/certificates.js'
import { generateRsaKey } from '../../../../scripts/dev/issuer/rsa-key.js'
import { hex, storeWith, tlv, tsi, tvr } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const NONE = { denial: hex('0000000000'), online: hex('0000000000'), default: hex('0000000000') }
const IAC_NONE = {
  [TAG.IAC_DENIAL]: '0000000000',
  [TAG.IAC_ONLINE]: '0000000000',
  [TAG.IAC_DEFAULT]: '0000000000',
}

t.test('restrictions: versions, service, dates', async (t) => {
  const run = (card: Record<number, string>, terminal: Record<number, string> = {}) => {
    const data = storeWith({ [TAG.EXPIRATION_DATE]: '301231', ...card }, terminal)
    processingRestrictions(data)
    return tvr(data).slice(2, 4)
  }
  t.equal(run({}), '00', 'no version, no usage control: nothing to say')
  t.equal(run({ [TAG.ICC_VERSION]: '008D' }), '80')
  t.equal(run({ [TAG.USAGE_CONTROL]: 'FE00' }), '10', 'not at terminals other than ATMs')
  t.equal(run({ [TAG.USAGE_CONTROL]: '0300', [TAG.ISSUER_COUNTRY]: '0276' }), '10', 'no domestic purchase')
  t.equal(run({ [TAG.USAGE_CONTROL]: '0900', [TAG.ISSUER_COUNTRY]: '0276' }), '00', 'services will do')
  t.equal(run({ [TAG.USAGE_CONTROL]: '1100', [TAG.ISSUER_COUNTRY]: '0840' }), '00', 'international goods')
  t.equal(
    run({ [TAG.USAGE_CONTROL]: '2900', [TAG.ISSUER_COUNTRY]: '0276' }, { [TAG.TRANSACTION_TYPE]: '09' }),
    '10',
    'no cashback',
  )
  t.equal(
    run({ [TAG.USAGE_CONTROL]: '2980', [TAG.ISSUER_COUNTRY]: '0276' }, { [TAG.TRANSACTION_TYPE]: '09' }),
    '00',
  )
  t.equal(
    run({ [TAG.USAGE_CONTROL]: '4100', [TAG.ISSUER_COUNTRY]: '0276' }, { [TAG.TRANSACTION_TYPE]: '01' }),
    '10',
  )
  const purchase = (usage: string, other: string) =>
    run(
      { [TAG.USAGE_CONTROL]: usage, [TAG.ISSUER_COUNTRY]: '0276' },
      { [TAG.TRANSACTION_TYPE]: '00', [TAG.AMOUNT_OTHER]: other },
    )
  t.equal(purchase('2900', '000000001000'), '10', 'a cashback amount asks for its own bit')
  t.equal(purchase('2980', '000000001000'), '00')
  t.equal(purchase('2900', '000000000000'), '00')
  t.equal(purchase('0180', '000000001000'), '10', 'and the purchase for its own')
  t.equal(run({ [TAG.EXPIRATION_DATE]: '261121' }), '40')
  t.equal(run({ [TAG.EFFECTIVE_DATE]: '261123' }), '20')
})

const risk = async (options: {
  amount?: bigint
  last?: bigint
  floor?: bigint
  card?: Record<number, string>
  steps?: ScriptStep[]
  random?: number[]
  selection?: { targetPercent: number; maximumTargetPercent: number; threshold: bigint }
  exception?: boolean
  force?: boolean
}) => {
  const data = storeWith(options.card)
  const bytes = options.random ?? []
  const card = scriptedCard(options.steps ?? [])
  const end = await terminalRiskManagement(
    card.channel,
    data,
    options.amount ?? 1250n,
    { floorLimit: options.floor ?? 2000n, randomSelection: options.selection },
    {
      random: () => Uint8Array.of(bytes.shift() ?? 255),
      lastAmountOfCard: options.last ?? 0n,
      onExceptionFile: options.exception ?? false,
      forceOnline: options.force ?? false,
    },
  )
  card.done()
  return { end, bits: tvr(data), tsi: tsi(data) }
}
const LIMITS = { [TAG.LOWER_OFFLINE_LIMIT]: '02', [TAG.UPPER_OFFLINE_LIMIT]: '05' }
const COUNTER = (tag: '36' | '13', response: string): ScriptStep => [
  `GET DATA 9F${tag}`,
  `80 CA 9F ${tag} 00`,
  response,
]

t.test('the floor limit is reached at the limit, alone or with the card’s last sale', async (t) => {
  t.match(await risk({ amount: 1999n }), { bits: '0000000000', tsi: '0800' })
  t.match(await risk({ amount: 2000n }), { bits: '0000008000' })
  t.match(await risk({ amount: 1250n, last: 750n }), { bits: '0000008000' })
  t.match(await risk({ amount: 0n, floor: 0n }), { bits: '0000008000' }, 'floor limit 0: always')
  t.match(await risk({ exception: true, force: true }), { bits: '1000000800' })
})

t.test('random selection: the target below the threshold, a line above it', async (t) => {
  const selection = { targetPercent: 20, maximumTargetPercent: 60, threshold: 1000n }
  t.equal(selectionPercent(999n, 2000n, selection), 20)
  t.equal(selectionPercent(1500n, 2000n, selection), 40)
  t.match(await risk({ amount: 500n, selection, random: [19] }), { bits: '0000001000' })
  t.match(await risk({ amount: 500n, selection, random: [20] }), { bits: '0000000000' })
  t.match(
    await risk({ amount: 1500n, selection, random: [200, 39] }),
    { bits: '0000001000' },
    'biased bytes are thrown away',
  )
  t.match(
    await risk({ amount: 500n, selection, random: [] }),
    { bits: '0000001000' },
    'a broken generator selects',
  )
})

t.test('velocity: limits are exceeded, not reached; what cannot be told sets both', async (t) => {
  const run = (atc: string, last: string) =>
    risk({ card: LIMITS, steps: [COUNTER('36', atc), COUNTER('13', last)] })
  t.match(await run('9F36020007 9000', '9F13020005 9000'), { bits: '0000000000' })
  t.match(await run('9F36020008 9000', '9F13020005 9000'), { bits: '0000004000' })
  t.match(await run('9F3602000B 9000', '9F13020005 9000'), { bits: '0000006000' })
  t.match(
    await run('9F36020005 9000', '9F13020005 9000'),
    { bits: '0000006000' },
    'not later than the last online one',
  )
  t.match(await run('6A88', '9F13020000 9000'), { bits: '0008006000' }, 'New card even without an ATC')
  t.match(await run('9F36020001 9000', '6A88'), { bits: '0000006000' })
  t.match(await run('9F3702FFFF 9000', '9F13020001 9000'), { bits: '0000006000' }, 'another object is none')
  t.match(
    await risk({ card: { [TAG.LOWER_OFFLINE_LIMIT]: '02' } }),
    { bits: '0000000000' },
    'one limit is no limit',
  )
  t.match(await run('9F360108 9000', '9F13020005 9000'), { bits: '0000004000' }, 'one byte is a number too')
  for (const none of ['9F3600 9000', '9F36050000000008 9000'])
    t.match(await risk({ card: LIMITS, steps: [COUNTER('36', none)] }), { end: { reason: 'cardError' } })
  t.match(await risk({ card: LIMITS, steps: [COUNTER('36', '9F36 9000')] }), { end: { reason: 'cardError' } })
  t.match(await risk({ card: LIMITS, steps: [['GET DATA 9F36', '80 CA 9F 36 00', { kind: 'removed' }]] }), {
    end: { reason: 'removed' },
  })
})

t.test('action analysis: every TVR bit against each code', async (t) => {
  for (const [name, { byte, mask }] of Object.entries(TVR)) {
    const code = new Uint8Array(5)
    code[byte - 1] = mask
    const data = storeWith(IAC_NONE)
    t.equal(terminalActionAnalysis(data, NONE), 'TC')
    data.raise(name as TvrBit)
    t.equal(terminalActionAnalysis(data, NONE), 'TC', name)
    t.equal(terminalActionAnalysis(data, { ...NONE, denial: code }), 'AAC', name)
    t.equal(terminalActionAnalysis(data, { ...NONE, online: code }), 'ARQC', name)
    t.equal(actionWithoutIssuer(data, { ...NONE, default: code }), 'AAC', name)
    const issuer = storeWith({ ...IAC_NONE, [TAG.IAC_ONLINE]: toHex(code) })
    issuer.raise(name as TvrBit)
    t.equal(terminalActionAnalysis(issuer, NONE), 'ARQC', name)
    data.clear(name as TvrBit)
    t.notOk(data.has(name as TvrBit))
  }
  t.equal(Object.keys(TSI).length, 6)
})

t.test(
  'missing issuer codes: deny nothing, everything else online, and without a line declined',
  async (t) => {
    const data = storeWith()
    t.equal(terminalActionAnalysis(data, NONE), 'TC')
    data.raise('newCard')
    t.equal(terminalActionAnalysis(data, NONE), 'ARQC')
    t.equal(actionWithoutIssuer(data, NONE), 'AAC')
  },
)

t.test('the terminal type decides where nothing else does', async (t) => {
  const wanted = (type: string, raise = false) => {
    const data = storeWith(IAC_NONE, { [TAG.TERMINAL_TYPE]: type })
    if (raise) data.raise('newCard')
    return terminalActionAnalysis(data, { ...NONE, default: hex('0008000000') })
  }
  t.same(
    ['21', '22', '23', '24', '25', '26'].map((type) => wanted(type)),
    ['ARQC', 'TC', 'TC', 'ARQC', 'TC', 'TC'],
  )
  t.equal(wanted('23', true), 'AAC')
  t.same([0x11, 0x22, 0x36].map(onlineCapability), ['onlineOnly', 'both', 'offlineOnly'])
})

const icc = generateRsaKey(1152, 3)
const CDOL1 = { [TAG.CDOL1]: '9F02069F3704' }
const GENERATE = (p1: string, data = '00 00 00 00 12 50 DE AD BE EF') => `80 AE ${p1} 00 0A ${data} 00`
const first = { type: 'ARQC', cdol: TAG.CDOL1, defaultTdol: undefined, cda: undefined } as const

t.test('first cryptogram: both formats and what they must hold', async (t) => {
  const run = async (response: string, type: 'ARQC' | 'TC' | 'AAC' = 'ARQC') => {
    const data = storeWith(CDOL1)
    const p1 = { ARQC: '80', TC: '40', AAC: '00' }[type]
    return {
      result: await generateCryptogram(
        scriptedCard([['GENERATE AC', GENERATE(p1), response]]).channel,
        data,
        { ...first, type },
      ),
      data,
    }
  }
  const one = await run('80 0E 80 0001 1122334455667788 0A0B0C 9000')
  t.match(one.result, { type: 'ARQC', cdaFailed: false, adviceRequired: false })
  t.equal(toHex(one.data.need(TAG.ISSUER_APPLICATION_DATA)), '0A0B0C')
  t.equal(tsi(one.data), '2000')
  t.match((await run(`${tlv('77', '9F270109', '9F36020001', '9F26081122334455667788')}9000`)).result, {
    type: 'AAC',
    adviceRequired: true,
    reason: 1,
  })
  t.match((await run('80 0B 00 0001 1122334455667788 9000', 'TC')).result, { type: 'AAC' })
  t.match(
    (await run('80 0B 80 0001 1122334455667788 9000', 'TC')).result,
    { type: 'ARQC' },
    'a card may be more cautious',
  )
  for (const [why, response, type] of [
    ['more than was asked', '80 0B 40 0001 1122334455667788 9000', 'ARQC'],
    ['anything but AAC', '80 0B 80 0001 1122334455667788 9000', 'AAC'],
    ['reserved type', '80 0B C0 0001 1122334455667788 9000', 'TC'],
    ['too short', '80 0A 80 0001 11223344556677 9000', 'ARQC'],
    ['error', '6985', 'ARQC'],
    ['nothing', '9000', 'ARQC'],
    ['another template', '70 02 9C00 9000', 'ARQC'],
    ['no CID', `${tlv('77', '9F36020001', '9F26081122334455667788')}9000`, 'ARQC'],
    ['no ATC', `${tlv('77', '9F270180', '9F26081122334455667788')}9000`, 'ARQC'],
    ['no cryptogram', `${tlv('77', '9F270180', '9F36020001')}9000`, 'ARQC'],
    ['twice', `${tlv('77', '9F270180', '9F270180', '9F36020001', '9F26081122334455667788')}9000`, 'ARQC'],
    [
      'IAD too long',
      `${tlv('77', '9F270180', '9F36020001', '9F26081122334455667788', tlv('9F10', '00'.repeat(33)))}9000`,
      'ARQC',
    ],
  ] as const)
    t.match((await run(response, type)).result, { kind: 'end', reason: 'cardError' }, why)
  t.match(await generateCryptogram(scriptedCard([]).channel, storeWith({ [TAG.CDOL1]: '9F37' }), first), {
    kind: 'end',
  })
})

t.test('the second cryptogram may not be an ARQC', async (t) => {
  const card = scriptedCard([
    ['GENERATE AC', '80 AE 40 00 02 30 30 00', '80 0B 80 0001 1122334455667788 9000'],
  ])
  const data = storeWith({ [TAG.CDOL2]: '8A02' }, { [TAG.RESPONSE_CODE]: '3030' })
  // Book 3, 9.3: processing is over, so that it counts as an AAC.
  t.match(await generateCryptogram(card.channel, data, { ...first, type: 'TC', cdol: TAG.CDOL2 }), {
    kind: 'cryptogram',
    type: 'AAC',
  })
})

t.test('TC hash: the card’s TDOL, else the default one and its bit', async (t) => {
  const run = async (card: Record<number, string>, defaultTdol?: Uint8Array) => {
    const data = storeWith({ [TAG.CDOL1]: '9814', ...card })
    const expected = toHex(sha1(card[TAG.TDOL] || defaultTdol ? hex('0978') : new Uint8Array()))
    const scripted = scriptedCard([
      ['GENERATE AC', `80 AE 80 00 14 ${expected} 00`, '80 0B 80 0001 1122334455667788 9000'],
    ])
    t.match(await generateCryptogram(scripted.channel, data, { ...first, defaultTdol }), {
      kind: 'cryptogram',
    })
    return tvr(data).slice(8)
  }
  t.equal(await run({ [TAG.TDOL]: '5F2A02' }), '00')
  t.equal(await run({}, hex('5F2A02')), '80')
  t.equal(await run({}), '80')
})

/** A CDA answer: `objects` in order, signed with everything right unless changed. */
function signed(options: {
  cid?: string
  type?: string
  hashOf?: string
  un?: string
  objects?: string
  dols?: string
}) {
  const cid = options.cid ?? '80'
  const objects = options.objects ?? `9F2701${options.type ?? cid}9F360200019F100203 0A`.replaceAll(' ', '')
  const dols = options.dols ?? 'AABB00000000 1250DEADBEEF'.replaceAll(' ', '')
  const tdhc = sha1(hex(dols), hex(options.hashOf ?? objects))
  const dynamic = concat(hex('03ABCDEF'), hex(cid), hex('1122334455667788'), tdhc)
  const content = padForSignature(icc, concat(hex('0501'), Uint8Array.of(dynamic.length), dynamic))
  return `${tlv('77', objects, tlv('9F4B', toHex(signRecoverable(icc, content, hex(options.un ?? 'DEADBEEF')))))}9000`
}
const cda = { key: icc, earlierDolData: [hex('AABB')] }

t.test('CDA: PDOL, CDOL1 and the answer’s objects in card order are signed', async (t) => {
  const run = async (response: string) => {
    const data = storeWith(CDOL1)
    const result = await generateCryptogram(
      scriptedCard([['GENERATE AC', GENERATE('90'), response]]).channel,
      data,
      { ...first, cda },
    )
    return {
      result,
      bits: tvr(data).slice(0, 2),
      tsi: tsi(data),
      cryptogram: toHex(data.get(TAG.CRYPTOGRAM) ?? new Uint8Array()),
    }
  }
  t.match(await run(signed({})), {
    result: { type: 'ARQC', cdaFailed: false },
    bits: '00',
    tsi: 'A000',
    cryptogram: '1122334455667788',
  })
  t.match(await run(signed({ hashOf: '9F36020001' })), {
    result: { cdaFailed: true },
    bits: '04',
    tsi: 'A000',
  })
  t.match(await run(signed({ un: '00000000' })), { result: { cdaFailed: true } })
  t.match(
    await run(signed({ cid: '80', type: '81' })),
    { result: { cdaFailed: true } },
    'the CID inside counts',
  )
  t.match(
    await run(signed({ dols: '00000000 1250DEADBEEF'.replaceAll(' ', '') })),
    { result: { cdaFailed: true } },
    'PDOL data belong to it',
  )
  t.match(
    await run('80 0B 80 0001 1122334455667788 9000'),
    { result: { cdaFailed: true } },
    'format 1 cannot be signed',
  )
  t.match(await run(`${tlv('77', '9F270180', '9F36020001', tlv('9F4B', '00'.repeat(144)))}9000`), {
    result: { cdaFailed: true },
  })
  t.match(
    await run(`${tlv('77', '9F270100', '9F36020001', '9F26081122334455667788')}9000`),
    { result: { type: 'AAC', cdaFailed: false }, bits: '00' },
    'an AAC is never signed',
  )
})

t.test('CDA is not asked for with an AAC', async (t) => {
  const card = scriptedCard([['GENERATE AC', GENERATE('00'), '80 0B 00 0001 1122334455667788 9000']])
  t.match(await generateCryptogram(card.channel, storeWith(CDOL1), { ...first, type: 'AAC', cda }), {
    type: 'AAC',
    cdaFailed: false,
  })
})

t.test('issuer authentication: only where the AIP asks and there is something to give', async (t) => {
  const run = async (aip: string, response?: string, given = true) => {
    const data = storeWith(
      { [TAG.AIP]: aip },
      given ? { [TAG.ISSUER_AUTHENTICATION_DATA]: '11223344556677883030' } : {},
    )
    const card = scriptedCard(
      response === undefined
        ? []
        : [['EXTERNAL AUTHENTICATE', '00 82 00 00 0A 11 22 33 44 55 66 77 88 30 30', response]],
    )
    const end = await issuerAuthentication(card.channel, data)
    card.done()
    return { bits: tvr(data).slice(8), tsi: tsi(data), end }
  }
  t.match(await run('0400', '9000'), { bits: '00', tsi: '1000', end: undefined })
  t.match(await run('0400', '6300'), { bits: '40', tsi: '1000' })
  t.match(await run('0000'), { bits: '00', tsi: '0000' })
  t.match(await run('0400', undefined, false), { bits: '00', tsi: '0000' })
})

t.test('scripts: results, sequence numbers, and where they stop', async (t) => {
  const script = (tag: string, ...commands: string[]) =>
    hex(tlv(tag, '9F180411223344', ...commands.map((command) => tlv('86', command))))
  const run = async (
    templates: Uint8Array[],
    steps: ScriptStep[],
    phase: typeof TAG.SCRIPT_71 | typeof TAG.SCRIPT_72 = TAG.SCRIPT_71,
  ) => {
    const data = storeWith()
    const card = scriptedCard(steps)
    const result = await runIssuerScripts(card.channel, data, templates, phase)
    card.done()
    return { results: toHex(result.results), end: result.end, bits: tvr(data).slice(8), tsi: tsi(data) }
  }
  const two = ['841E000004AABBCCDD', '8424000004AABBCCDD']
  const A = (response: string): ScriptStep => ['command 1', '84 1E 00 00 04 AA BB CC DD', response]
  const B = (response: string): ScriptStep => ['command 2', '84 24 00 00 04 AA BB CC DD', response]
  t.match(await run([script('71', ...two)], [A('9000'), B('6200')]), {
    results: '2011223344',
    bits: '00',
    tsi: '0400',
  })
  t.match(await run([script('71', ...two)], [A('63C1'), B('6985')]), { results: '1211223344', bits: '20' })
  t.match(await run([script('72', ...two)], [A('6A80')], TAG.SCRIPT_72), {
    results: '1111223344',
    bits: '10',
  })
  t.match(await run([script('72', ...two)], []), { results: '', tsi: '0000' }, 'the other phase waits')
  t.match(await run([script('71', '841E')], []), { results: '0011223344', bits: '20' }, 'not a command')
  t.match(await run([hex('7105')], []), { results: '0000000000', bits: '20' }, 'not a template')
  t.match(await run([script('71', two[0]!), script('71', two[1]!)], [A('6985'), B('9000')]), {
    results: '11112233442011223344',
    bits: '20',
  })
  t.match(
    await run([script('71', ...two)], [['command 1', '84 1E 00 00 04 AA BB CC DD', { kind: 'removed' }]]),
    { results: '1111223344', end: { reason: 'removed' } },
  )
})
