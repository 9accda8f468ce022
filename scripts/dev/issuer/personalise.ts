// Personalisation: from a card's profile and the scheme's keys to the files and keys in the chip (EMV Book 1, 12; Book 3, 7).
import { ascii, concat, fromHex } from '../../../hal/base/bytes.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import {
  CDOL1,
  cdol2,
  DDOL,
  interchangeProfile,
  numeric,
  preferredName,
  selectionData,
  signedRecord,
  tlvList,
  track2,
} from './application-data.js'
import { type ApplicationFile, authenticationFiles, eccAuthenticationFiles } from './authentication-files.js'
import type { ApplicationProfile, CardProfile } from './card-profile.js'
import { encodeDol, parseDol } from './dol.js'
import type { IssuerKeys } from './issuer-keys.js'
import { cardMasterKeyB } from './key-derivation.js'
import {
  type PersonalisedApplication,
  type PersonalisedCard,
  PSE_NAME,
  recordId,
} from './personalised-card.js'

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
  const xda = application.authentication === 'xda'
  const eccKey = xda ? keys.eccCardKey(keyName, 'general', application.caIndex) : undefined
  const eccPinKey = xda && enciphers ? keys.eccCardKey(keyName, 'pin', application.caIndex) : undefined
  const pinKey =
    !enciphers || xda
      ? undefined
      : application.separatePinKey || general === undefined
        ? keys.cardKey(keyName, 'pin')
        : general
  const covered = signedRecord(card, application)
  const second = cdol2(application)
  const files: ApplicationFile[] = [
    {
      sfi: 1,
      records: [
        tlvList([0x57, track2(application, card.pin, keys)], [0x5f20, ascii.encode(card.cardholder)]),
      ],
      signed: 0,
    },
    {
      sfi: 2,
      records: [
        covered,
        tlvList(
          [0x8c, encodeDol(CDOL1)],
          [0x8d, encodeDol(second)],
          [0x9f49, encodeDol(DDOL)],
          [0x5f30, numeric(application.serviceCode)],
          [0x9f08, Uint8Array.of(0x00, 0x8c)],
        ),
      ],
      signed: 1,
    },
    // Static data are the signed records and, by the tag list 9F4A, the AIP; for XDA AIP, AID and PDOL as TLV (Book 3, 10.3).
    ...(eccKey
      ? eccAuthenticationFiles(
          application,
          keys,
          concat(
            covered,
            tlvList([0x82, aip], [0x9f06, aid]),
            application.pdol === undefined ? new Uint8Array() : tlvList([0x9f38, fromHex(application.pdol)]),
          ),
          eccKey,
          eccPinKey,
        )
      : authenticationFiles(application, keys, concat(covered, aip), general, pinKey)),
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
    fci: encodeTlv(0x6f, tlvList([0x84, aid], [0xa5, selectionData(card, application)])),
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
    eccKey,
    eccPinKey,
  }
}

function directory(card: CardProfile): PersonalisedCard['directory'] {
  if (!card.paymentSystemEnvironment) return undefined
  const codeTable = card.applications.find((application) => application.codeTable !== undefined)?.codeTable
  const proprietary = tlvList(
    [0x88, Uint8Array.of(1)],
    [0x5f2d, ascii.encode(card.languages.join(''))],
    ...(codeTable === undefined ? [] : [[0x9f11, Uint8Array.of(codeTable)] as const]),
  )
  const entries = card.applications.map((application) =>
    encodeTlv(
      0x61,
      tlvList(
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
  return { fci: encodeTlv(0x6f, tlvList([0x84, PSE_NAME], [0xa5, proprietary])), records }
}

/** Makes a card's contents; certificates are signed anew each time, keys come from the folder. About 10 ms. */
export function personalise(card: CardProfile, keys: IssuerKeys): PersonalisedCard {
  return {
    profile: card,
    directory: directory(card),
    applications: card.applications.map((application) => personaliseApplication(card, application, keys)),
  }
}
