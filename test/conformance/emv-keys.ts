// Handlers of certificates, signatures and CA keys: emv-utils/oda-rsa and capk/.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { sha1 } from '../../hal/base/ciphers.js'
import { isPosternError } from '../../hal/base/errors.js'
import { TAG } from '../../hal/base/tags.js'
import { caKeyChecksum } from '../../runtime/secure/emv/ca-keys.js'
import {
  type CertificateFields,
  recoverIccCertificate,
  recoverIssuerCertificate,
  verifyIccCertificate,
  verifyIssuerCertificate,
} from '../../runtime/secure/emv/certificates.js'
import { emvConfiguration } from '../../runtime/secure/emv/configuration.js'
import {
  combinedFields,
  recoverSignedDynamicData,
  verifySignedDynamicData,
} from '../../runtime/secure/emv/dynamic-data-authentication.js'
import type { RsaKey } from '../../runtime/secure/emv/rsa-recovery.js'
import {
  recoverSignedStaticData,
  verifySignedStaticData,
} from '../../runtime/secure/emv/static-data-authentication.js'
import { pairs } from './emv-cards.js'
import {
  check,
  type Handler,
  type Kind,
  passed,
  unknownVariant,
  type Vector,
  type Verdict,
} from './vectors.js'

/** A certificate's recovered fields against those that the recorder had; its zeros are fields not yet known. */
function certificateVerdict(
  vector: Vector,
  fields: CertificateFields | undefined,
  subject: string,
  verify: (fields: CertificateFields) => object | string,
): Verdict {
  const { status, recovered } = vector.expect
  if (!fields) return check(status, 'not-recovered')
  const result = verify(fields)
  const got = {
    status: typeof result === 'string' ? 'recovered-not-validated' : 'valid',
    subject: toHex(fields.subject),
    expMMYY: toHex(fields.expires),
    serial: toHex(fields.serial),
    ...(typeof result === 'object' && {
      modulus: toHex((result as RsaKey).modulus),
      exponent: toHex((result as RsaKey).exponent),
    }),
  }
  return check(
    {
      status,
      subject: recovered?.[subject],
      expMMYY: recovered?.expMMYY,
      serial: recovered?.serial,
      ...(status === 'valid' && { modulus: recovered?.modulus, exponent: recovered?.exponent }),
    },
    got,
  )
}

const rsaKeyOf = (key: Vector) => ({ modulus: fromHex(key.modulus), exponent: fromHex(key.exponent) })

const odaRsa: Handler = (vector) => {
  const icc = new Map(pairs(vector.icc))
  const today = new Map(pairs(vector.params)).get(TAG.TRANSACTION_DATE)
  const pan = icc.get(TAG.PAN)
  switch (vector.op) {
    case 'issuerKey':
      return certificateVerdict(
        vector,
        recoverIssuerCertificate(rsaKeyOf(vector.capk), fromHex(vector.cert)),
        'issuerId',
        (fields) =>
          verifyIssuerCertificate(fields, {
            remainder: icc.get(TAG.ISSUER_REMAINDER),
            exponent: icc.get(TAG.ISSUER_EXPONENT),
            pan,
            today,
            isRevoked: () => false,
          }),
      )
    case 'iccKey':
      return certificateVerdict(
        vector,
        recoverIccCertificate(rsaKeyOf(vector.issuerKey), fromHex(vector.cert)),
        'pan',
        (fields) =>
          verifyIccCertificate(fields, {
            remainder: icc.get(TAG.ICC_REMAINDER),
            exponent: icc.get(TAG.ICC_EXPONENT),
            pan,
            today,
            staticData: fromHex(vector.odaRecords ?? ''),
          }),
      )
    case 'ssad': {
      const signed = recoverSignedStaticData(rsaKeyOf(vector.issuerKey), fromHex(vector.ssad))
      if (!signed) return check(vector.expect.status, 'not-recovered')
      const valid = verifySignedStaticData(signed, fromHex(vector.odaRecords ?? ''))
      return check(vector.expect, {
        status: valid ? 'valid' : 'recovered-not-validated',
        code: vector.expect.code,
        recovered: {
          dataAuthCode: toHex(signed.dataAuthenticationCode),
          hash: toHex(signed.recovered.hash),
        },
      })
    }
    case 'sdad': {
      const signed = recoverSignedDynamicData(rsaKeyOf(vector.iccKey), fromHex(vector.sdad))
      if (!signed) return check(vector.expect.status, 'not-recovered')
      const combined = combinedFields(signed)
      return check(vector.expect, {
        status: verifySignedDynamicData(signed, fromHex(vector.signedTail))
          ? 'valid'
          : 'recovered-not-validated',
        code: vector.expect.code,
        recovered: {
          iccDynamicNumber: toHex(signed.iccDynamicNumber),
          cid: toHex(Uint8Array.of(combined?.cid ?? 0)),
          cryptogram: toHex(combined?.cryptogram ?? new Uint8Array(8)),
          txnDataHashCode: toHex(combined?.transactionDataHash ?? new Uint8Array(20)),
          hash: toHex(signed.recovered.hash),
        },
      })
    }
    default:
      return unknownVariant('op', vector.op)
  }
}

