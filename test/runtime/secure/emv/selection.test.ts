// Selection, GET PROCESSING OPTIONS, reading records: the card's side of the start, rule by rule.
import t from 'tap'
import { toHex } from '../../../../hal/base/bytes.js'
import { TAG } from '../../../../hal/base/tags.js'
import { displayName, languages } from '../../../../runtime/secure/emv/application-name.js'
import {
  buildCandidateList,
  type Candidate,
  selectApplication,
} from '../../../../runtime/secure/emv/application-selection.js'
import {
  cardholderSelectionRequired,
  chooseCandidate,
} from '../../../../runtime/secure/emv/candidate-choice.js'
import { initiateApplicationProcessing } from '../../../../runtime/secure/emv/initiate-application.js'
import {
  parseAfl,
  readApplicationData,
  readRecords,
} from '../../../../runtime/secure/emv/read-application-data.js'
import { application, hex, storeWith, tlv } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const SELECT_PSE = '00 A4 04 00 0E 31 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00'
const PSE_FCI = `${tlv('6F', tlv('84', '315041592E5359532E4444463031'), tlv('A5', '880101', '5F2D04 64656E6E'))}9000`
const terminal = {
  applications: [application('A0000000031010'), application('A000000004', { partialSelection: true })],
  additionalCapabilities: hex('6000F0A001'),
}
const entry = (aid: string, priority: string) =>
  tlv('61', tlv('4F', aid), tlv('50', '56495341'), tlv('87', priority))
const fci = (aid: string, ...more: string[]) =>
  `${tlv('6F', tlv('84', aid), tlv('A5', tlv('50', '56495341'), ...more))}9000`
const aids = (list: object) =>
  'candidates' in list ? (list.candidates as { aid: Uint8Array }[]).map(({ aid }) => toHex(aid)) : list

t.test('the directory gives candidates in priority order, and its language', async (t) => {
  const card = scriptedCard([
    ['SELECT PSE', SELECT_PSE, PSE_FCI],
    [
      'record 1, another object between its entries',
      '00 B2 01 0C 00',
      `${tlv('70', entry('A0000000041010', '02'), tlv('50', '4E4F4E45'), entry('A0000000031010', '01'))}9000`,
    ],
    [
      'record 2: an AID that we have not',
      '00 B2 02 0C 00',
      `${tlv('70', entry('A0000000651010', '01'))}9000`,
    ],
    ['the end', '00 B2 03 0C 00', '6A83'],
  ])
  const list = await buildCandidateList(card.channel, terminal)
  t.same(aids(list), ['A0000000031010', 'A0000000041010'])
  t.match(list, { languagePreference: hex('64656E6E') })
  card.done()
})

