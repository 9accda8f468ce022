// The flow with a card that signs: CDA at both cryptograms, what its failure means, what a denial leaves undone.
import t from 'tap'
import { concat, toHex } from '../../../../hal/base/bytes.js'
import { sha1 } from '../../../../hal/base/ciphers.js'
import { money } from '../../../../hal/base/money.js'
import { TAG } from '../../../../hal/base/tags.js'
import type { EmvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import {
  completeTransaction,
  type TransactionServices,
  transactToFirstCryptogram,
} from '../../../../runtime/secure/emv/transaction.js'
import { TransactionData } from '../../../../runtime/secure/emv/transaction-data.js'
import {
  cardCertificate,
  issuerCertificate,
  padForSignature,
  signRecoverable,
} from '../../../../scripts/dev/issuer/certificates.js'
import { generateRsaKey } from '../../../../scripts/dev/issuer/rsa-key.js'
import { application, hex, tlv, tvr } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const ca = generateRsaKey(1152, 3)
const issuer = generateRsaKey(1152, 3)
const icc = generateRsaKey(1024, 3)
const AID = 'F0504F53541010'
const PAN = '9999990000000014'
const FCI = `${tlv('6F', tlv('84', AID), tlv('A5', tlv('50', '43415244'), tlv('9F38', '9F1A02')))}9000`
const issuerCert = issuerCertificate(ca, issuer, '999999', hex('000001'))
const SIGNED_RECORD = tlv('5A', PAN)
const iccCert = cardCertificate(issuer, icc, PAN, hex('000002'), hex(SIGNED_RECORD))

const records: ScriptStep[] = [
  ['signed record', '00 B2 01 0C 00', `${tlv('70', SIGNED_RECORD)}9000`],
  [
    'data',
    '00 B2 02 0C 00',
    `${tlv('70', tlv('5F24', '301231'), tlv('8C', '9F02069F3704'), tlv('8D', '8A029F3704'), tlv('9F0D', '0000000000'), tlv('9F0E', '0000000000'), tlv('9F0F', '0000000000'))}9000`,
  ],
  [
    'issuer certificate',
    '00 B2 03 0C 00',
    `${tlv('70', tlv('8F', '01'), tlv('90', toHex(issuerCert.bytes)), tlv('9F32', '03'), ...(issuerCert.remainder.length > 0 ? [tlv('92', toHex(issuerCert.remainder))] : []))}9000`,
  ],
  [
    'ICC certificate',
    '00 B2 04 0C 00',
    `${tlv('70', tlv('9F46', toHex(iccCert.bytes)), tlv('9F47', '03'), ...(iccCert.remainder.length > 0 ? [tlv('9F48', toHex(iccCert.remainder))] : []))}9000`,
  ],
]
const opening: ScriptStep[] = [
  ['SELECT PSE', '00 A4 04 00 0E 31 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00', '6A82'],
  ['SELECT AID', '00 A4 04 00 07 F0 50 4F 53 54 10 10 00', FCI],
  ['final SELECT', '00 A4 04 00 07 F0 50 4F 53 54 10 10 00', FCI],
  ['GPO: CDA', '80 A8 00 00 04 83 02 02 76 00', `${tlv('80', '0100', '08010401')}9000`],
  ...records,
]
const PDOL_DATA = '0276'
const CDOL1_DATA = '000000001250DEADBEEF'
const CDOL2_DATA = '3030DEADBEEF'

/** An answer signed over `dols`, or over something else where `good` is false. */
function signed(cid: string, dols: string, good = true): string {
  const objects = `9F2701${cid}9F36020007`
  const hash = sha1(hex(good ? dols : '00'), hex(objects))
  const dynamic = concat(hex('03ABCDEF'), hex(cid), hex('1122334455667788'), hash)
  const content = padForSignature(icc, concat(hex('0501'), Uint8Array.of(dynamic.length), dynamic))
  return `${tlv('77', objects, tlv('9F4B', toHex(signRecoverable(icc, content, hex('DEADBEEF')))))}9000`
}
const FIRST = (p1: string, response: string): ScriptStep => [
  'first GENERATE AC',
  `80 AE ${p1} 00 0A ${CDOL1_DATA} 00`,
  response,
]
const SECOND = (p1: string, arc: string, response: string): ScriptStep => [
  'second GENERATE AC',
  `80 AE ${p1} 00 06 ${arc} DEADBEEF 00`,
  response,
]
const AAC = '80 0B 00 0007 8877665544332211 9000'

const NONE = hex('0000000000')
const ALL = hex('FFFFFFFFFF')
function configuration(
  tac: Partial<Record<'denial' | 'online' | 'default', Uint8Array>>,
  floorLimit = 0n,
): EmvConfiguration {
  return {
    terminal: {
      countryCode: hex('0276'),
      currency: 'EUR',
      type: 0x22,
      capabilities: hex('E0F8C8'),
      additionalCapabilities: hex('6000F0A001'),
      acquirerId: hex('000000123456'),
      merchantCategoryCode: undefined,
      merchantId: undefined,
      terminalId: undefined,
      merchantName: undefined,
      ifdSerial: undefined,
      pinBypass: false,
    },
    applications: [
      application(AID, {
        tac: { denial: NONE, online: NONE, default: NONE, ...tac },
        floorLimit,
        riskManagementData: hex('01'),
      }),
    ],
    caKeys: [
      {
        rid: hex(AID.slice(0, 10)),
        index: 1,
        modulus: ca.modulus,
        exponent: ca.exponent,
        expires: undefined,
      },
    ],
    revoked: new Set(),
  }
}
const services: TransactionServices = {
  random: (length) => hex('DEADBEEF').slice(0, length),
  chooseApplication: async () => 0,
  confirmApplication: async () => true,
  preferLanguages: () => undefined,
  enterPin: async () => ({ kind: 'cancelled' }),
  encryptPin: async () => ({ ksn: NONE, bytes: NONE }),
  cardHistory: async () => ({ lastAmountOfCard: 0n, onExceptionFile: false }),
  forceOnline: false,
}

async function run(steps: ScriptStep[], config: EmvConfiguration) {
  const data = new TransactionData()
  const card = scriptedCard([...opening, ...steps])
  const request = { type: 0, amount: money(1250, 'EUR'), sequence: 1, at: new Date(2026, 10, 22) }
  const first = await transactToFirstCryptogram(card.channel, data, config, request, services)
  return { first, data, card }
}
const answered = {
  kind: 'answered',
  responseCode: '00',
  approved: true,
  issuerAuthenticationData: undefined,
  scripts: [],
} as const

t.test('CDA holds at both cryptograms; PDOL, CDOL1 and CDOL2 are in the second hash', async (t) => {
  const { first, data, card } = await run(
    [
      FIRST('90', signed('80', PDOL_DATA + CDOL1_DATA)),
      SECOND('50', '3030', signed('40', PDOL_DATA + CDOL1_DATA + CDOL2_DATA)),
    ],
    configuration({ online: ALL }),
  )
  if (first.kind !== 'first') throw new Error(first.rule)
  t.equal(first.decision, 'online')
  t.match(await completeTransaction(card.channel, data, first, answered), {
    approved: true,
    cardSaidNo: false,
  })
  t.equal(tvr(data), '0000008000')
  t.equal(toHex(data.need(TAG.CRYPTOGRAM)), '1122334455667788')
  card.done()
})

t.test('CDA failing at the second cryptogram: the issuer approved, the terminal does not', async (t) => {
  const { first, data, card } = await run(
    [
      FIRST('90', signed('80', PDOL_DATA + CDOL1_DATA)),
      SECOND('50', '3030', signed('40', PDOL_DATA + CDOL1_DATA)),
    ],
    configuration({ online: ALL }),
  )
  if (first.kind !== 'first') throw new Error(first.rule)
  t.match(await completeTransaction(card.channel, data, first, answered), {
    approved: false,
    cardSaidNo: true,
    cryptogramType: 'TC',
  })
  t.equal(tvr(data), '0400008000')
})

t.test('CDA failing with an ARQC: the card is told with an AAC, nobody else is asked', async (t) => {
  const { first, data, card } = await run(
    [FIRST('90', signed('80', '', false)), SECOND('00', '5A31', AAC)],
    configuration({ online: ALL }),
  )
  t.match(first, { decision: 'declined', reason: 'CDA failed', cryptogramType: 'AAC' })
  t.equal(tvr(data), '0400008000')
  card.done()
})

t.test('CDA failing with a TC: declined, and no further cryptogram', async (t) => {
  const { first, data, card } = await run([FIRST('50', signed('40', '', false))], configuration({}, 5000n))
  t.match(first, { decision: 'declined', reason: 'CDA failed' })
  t.equal(tvr(data), '0400000000')
  t.equal(toHex(data.need(TAG.RESPONSE_CODE)), '5A31', 'Z1')
  card.done()
})

t.test('a denial asks for no signature, and says that none was checked', async (t) => {
  const { first, data, card } = await run([FIRST('00', AAC)], configuration({ denial: hex('0000008000') }))
  t.match(first, { decision: 'declined', reason: 'terminal declined' })
  t.equal(tvr(data), '8000008000')
  card.done()
})

t.test('a card that leaves between the failed signature and its AAC ends as removed', async (t) => {
  const { first } = await run(
    [
      FIRST('90', signed('80', '', false)),
      ['second GENERATE AC', '80 AE 00 00 06 5A31 DEADBEEF 00', { kind: 'removed' }],
    ],
    configuration({ online: ALL }),
  )
  t.match(first, { kind: 'end', reason: 'removed' })
})

t.test('issuer authentication data of a wrong length are not passed on', async (t) => {
  const { first, data, card } = await run(
    [FIRST('90', signed('80', PDOL_DATA + CDOL1_DATA)), SECOND('50', '3030', AAC)],
    configuration({ online: ALL }),
  )
  if (first.kind !== 'first') throw new Error(first.rule)
  await completeTransaction(card.channel, data, first, {
    ...answered,
    issuerAuthenticationData: new Uint8Array(300),
  })
  t.equal(data.get(TAG.ISSUER_AUTHENTICATION_DATA), undefined)
})

t.test('a card that leaves during a script of phase 71 ends before its cryptogram', async (t) => {
  const { first, data, card } = await run(
    [FIRST('90', signed('80', PDOL_DATA + CDOL1_DATA)), ['script', '84 1E 00 00 00', { kind: 'removed' }]],
    configuration({ online: ALL }),
  )
  if (first.kind !== 'first') throw new Error(first.rule)
  const scripts = [hex(tlv('71', tlv('86', '841E000000')))]
  t.match(await completeTransaction(card.channel, data, first, { ...answered, scripts }), {
    kind: 'end',
    reason: 'removed',
  })
})

t.test('an offline-only terminal whose card wants the issuer and then refuses', async (t) => {
  const offlineOnly = configuration({}, 5000n)
  const { first } = await run(
    [FIRST('50', signed('80', PDOL_DATA + CDOL1_DATA)), SECOND('50', '5933', AAC)],
    { ...offlineOnly, terminal: { ...offlineOnly.terminal, type: 0x23 } },
  )
  t.match(first, { decision: 'declined', reason: /wants the issuer/ })
})
