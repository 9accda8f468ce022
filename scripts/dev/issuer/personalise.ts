// Personalisation: from a card's profile and the scheme's keys to the files and keys in the chip (EMV Book 1, 12; Book 3, 7).
import { ascii, concat, fromHex, toBcd } from '../../../hal/base/bytes.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import { type ApplicationProfile, type CardProfile, CVM_CONDITIONS, CVM_METHODS } from './card-profile.js'
import { cardCertificate, issuerCertificate, signedStaticData } from './certificates.js'
import { cardVerificationValue } from './cvv.js'
import { type DolEntry, encodeDol, parseDol } from './dol.js'
import type { IssuerKeys } from './issuer-keys.js'
import { cardMasterKeyB } from './key-derivation.js'
import { pinVerificationValue } from './pin.js'
import type { RsaKey } from './rsa-key.js'
import { TEST_IIN } from './scheme.js'

/** The card's own TDES keys, 16 bytes each (Book 2, A1.4, option B). */
export interface CardKeySet {
  readonly cryptogram: Uint8Array
  readonly scriptMac: Uint8Array
  readonly scriptCipher: Uint8Array
}

/** An application as the chip holds it. */
export interface PersonalisedApplication {
  readonly profile: ApplicationProfile
  readonly aid: Uint8Array
  /** Whole answer to SELECT, template 6F. */
  readonly fci: Uint8Array
  /** Application interchange profile 82. */
  readonly aip: Uint8Array
  /** Application file locator 94. */
  readonly afl: Uint8Array
  /** Records with their template 70, by `recordId`. */
  readonly records: ReadonlyMap<number, Uint8Array>
  readonly pdol: readonly DolEntry[]
  readonly cdol1: readonly DolEntry[]
  readonly cdol2: readonly DolEntry[]
  readonly keys: CardKeySet
  readonly generalKey: RsaKey | undefined
  readonly pinKey: RsaKey | undefined
}

/** A card, ready to be put into a chip. */
export interface PersonalisedCard {
  readonly profile: CardProfile
  /** Payment system environment: its FCI and directory records; undefined where the card has none. */
  readonly directory:
    | { readonly fci: Uint8Array; readonly records: ReadonlyMap<number, Uint8Array> }
    | undefined
  readonly applications: readonly PersonalisedApplication[]
}

/** Key of a record in a card's files. */
export const recordId = (sfi: number, record: number): number => sfi * 256 + record

/** Name of the payment system environment (Book 1, 12.2.2). */
export const PSE_NAME = ascii.encode('1PAY.SYS.DDF01')

/** Of every transaction: amounts, country, TVR, currency, date, type, unpredictable number; in this order in the cryptogram. */
export const CRYPTOGRAM_DOL: readonly DolEntry[] = [
  { tag: 0x9f02, length: 6 },
  { tag: 0x9f03, length: 6 },
  { tag: 0x9f1a, length: 2 },
  { tag: 0x95, length: 5 },
  { tag: 0x5f2a, length: 2 },
  { tag: 0x9a, length: 3 },
  { tag: 0x9c, length: 1 },
  { tag: 0x9f37, length: 4 },
]
const CDOL1: readonly DolEntry[] = [...CRYPTOGRAM_DOL, { tag: 0x9f35, length: 1 }, { tag: 0x9f34, length: 3 }]
const DDOL: readonly DolEntry[] = [{ tag: 0x9f37, length: 4 }]

/** Response code, issuer authentication data where they come with GENERATE AC, then as CDOL1. */
function cdol2(application: ApplicationProfile): readonly DolEntry[] {
  const authentication =
    application.issuerAuthentication === 'inGenerateAc'
      ? [{ tag: 0x91, length: application.cryptogramVersion === 10 ? 10 : 8 }]
      : []
  return [{ tag: 0x8a, length: 2 }, ...authentication, ...CDOL1]
}

/** AIP byte 1 (Book 3, annex C1, table 37). */
const AIP = {
  sda: 0x40,
  dda: 0x20,
  cardholderVerification: 0x10,
  riskManagement: 0x08,
  issuerAuthentication: 0x04,
  cda: 0x01,
} as const

function interchangeProfile(application: ApplicationProfile): Uint8Array {
  const methods = { none: 0, sda: AIP.sda, dda: AIP.dda, cda: AIP.cda | AIP.dda }[application.authentication]
  const external = application.issuerAuthentication === 'external' ? AIP.issuerAuthentication : 0
  return Uint8Array.of(methods | AIP.cardholderVerification | AIP.riskManagement | external, 0)
}

function cvmList({ cvm }: ApplicationProfile): Uint8Array {
  const amount = (minor: number) => {
    const out = new Uint8Array(4)
    new DataView(out.buffer).setUint32(0, minor)
    return out
  }
  const rules = cvm.rules.map((rule) =>
    Uint8Array.of(CVM_METHODS[rule.method] | (rule.orNext ? 0x40 : 0), CVM_CONDITIONS[rule.when]),
  )
  return concat(amount(cvm.xMinor), amount(cvm.yMinor), ...rules)
}