/** A document with these CA keys and nothing else of interest. */
function documentWith(keys: readonly Vector[]) {
  return {
    terminal: {
      countryCode: '0276',
      currency: 'EUR',
      type: '22',
      capabilities: 'E0F8C8',
      additionalCapabilities: 'F000F0A001',
      pinBypass: false,
    },
    applications: [
      {
        aid: 'A000000003',
        partialSelection: true,
        version: '0001',
        tacDenial: '0000000000',
        tacOnline: 'FFFFFFFFFF',
        tacDefault: 'FFFFFFFFFF',
        floorLimit: '0',
      },
    ],
    caKeys: keys.map(({ rid, index, modulus, exponent, publishedSha1, sha1 }) => ({
      rid,
      index,
      modulus,
      exponent,
      sha1: publishedSha1 ?? sha1,
    })),
  }
}

/** Key, or the rule by which the configuration refuses it. */
function readKeys(keys: readonly Vector[]): { count: number } | { key: unknown; rule: unknown } {
  try {
    return { count: emvConfiguration(documentWith(keys)).caKeys.length }
  } catch (error) {
    if (!isPosternError(error, 'EMV_CONFIGURATION_INVALID')) throw error
    return { key: error.details['key'], rule: error.details['rule'] }
  }
}

const capk: Handler = (vector, file) => {
  const [rid, modulus, exponent] = [vector.rid, vector.modulus, vector.exponent].map(fromHex)
  const index = Number.parseInt(vector.index, 16)
  const computed = toHex(sha1(...caKeyChecksum({ rid: rid!, index, modulus: modulus!, exponent: exponent! })))
  if (computed !== vector.sha1) return check(vector.sha1, computed)
  const got = readKeys([vector])
  // Book 2, B2.1 (exponent 3 or 65537; table 43: at most 248 bytes): keys that no document may hold, whatever their
  // checksum; nothing in a vector asserts that one is taken.
  if (modulus!.length < 64 || modulus!.length > 248) return check('modulus', 'key' in got ? got.key : got)
  if (!['03', '010001'].includes(vector.exponent)) return check('exponent', 'key' in got ? got.key : got)
  if (vector.checksumOk === false) return check('sha1', 'key' in got ? got.key : got)
  if (!('count' in got)) return check('accepted', got)
  if (!vector.conflicting) return passed
  const others = file.vectors.filter(
    (other: Vector) => other.rid === vector.rid && other.index === vector.index,
  )
  const both = readKeys(others)
  return check(true, others.length > 1 && !('count' in both))
}

export const EMV_KEYS: readonly Kind[] = [
  { kind: 'capk/*', handler: capk },
  { kind: 'emv-utils/oda-rsa', handler: odaRsa },
]
