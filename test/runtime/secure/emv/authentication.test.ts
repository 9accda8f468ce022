// Offline data authentication with keys of our own: the chain, each check that can fail, TVR and TSI.
import t from 'tap'
import { concat, toHex } from '../../../../hal/base/bytes.js'
import { rsaPrivate } from '../../../../hal/base/ciphers.js'
import { TAG } from '../../../../hal/base/tags.js'
import { findCaKey } from '../../../../runtime/secure/emv/ca-keys.js'
import {
  recoverIccCertificate,
  recoverIssuerCertificate,
  verifyIccCertificate,
  verifyIssuerCertificate,
} from '../../../../runtime/secure/emv/certificates.js'
import { revocationEntry } from '../../../../runtime/secure/emv/configuration.js'
import {
  recoverSignedDynamicData,
  verifyCombined,
} from '../../../../runtime/secure/emv/dynamic-data-authentication.js'
import {
  chooseOdaMethod,
  offlineDataAuthentication,
} from '../../../../runtime/secure/emv/offline-data-authentication.js'
import { pinEnciphermentKey } from '../../../../runtime/secure/emv/pin-encipherment-key.js'
import { recover } from '../../../../runtime/secure/emv/rsa-recovery.js'
import { staticDataToAuthenticate } from '../../../../runtime/secure/emv/static-data-authentication.js'
import {
  cardCertificate,
  issuerCertificate,
  padForSignature,
  signedStaticData,
  signRecoverable,
} from '../../../../scripts/dev/issuer/certificates.js'
import { generateRsaKey } from '../../../../scripts/dev/issuer/rsa-key.js'
import { hex, storeWith, tsi, tvr } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const ca = generateRsaKey(1152, 3)
const issuer = generateRsaKey(1024, 3)
const icc = generateRsaKey(896, 3)
const PAN = '9999990000000014'
const RECORDS = hex('5A0899999900000000149F0702FF00')
const AIP = { SDA: '4000', DDA: '2000', CDA: '0100', ALL: '6100' }
const caKey = {
  rid: hex('A000000003'),
  index: 1,
  modulus: ca.modulus,
  exponent: ca.exponent,
  expires: undefined,
}
const configuration = { caKeys: [caKey], revoked: new Set<string>(), defaultDdol: hex('9F3704') }

const issuerCert = issuerCertificate(ca, issuer, '999999', hex('000001'))
const iccCert = (aip: string) => cardCertificate(issuer, icc, PAN, hex('000002'), concat(RECORDS, hex(aip)))
const text = (bytes: Uint8Array) => toHex(bytes)

/** The card's objects for a method, each of them replaceable; undefined leaves one out. */
function card(aip: string, changes: Record<number, string | undefined> = {}) {
  const certificate = iccCert(aip)
  const all: Record<number, string | undefined> = {
    [TAG.AIP]: aip,
    [TAG.PAN]: PAN,
    [TAG.CA_KEY_INDEX]: '01',
    [TAG.ISSUER_CERTIFICATE]: text(issuerCert.bytes),
    [TAG.ISSUER_REMAINDER]: text(issuerCert.remainder),
    [TAG.ISSUER_EXPONENT]: '03',
    [TAG.SIGNED_STATIC_DATA]: text(signedStaticData(issuer, hex('DAC0'), concat(RECORDS, hex(aip)))),
    [TAG.SDA_TAG_LIST]: '82',
    [TAG.ICC_CERTIFICATE]: text(certificate.bytes),
    [TAG.ICC_REMAINDER]: text(certificate.remainder),
    [TAG.ICC_EXPONENT]: '03',
    ...changes,
  }
  return storeWith(
    Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Record<
      number,
      string
    >,
  )
}

const sdad = (tail: Uint8Array, data = hex('03ABCDEF')) =>
  signRecoverable(icc, padForSignature(icc, concat(hex('0501'), Uint8Array.of(data.length), data)), tail)
const INTERNAL_AUTHENTICATE = '00 88 00 00 04 DE AD BE EF 00'

t.test('the best common method', async (t) => {
  t.equal(chooseOdaMethod(hex('6100'), hex('E0F8C8')), 'CDA')
  t.equal(chooseOdaMethod(hex('6100'), hex('E0F8C0')), 'DDA')
  t.equal(chooseOdaMethod(hex('6100'), hex('E0F880')), 'SDA')
  t.equal(chooseOdaMethod(hex('6100'), hex('E0F800')), 'none')
  t.equal(chooseOdaMethod(hex('1C00'), hex('E0F8C8')), 'none')
})

