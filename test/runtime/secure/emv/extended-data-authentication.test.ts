// XDA with keys of our own: signatures, certificates with each check that can fail, the flow around GENERATE AC, PINs enciphered with ECC.
import { p256 } from '@noble/curves/nist.js'
import t from 'tap'
import { concat, toHex } from '../../../../hal/base/bytes.js'
import { sha512 } from '../../../../hal/base/ciphers.js'
import { systemRandom } from '../../../../hal/base/clock.js'
import { TAG } from '../../../../hal/base/tags.js'
import { cardholderVerification } from '../../../../runtime/secure/emv/cardholder-verification.js'
import { completeWithoutIssuer } from '../../../../runtime/secure/emv/completion.js'
import {
  type CdaMode,
  emvConfiguration,
  revocationEntry,
} from '../../../../runtime/secure/emv/configuration.js'
import { dateTimeNumber } from '../../../../runtime/secure/emv/dates.js'
import { verifyEcSdsa } from '../../../../runtime/secure/emv/ec-sdsa.js'
import {
  readCaCertificate,
  verifyEccIccCertificate,
  verifyEccIssuerCertificate,
} from '../../../../runtime/secure/emv/ecc-certificates.js'
import { EccEncipherment } from '../../../../runtime/secure/emv/ecc-encipherment.js'
import {
  recoverEccKey,
  verifyXdaSignature,
} from '../../../../runtime/secure/emv/extended-data-authentication.js'
import { cardActionAnalysis } from '../../../../runtime/secure/emv/first-cryptogram.js'
import { generateCryptogram } from '../../../../runtime/secure/emv/generate-ac.js'
import {
  chooseOdaMethod,
  type OdaResult,
  offlineDataAuthentication,
} from '../../../../runtime/secure/emv/offline-data-authentication.js'
import { pinEnciphermentKey } from '../../../../runtime/secure/emv/pin-encipherment-key.js'
import { signatureRequest } from '../../../../runtime/secure/emv/signature-request.js'
import { completeTransaction } from '../../../../runtime/secure/emv/transaction.js'
import { emvTables } from '../../../../scripts/dev/factory/documents.js'
import {
  type EcKeyPair,
  ecDecipher,
  ecSession,
  ecSign,
  generateEcKey,
} from '../../../../scripts/dev/issuer/ec-key.js'
import {
  caCertificate,
  eccCardCertificate,
  eccIssuerCertificate,
} from '../../../../scripts/dev/issuer/ecc-certificates.js'
import { application, hex, storeWith, tlv, tsi, tvr } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const SUITE = 0x10
const RID = 'F0504F5354'
const AID = `${RID}1010`
const PAN = '9999990000000014'
const PDOL = '9F1A02'
const RECORDS = hex(tlv('5A', PAN))
/** Issuer certified card data: records, then AIP, AID and PDOL with tag and length. */
const CERTIFIED = concat(RECORDS, hex(`${tlv('82', '8000')}${tlv('9F06', AID)}${tlv('9F38', PDOL)}`))

const ca = generateEcKey('P-256')
const issuer = generateEcKey('P-256')
const icc = generateEcKey('P-256')
const pin = generateEcKey('P-256')
const key = ({ x }: EcKeyPair, suite = SUITE) => ({ suite, x })
const caKey = { rid: hex(RID), index: 0x11, expires: undefined, ...key(ca) }
const issuerCertificate = eccIssuerCertificate(ca, '11', issuer, '999999', hex('000001'))
const iccCertificate = eccCardCertificate(issuer, icc, 'signature', hex('000000000002'), CERTIFIED)
const pinCertificate = eccCardCertificate(issuer, pin, 'encipherment', hex('000000000003'), CERTIFIED)

/** A certificate with bytes put in at `at`, signed anew, so that only the changed field is wrong. */
function changed(signer: EcKeyPair, certificate: Uint8Array, at: number, bytes: string): Uint8Array {
  const content = certificate.slice(0, -64)
  content.set(hex(bytes), at)
  return concat(content, ecSign(signer, content))
}
const flipped = (bytes: Uint8Array, at = bytes.length - 1) =>
  bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))