const PIN_KEY_INDEX = '1'

/** Track 2 equivalent data (57): PAN, expiry, service code, PVV, chip CVV with service code 999. */
export function track2(application: ApplicationProfile, pin: string, keys: IssuerKeys): Uint8Array {
  const expiry = application.expiry.slice(0, 4)
  // A PVV exists for four digits only; other PINs are the issuer's offset file's matter.
  const pvv =
    pin.length === 4
      ? PIN_KEY_INDEX + pinVerificationValue(keys.master.pinVerification, PIN_KEY_INDEX, application.pan, pin)
      : '00000'
  const cvv = cardVerificationValue(keys.master.cardVerification, application.pan, expiry, '999')
  const digits = `${application.pan}D${expiry}${application.serviceCode}${pvv}${cvv}`
  return fromHex(digits.length % 2 === 0 ? digits : `${digits}F`)
}

const oddPan = (pan: string): Uint8Array => fromHex(pan.length % 2 === 0 ? pan : `${pan}F`)
const numeric = (code: string): Uint8Array => toBcd(code, 2)
const list = (...objects: readonly (readonly [number, Uint8Array])[]): Uint8Array =>
  concat(...objects.map(([tag, value]) => encodeTlv(tag, value)))

const DEFAULT_ACTIONS = { denial: '0000000000', online: 'F870FC9800', default: 'F850AC8800' }

/** Records that the issuer's signature covers (Book 3, 10.3): contents without the template. */
function signedRecord(card: CardProfile, application: ApplicationProfile): Uint8Array {
  const actions = application.actionCodes ?? DEFAULT_ACTIONS
  return list(
    [0x5a, oddPan(application.pan)],
    [0x5f34, fromHex(application.panSequence)],
    [0x5f24, fromHex(application.expiry)],
    [0x5f25, fromHex(application.effective)],
    [0x5f28, numeric(card.country)],
    [0x9f07, fromHex(application.usage ?? 'FF00')],
    [0x8e, cvmList(application)],
    [0x9f0d, fromHex(actions.default)],
    [0x9f0e, fromHex(actions.denial)],
    [0x9f0f, fromHex(actions.online)],
    [0x9f42, numeric(card.currency)],
    [0x9f44, Uint8Array.of(2)],
    [0x9f4a, Uint8Array.of(0x82)],
  )
}

const spoiled = (bytes: Uint8Array, wrong: boolean | undefined): Uint8Array =>
  wrong ? bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 0x01 : byte)) : bytes

/** One file of an application: short file identifier, its records' contents, how many of them are signed. */
interface ApplicationFile {
  readonly sfi: number
  readonly records: readonly Uint8Array[]
  readonly signed: number
}

function authenticationFiles(
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
    list([0x90, certificate.bytes]),
    list([0x8f, fromHex(caIndex)], [0x9f32, issuer.exponent], ...remainder(0x92, certificate.remainder)),
  ]
  if (application.authentication === 'sda') {
    const signed = signedStaticData(issuer, Uint8Array.of(0xda, 0xc1), staticData)
    issuerRecords.push(list([0x93, spoiled(signed, has('staticSignature'))]))
  }
  const cardRecords: Uint8Array[] = []
  if (general !== undefined) {
    const card = cardCertificate(issuer, general, application.pan, Uint8Array.of(0, 1, 1), staticData)
    const bytes = spoiled(card.bytes, has('iccCertificate'))
    cardRecords.push(list([0x9f46, bytes], [0x9f47, general.exponent], ...remainder(0x9f48, card.remainder)))
  }
  if (pinKey !== undefined && pinKey !== general) {
    const card = cardCertificate(issuer, pinKey, application.pan, Uint8Array.of(0, 1, 2), new Uint8Array(0))
    cardRecords.push(
      list([0x9f2d, card.bytes], [0x9f2e, pinKey.exponent], ...remainder(0x9f2f, card.remainder)),
    )
  }
  const files = [{ sfi: 3, records: issuerRecords, signed: 0 }]
  return cardRecords.length === 0 ? files : [...files, { sfi: 4, records: cardRecords, signed: 0 }]
}

/** NOTE: names are written in code table 1 (ISO 8859-1), the only one that the deck's cards use. */
const preferredName = ({
  preferredName: name,
}: ApplicationProfile): readonly (readonly [number, Uint8Array])[] =>
  name === undefined ? [] : [[0x9f12, new Uint8Array(Buffer.from(name, 'latin1'))]]

