// Files of offline data authentication in an application: certificates, signed static data, the PIN key (EMV Book 2, 5 to 7, 12, 13).
import { fromHex } from '../../../hal/base/bytes.js'
import { tlvList } from './application-data.js'
import type { ApplicationProfile } from './card-profile.js'
import { cardCertificate, issuerCertificate, signedStaticData } from './certificates.js'
import type { EcKeyPair } from './ec-key.js'
import { eccCardCertificate, eccIssuerCertificate } from './ecc-certificates.js'
import type { IssuerKeys } from './issuer-keys.js'
import type { RsaKey } from './rsa-key.js'
import { ECC_CA_KEYS, TEST_IIN } from './scheme.js'

const spoiled = (bytes: Uint8Array, wrong: boolean | undefined): Uint8Array =>
  wrong ? bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 0x01 : byte)) : bytes

/** One file of an application: short file identifier, its records' contents, how many of them are signed. */
export interface ApplicationFile {
  readonly sfi: number
  readonly records: readonly Uint8Array[]
  readonly signed: number
}

export function authenticationFiles(
  application: ApplicationProfile,
  keys: IssuerKeys,
  staticData: Uint8Array,
  general: RsaKey | undefined,
  pinKey: RsaKey | undefined,
): ApplicationFile[] {
  if (application.authentication === 'none' && pinKey === undefined) return []
  const { caIndex } = application
  const has = (fault: NonNullable<ApplicationProfile['faults']>[number]) =>
    application.faults?.includes(fault)
  const issuer = keys.issuer[caIndex]
  const serial = Uint8Array.of(0, 0, Number(caIndex))
  const certificate = issuerCertificate(keys.authority[caIndex], issuer, TEST_IIN, serial)
  const remainder = (tag: number, bytes: Uint8Array) => (bytes.length === 0 ? [] : [[tag, bytes] as const])
  const issuerRecords = [
    // On its own: a certificate under the long CA key fills a record.
    tlvList([0x90, certificate.bytes]),
    tlvList([0x8f, fromHex(caIndex)], [0x9f32, issuer.exponent], ...remainder(0x92, certificate.remainder)),
  ]
  if (application.authentication === 'sda') {
    const signed = signedStaticData(issuer, Uint8Array.of(0xda, 0xc1), staticData)
    issuerRecords.push(tlvList([0x93, spoiled(signed, has('staticSignature'))]))
  }
  const cardRecords: Uint8Array[] = []
  if (general !== undefined) {
    const card = cardCertificate(issuer, general, application.pan, Uint8Array.of(0, 1, 1), staticData)
    const bytes = spoiled(card.bytes, has('iccCertificate'))
    cardRecords.push(
      tlvList([0x9f46, bytes], [0x9f47, general.exponent], ...remainder(0x9f48, card.remainder)),
    )
  }
  if (pinKey !== undefined && pinKey !== general) {
    const card = cardCertificate(issuer, pinKey, application.pan, Uint8Array.of(0, 1, 2), new Uint8Array(0))
    cardRecords.push(
      tlvList([0x9f2d, card.bytes], [0x9f2e, pinKey.exponent], ...remainder(0x9f2f, card.remainder)),
    )
  }
  const files = [{ sfi: 3, records: issuerRecords, signed: 0 }]
  return cardRecords.length === 0 ? files : [...files, { sfi: 4, records: cardRecords, signed: 0 }]
}

/** Files of XDA: certificates alone, with the issuer certified card data in the cards' (EMV Book 2 v4.4, 12.1, table 34). */
export function eccAuthenticationFiles(
  application: ApplicationProfile,
  keys: IssuerKeys,
  certifiedData: Uint8Array,
  general: EcKeyPair,
  pinKey: EcKeyPair | undefined,
): ApplicationFile[] {
  const { caIndex } = application
  const { index } = ECC_CA_KEYS[caIndex]
  const issuer = keys.eccIssuer[caIndex]
  const serial = Uint8Array.of(0, 0, Number(index))
  const own = eccCardCertificate(issuer, general, 'signature', Uint8Array.of(0, 0, 0, 0, 1, 1), certifiedData)
  const cardRecords = [tlvList([0x9f46, spoiled(own, application.faults?.includes('iccCertificate'))])]
  if (pinKey !== undefined) {
    const forPin = Uint8Array.of(0, 0, 0, 0, 1, 2)
    cardRecords.push(
      tlvList([0x9f2d, eccCardCertificate(issuer, pinKey, 'encipherment', forPin, certifiedData)]),
    )
  }
  const certificate = eccIssuerCertificate(keys.eccAuthority[caIndex], index, issuer, TEST_IIN, serial)
  return [
    { sfi: 3, records: [tlvList([0x90, certificate], [0x8f, fromHex(index)])], signed: 0 },
    { sfi: 4, records: cardRecords, signed: 0 },
  ]
}
