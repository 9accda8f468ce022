// Offline data authentication: which method, the chain of keys, SDA and DDA; the part of CDA and XDA before GENERATE AC
// (EMV Book 3 v4.4, 10.3; Book 2, 5, 6 and 12).
import { TAG } from '../../../hal/base/tags.js'
import { findTlv } from '../../../hal/base/tlv.js'
import { type CaKey, findCaKey, isEccKey } from './ca-keys.js'
import type { CardEnd } from './card-end.js'
import { tryParseTlv } from './card-tlv.js'
import {
  lacksRemainder,
  recoverIccCertificate,
  recoverIssuerCertificate,
  verifyIccCertificate,
  verifyIssuerCertificate,
} from './certificates.js'
import { internalAuthenticate, SW } from './commands.js'
import { revocationEntry } from './configuration.js'
import { dolHas, tryBuildDolData } from './dol.js'
import { recoverSignedDynamicData, verifySignedDynamicData } from './dynamic-data-authentication.js'
import type { EcKey } from './ec-sdsa.js'
import { recoverEccKey } from './extended-data-authentication.js'
import type { RsaKey } from './rsa-recovery.js'
import {
  recoverSignedStaticData,
  staticDataToAuthenticate,
  verifySignedStaticData,
} from './static-data-authentication.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'
import { AIP, CAPABILITY, hasBit } from './verification-results.js'

export type OdaMethod = 'XDA' | 'CDA' | 'DDA' | 'SDA' | 'none'

/** What offline data authentication needs of the configuration. */
export interface OdaConfiguration {
  readonly caKeys: readonly CaKey[]
  readonly revoked: ReadonlySet<string>
  /** The application's default DDOL. */
  readonly defaultDdol: Uint8Array | undefined
}

/** The method, and for CDA and XDA the card's key; `failure` names the check that failed. */
export interface OdaResult {
  readonly kind: 'oda'
  readonly method: OdaMethod
  readonly iccKey: RsaKey | undefined
  readonly xdaKey: EcKey | undefined
  readonly failure: string | undefined
}

/** The best method that card and terminal share: XDA before CDA before DDA before SDA (Book 3, 10.3). */
export function chooseOdaMethod(aip: Uint8Array, capabilities: Uint8Array): OdaMethod {
  if (hasBit(aip, AIP.xda) && hasBit(capabilities, CAPABILITY.xda)) return 'XDA'
  if (hasBit(aip, AIP.cda) && hasBit(capabilities, CAPABILITY.cda)) return 'CDA'
  if (hasBit(aip, AIP.dda) && hasBit(capabilities, CAPABILITY.dda)) return 'DDA'
  if (hasBit(aip, AIP.sda) && hasBit(capabilities, CAPABILITY.sda)) return 'SDA'
  return 'none'
}

/** Objects that each method cannot do without (Book 3, 7.5, table 35); remainders where the keys need them. */
const NEEDED: Readonly<Record<OdaMethod, readonly number[]>> = {
  none: [],
  SDA: [TAG.CA_KEY_INDEX, TAG.ISSUER_CERTIFICATE, TAG.ISSUER_EXPONENT, TAG.SIGNED_STATIC_DATA],
  DDA: [TAG.CA_KEY_INDEX, TAG.ISSUER_CERTIFICATE, TAG.ISSUER_EXPONENT, TAG.ICC_CERTIFICATE, TAG.ICC_EXPONENT],
  CDA: [TAG.CA_KEY_INDEX, TAG.ISSUER_CERTIFICATE, TAG.ISSUER_EXPONENT, TAG.ICC_CERTIFICATE, TAG.ICC_EXPONENT],
  XDA: [TAG.CA_KEY_INDEX, TAG.ISSUER_CERTIFICATE, TAG.ICC_CERTIFICATE],
}

const FAILED = { SDA: 'sdaFailed', DDA: 'ddaFailed', CDA: 'cdaFailed' } as const

/**
 * Performs SDA or DDA, or readies CDA or XDA; sets TVR and TSI. For the latter two the signature itself is checked with
 * the answer to GENERATE AC.
 */