t.test(
  'EC-SDSA: both suites hold, and nothing but the signature of that key over that message',
  async (t) => {
    const message = hex('00112233')
    for (const [curve, suite] of [
      ['P-256', 0x10],
      ['P-521', 0x11],
    ] as const) {
      const pair = generateEcKey(curve)
      const signature = ecSign(pair, message)
      t.equal(signature.length, suite === 0x10 ? 64 : 130)
      t.ok(verifyEcSdsa(key(pair, suite), signature, message))
      t.ok(verifyEcSdsa(key(pair, suite), signature, message.subarray(0, 1), message.subarray(1)), 'in parts')
      t.notOk(verifyEcSdsa(key(pair, suite), signature, hex('00112234')))
      t.notOk(verifyEcSdsa(key(pair, suite), flipped(signature), message), 's')
      t.notOk(verifyEcSdsa(key(pair, suite), flipped(signature, 0), message), 'r')
      t.notOk(verifyEcSdsa(key(generateEcKey(curve), suite), signature, message), 'another key')
      t.notOk(verifyEcSdsa(key(pair, 0x12), signature, message), 'a suite that is only assigned')
      t.notOk(verifyEcSdsa(key(pair, suite), signature.subarray(1), message), 'A2.2.3 a')
    }
    const signature = ecSign(ca, message)
    const r = signature.subarray(0, 32)
    const order = hex(p256.Point.Fn.ORDER.toString(16))
    t.notOk(verifyEcSdsa(key(ca), concat(r, new Uint8Array(32)), message), 'A2.2.3 e: s is 0')
    t.notOk(verifyEcSdsa(key(ca), concat(r, order), message), 'A2.2.3 e: s is n')
    t.notOk(verifyEcSdsa(key(ca), concat(new Uint8Array(32), signature.subarray(32)), message), 'r is 0')
    t.notOk(verifyEcSdsa(key(ca), concat(order, signature.subarray(32)), message), 'r is 0 modulo n')
    t.notOk(verifyEcSdsa({ suite: SUITE, x: new Uint8Array(32).fill(0xff) }, signature, message), 'x above p')
    t.notOk(verifyEcSdsa({ suite: SUITE, x: new Uint8Array(31) }, signature, message), 'x too short')
    const noPoint = Array.from({ length: 64 }, (_, i) => Uint8Array.of(...new Uint8Array(31), i)).find(
      (x) => {
        try {
          p256.Point.fromBytes(concat(Uint8Array.of(2), x))
          return false
        } catch {
          return true
        }
      },
    )!
    t.notOk(verifyEcSdsa({ suite: SUITE, x: noPoint }, signature, message), 'x of no point')
    // s = r·d makes s'G - r'P the point at infinity.
    const secret = ca.secret
    const n = p256.Point.Fn.ORDER
    const s = ((BigInt(`0x${toHex(r)}`) % n) * secret) % n
    t.notOk(verifyEcSdsa(key(ca), concat(r, hex(s.toString(16).padStart(64, '0'))), message), 'infinity')
  },
)

t.test('a CA key: its self-signed certificate, each check of table 29', async (t) => {
  const certificate = caCertificate(ca, '11')
  t.match(readCaCertificate(certificate), { rid: hex(RID), index: 0x11, suite: SUITE, x: ca.x })
  const long = generateEcKey('P-521')
  t.match(readCaCertificate(caCertificate(long, '12')), { index: 0x12, suite: 0x11, x: long.x })
  t.equal(readCaCertificate(certificate.subarray(0, 8)), 'length')
  t.equal(readCaCertificate(changed(ca, certificate, 0, '12')), 'format')
  t.equal(readCaCertificate(changed(ca, certificate, 1, '01')), 'encoding')
  t.equal(readCaCertificate(changed(ca, certificate, 8, '80')), 'algorithm suite')
  t.equal(readCaCertificate(certificate.subarray(0, -1)), 'length')
  t.equal(readCaCertificate(flipped(certificate, 3)), 'signature')
})