t.test('no common method: not performed, and the TSI stays clear', async (t) => {
  const data = storeWith({ [TAG.AIP]: '1C00' })
  await offlineDataAuthentication(scriptedCard([]).channel, data, RECORDS, configuration)
  t.equal(tvr(data), '8000000000')
  t.equal(tsi(data), '0000')
})

t.test('SDA holds, and its data authentication code is kept', async (t) => {
  const data = card(AIP.SDA)
  t.match(await offlineDataAuthentication(scriptedCard([]).channel, data, RECORDS, configuration), {
    method: 'SDA',
    failure: undefined,
  })
  t.equal(tvr(data), '0200000000', 'SDA selected')
  t.equal(tsi(data), '8000')
  t.equal(toHex(data.need(TAG.DATA_AUTHENTICATION_CODE)), 'DAC0')
})

t.test('the failure bit is that of the chosen method, missing data set their bit too', async (t) => {
  const bits = async (aip: string, changes: Record<number, string | undefined>) => {
    const data = card(aip, changes)
    await offlineDataAuthentication(scriptedCard([]).channel, data, RECORDS, configuration)
    return tvr(data).slice(0, 2) + tsi(data).slice(0, 2)
  }
  t.equal(await bits(AIP.SDA, { [TAG.SIGNED_STATIC_DATA]: undefined }), '6280')
  t.equal(await bits(AIP.DDA, { [TAG.ICC_CERTIFICATE]: undefined }), '2880')
  t.equal(await bits(AIP.CDA, { [TAG.ISSUER_EXPONENT]: undefined }), '2480')
  t.equal(await bits(AIP.SDA, { [TAG.SDA_TAG_LIST]: '829F36' }), '4280', 'the tag list may hold only 82')
  t.equal(await bits(AIP.CDA, { [TAG.CA_KEY_INDEX]: '02' }), '0480', 'no CA key')
})

t.test('CDA is readied, not performed', async (t) => {
  const data = card(AIP.CDA)
  const result = await offlineDataAuthentication(scriptedCard([]).channel, data, RECORDS, configuration)
  t.match(result, { method: 'CDA', failure: undefined })
  t.ok('iccKey' in result && result.iccKey)
  t.equal(tvr(data), '0000000000')
  t.equal(tsi(data), '0000')
})

t.test('DDA: both answer formats, and each way to fail', async (t) => {
  const run = async (
    response: string,
    changes: Record<number, string | undefined> = {},
    config = configuration,
    steps?: ScriptStep[],
  ) => {
    const data = card(AIP.DDA, changes)
    const scripted = scriptedCard(steps ?? [['INTERNAL AUTHENTICATE', INTERNAL_AUTHENTICATE, response]])
    const result = await offlineDataAuthentication(scripted.channel, data, RECORDS, config)
    scripted.done()
    return { result, bits: tvr(data).slice(0, 2), number: data.card(TAG.ICC_DYNAMIC_NUMBER) }
  }
  const good = text(sdad(hex('DEADBEEF')))
  t.match(await run(`8070${good}9000`), { bits: '00', number: hex('ABCDEF') })
  t.match(await run(`77739F4B70${good}9000`), { bits: '00' })
  t.match(await run(`8070${text(sdad(hex('00000000')))}9000`), {
    bits: '08',
    result: { failure: 'signed dynamic application data' },
  })
  t.match(
    await run(`8070${text(sdad(hex('DEADBEEF'), hex('01AB')))}9000`),
    { bits: '08' },
    'dynamic number too short',
  )
  t.match(await run('6985'), { bits: '08', result: { failure: 'INTERNAL AUTHENTICATE' } })
  t.match(await run('9000'), { bits: '08' })
  t.match(await run('70029C009000'), { bits: '08' })
  t.match(await run('', { [TAG.DDOL]: '9A03' }, configuration, []), {
    bits: '08',
    result: { failure: 'DDOL' },
  })
  t.match(await run('', {}, { ...configuration, defaultDdol: undefined } as never, []), {
    bits: '08',
    result: { failure: 'DDOL' },
  })
  t.match(await run('', { [TAG.DDOL]: '9F37FF9F37FF' }, configuration, []), {
    bits: '08',
    result: { failure: 'DDOL' },
  })
  const gone = card(AIP.DDA)
  const removed = scriptedCard([['INTERNAL AUTHENTICATE', INTERNAL_AUTHENTICATE, { kind: 'removed' }]])
  t.match(await offlineDataAuthentication(removed.channel, gone, RECORDS, configuration), {
    kind: 'end',
    reason: 'removed',
  })
})