export async function offlineDataAuthentication(
  card: CardChannel,
  data: TransactionData,
  odaRecords: Uint8Array | undefined,
  configuration: OdaConfiguration,
): Promise<OdaResult | CardEnd> {
  const method = chooseOdaMethod(data.need(TAG.AIP), data.need(TAG.TERMINAL_CAPABILITIES))
  if (method === 'none') {
    data.raise('odaNotPerformed')
    return { kind: 'oda', method, iccKey: undefined, xdaKey: undefined, failure: undefined }
  }
  if (method === 'XDA') return readyXda(data, odaRecords, configuration)
  if (method === 'SDA') data.raise('sdaSelected')
  const done = (failure: string | undefined, iccKey?: RsaKey): OdaResult => {
    if (failure !== undefined) data.raise(FAILED[method])
    // CDA is performed with GENERATE AC unless it has failed already.
    if (method !== 'CDA' || failure !== undefined) data.performed('odaPerformed')
    return {
      kind: 'oda',
      method,
      iccKey: failure === undefined ? iccKey : undefined,
      xdaKey: undefined,
      failure,
    }
  }
  if (NEEDED[method].some((tag) => !data.card(tag))) {
    data.raise('iccDataMissing')
    return done('data missing')
  }
  const staticData = staticDataToAuthenticate(odaRecords, data.card(TAG.SDA_TAG_LIST), data.need(TAG.AIP))
  if (!staticData) return done('static data')
  const issuerKey = retrieveIssuerKey(data, configuration)
  if (typeof issuerKey === 'string') return done(issuerKey)
  if (method === 'SDA') return done(authenticateStatic(data, issuerKey, staticData))
  const iccKey = retrieveIccKey(data, issuerKey, staticData)
  if (typeof iccKey === 'string') return done(iccKey)
  if (method === 'CDA') return done(undefined, iccKey)
  const failure = await authenticateDynamic(card, data, iccKey, configuration.defaultDdol)
  if (typeof failure === 'object') return failure
  return done(failure, iccKey)
}

/**
 * XDA up to the card's key (Book 2, 12.2 to 12.4). A missing CA key shows in the TVR at once; a key that cannot be
 * recovered only after the first GENERATE AC, so that terminals decide alike whenever they recover it (Book 4, 6.3.2.2).
 */
function readyXda(
  data: TransactionData,
  odaRecords: Uint8Array | undefined,
  configuration: OdaConfiguration,
): OdaResult {
  data.raise('xdaSelected')
  if (NEEDED.XDA.some((tag) => !data.card(tag))) data.raise('iccDataMissing')
  const key = recoverEccKey(data, odaRecords, configuration, 'signature')
  if ('suite' in key)
    return { kind: 'oda', method: 'XDA', iccKey: undefined, xdaKey: key, failure: undefined }
  if (key.kind === 'caKeyMissing') data.raise('caEccKeyMissing')
  return { kind: 'oda', method: 'XDA', iccKey: undefined, xdaKey: undefined, failure: key.check }
}

/** The issuer's public key through CA key and certificate (Book 2, 5.2 and 5.3), or the check that failed. */
export function retrieveIssuerKey(
  data: TransactionData,
  configuration: Pick<OdaConfiguration, 'caKeys' | 'revoked'>,
): RsaKey | string {
  const index = data.card(TAG.CA_KEY_INDEX)
  const certificate = data.card(TAG.ISSUER_CERTIFICATE)
  if (index?.length !== 1 || !certificate) return 'data missing'
  const rid = data.need(TAG.AID).subarray(0, 5)
  data.set(TAG.TERMINAL_CA_KEY_INDEX, index)
  const remainder = data.card(TAG.ISSUER_REMAINDER)
  const judged = data.judge('issuer key', (): JudgedKey => {
    const caKey = findCaKey(configuration.caKeys, rid, index[0]!, data.get(TAG.TRANSACTION_DATE))
    if (!caKey || isEccKey(caKey)) return { key: 'no CA key', lacksRemainder: false }
    const fields = recoverIssuerCertificate(caKey, certificate)
    if (!fields) return { key: 'issuer certificate', lacksRemainder: false }
    const key = verifyIssuerCertificate(fields, {
      remainder,
      exponent: data.card(TAG.ISSUER_EXPONENT),
      pan: data.card(TAG.PAN),
      today: data.get(TAG.TRANSACTION_DATE),
      isRevoked: (serial) => configuration.revoked.has(revocationEntry(rid, index[0]!, serial)),
    })
    return { key, lacksRemainder: lacksRemainder(fields) }
  })
  return keyOf(data, judged, remainder)
}