t.test('issuer certificate: every check, in the book’s order (12.3)', async (t) => {
  const base = { caKey, pan: hex(PAN), today: hex('261122'), isRevoked: () => false }
  const check = (certificate: Uint8Array, context: Partial<typeof base> | object = {}) =>
    verifyEccIssuerCertificate(certificate, { ...base, ...context })
  const with_ = (at: number, bytes: string) => check(changed(ca, issuerCertificate, at, bytes))
  t.match(check(issuerCertificate), key(issuer))
  t.equal(check(issuerCertificate.subarray(0, 20)), 'issuer certificate length', 'step 1')
  t.equal(with_(0, '14'), 'issuer certificate format', 'step 2')
  t.equal(with_(1, '01'), 'issuer certificate encoding', 'step 3')
  t.equal(with_(2, '999998FFFF'), 'issuer identifier', 'step 4')
  t.equal(with_(2, '99FFFFFFFF'), 'issuer identifier', 'two digits are too few')
  t.equal(with_(2, '99999AFFFF'), 'issuer identifier', 'no digit')
  t.match(with_(2, '9999990000'), key(issuer), 'ten digits')
  t.equal(check(issuerCertificate, { pan: undefined }), 'issuer identifier')
  t.equal(with_(8, '20261121'), 'issuer certificate expired', 'step 5')
  t.match(with_(8, '20261122'), key(issuer), 'its last day')
  t.equal(with_(8, '20261322'), 'issuer certificate expired', 'no date')
  t.equal(check(issuerCertificate, { today: undefined }), 'issuer certificate expired')
  t.equal(with_(15, 'A000000003'), 'issuer certificate: RID and CA public key index', 'step 6')
  t.equal(with_(20, '12'), 'issuer certificate: RID and CA public key index')
  t.equal(
    check(issuerCertificate, { isRevoked: (serial: Uint8Array) => toHex(serial) === '000001' }),
    'issuer certificate revoked',
    'step 7',
  )
  t.equal(with_(7, '12'), 'issuer public key algorithm suite', 'step 8')
  t.equal(with_(7, '11'), 'issuer certificate length', 'step 9')
  t.equal(check(issuerCertificate, { caKey: { ...caKey, suite: 0x77 } }), 'issuer certificate length')
  t.equal(check(flipped(issuerCertificate, 30)), 'issuer certificate signature', 'step 11')
  t.equal(with_(21, 'FF'.repeat(32)), 'issuer public key point', 'step 12')
})

t.test('ICC certificate: every check, in the book’s order (12.4)', async (t) => {
  const base = {
    issuerKey: key(issuer),
    use: 'signature' as const,
    today: hex('261122'),
    time: hex('101500'),
    certifiedData: CERTIFIED,
  }
  const check = (certificate: Uint8Array, context: object = {}) =>
    verifyEccIccCertificate(certificate, { ...base, ...context })
  const with_ = (at: number, bytes: string, context: object = {}) =>
    check(changed(issuer, iccCertificate, at, bytes), context)
  t.match(check(iccCertificate), key(icc))
  t.match(check(pinCertificate, { use: 'encipherment' }), { suite: 0, x: pin.x })
  t.equal(check(iccCertificate.subarray(0, 16)), 'ICC certificate length', 'step 1')
  t.equal(with_(0, '12'), 'ICC certificate format', 'step 2')
  t.equal(with_(1, '01'), 'ICC certificate encoding', 'step 3')
  t.equal(with_(3, '202611221015'), 'ICC certificate expired', 'step 4: this minute is the end')
  t.match(with_(3, '202611221016'), key(icc), 'a minute later it is not')
  t.match(with_(3, '202611220001', { time: undefined }), key(icc), 'without a time the day begins')
  t.equal(with_(3, '202611222460'), 'ICC certificate expired', 'no time')
  t.equal(check(iccCertificate, { today: undefined }), 'ICC certificate expired')
  t.equal(with_(2, '00'), 'ICC public key algorithm suite', 'step 5: a key for PINs signs nothing')
  t.equal(check(iccCertificate, { use: 'encipherment' }), 'ICC public key algorithm suite')
  t.equal(with_(15, '01'), 'ICCD hash algorithm', 'another encoding')
  t.equal(with_(16, '01'), 'ICCD hash algorithm', 'step 6: SHA-1 is not used with ECC')
  t.equal(with_(16, '03'), 'ICC certificate length', 'step 7')
  t.equal(check(iccCertificate, { issuerKey: key(issuer, 0x77) }), 'ICC certificate length')
  t.equal(check(iccCertificate, { certifiedData: RECORDS }), 'ICCD hash', 'step 8')
  t.equal(check(flipped(iccCertificate)), 'ICC certificate signature', 'step 10')
  t.equal(with_(49, 'FF'.repeat(32)), 'ICC public key point', 'step 11')
  const content = concat(iccCertificate.slice(0, 16), hex('03'), sha512(CERTIFIED), icc.x)
  t.match(
    check(concat(content, ecSign(issuer, content))),
    key(icc),
    'the card data may be hashed with SHA-512',
  )
})

