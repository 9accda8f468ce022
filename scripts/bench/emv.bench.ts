// The kernel's small steps, in process: a record read, a CDOL filled, a DDA chain; each beside what npm or bare node:crypto has for it.
import { constants, createPublicKey, publicEncrypt } from 'node:crypto'
import berTlv from 'ber-tlv'
import emv from 'node-emv'
import nodeTlv from 'node-tlv'
import { concat, fromHex, toHex } from '../../hal/base/bytes.js'
import { encodeTlv, parseTlv } from '../../hal/base/tlv.js'
import {
  recoverIccCertificate,
  recoverIssuerCertificate,
  verifyIccCertificate,
  verifyIssuerCertificate,
} from '../../runtime/secure/emv/certificates.js'
import { buildDolData } from '../../runtime/secure/emv/dol.js'
import {
  recoverSignedDynamicData,
  verifySignedDynamicData,
} from '../../runtime/secure/emv/dynamic-data-authentication.js'
import { type EcKey, verifyEcSdsa } from '../../runtime/secure/emv/ec-sdsa.js'
import type { RsaKey } from '../../runtime/secure/emv/rsa-recovery.js'
import {
  cardCertificate,
  issuerCertificate,
  padForSignature,
  signRecoverable,
} from '../dev/issuer/certificates.js'
import { ecSign, generateEcKey } from '../dev/issuer/ec-key.js'
import { generateRsaKey } from '../dev/issuer/rsa-key.js'
import { type Bench, type Row, ratesPerSecond } from './measure.js'

/** A usual signed record: PAN, sequence, dates, country, usage, CVM list, action codes. */
const RECORD = encodeTlv(
  0x70,
  fromHex(
    '5A0899999900000000145F3401005F24033512315F25032401015F280202769F0702FF008E0C000000000000000042031E039F0D05F850AC88009F0E0500000000009F0F05F870FC9800',
  ),
)
/** Of every transaction: amounts, country, TVR, currency, date, type, unpredictable number. */
const CDOL1 = fromHex('9F02069F03069F1A0295055F2A029A039C019F3704')
const VALUES = new Map([
  [0x9f02, fromHex('000000001250')],
  [0x9f03, fromHex('000000000000')],
  [0x9f1a, fromHex('0276')],
  [0x95, fromHex('0000008000')],
  [0x5f2a, fromHex('0978')],
  [0x9a, fromHex('261122')],
  [0x9c, fromHex('00')],
  [0x9f37, fromHex('DEADBEEF')],
])

const micro = (rate: number | undefined): number => 1_000_000 / rate!

function records(): Row[] {
  const hex = toHex(RECORD)
  const buffer = Buffer.from(RECORD)
  const [ours, tlv, ber, parser] = ratesPerSecond([
    () => parseTlv(RECORD),
    () => nodeTlv.parse(hex),
    () => berTlv.TlvFactory.parse(buffer),
    () => emv.parse(hex, () => undefined),
  ])
  const row = (what: string, value: number | undefined): Row => ({
    what: `record of ${RECORD.length} bytes read`,
    value: micro(ours),
    unit: 'µs',
    peer: { what, value: micro(value) },
  })
  return [row('node-tlv', tlv), row('ber-tlv', ber), row('node-emv (names too)', parser)]
}

/** None of the peers fills a DOL: node-tlv reads the list, and the least that can be done is to join the values. */
function dols(): Row[] {
  const known = [...VALUES.values()]
  const hex = toHex(CDOL1)
  const [ours, read, joined] = ratesPerSecond([
    () => buildDolData(CDOL1, (tag) => VALUES.get(tag)),
    () => nodeTlv.DOL.parse(hex),
    () => concat(...known),
  ])
  const row = (what: string, value: number | undefined): Row => ({
    what: 'CDOL1 of 8 tags filled',
    value: micro(ours),
    unit: 'µs',
    peer: { what, value: micro(value) },
  })
  return [row('node-tlv, which reads the list alone', read), row('the eight values joined', joined)]
}

const TODAY = fromHex('261122')
const PAN = '9999990000000014'
const STATIC_DATA = concat(RECORD, fromHex('2000'))
const CHALLENGE = fromHex('DEADBEEF')

/** Three recoveries as bare node:crypto does them: CA key at hand, the others' made of the numbers that certificates give. */
function bareChain(keys: readonly RsaKey[], signatures: readonly Uint8Array[]): () => void {
  const jwks = keys.map(({ modulus, exponent }) => ({
    kty: 'RSA',
    n: Buffer.from(modulus).toString('base64url'),
    e: Buffer.from(exponent).toString('base64url'),
  }))
  const ca = createPublicKey({ key: jwks[0]!, format: 'jwk' })
  return () => {
    for (const [i, signature] of signatures.entries()) {
      const key = i === 0 ? ca : createPublicKey({ key: jwks[i]!, format: 'jwk' })
      publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, signature)
    }
  }
}

/** From CA key to the signed dynamic data, every check included. */
function chain(exponent: 3 | 65537): Row {
  const ca = generateRsaKey(1408, exponent)
  const issuer = generateRsaKey(1408, exponent)
  const icc = generateRsaKey(1152, exponent)
  const issued = issuerCertificate(ca, issuer, '999999', fromHex('000001'))
  const carded = cardCertificate(issuer, icc, PAN, fromHex('000002'), STATIC_DATA)
  const content = padForSignature(icc, fromHex('050109080102030405060708'))
  const signed = signRecoverable(icc, content, CHALLENGE)
  const pan = fromHex(PAN)
  const ours = () => {
    const issuerKey = verifyIssuerCertificate(recoverIssuerCertificate(ca, issued.bytes)!, {
      remainder: issued.remainder,
      exponent: issuer.exponent,
      pan,
      today: TODAY,
      isRevoked: () => false,
    }) as RsaKey
    const iccKey = verifyIccCertificate(recoverIccCertificate(issuerKey, carded.bytes)!, {
      remainder: carded.remainder,
      exponent: icc.exponent,
      pan,
      today: TODAY,
      staticData: STATIC_DATA,
    }) as RsaKey
    const dynamic = recoverSignedDynamicData(iccKey, signed)
    if (!dynamic || !verifySignedDynamicData(dynamic, CHALLENGE)) throw new Error('the chain does not hold')
  }
  const [rate, bare] = ratesPerSecond([
    ours,
    bareChain([ca, issuer, icc], [issued.bytes, carded.bytes, signed]),
  ])
  return {
    what: `DDA chain, 1408/1408/1152 bits, exponent ${exponent}`,
    value: micro(rate),
    unit: 'µs',
    peer: { what: 'its three RSA operations by bare node:crypto', value: micro(bare) },
  }
}

function ecc(): Row {
  const pair = generateEcKey('P-256')
  const key: EcKey = { suite: 0x10, x: pair.x }
  const signature = ecSign(pair, RECORD)
  const rsa = generateRsaKey(1408, 3)
  const [ours, beside] = ratesPerSecond([
    () => verifyEcSdsa(key, signature, RECORD),
    bareChain([rsa], [new Uint8Array(rsa.modulus.length).fill(1)]),
  ])
  return {
    what: 'EC-SDSA verified, P-256; XDA needs three',
    value: micro(ours),
    unit: 'µs',
    peer: { what: 'one RSA operation of 1408 bits (none of the peers has EMV’s ECC)', value: micro(beside) },
  }
}

export const bench: Bench = {
  title: "the kernel's steps: records, data object lists, chains of keys",
  async run() {
    return [...records(), ...dols(), chain(3), chain(65537), ecc()]
  },
}