/** A key or the check that failed; and whether the certificate had no room for all of it. */
interface JudgedKey {
  readonly key: RsaKey | string
  readonly lacksRemainder: boolean
}

/** Book 3, table 35: a remainder counts as missing where the certificate says that the key had no room in it. */
function keyOf(data: TransactionData, judged: JudgedKey, remainder: Uint8Array | undefined): RsaKey | string {
  if (!remainder && judged.lacksRemainder) data.raise('iccDataMissing')
  return judged.key
}

/** The card's public key (Book 2, 6.4), or the check that failed. */
export function retrieveIccKey(
  data: TransactionData,
  issuerKey: RsaKey,
  staticData: Uint8Array,
): RsaKey | string {
  const certificate = data.card(TAG.ICC_CERTIFICATE)
  const remainder = data.card(TAG.ICC_REMAINDER)
  const judged = data.judge('ICC key', (): JudgedKey => {
    const fields = certificate && recoverIccCertificate(issuerKey, certificate)
    if (!fields) return { key: 'ICC certificate', lacksRemainder: false }
    const key = verifyIccCertificate(fields, {
      remainder,
      exponent: data.card(TAG.ICC_EXPONENT),
      pan: data.card(TAG.PAN),
      today: data.get(TAG.TRANSACTION_DATE),
      staticData,
    })
    return { key, lacksRemainder: lacksRemainder(fields) }
  })
  return keyOf(data, judged, remainder)
}

function authenticateStatic(
  data: TransactionData,
  issuerKey: RsaKey,
  staticData: Uint8Array,
): string | undefined {
  const code = data.judge('static data', () => {
    const signed = recoverSignedStaticData(issuerKey, data.need(TAG.SIGNED_STATIC_DATA))
    return signed && verifySignedStaticData(signed, staticData) ? signed.dataAuthenticationCode : undefined
  })
  if (!code) return 'signed static application data'
  data.updateFromCard(TAG.DATA_AUTHENTICATION_CODE, code)
  return undefined
}

/** INTERNAL AUTHENTICATE with the DDOL, the card's or the default one; either must hold 9F37 (Book 2, 6.5.1). */
async function authenticateDynamic(
  card: CardChannel,
  data: TransactionData,
  iccKey: RsaKey,
  defaultDdol: Uint8Array | undefined,
): Promise<string | CardEnd | undefined> {
  const ddol = data.card(TAG.DDOL) ?? defaultDdol
  if (!ddol || !dolHas(ddol, TAG.UNPREDICTABLE_NUMBER)) return 'DDOL'
  const ddolData = tryBuildDolData(ddol, (tag) => data.get(tag))
  if (!ddolData) return 'DDOL'
  const answer = await card.exchange(internalAuthenticate(ddolData))
  if (answer.kind === 'end') return answer
  if (answer.sw !== SW.OK) return 'INTERNAL AUTHENTICATE'
  const list = tryParseTlv(answer.data)
  const template = list?.length === 1 ? list[0] : undefined
  const signed =
    template?.tag === TAG.RESPONSE_FORMAT_1
      ? template.value
      : template?.tag === TAG.RESPONSE_FORMAT_2
        ? findTlv(template.children, TAG.SIGNED_DYNAMIC_DATA)?.value
        : undefined
  if (!signed) return 'INTERNAL AUTHENTICATE'
  data.updateFromCard(TAG.SIGNED_DYNAMIC_DATA, signed)
  const number = data.judge('dynamic data', () => {
    const dynamic = recoverSignedDynamicData(iccKey, signed)
    return dynamic && verifySignedDynamicData(dynamic, ddolData) ? dynamic.iccDynamicNumber : undefined
  })
  if (!number) return 'signed dynamic application data'
  data.updateFromCard(TAG.ICC_DYNAMIC_NUMBER, number)
  return undefined
}