t.test('dates of ECC certificates', async (t) => {
  t.equal(dateTimeNumber(hex('20261122')), 20261122)
  t.equal(dateTimeNumber(hex('202611222359')), 202611222359)
  for (const wrong of [
    '2A261122',
    '20AA1122',
    '20260022',
    '20261100',
    '20261132',
    '2026112224FF',
    '202611220060',
  ])
    t.equal(dateTimeNumber(hex(wrong)), undefined, wrong)
})

const configuration = { caKeys: [caKey], revoked: new Set<string>(), defaultDdol: undefined }
const XDA_TERMINAL = { [TAG.TERMINAL_CAPABILITIES]: 'E0F9CC', [TAG.AID]: AID }

/** A store with the card's objects for XDA, each of them replaceable; undefined leaves one out. */
function card(changes: Record<number, string | undefined> = {}, terminal: Record<number, string> = {}) {
  const all: Record<number, string | undefined> = {
    [TAG.AIP]: '8000',
    [TAG.PAN]: PAN,
    [TAG.PDOL]: PDOL,
    [TAG.CA_KEY_INDEX]: '11',
    [TAG.ISSUER_CERTIFICATE]: toHex(issuerCertificate),
    [TAG.ICC_CERTIFICATE]: toHex(iccCertificate),
    [TAG.PIN_CERTIFICATE]: toHex(pinCertificate),
    [TAG.CDOL1]: '9F02069F3704',
    [TAG.CDOL2]: '8A029F3704',
    ...changes,
  }
  const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return storeWith(Object.fromEntries(given), { ...XDA_TERMINAL, ...terminal })
}

t.test('XDA comes before every other method', async (t) => {
  t.equal(chooseOdaMethod(hex('E100'), hex('E0F9CC')), 'XDA')
  t.equal(chooseOdaMethod(hex('E100'), hex('E0F9C8')), 'CDA')
})

t.test('XDA is readied: selected in the TVR, performed only with GENERATE AC', async (t) => {
  const data = card()
  t.match(await offlineDataAuthentication(scriptedCard([]).channel, data, RECORDS, configuration), {
    method: 'XDA',
    xdaKey: key(icc),
    failure: undefined,
  })
  t.equal(tvr(data), '0100000000')
  t.equal(tsi(data), '0000')
  const plain = card({ [TAG.PDOL]: undefined })
  t.match(
    recoverEccKey(plain, RECORDS, configuration, 'signature'),
    { check: 'ICCD hash' },
    'the PDOL is certified',
  )
})

t.test('the way to the key: a missing CA key shows at once, any other failure not yet', async (t) => {
  const run = async (
    changes: Record<number, string | undefined>,
    config: Parameters<typeof offlineDataAuthentication>[3] = configuration,
    records: Uint8Array | undefined = RECORDS,
  ) => {
    const data = card(changes)
    const result = await offlineDataAuthentication(scriptedCard([]).channel, data, records, config)
    return [tvr(data), 'failure' in result ? result.failure : undefined]
  }
  t.same(await run({ [TAG.CA_KEY_INDEX]: '12' }), ['0100000004', 'no CA key'])
  t.same(await run({ [TAG.CA_KEY_INDEX]: undefined }), ['2100000004', 'no CA key'])
  const rsa = { rid: hex(RID), index: 0x11, modulus: hex('C1'), exponent: hex('03'), expires: undefined }
  t.same(
    await run({}, { ...configuration, caKeys: [rsa] }),
    ['0100000004', 'no CA key'],
    'an RSA key is none',
  )
  t.same(await run({ [TAG.ISSUER_CERTIFICATE]: undefined }), ['2100000000', 'no issuer certificate'])
  t.same(await run({ [TAG.ICC_CERTIFICATE]: undefined }), ['2100000000', 'no ICC certificate'])
  t.same(await run({ [TAG.ICC_CERTIFICATE]: toHex(pinCertificate) }), [
    '0100000000',
    'ICC public key algorithm suite',
  ])
  const revoked = new Set([revocationEntry(hex(RID), 0x11, hex('000001'))])
  t.same(await run({}, { ...configuration, revoked }), ['0100000000', 'issuer certificate revoked'])
  const data = card()
  t.match(recoverEccKey(data, undefined, configuration, 'signature'), { check: 'static data' })
})