t.test('issuer certificate: every check, in the book’s order', async (t) => {
  const fields = recoverIssuerCertificate(ca, issuerCert.bytes)!
  const base = {
    remainder: issuerCert.remainder,
    exponent: hex('03'),
    pan: hex(PAN),
    today: hex('261122'),
    isRevoked: () => false,
  }
  t.match(verifyIssuerCertificate(fields, base), { modulus: issuer.modulus })
  t.equal(verifyIssuerCertificate(fields, { ...base, exponent: hex('02') }), 'issuer public key exponent')
  t.equal(verifyIssuerCertificate({ ...fields, hashAlgorithm: 2 }, base), 'hash algorithm')
  t.equal(verifyIssuerCertificate(fields, { ...base, exponent: hex('010001') }), 'hash')
  t.equal(verifyIssuerCertificate(fields, { ...base, pan: hex('4999990000000014') }), 'issuer identifier')
  t.equal(verifyIssuerCertificate(fields, { ...base, pan: undefined }), 'issuer identifier')
  t.equal(verifyIssuerCertificate({ ...fields, expires: hex('1125') }, base), 'certificate expired')
  t.equal(verifyIssuerCertificate(fields, { ...base, isRevoked: () => true }), 'certificate revoked')
  t.equal(verifyIssuerCertificate({ ...fields, keyAlgorithm: 2 }, base), 'public key algorithm')
  t.equal(verifyIssuerCertificate({ ...fields, modulusLength: 200 }, base), 'public key length')
  t.equal(verifyIssuerCertificate({ ...fields, exponentLength: 3 }, base), 'public key length')
})

t.test('ICC certificate: every check', async (t) => {
  const made = iccCert(AIP.DDA)
  const fields = recoverIccCertificate(issuer, made.bytes)!
  const base = {
    remainder: made.remainder,
    exponent: hex('03'),
    pan: hex(`${PAN}FFFF`),
    today: hex('261122'),
    staticData: concat(RECORDS, hex(AIP.DDA)),
  }
  t.match(verifyIccCertificate(fields, base), { modulus: icc.modulus })
  t.equal(verifyIccCertificate(fields, { ...base, exponent: undefined }), 'ICC public key exponent')
  t.equal(verifyIccCertificate({ ...fields, hashAlgorithm: 9 }, base), 'hash algorithm')
  t.equal(verifyIccCertificate(fields, { ...base, staticData: hex('00') }), 'hash')
  t.equal(verifyIccCertificate(fields, { ...base, pan: hex('9999990000000015') }), 'PAN')
  t.equal(verifyIccCertificate({ ...fields, expires: hex('1125') }, base), 'certificate expired')
  t.equal(verifyIccCertificate({ ...fields, keyAlgorithm: 9 }, base), 'public key algorithm')
  t.equal(verifyIccCertificate({ ...fields, modulusLength: 255 }, base), 'public key length')
})

t.test('recovery: length, header, format, trailer', async (t) => {
  const signature = sdad(hex('DEADBEEF'))
  t.ok(recover(icc, signature, 5))
  t.equal(recover(icc, signature, 4), undefined)
  t.equal(recover(icc, signature.subarray(1), 5), undefined)
  t.equal(recover(icc, new Uint8Array(icc.modulus.length).fill(0xff), 5), undefined, 'above the modulus')
  t.equal(recover({ modulus: hex('00'), exponent: hex('03') }, hex('00'), 5), undefined)
  const length = icc.modulus.length
  const block = (head: string, tail: string) =>
    rsaPrivate(icc.privateKey, concat(hex(head), new Uint8Array(length - 3).fill(0xbb), hex(tail)))
  t.ok(recover(icc, block('6A05', 'BC'), 5))
  t.equal(recover(icc, block('6A05', 'BD'), 5), undefined, 'trailer')
  t.equal(recover(icc, block('6B05', 'BC'), 5), undefined, 'header')
  const long = generateRsaKey(1024, 65537)
  const signed = rsaPrivate(long.privateKey, concat(hex('6A05'), new Uint8Array(125).fill(0xbb), hex('BC')))
  t.ok(recover(long, signed, 5), 'exponent 65537')
  t.equal(recover(long, new Uint8Array(128).fill(0xff), 5), undefined, 'above the modulus')
})

t.test('a remainder that the certificate calls for and the card does not have is missing data', async (t) => {
  const bits = async (aip: string, changes: Record<number, string | undefined>) => {
    const data = card(aip, changes)
    await offlineDataAuthentication(scriptedCard([]).channel, data, RECORDS, configuration)
    return tvr(data).slice(0, 2)
  }
  t.equal(await bits(AIP.SDA, { [TAG.ISSUER_REMAINDER]: undefined }), '62')
  t.equal(await bits(AIP.CDA, { [TAG.ICC_REMAINDER]: undefined }), '24')
})