function selectionData(card: CardProfile, application: ApplicationProfile): Uint8Array {
  const { codeTable } = application
  return list(
    [0x50, ascii.encode(application.label)],
    [0x87, Uint8Array.of(application.priority | (application.confirm ? 0x80 : 0))],
    ...(application.pdol === undefined ? [] : [[0x9f38, fromHex(application.pdol)] as const]),
    [0x5f2d, ascii.encode(card.languages.join(''))],
    ...(codeTable === undefined ? [] : [[0x9f11, Uint8Array.of(codeTable)] as const]),
    ...preferredName(application),
    // Log entry: ten records in file 11.
    [0xbf0c, encodeTlv(0x9f4d, Uint8Array.of(11, 10))],
  )
}

function personaliseApplication(
  card: CardProfile,
  application: ApplicationProfile,
  keys: IssuerKeys,
): PersonalisedApplication {
  const aid = fromHex(application.aid)
  const aip = interchangeProfile(application)
  const dynamic = application.authentication === 'dda' || application.authentication === 'cda'
  const keyName = `${card.id}.${application.aid}`
  const general = dynamic ? keys.cardKey(keyName, 'general') : undefined
  const enciphers = application.cvm.rules.some((rule) => rule.method.startsWith('enciphered'))
  const pinKey = !enciphers
    ? undefined
    : application.separatePinKey || general === undefined
      ? keys.cardKey(keyName, 'pin')
      : general
  const covered = signedRecord(card, application)
  const second = cdol2(application)
  const files: ApplicationFile[] = [
    {
      sfi: 1,
      records: [list([0x57, track2(application, card.pin, keys)], [0x5f20, ascii.encode(card.cardholder)])],
      signed: 0,
    },
    {
      sfi: 2,
      records: [
        covered,
        list(
          [0x8c, encodeDol(CDOL1)],
          [0x8d, encodeDol(second)],
          [0x9f49, encodeDol(DDOL)],
          [0x5f30, numeric(application.serviceCode)],
          [0x9f08, Uint8Array.of(0x00, 0x8c)],
        ),
      ],
      signed: 1,
    },
    // Static data are the signed records and, by the tag list 9F4A, the AIP (Book 3, 10.3).
    ...authenticationFiles(application, keys, concat(covered, aip), general, pinKey),
  ]
  const records = new Map<number, Uint8Array>()
  for (const file of files)
    for (const [i, record] of file.records.entries())
      records.set(recordId(file.sfi, i + 1), encodeTlv(0x70, record))
  const sequence = application.panSequence
  const masterKey = (key: Uint8Array) => cardMasterKeyB(key, application.pan, sequence)
  return {
    profile: application,
    aid,
    fci: encodeTlv(0x6f, list([0x84, aid], [0xa5, selectionData(card, application)])),
    aip,
    afl: concat(
      ...files.map(({ sfi, records: own, signed }) => Uint8Array.of(sfi << 3, 1, own.length, signed)),
    ),
    records,
    pdol: application.pdol === undefined ? [] : parseDol(fromHex(application.pdol)),
    cdol1: CDOL1,
    cdol2: second,
    keys: {
      cryptogram: masterKey(keys.master.cryptogram),
      scriptMac: masterKey(keys.master.scriptMac),
      scriptCipher: masterKey(keys.master.scriptCipher),
    },
    generalKey: general,
    pinKey,
  }
}

function directory(card: CardProfile): PersonalisedCard['directory'] {
  if (!card.paymentSystemEnvironment) return undefined
  const codeTable = card.applications.find((application) => application.codeTable !== undefined)?.codeTable
  const proprietary = list(
    [0x88, Uint8Array.of(1)],
    [0x5f2d, ascii.encode(card.languages.join(''))],
    ...(codeTable === undefined ? [] : [[0x9f11, Uint8Array.of(codeTable)] as const]),
  )
  const entries = card.applications.map((application) =>
    encodeTlv(
      0x61,
      list(
        [0x4f, fromHex(application.aid)],
        [0x50, ascii.encode(application.label)],
        [0x87, Uint8Array.of(application.priority | (application.confirm ? 0x80 : 0))],
        ...preferredName(application),
      ),
    ),
  )
  // Two entries a record, so that a card with more of them has several records.
  const records = new Map<number, Uint8Array>()
  for (let i = 0; i < entries.length; i += 2)
    records.set(recordId(1, i / 2 + 1), encodeTlv(0x70, concat(...entries.slice(i, i + 2))))
  return { fci: encodeTlv(0x6f, list([0x84, PSE_NAME], [0xa5, proprietary])), records }
}

/** Makes a card's contents; certificates are signed anew each time, keys come from the folder. About 10 ms. */
export function personalise(card: CardProfile, keys: IssuerKeys): PersonalisedCard {
  return {
    profile: card,
    directory: directory(card),
    applications: card.applications.map((application) => personaliseApplication(card, application, keys)),
  }
}