const PDOL_DATA = hex('0276')
const CDOL1_DATA = '000000001250DEADBEEF'
const CDOL2_DATA = '3030DEADBEEF'
/** An answer of format 2, signed over `covered` and its own objects. */
function signed(cid: string, covered: string, signer = icc): string {
  const objects = `9F2701${cid}9F360200079F26081122334455667788`
  const signature = concat(hex('15'), ecSign(signer, hex(`15${covered}${objects}`)))
  return `${tlv('77', objects, tlv('9F4B', toHex(signature)))}9000`
}
const oda: OdaResult = { kind: 'oda', method: 'XDA', iccKey: undefined, xdaKey: key(icc), failure: undefined }
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
type Wanted = 'ARQC' | 'TC' | 'AAC'

function generate(
  data: ReturnType<typeof card>,
  step: ScriptStep,
  type: Wanted,
  command: 'first' | 'second' = 'first',
  by: OdaResult = oda,
) {
  const earlierDolData = [PDOL_DATA]
  return generateCryptogram(scriptedCard([step]).channel, data, {
    type,
    cdol: command === 'first' ? TAG.CDOL1 : TAG.CDOL2,
    defaultTdol: undefined,
    ...signatureRequest(data, by, { command, type, earlierDolData }),
  })
}
const COVERED = `0276${CDOL1_DATA}`
const UNSIGNED = '80 0B 80 0007 1122334455667788 9000'
const AAC = '80 0B 00 0007 8877665544332211 9000'

t.test('the first GENERATE AC: always asked for, verified with a TC or an ARQC', async (t) => {
  const run = async (response: string, type: Wanted = 'ARQC', by = oda, data = card()) => {
    const p1 = { ARQC: '88', TC: '48', AAC: '08' }[type]
    const result = await generate(data, FIRST(p1, response), type, 'first', by)
    return [('type' in result && `${result.type} ${result.xdaFailed}`) || result, tvr(data), tsi(data)]
  }
  t.same(await run(signed('80', COVERED)), ['ARQC false', '0000000000', 'A000'])
  t.same(await run(signed('40', COVERED), 'TC'), ['TC false', '0000000000', 'A000'])
  t.same(await run(AAC, 'AAC'), ['AAC false', '0000000000', 'A000'], 'an AAC’s signature is not looked at')
  t.same(await run(signed('80', CDOL1_DATA)), ['ARQC true', '0000000100', 'A000'], 'PDOL data belong to it')
  t.same(await run(signed('80', COVERED, pin)), ['ARQC true', '0000000100', 'A000'], 'another key')
  t.same(await run(UNSIGNED), ['ARQC true', '0000000100', 'A000'], 'format 1 cannot be signed')
  t.same(await run(`${tlv('77', '9F270180', '9F36020007', '9F26081122334455667788')}9000`), [
    'ARQC true',
    '0000000100',
    'A000',
  ])
  t.match(
    await run(`${tlv('77', '9F270180', '9F36020007')}9000`),
    [{ kind: 'end' }],
    'table 39: 9F26 in clear',
  )
  const failed = { ...oda, xdaKey: undefined, failure: 'ICCD hash' }
  t.same(await run(signed('80', COVERED), 'ARQC', failed), ['ARQC true', '0000000002', 'A000'])
  t.same(await run(AAC, 'ARQC', failed), ['AAC true', '0000000002', 'A000'])
  const keyless = card()
  keyless.raise('caEccKeyMissing')
  t.same(await run(signed('80', COVERED), 'ARQC', failed, keyless), ['ARQC true', '0000000004', 'A000'])
})

t.test('a signature’s format byte and length', async (t) => {
  const signature = ecSign(icc, hex('15AABB'))
  const check = (format: string, body: Uint8Array, suite = SUITE) =>
    verifyXdaSignature(key(icc, suite), concat(hex(format), body), [hex('AA')], hex('BB'))
  t.ok(check('15', signature))
  t.notOk(check('05', signature))
  t.notOk(check('15', signature.subarray(1)))
  t.notOk(check('15', signature, 0x77))
})

