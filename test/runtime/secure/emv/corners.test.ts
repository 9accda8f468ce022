// Corners that no payment reaches by itself: values at their bounds, answers that are almost right, stores with holes.
import t from 'tap'
import { concat, toHex } from '../../../../hal/base/bytes.js'
import { TAG } from '../../../../hal/base/tags.js'
import { cardholderSelectionRequired } from '../../../../runtime/secure/emv/candidate-choice.js'
import { emvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { dateNumber } from '../../../../runtime/secure/emv/dates.js'
import {
  recoverSignedDynamicData,
  verifyCombined,
} from '../../../../runtime/secure/emv/dynamic-data-authentication.js'
import { generateCryptogram } from '../../../../runtime/secure/emv/generate-ac.js'
import { initiateApplicationProcessing } from '../../../../runtime/secure/emv/initiate-application.js'
import { toInteger } from '../../../../runtime/secure/emv/integers.js'
import { processingRestrictions } from '../../../../runtime/secure/emv/processing-restrictions.js'
import { terminalRiskManagement } from '../../../../runtime/secure/emv/terminal-risk-management.js'
import { TransactionData } from '../../../../runtime/secure/emv/transaction-data.js'
import { cardChannel } from '../../../../runtime/secure/emv/transport.js'
import { padForSignature, signRecoverable } from '../../../../scripts/dev/issuer/certificates.js'
import { generateRsaKey } from '../../../../scripts/dev/issuer/rsa-key.js'
import { hex, storeWith, tlv, tvr } from './kernel-inputs.js'
import { scriptedCard } from './scripted-card.js'

t.test('values: an empty number, the last century, an empty candidate list', async (t) => {
  t.equal(toInteger(hex('')), 0n)
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
    t.throws(() => emvConfiguration(document), { code: 'EMV_CONFIGURATION_INVALID' })
})

t.test('an answer that grows beyond the bound is not gathered', async (t) => {
  const card = cardChannel({
    atr: hex('3B600000'),
    protocol: 'T=1',
    transmit: async () => ({ kind: 'response', bytes: concat(new Uint8Array(1500), hex('61FF')) }),
    release: async () => undefined,
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
