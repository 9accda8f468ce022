// Corners that no payment reaches by itself: values at their bounds, answers that are almost right, stores with holes.
import t from 'tap'
import { concat, toHex } from '../../../../hal/base/bytes.js'
import { money } from '../../../../hal/base/money.js'
import { TAG } from '../../../../hal/base/tags.js'
import { matching } from '../../../../runtime/secure/emv/application-selection.js'
import { cardholderSelectionRequired } from '../../../../runtime/secure/emv/candidate-choice.js'
import { emvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { dateNumber } from '../../../../runtime/secure/emv/dates.js'
import {
  recoverSignedDynamicData,
  verifyCombined,
} from '../../../../runtime/secure/emv/dynamic-data-authentication.js'
import { cardActionAnalysis } from '../../../../runtime/secure/emv/first-cryptogram.js'
import { generateCryptogram } from '../../../../runtime/secure/emv/generate-ac.js'
import { initiateApplicationProcessing } from '../../../../runtime/secure/emv/initiate-application.js'
import { toInteger } from '../../../../runtime/secure/emv/integers.js'
import { processingRestrictions } from '../../../../runtime/secure/emv/processing-restrictions.js'
import { readApplicationData } from '../../../../runtime/secure/emv/read-application-data.js'
import { refundReading } from '../../../../runtime/secure/emv/refund-reading.js'
import { setTransactionData } from '../../../../runtime/secure/emv/terminal-data.js'
import { terminalRiskManagement } from '../../../../runtime/secure/emv/terminal-risk-management.js'
import { TransactionData } from '../../../../runtime/secure/emv/transaction-data.js'
import { cardChannel } from '../../../../runtime/secure/emv/transport.js'
import { padForSignature, signRecoverable } from '../../../../scripts/dev/issuer/certificates.js'
import { generateRsaKey } from '../../../../scripts/dev/issuer/rsa-key.js'
import { application, hex, storeWith, tlv, tvr } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

t.test('values: zero, the last century, an empty candidate list', async (t) => {
  t.equal(toInteger(hex('00')), 0n)
  t.equal(toInteger(hex('0100')), 256n)
  t.equal(dateNumber(hex('991231')), 19991231)
  t.equal(dateNumber(hex('500101')), 19500101)
  t.equal(dateNumber(hex('491231')), 20491231)
  t.equal(cardholderSelectionRequired([]), false)
})

t.test('the store: what nobody has is a defect, what the card gave keeps its order', async (t) => {
  const data = new TransactionData()
  t.throws(() => data.need(TAG.PAN), { code: 'EMV_DATA_MISSING', details: { tag: '5A' } })
  data.addFromCard(TAG.PAN, hex('4111'))
  data.addFromCard(TAG.AIP, hex('0000'))
  t.same(data.cardTags(), [TAG.PAN, TAG.AIP])
})

t.test('a document that is none at all is refused too', async (t) => {
  for (const document of [null, 'text', 7, [], {}])
    t.throws(() => emvConfiguration(document), {
      code: 'EMV_CONFIGURATION_INVALID',
      details: { where: 'document' },
    })
})

t.test('an answer that grows beyond the bound is not gathered', async (t) => {
  const card = cardChannel({
    protocol: 'T=1',
    transmit: async () => ({ kind: 'response', bytes: concat(new Uint8Array(1500), hex('61FF')) }),
  })
  t.match(await card.exchange(hex('00B2010C00')), { kind: 'end', rule: 'chained answer too long' })
})

t.test('GET PROCESSING OPTIONS: a PDOL at the APDU’s bound, objects twice, templates inside', async (t) => {
  const run = (pdol: string, command?: string, response = '') =>
    initiateApplicationProcessing(
      scriptedCard(command === undefined ? [] : [['GPO', command, response]]).channel,
      storeWith(pdol === '' ? {} : { [TAG.PDOL]: pdol }),
    )
  t.match(
    await run('DF01FF'),
    { kind: 'end', rule: /more than an APDU carries/ },
    'with its template 258 bytes',
  )
  const answer = (...objects: string[]) => `${tlv('77', ...objects)}9000`
  const GPO = '80 A8 00 00 02 83 00 00'
  t.match(await run('', GPO, answer('82021C00', '82021C00', '940408010100')), { kind: 'end', rule: /twice/ })
  t.match(await run('', GPO, answer('82021C00', '940408010100', 'A503500141')), { kind: 'initiated' })
})

t.test('GENERATE AC: a template inside the answer is passed over', async (t) => {
  const card = scriptedCard([
    [
      'GENERATE AC',
      '80 AE 80 00 06 00 00 00 00 12 50 00',
      `${tlv('77', '9F270180', '9F36020001', '9F26081122334455667788', 'A503500141')}9000`,
    ],
  ])
  const request = { type: 'ARQC', cdol: TAG.CDOL1, defaultTdol: undefined, cda: undefined } as const
  t.match(await generateCryptogram(card.channel, storeWith({ [TAG.CDOL1]: '9F0206' }), request), {
    type: 'ARQC',
  })
})

t.test('restrictions without the terminal’s own data', async (t) => {
  const data = new TransactionData()
  data.addFromCard(TAG.ICC_VERSION, hex('008C'))
  data.addFromCard(TAG.USAGE_CONTROL, hex('FFC0'))
  data.addFromCard(TAG.ISSUER_COUNTRY, hex('0276'))
  processingRestrictions(data)
  t.equal(tvr(data), '00C0000000', 'versions differ; no date is a past one')
  const atm = storeWith(
    { [TAG.USAGE_CONTROL]: 'FDC0', [TAG.EXPIRATION_DATE]: '301231' },
    { [TAG.TERMINAL_TYPE]: '14', [TAG.ADDITIONAL_CAPABILITIES]: 'F000F0A001' },
  )
  processingRestrictions(atm)
  t.equal(tvr(atm), '0010000000', 'not valid at ATMs')
  const goodsAlone = new TransactionData()
  for (const [tag, value] of [
    [TAG.USAGE_CONTROL, '2100'],
    [TAG.ISSUER_COUNTRY, '0276'],
    [TAG.EXPIRATION_DATE, '301231'],
  ] as const)
    goodsAlone.addFromCard(tag, hex(value))
  for (const [tag, value] of [
    [TAG.TRANSACTION_TYPE, '00'],
    [TAG.TRANSACTION_DATE, '261122'],
    [TAG.TERMINAL_COUNTRY, '0276'],
    [TAG.TERMINAL_TYPE, '22'],
    [TAG.ADDITIONAL_CAPABILITIES, '6000F0A001'],
  ] as const)
    goodsAlone.set(tag, hex(value))
  processingRestrictions(goodsAlone)
  t.equal(tvr(goodsAlone), '0000000000', 'without 9F03 nothing is handed out')
})

t.test('velocity: a card that leaves between its two counters', async (t) => {
  const card = scriptedCard([
    ['GET DATA 9F36', '80 CA 9F 36 00', '9F36020007 9000'],
    ['GET DATA 9F13', '80 CA 9F 13 00', { kind: 'removed' }],
  ])
  const data = storeWith({ [TAG.LOWER_OFFLINE_LIMIT]: '02', [TAG.UPPER_OFFLINE_LIMIT]: '05' })
  const services = {
    random: () => Uint8Array.of(0),
    lastAmountOfCard: 0n,
    onExceptionFile: false,
    forceOnline: false,
  }
  const configuration = { floorLimit: 2000n, randomSelection: undefined }
  t.match(await terminalRiskManagement(card.channel, data, 1250n, configuration, services), {
    kind: 'end',
    reason: 'removed',
  })
})

t.test('CDA: dynamic data too short for a cryptogram’s fields', async (t) => {
  const icc = generateRsaKey(1024, 3)
  const data = hex('03ABCDEF80')
  const content = padForSignature(icc, concat(hex('0501'), Uint8Array.of(data.length), data))
  const signed = recoverSignedDynamicData(icc, signRecoverable(icc, content, hex('DEADBEEF')))
  t.equal(toHex(signed!.iccDynamicNumber), 'ABCDEF')
  const input = {
    unpredictableNumber: hex('DEADBEEF'),
    dolData: [],
    responseObjects: hex(''),
    cid: 0x80,
  }
  t.equal(verifyCombined(signed!, input), 'ICC dynamic data')
})

t.test('partial AIDs that both fit: the longest counts, whichever comes first', async (t) => {
  const short = application('A000000003', { partialSelection: true })
  const long = application('A00000000310', { partialSelection: true })
  for (const rows of [
    [short, long],
    [long, short],
  ])
    t.equal(matching(rows, hex('A0000000031010')), long)
})

t.test('amounts above 32 bits: the binary objects are full, the numeric ones right', async (t) => {
  const data = new TransactionData()
  const request = {
    type: 0,
    amount: money(500_000_000_000n, 'EUR'),
    otherAmount: money(400_000_000_000n, 'EUR'),
    sequence: 1,
    at: new Date(2026, 10, 22),
  }
  const { terminal } = emvConfiguration({
    terminal: {
      countryCode: '0276',
      currency: 'EUR',
      type: '22',
      capabilities: 'E0F8C8',
      additionalCapabilities: '6000F0A001',
      pinBypass: false,
    },
    applications: [
      {
        aid: 'A0000000031010',
        partialSelection: false,
        version: '008C',
        tacDenial: '0000000000',
        tacOnline: '0000000000',
        tacDefault: '0000000000',
        floorLimit: '0',
      },
    ],
    caKeys: [],
  })
  setTransactionData(data, request, terminal, (length) => new Uint8Array(length))
  t.equal(toHex(data.need(TAG.AMOUNT)), '500000000000')
  t.equal(toHex(data.need(TAG.AMOUNT_OTHER)), '400000000000')
  t.equal(toHex(data.need(TAG.AMOUNT_BINARY)), 'FFFFFFFF')
  t.equal(toHex(data.need(TAG.AMOUNT_OTHER_BINARY)), 'FFFFFFFF')
})

t.test('a refund whose card leaves at its AAC ends as removed', async (t) => {
  const card = scriptedCard([['GENERATE AC', '80 AE 00 00 06 00 00 00 00 12 50 00', { kind: 'removed' }]])
  const data = storeWith({ [TAG.CDOL1]: '9F0206' })
  t.match(await refundReading(card.channel, data, application('A0000000031010'), 'CARD'), {
    kind: 'end',
    reason: 'removed',
  })
  card.done()
})

t.test('no line, and the card wants the issuer or its signature failed: the second cryptogram', async (t) => {
  const run = async (xdaFailed: boolean, arc: string, response: ScriptStep[2], terminalDefault: string) => {
    const data = storeWith(
      { [TAG.CDOL2]: '8A02', [TAG.CID]: '80', [TAG.IAC_DEFAULT]: '0000000000' },
      { [TAG.TERMINAL_TYPE]: '23' },
    )
    data.raise('defaultTdolUsed')
    const p1 = arc === '5933' ? '40' : '00'
    const card = scriptedCard([['second GENERATE AC', `80 AE ${p1} 00 02 ${arc} 00`, response]])
    const none = hex('0000000000')
    const first = {
      kind: 'cryptogram',
      type: 'ARQC',
      adviceRequired: false,
      reason: 0,
      cdaFailed: false,
      xdaFailed,
      dolData: hex(''),
    } as const
    const result = await cardActionAnalysis(card.channel, data, 'TC', first, {
      application: application('A0000000031010', {
        tac: { denial: none, online: none, default: hex(terminalDefault) },
      }),
      name: 'CARD',
      cvm: { kind: 'cvm', cvm: 'none', signatureRequired: false, pinBlock: undefined },
      oda: { kind: 'oda', method: 'none', iccKey: undefined, xdaKey: undefined, failure: undefined },
      cryptogramType: 'ARQC',
      adviceRequired: false,
      dolData: [],
    })
    card.done()
    return result
  }
  const answer = (cid: string) => `80 0B ${cid} 0042 8877665544332211 9000`
  const removed = { kind: 'removed' } as const
  const gone = { kind: 'end', reason: 'removed' }
  t.match(await run(true, '5A31', removed, '0000000000'), gone, 'XDA failed, then the card left')
  t.match(await run(false, '5933', removed, '0000000000'), gone, 'the card left')
  t.match(await run(false, '5933', answer('40'), '0000000000'), {
    decision: 'approved',
    cryptogramType: 'TC',
  })
  t.match(
    await run(false, '5A33', answer('08'), '0000000080'),
    { decision: 'declined', cryptogramType: 'AAC', adviceRequired: true },
    'the default code denies what the first command raised in the TVR',
  )
  for (const cid of ['80', '40'])
    t.match(
      await run(false, '5A33', answer(cid), '0000000080'),
      { decision: 'declined', cryptogramType: 'AAC' },
      'more than was asked for counts as an AAC',
    )
})

t.test('57 has 19 bytes at most', async (t) => {
  const run = (track2: string) => {
    const objects = [tlv('5A', '4761739001010119'), tlv('5F24', '301231'), tlv('8C', '9F0206')]
    const record = `${tlv('70', ...objects, tlv('8D', '8A02'), tlv('57', track2))}9000`
    const card = scriptedCard([['READ RECORD', '00 B2 01 0C 00', record]])
    return readApplicationData(card.channel, storeWith({ [TAG.AFL]: '08010100' }))
  }
  const whole = '4761739001010119D30122011234567890123F'
  t.match(await run(whole), { kind: 'read' })
  t.match(await run(`${whole}FF`), { kind: 'end', reason: 'cardError', rule: /^57/ })
})