t.test('the second signature covers the second command alone', async (t) => {
  const run = async (response: string, data = card()) => {
    data.set(TAG.RESPONSE_CODE, hex('3030'))
    const result = await generate(data, SECOND('48', '3030', response), 'TC', 'second')
    return ['xdaFailed' in result && result.xdaFailed, tvr(data)]
  }
  t.same(await run(signed('40', CDOL2_DATA)), [false, '0000000000'])
  t.same(await run(signed('40', COVERED + CDOL2_DATA)), [true, '0000000100'])
  const failedBefore = card()
  failedBefore.raise('xdaFailed')
  t.same(await run(signed('40', '00'), failedBefore), [false, '0000000100'], 'asked for, no longer verified')
})

t.test(
  'CDA by mode: with the ARQC, with the final TC after an approval; always with an offline TC',
  async (t) => {
    const cda = {
      method: 'CDA',
      iccKey: { modulus: hex('01'), exponent: hex('03') },
      xdaKey: undefined,
    } as const
    const asked = (
      mode: CdaMode | undefined,
      command: 'first' | 'second',
      type: Wanted,
      unableToGoOnline = false,
    ) => {
      const data = storeWith()
      if (command === 'second') data.raise('odaNotPerformed')
      const step = { command, type, unableToGoOnline, earlierDolData: [] }
      const request = signatureRequest(data, cda, step, mode)
      return `${request.cda ? 'CDA' : '-'} ${data.has('odaNotPerformed') ? 'not performed' : ''}`.trim()
    }
    const rows: [CdaMode | undefined, string, string][] = [
      [undefined, 'CDA', 'CDA'],
      [1, 'CDA', 'CDA'],
      [2, 'CDA', '-'],
      [3, '- not performed', '-'],
      [4, '- not performed', 'CDA'],
    ]
    for (const [mode, arqc, tc] of rows) {
      t.equal(asked(mode, 'first', 'ARQC'), arqc, `mode ${mode}: ARQC`)
      t.equal(asked(mode, 'second', 'TC'), tc, `mode ${mode}: TC after an approval`)
      t.equal(asked(mode, 'first', 'TC'), 'CDA', `mode ${mode}: offline TC`)
      t.equal(asked(mode, 'second', 'TC', true), 'CDA', `mode ${mode}: TC without the issuer`)
      t.equal(asked(mode, 'first', 'AAC'), '- not performed', `mode ${mode}: AAC`)
      t.equal(asked(mode, 'second', 'AAC'), '-', `mode ${mode}: second AAC`)
    }
    const failed = { ...cda, iccKey: undefined }
    t.same(signatureRequest(storeWith(), failed, { command: 'first', type: 'TC', earlierDolData: [] }), {})
  },
)

const NONE = hex('0000000000')
function context(tac: { denial?: Uint8Array; default?: Uint8Array } = {}) {
  return {
    application: application(AID, { tac: { denial: NONE, online: NONE, default: NONE, ...tac } }),
    name: 'POSTERN',
    cvm: { kind: 'cvm', cvm: 'none', signatureRequired: false, pinBlock: undefined },
    oda,
    adviceRequired: false,
    dolData: [PDOL_DATA, hex(CDOL1_DATA)],
  } as const
}
const generated = (type: Wanted) =>
  ({
    kind: 'cryptogram',
    type,
    adviceRequired: false,
    reason: 0,
    cdaFailed: false,
    xdaFailed: true,
    dolData: hex(CDOL1_DATA),
  }) as const
const answered = (approved: boolean) =>
  ({
    kind: 'answered',
    responseCode: approved ? '00' : '05',
    approved,
    issuerAuthenticationData: undefined,
    scripts: [],
  }) as const