t.test('no PSE: list of AIDs, SELECT NEXT while a partial name matches', async (t) => {
  const card = scriptedCard([
    ['SELECT PSE', SELECT_PSE, '6A82'],
    ['exact AID', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', '6A82'],
    ['partial AID', '00 A4 04 00 05 A0 00 00 00 04 00', fci('A0000000041010', '870102')],
    [
      'next: blocked, so not a candidate',
      '00 A4 04 02 05 A0 00 00 00 04 00',
      `${fci('A0000000042203').slice(0, -4)}6283`,
    ],
    ['next', '00 A4 04 02 05 A0 00 00 00 04 00', fci('A0000000043060', '870101')],
    ['no more', '00 A4 04 02 05 A0 00 00 00 04 00', '6A82'],
  ])
  t.same(aids(await buildCandidateList(card.channel, terminal)), ['A0000000043060', 'A0000000041010'])
  card.done()
})

t.test(
  'list of AIDs: another warning than 6283, or an FCI without its template, ends that AID',
  async (t) => {
    const partial = fci('A0000000041010').slice(0, -4)
    for (const answer of [
      `${partial}6285`,
      `${partial}6300`,
      `${tlv('6F', tlv('84', 'A0000000041010'))}9000`,
    ]) {
      const card = scriptedCard([
        ['SELECT PSE', SELECT_PSE, '6A82'],
        ['exact AID', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', '6A82'],
        ['partial AID', '00 A4 04 00 05 A0 00 00 00 04 00', answer],
      ])
      t.match(await buildCandidateList(card.channel, terminal), { reason: 'notAccepted' })
      card.done()
    }
    const padded = scriptedCard([
      ['SELECT PSE', SELECT_PSE, '6A82'],
      [
        'exact AID',
        '00 A4 04 00 07 A0 00 00 00 03 10 10 00',
        '6F1584 07A0000000031010 A5 0A 00 50 04 56495341 00 00 00 9000',
      ],
      ['partial AID', '00 A4 04 00 05 A0 00 00 00 04 00', '6A82'],
    ])
    t.same(
      aids(await buildCandidateList(padded.channel, terminal)),
      ['A0000000031010'],
      'padding is accepted',
    )
  },
)

t.test('once the cardholder has chosen, nothing is selected without asking', async (t) => {
  const candidate = (name: string, confirmationRequired = false) =>
    ({ name, confirmationRequired }) as Candidate
  const [one, two] = [candidate('one'), candidate('two')]
  const services = (answer: number | undefined, confirmed: boolean) => ({
    chooseApplication: async () => answer,
    confirmApplication: async () => confirmed,
  })
  t.equal(await chooseCandidate([one], services(undefined, false), false), one, 'the only one by itself')
  t.equal(await chooseCandidate([one, two], services(1, false), false), two)
  t.match(await chooseCandidate([one, two], services(2, false), false), { reason: 'cancelled' })
  t.match(await chooseCandidate([one, two], services(undefined, false), false), { reason: 'cancelled' })
  t.match(await chooseCandidate([one], services(undefined, false), true), { reason: 'cancelled' })
  t.equal(await chooseCandidate([one], services(undefined, true), true), one)
  t.match(await chooseCandidate([candidate('x', true)], services(0, false), false), { reason: 'cancelled' })
  t.match(await chooseCandidate([], services(0, true), false), { reason: 'notAccepted' })
})

t.test('a card that answers SELECT NEXT for ever, and a directory without end, are left', async (t) => {
  const endless: ScriptStep[] = [
    ['SELECT PSE', SELECT_PSE, '6A82'],
    ['exact AID', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', '6A82'],
    ['partial AID', '00 A4 04 00 05 A0 00 00 00 04 00', fci('A0000000041010')],
    ...Array.from(
      { length: 15 },
      (): ScriptStep => ['next', '00 A4 04 02 05 A0 00 00 00 04 00', fci('A0000000041010')],
    ),
  ]
  const card = scriptedCard(endless)
  t.same(aids(await buildCandidateList(card.channel, terminal)), ['A0000000041010'])
  card.done()
  const directory = scriptedCard([
    ['SELECT PSE', SELECT_PSE, PSE_FCI],
    ...Array.from(
      { length: 50 },
      (): ScriptStep => ['record', '00 B2 .. 0C 00', `${tlv('70', entry('A0000000031010', '01'))}9000`],
    ),
  ])
  t.match(await buildCandidateList(directory.channel, terminal), { kind: 'candidates' })
  directory.done()
})

t.test('a blocked card ends it; a broken directory falls back to the list', async (t) => {
  t.match(await buildCandidateList(scriptedCard([['SELECT PSE', SELECT_PSE, '6A81']]).channel, terminal), {
    kind: 'end',
    reason: 'blocked',
  })
  const notFound: ScriptStep[] = [
    ['exact AID', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', '6A82'],
    ['partial AID', '00 A4 04 00 05 A0 00 00 00 04 00', '6A82'],
  ]
  for (const record of ['6985', '9C01019000', '70059000']) {
    const card = scriptedCard([
      ['SELECT PSE', SELECT_PSE, PSE_FCI],
      ['record', '00 B2 01 0C 00', record],
      ...notFound,
    ])
    t.match(await buildCandidateList(card.channel, terminal), { reason: 'notAccepted' })
    card.done()
  }
  const sfi = scriptedCard([['SELECT PSE', SELECT_PSE, `${tlv('6F', tlv('A5', '88010B'))}9000`], ...notFound])
  t.match(await buildCandidateList(sfi.channel, terminal), { reason: 'notAccepted' })
  const blockedApp = scriptedCard([
    ['SELECT PSE', SELECT_PSE, '6A82'],
    ['AID', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', '6A81'],
  ])
  t.match(await buildCandidateList(blockedApp.channel, terminal), { reason: 'blocked' })
})

t.test('final selection wants the same name back', async (t) => {
  const candidate = {
    aid: hex('A0000000031010'),
    application: application('A0000000031010'),
    name: 'VISA',
    priority: 1,
    confirmationRequired: true,
  }
  const run = (response: string) =>
    selectApplication(
      scriptedCard([['SELECT', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', response]]).channel,
      candidate,
      hex('6000F0A001'),
    )
  t.match(await run(fci('A0000000031010', '9F380 39F1A02'.replace(' ', ''))), {
    kind: 'selected',
    name: 'VISA',
  })
  t.match(await run(fci('A0000000041010')), { kind: 'notSelected' })
  t.match(await run('6A82'), { kind: 'notSelected' })
  t.match(await run('6F009000'), { kind: 'notSelected' })
  t.match(await run('6A81'), { kind: 'end', reason: 'blocked' })
  t.ok(cardholderSelectionRequired([candidate]))
  t.notOk(cardholderSelectionRequired([{ ...candidate, confirmationRequired: false }]))
})

t.test('the preferred name needs its code table', async (t) => {
  const fields = { preferredName: hex('47E96E'), codeTable: 1, label: hex('47454E'), aid: hex('A000000003') }
  t.equal(displayName(fields, hex('6000F0A001')), 'Gén')
  t.equal(displayName({ ...fields, codeTable: 7 }, hex('6000F0A001')), 'GEN')
  t.equal(displayName({ ...fields, codeTable: 11 }, hex('6000F0FFFF')), 'GEN')
  t.equal(
    displayName({ ...fields, preferredName: undefined, label: undefined }, hex('6000F0A001')),
    'A000000003',
  )
  t.same(languages(hex('6465656E')), ['de', 'en'])
  t.same(languages(hex('6465 65'.replace(' ', ''))), [])
  t.same(languages(hex('30315A48')), ['zh'])
})

t.test('GET PROCESSING OPTIONS: both formats, no PDOL is 8300, 6985 goes back to selection', async (t) => {
  const run = async (response: string, pdol?: string) => {
    const data = storeWith(pdol ? { [TAG.PDOL]: pdol } : {})
    const command = pdol ? '80 A8 00 00 04 83 02 02 76 00' : '80 A8 00 00 02 83 00 00'
    const result = await initiateApplicationProcessing(
      scriptedCard([['GPO', command, response]]).channel,
      data,
    )
    return {
      result,
      aip: toHex(data.card(TAG.AIP) ?? new Uint8Array()),
      afl: toHex(data.card(TAG.AFL) ?? new Uint8Array()),
    }
  }
  t.match(await run('80 06 7C00 08010100 9000'), {
    result: { kind: 'initiated' },
    aip: '7C00',
    afl: '08010100',
  })
  t.match(await run('77 0A 8202 7C00 9404 08010100 9000', '9F1A02'), {
    result: { pdolData: hex('0276') },
    aip: '7C00',
  })
  t.match((await run('6985')).result, { kind: 'conditionsNotSatisfied' })
  for (const bad of [
    '6A81',
    '6283',
    '9000',
    '80057C0008010 19000'.replace(' ', ''),
    '7704 8202 7C00 9000',
    '7706 9404 08010100 9000',
    '770C 8202 7C00 8202 7C00 9404 08010100 9000',
    '70009000',
    '8006',
  ])
    t.match((await run(bad)).result, { kind: 'end', reason: 'cardError' }, bad)
  const twice = storeWith({ [TAG.PDOL]: '9F37FF9F37FF' })
  t.match(await initiateApplicationProcessing(scriptedCard([]).channel, twice), { kind: 'end' })
})

t.test('AFL: every rule', async (t) => {
  t.same(parseAfl(hex('08010201')), [{ sfi: 1, first: 1, last: 2, authenticated: 1 }])
  for (const [why, afl] of [
    ['empty', ''],
    ['not whole entries', '080102'],
    ['SFI 0', '00010100'],
    ['SFI 31', 'F8010100'],
    ['low bits set', '09010100'],
    ['record 0', '08000100'],
    ['last before first', '08020100'],
    ['more signed than there are', '08010102'],
    ['more records than any card has', '0801FF001001FF00'],
  ] as const)
    t.equal(parseAfl(hex(afl)), undefined, why)
})

t.test('signed records: SFI 1 to 10 without the template, 11 to 30 whole', async (t) => {
  const card = scriptedCard([
    ['SFI 1', '00 B2 01 0C 00', '7003 9C0101 9000'],
    ['SFI 11', '00 B2 01 5C 00', '7003 9F3600 9000'],
    ['SFI 12, proprietary', '00 B2 01 64 00', 'C0FFEE 9000'],
  ])
  const read = await readRecords(card.channel, hex('080101015801010160010100'))
  t.match(read, { kind: 'read' })
  t.equal('odaRecords' in read && toHex(read.odaRecords ?? new Uint8Array()), '9C010170039F3600')
  const unusable = scriptedCard([['SFI 12', '00 B2 01 64 00', 'C0FFEE 9000']])
  const signed = await readRecords(unusable.channel, hex('60010101'))
  t.equal('odaRecords' in signed && signed.odaRecords, undefined)
  const more = scriptedCard([
    ['SFI 1, padded', '00 B2 01 0C 00', '00 7003 9C0101 00 9000'],
    ['SFI 11, more behind the template', '00 B2 01 5C 00', '7000 DF0101AA 9000'],
  ])
  const whole = await readRecords(more.channel, hex('0801010158010101'))
  t.equal(
    'odaRecords' in whole && toHex(whole.odaRecords ?? new Uint8Array()),
    '9C0101007000DF0101AA',
    'everything but tag and length is signed',
  )
  t.match(whole, { objects: [{ tag: 0x9c }, { tag: 0xdf01 }] })
  const half = async (sfi: string, p2: string, record: string) =>
    readRecords(scriptedCard([['record', `00 B2 01 ${p2} 00`, record]]).channel, hex(`${sfi}010100`))
  t.match(await half('58', '5C', '7005 9C01 9000'), { reason: 'cardError' }, 'a template that does not parse')
  t.match(await half('08', '0C', '7000 DF0101AA 9000'), { reason: 'cardError' }, 'SFI 1: nothing behind it')
  t.match(await half('08', '0C', '7700 9000'), { reason: 'cardError' })
})

const RECORD = tlv(
  '70',
  tlv('5A', '5413330089604111'),
  tlv('5F24', '301231'),
  tlv('8C', '9F0206'),
  tlv('8D', '8A02'),
)

t.test('mandatory objects must be there, none may stand twice', async (t) => {
  const run = (...records: string[]) =>
    readApplicationData(
      scriptedCard(records.map((record, i): ScriptStep => ['record', `00 B2 0${i + 1} 0C 00`, record]))
        .channel,
      storeWith({ [TAG.AFL]: `0801${records.length.toString(16).padStart(2, '0')}00` }),
    )
  t.match(await run(`${RECORD}9000`), { kind: 'read' })
  t.match(await run(`${RECORD}9000`, `${tlv('70', tlv('5F24', '301231'))}9000`), {
    kind: 'end',
    rule: /twice/,
  })
  for (const missing of ['5A', '5F24', '8C', '8D']) {
    const objects = { '5A': '5413330089604111', '5F24': '301231', '8C': '9F0206', '8D': '8A02' }
    const record = Object.entries(objects)
      .filter(([tag]) => tag !== missing)
      .map(([tag, value]) => tlv(tag, value))
    t.match(await run(`${tlv('70', ...record)}9000`), { kind: 'end', rule: /missing/ }, missing)
  }
  t.match(await run('6A83'), { kind: 'end', reason: 'cardError' })
  t.match(await run('7705 9F3602 0001 9000'), { kind: 'end', reason: 'cardError' }, 'template 77')
  t.match(await readApplicationData(scriptedCard([]).channel, storeWith()), { kind: 'end', rule: 'no AFL' })
})

t.test('a card cannot replace our values by sending their tags', async (t) => {
  const data = storeWith({ [TAG.AMOUNT]: '000000000001', [TAG.UNPREDICTABLE_NUMBER]: '00000000' })
  t.equal(toHex(data.need(TAG.AMOUNT)), '000000001250')
  t.equal(toHex(data.need(TAG.UNPREDICTABLE_NUMBER)), 'DEADBEEF')
})