t.test(
  'signatures that are another’s: issuer certificate, static data, too little dynamic data',
  async (t) => {
    const failure = async (aip: string, changes: Record<number, string | undefined>) => {
      const data = card(aip, changes)
      const result = await offlineDataAuthentication(scriptedCard([]).channel, data, RECORDS, configuration)
      return [tvr(data).slice(0, 2), 'failure' in result ? result.failure : undefined]
    }
    const zeros = '00'.repeat(ca.modulus.length)
    t.same(await failure(AIP.SDA, { [TAG.ISSUER_CERTIFICATE]: zeros }), ['42', 'issuer certificate'])
    const other = text(signedStaticData(issuer, hex('DAC0'), RECORDS))
    t.same(await failure(AIP.SDA, { [TAG.SIGNED_STATIC_DATA]: other }), [
      '42',
      'signed static application data',
    ])
    t.same(await failure(AIP.SDA, { [TAG.SIGNED_STATIC_DATA]: '00' }), [
      '42',
      'signed static application data',
    ])
    const short = recoverSignedDynamicData(icc, sdad(hex('DEADBEEF')))!
    const input = { unpredictableNumber: hex('DEADBEEF'), dolData: [], responseObjects: hex(''), cid: 0x80 }
    t.equal(verifyCombined(short, input), 'ICC dynamic data')
  },
)

t.test('where several checks fail the first of the book’s order is named', async (t) => {
  const fields = recoverIssuerCertificate(ca, issuerCert.bytes)!
  const wrong = { remainder: issuerCert.remainder, exponent: hex('03'), pan: hex('49'), today: hex('261122') }
  const all = { ...fields, expires: hex('1225'), keyAlgorithm: 2 }
  t.equal(verifyIssuerCertificate(all, { ...wrong, isRevoked: () => true }), 'issuer identifier')
  const revoked = { ...wrong, pan: hex(PAN), isRevoked: () => true }
  t.equal(verifyIssuerCertificate(all, revoked), 'certificate expired')
  t.equal(verifyIssuerCertificate({ ...fields, keyAlgorithm: 2 }, revoked), 'certificate revoked')
})

t.test('CA keys end, and certificates are revoked by serial', async (t) => {
  t.ok(findCaKey([{ ...caKey, expires: hex('261122') }], caKey.rid, 1, hex('261122')))
  t.notOk(findCaKey([{ ...caKey, expires: hex('261121') }], caKey.rid, 1, hex('261122')))
  t.notOk(findCaKey([{ ...caKey, expires: hex('261121') }], caKey.rid, 1, undefined))
  const data = card(AIP.SDA)
  const revoked = new Set([revocationEntry(caKey.rid, 1, hex('000001'))])
  t.match(
    await offlineDataAuthentication(scriptedCard([]).channel, data, RECORDS, { ...configuration, revoked }),
    { failure: 'certificate revoked' },
  )
})

t.test('static data: records and AIP, or nothing usable', async (t) => {
  t.equal(toHex(staticDataToAuthenticate(RECORDS, hex('82'), hex('7C00'))!), `${toHex(RECORDS)}7C00`)
  t.equal(staticDataToAuthenticate(RECORDS, undefined, hex('7C00')), RECORDS)
  t.equal(staticDataToAuthenticate(undefined, hex('82'), hex('7C00')), undefined)
})

t.test('the PIN key: its own certificate, else the card’s, else none', async (t) => {
  t.match(pinEnciphermentKey(card(AIP.DDA), RECORDS, configuration), { modulus: icc.modulus })
  const pin = generateRsaKey(768, 3)
  const certificate = cardCertificate(issuer, pin, PAN, hex('000003'), new Uint8Array())
  const own = {
    [TAG.PIN_CERTIFICATE]: text(certificate.bytes),
    [TAG.PIN_EXPONENT]: '03',
    [TAG.PIN_REMAINDER]: text(certificate.remainder),
  }
  t.match(pinEnciphermentKey(card(AIP.DDA, own), RECORDS, configuration), { modulus: pin.modulus })
  t.equal(
    pinEnciphermentKey(card(AIP.DDA, { ...own, [TAG.PIN_EXPONENT]: '02' }), RECORDS, configuration),
    undefined,
  )
  t.equal(
    pinEnciphermentKey(card(AIP.DDA, { [TAG.ICC_CERTIFICATE]: undefined }), RECORDS, configuration),
    undefined,
  )
  t.equal(pinEnciphermentKey(card(AIP.DDA, { [TAG.CA_KEY_INDEX]: '09' }), RECORDS, configuration), undefined)
})