t.test(
  'after a failed XDA: denied by an action code, or the issuer decides (Book 4, 6.3.2.2.4)',
  async (t) => {
    const run = async (
      type: Wanted,
      steps: ScriptStep[] = [],
      tac: { denial?: Uint8Array } = {},
      terminal: Record<number, string> = {},
    ) => {
      const data = card({ [TAG.CID]: { ARQC: '80', TC: '40', AAC: '00' }[type] }, terminal)
      data.raise('xdaFailed')
      const scripted = scriptedCard(steps)
      const own = { ...context(tac), cryptogramType: type }
      const first = await cardActionAnalysis(scripted.channel, data, type, generated(type), own)
      scripted.done()
      if (first.kind !== 'first') throw new Error(first.rule)
      return { first, data, decision: `${first.decision} ${first.reason}`.trim() }
    }
    const denial = hex('0000000100')
    t.equal((await run('ARQC')).decision, 'online')
    t.equal((await run('TC')).decision, 'online', 'with the TC')
    t.equal((await run('TC', [], { denial })).decision, 'declined XDA failed', 'no further cryptogram')
    t.equal(
      (await run('ARQC', [SECOND('08', '5A31', AAC)], { denial })).decision,
      'declined XDA failed',
      'the card is told, and XDA asked for again',
    )
    t.equal((await run('AAC')).decision, 'declined terminal declined')
    const offline = { [TAG.TERMINAL_TYPE]: '23' }
    t.equal((await run('TC', [], {}, offline)).decision, 'declined XDA failed', 'no line')
    t.equal((await run('ARQC', [SECOND('08', '5A31', AAC)], {}, offline)).decision, 'declined XDA failed')

    const tc = await run('TC')
    const nothing = scriptedCard([])
    t.match(await completeTransaction(nothing.channel, tc.data, tc.first, answered(true)), { approved: true })
    t.match(await completeTransaction(nothing.channel, tc.data, tc.first, answered(false)), {
      approved: false,
    })
    t.match(await completeTransaction(nothing.channel, tc.data, tc.first, { kind: 'unableToGoOnline' }), {
      approved: false,
    })
    const arqc = await run('ARQC')
    const second = scriptedCard([SECOND('48', '3030', UNSIGNED.replace('80 0007', '40 0007'))])
    t.match(await completeTransaction(second.channel, arqc.data, arqc.first, answered(true)), {
      approved: true,
    })
    const unable = await run('ARQC')
    const refused = scriptedCard([SECOND('08', '5A33', AAC)])
    t.match(await completeWithoutIssuer(refused.channel, unable.data, unable.first, false), {
      approved: false,
    })
  },
)

t.test('ECC encipherment: keys once a transaction, a counter a message, on both curves', async (t) => {
  for (const [curve, suite, bytes] of [
    ['P-256', 0, 32],
    ['P-521', 1, 66],
  ] as const) {
    const pair = generateEcKey(curve)
    const sender = new EccEncipherment(suite, pair.x)
    const challenge = hex('0102030405060708')
    const one = sender.encipher(hex('7F241234FFFFFFFFFF0102030405060708'), challenge, systemRandom)!
    t.equal(one.length, bytes + 17 + 8)
    const session = ecSession(pair, one, challenge)!
    t.equal(toHex(ecDecipher(pair, session, one)!), '7F241234FFFFFFFFFF0102030405060708')
    const two = sender.encipher(hex('AABB'), hex('FFFFFFFFFFFFFFFF'), systemRandom)!
    t.equal(toHex(two.subarray(0, bytes)), toHex(one.subarray(0, bytes)), 'the same ephemeral key')
    t.equal(toHex(ecDecipher(pair, session, two)!), 'AABB', 'the counter went on')
    t.equal(ecDecipher(pair, session, two), undefined, 'and not back')
    sender.erase()
    const anew = sender.encipher(hex('AABB'), challenge, systemRandom)!
    t.not(toHex(anew.subarray(0, bytes)), toHex(one.subarray(0, bytes)))
  }
  t.equal(
    new EccEncipherment(0x88, pin.x).encipher(hex('AA'), hex('00'), systemRandom),
    undefined,
    'no such suite',
  )
  const above = new Uint8Array(32).fill(0xff)
  t.equal(
    new EccEncipherment(0, above).encipher(hex('AA'), hex('00'), systemRandom),
    undefined,
    'no such point',
  )
  new EccEncipherment(0, pin.x).erase()
})

t.test(
  'the PIN key: ECC where card and terminal have it, RSA where the terminal has that alone',
  async (t) => {
    t.ok(pinEnciphermentKey(card(), RECORDS, configuration) instanceof EccEncipherment)
    const without = card({ [TAG.PIN_CERTIFICATE]: undefined })
    t.equal(
      pinEnciphermentKey(without, RECORDS, configuration),
      undefined,
      'the key for signatures takes no PIN',
    )
    const rsaOnly = card({}, { [TAG.TERMINAL_CAPABILITIES]: 'E0F8CC' })
    t.equal(pinEnciphermentKey(rsaOnly, RECORDS, configuration), undefined)
    const eccOnly = card({ [TAG.CA_KEY_INDEX]: '12' }, { [TAG.TERMINAL_CAPABILITIES]: 'E009CC' })
    t.equal(pinEnciphermentKey(eccOnly, RECORDS, configuration), undefined)
  },
)

t.test('CVM: a PIN enciphered with ECC, wrong and right, in one session', async (t) => {
  const data = card(
    { [TAG.AIP]: '9000', [TAG.CVM_LIST]: '00000000000000000403' },
    { [TAG.TERMINAL_CAPABILITIES]: 'E009CC' },
  )
  const certified = concat(RECORDS, hex(`${tlv('82', '9000')}${tlv('9F06', AID)}${tlv('9F38', PDOL)}`))
  data.updateFromCard(
    TAG.PIN_CERTIFICATE,
    eccCardCertificate(issuer, pin, 'encipherment', hex('000000000003'), certified),
  )
  const typed = ['0000', '1234']
  const presented: string[] = []
  let session: ReturnType<typeof ecSession>
  const challenges = ['1111111111111111', '2222222222222222']
  let challenge = ''
  const channel = {
    async exchange(command: Uint8Array) {
      const text = toHex(command)
      if (text.startsWith('80CA')) return { kind: 'response' as const, data: hex('9F170103'), sw: 0x9000 }
      if (text.startsWith('0084')) {
        challenge = challenges.shift()!
        return { kind: 'response' as const, data: hex(challenge), sw: 0x9000 }
      }
      t.equal(text.slice(0, 8), '0020008A', 'P2 says ECC (Book 3, table 24)')
      const body = command.subarray(5)
      session ??= ecSession(pin, body, hex(challenge))
      const clear = toHex(ecDecipher(pin, session!, body)!)
      t.equal(clear.slice(18), challenge)
      presented.push(clear.slice(0, 18))
      return {
        kind: 'response' as const,
        data: new Uint8Array(),
        sw: presented.length === 1 ? 0x63c2 : 0x9000,
      }
    },
  }
  const result = await cardholderVerification(channel as never, data, {
    enterPin: async () => ({ kind: 'entered', digits: new TextEncoder().encode(typed.shift()) }),
    encryptPin: async () => {
      throw new Error('no online PIN here')
    },
    random: systemRandom,
    bypassAllowed: false,
    pinEnciphermentKey: () => pinEnciphermentKey(data, RECORDS, configuration),
  })
  t.match(result, { cvm: 'pin' })
  t.same(presented, ['7F240000FFFFFFFFFF', '7F241234FFFFFFFFFF'])
  t.equal(toHex(data.need(TAG.CVM_RESULTS)), '040302')
})

t.test(
  'ECC CA keys and the CDA mode in the configuration; errors name RID, index, key and rule',
  async (t) => {
    const certificate = toHex(caCertificate(ca, '11'))
    const good = emvTables({
      caPublicKeys: [],
      eccCaPublicKeys: [{ rid: RID, index: '11', certificate, expiry: '20491231' }],
    })
    t.match(emvConfiguration(good).caKeys, [{ ...key(ca), index: 0x11, expires: hex('491231') }])
    const rejects = (row: object, expected: RegExp, more: object = {}) =>
      t.throws(() => emvConfiguration({ ...good, ...more, eccCaKeys: [{ ...good.eccCaKeys![0], ...row }] }), {
        code: 'EMV_CONFIGURATION_INVALID',
        message: expected,
      })
    rejects(
      { certificate: toHex(flipped(hex(certificate), 20)) },
      /CA key F0504F5354 11, certificate: signature/,
    )
    rejects({ certificate: certificate.slice(2) }, /CA key F0504F5354 11, certificate/)
    rejects({ index: '12' }, /CA key F0504F5354 12, certificate: is of another RID or index/)
    rejects({ rid: 'A000000003' }, /CA key A000000003 11, certificate: is of another RID or index/)
    rejects({ expires: '261332' }, /CA key F0504F5354 11, expires: is no date/)
    const twice = [good.eccCaKeys![0], good.eccCaKeys![0]]
    t.throws(() => emvConfiguration({ ...good, eccCaKeys: twice }), { message: /11, index: stands twice/ })
    const withMode = (cdaMode: number) => ({ ...good, applications: [{ ...good.applications[0], cdaMode }] })
    t.equal(emvConfiguration(withMode(3)).applications[0]!.cdaMode, 3)
    t.throws(() => emvConfiguration(withMode(5)), { message: /AID F0504F53541010, cdaMode/ })
  },
)
