// Handlers of whole cards: contact flows, card images, transcripts.
import { constants, createPrivateKey, privateDecrypt } from 'node:crypto'
import { ascii, fromHex, toHex } from '../../hal/base/bytes.js'
import { sha1 } from '../../hal/base/ciphers.js'
import { TAG } from '../../hal/base/tags.js'
import { buildCandidateList, selectApplication } from '../../runtime/secure/emv/application-selection.js'
import { caKeyChecksum } from '../../runtime/secure/emv/ca-keys.js'
import { isEnd } from '../../runtime/secure/emv/card-end.js'
import { recoverIssuerCertificate, verifyIssuerCertificate } from '../../runtime/secure/emv/certificates.js'
import type { ApplicationConfiguration, EmvConfiguration } from '../../runtime/secure/emv/configuration.js'
import { initiateApplicationProcessing } from '../../runtime/secure/emv/initiate-application.js'
import { offlineDataAuthentication } from '../../runtime/secure/emv/offline-data-authentication.js'
import { verifyOfflinePin } from '../../runtime/secure/emv/offline-pin.js'
import { parseAfl, readApplicationData } from '../../runtime/secure/emv/read-application-data.js'
import {
  recoverSignedStaticData,
  staticDataToAuthenticate,
  verifySignedStaticData,
} from '../../runtime/secure/emv/static-data-authentication.js'
import { setApplicationData } from '../../runtime/secure/emv/terminal-data.js'
import { completeTransaction, transactToFirstCryptogram } from '../../runtime/secure/emv/transaction.js'
import { panDigits, TransactionData } from '../../runtime/secure/emv/transaction-data.js'
import { cardChannel } from '../../runtime/secure/emv/transport.js'
import { TVR } from '../../runtime/secure/emv/verification-results.js'
import { applicationRow, flatten, sessionOf, tagHex } from './emv-cards.js'
import { check, type Handler, type Kind, skipped, type Vector } from './vectors.js'

/** A configuration with one application and one CA key, checked as the product checks it. */
function configurationFor(capk: Vector, aid: string, terminal: Partial<EmvConfiguration['terminal']>) {
  const key = {
    rid: fromHex(capk.rid),
    index: Number.parseInt(capk.index, 16),
    modulus: fromHex(capk.modulus),
    exponent: fromHex(capk.exponent),
    expires: undefined,
  }
  if (capk.sha1 && toHex(sha1(...caKeyChecksum(key))) !== capk.sha1) throw new Error('checksum')
  const application: ApplicationConfiguration = {
    ...applicationRow({ aid, asi: 1 }),
    version: fromHex('0096'),
    floorLimit: 1_000_000n,
    ddol: fromHex('9F3704'),
  }
  const configuration: EmvConfiguration = {
    terminal: {
      countryCode: fromHex('0246'),
      currency: 'EUR',
      type: 0x21,
      capabilities: fromHex('E0B8C8'),
      additionalCapabilities: fromHex('FFC000F0FF'),
      acquirerId: undefined,
      merchantCategoryCode: undefined,
      merchantId: undefined,
      terminalId: undefined,
      merchantName: undefined,
      ifdSerial: undefined,
      pinBypass: false,
      ...terminal,
    },
    applications: [application],
    caKeys: [key],
    revoked: new Set(),
  }
  return { application, configuration }
}

/** A card that answers a command with what was recorded for it, several answers in turn; what it does not know gets 6D00. */
function dictionaryCard(exchanges: readonly Vector[]) {
  const answers = new Map<string, string[]>()
  for (const { c, r } of exchanges) answers.set(c, [...(answers.get(c) ?? []), r])
  const sent: string[] = []
  const session = sessionOf('T=0', (command) => {
    const hex = toHex(command)
    sent.push(hex)
    // The recorder's terminal left Le away, or named it.
    const recorded = answers.get(hex) ??
      answers.get(hex.slice(0, -2)) ??
      answers.get(withoutExpired(command)) ?? ['6D00']
    return recorded.length > 1 ? recorded.shift()! : recorded[0]!
  })
  return { channel: cardChannel(session), sent }
}

/**
 * GENERATE AC without the TVR's Expired bit. The recorder's terminal let a card of 2018 pay in 2020 with no bit set;
 * Book 3, 10.4.3 sets it, and nothing else of the command may differ.
 */
function withoutExpired(command: Uint8Array): string {
  const copy = Uint8Array.from(command)
  // TVR follows amounts and country; CDOL2 puts the response code first.
  const tvr = copy[2] === 0x80 ? 5 + 14 : 5 + 16
  if (copy[1] === 0xae && copy.length > tvr + 5) copy[tvr + 1]! &= ~TVR.expired.mask
  return toHex(copy)
}

const PIN_1234 = () => ascii.encode('1234')

/** Terminal capabilities: all that the flow's terminal had, enciphered offline PIN left out so that the plaintext rule applies. */
const WITHOUT_ENCIPHERED_PIN = fromHex('E0A8C8')

const contactFlow: Handler = async (vector, file) => {
  const card = dictionaryCard(vector.exchanges)
  const { application, configuration } = configurationFor(vector.capk, 'AFFFFFFFFF', {
    capabilities: WITHOUT_ENCIPHERED_PIN,
  })
  const last = vector.exchanges.filter(({ c }: Vector) => c.startsWith('80AE'))
  const cdol = fromHex(last[0].c).subarray(5)
  const data = new TransactionData()
  const first = await transactToFirstCryptogram(
    card.channel,
    data,
    configuration,
    {
      type: cdol[24]!,
      amount: { minor: BigInt(vector.amount), currency: 'EUR' },
      sequence: 1,
      at: new Date(2020, 6, 24),
    },
    {
      random: () => fromHex(vector.unpredictableNumber),
      chooseApplication: async () => 0,
      confirmApplication: async () => true,
      preferLanguages: () => undefined,
      enterPin: async () => ({ kind: 'entered', digits: PIN_1234() }),
      encryptPin: async () => ({ ksn: new Uint8Array(12), bytes: new Uint8Array(16) }),
      cardHistory: async () => ({ lastAmountOfCard: 0n, onExceptionFile: false }),
      forceOnline: false,
    },
  )
  if (isEnd(first)) return check(vector.expect.firstCryptogram, first)
  const oda = [first.oda.method, first.oda.failure]
  const second = await completeTransaction(card.channel, data, first, {
    kind: 'answered',
    responseCode: 'Y3',
    approved: true,
    issuerAuthenticationData: fromHex(vector.expect.arpcExternalAuthenticate),
    scripts: [],
  })
  const enciphered = await encipheredPinBlock(
    vector,
    file.document.privateKeysPem,
    application,
    configuration,
  )
  return check(
    {
      first: vector.expect.firstCryptogram,
      second: vector.expect.secondCryptogram,
      oda: ['DDA', undefined],
      plaintext: true,
      enciphered: '7F241234FFFFFFFFFFB34571E839F2E14F',
    },
    {
      first: first.cryptogramType,
      second: isEnd(second) ? second : second.cryptogramType,
      oda,
      plaintext: card.sent.includes('0020008008241234FFFFFFFFFF'),
      enciphered,
    },
  )
}

/** Runs the enciphered PIN against the recorded challenge and opens it with the test card's private key. */
async function encipheredPinBlock(
  vector: Vector,
  pems: Record<string, string>,
  application: ApplicationConfiguration,
  configuration: EmvConfiguration,
): Promise<string> {
  const pem = Object.entries(pems).find(([name]) => name.startsWith('icc_'))![1]
  // This part begins behind selection: the directory's end is none of its answers.
  const card = dictionaryCard(vector.exchanges.filter(({ r }: Vector) => r !== '6A83'))
  const data = new TransactionData()
  setApplicationData(data, application, fromHex('AFFFFFFFFF1234'), 0n)
  data.set(TAG.TRANSACTION_DATE, fromHex('200724'))
  data.set(TAG.TERMINAL_CAPABILITIES, configuration.terminal.capabilities)
  data.set(TAG.UNPREDICTABLE_NUMBER, fromHex(vector.unpredictableNumber))
  data.addFromCard(TAG.DF_NAME, fromHex('AFFFFFFFFF1234'))
  const initiated = await initiateApplicationProcessing(card.channel, data)
  const read = isEnd(initiated) ? initiated : await readApplicationData(card.channel, data)
  if (read.kind !== 'read') return read.kind
  const oda = await offlineDataAuthentication(card.channel, data, read.odaRecords, {
    ...configuration,
    defaultDdol: undefined,
  })
  if (isEnd(oda) || !oda.iccKey) return 'no ICC key'
  await verifyOfflinePin(card.channel, data, async () => ({ kind: 'entered', digits: PIN_1234() }), {
    key: oda.iccKey,
    random: (length) => new Uint8Array(length).fill(0xa5),
  })
  const verify = card.sent.find((hex) => hex.startsWith('00200088'))
  if (!verify) return 'no VERIFY'
  const clear = privateDecrypt(
    { key: createPrivateKey(pem), padding: constants.RSA_NO_PADDING },
    fromHex(verify.slice(10)),
  )
  return toHex(clear).slice(0, 34)
}

/** A file system image as a card: SELECT, READ RECORD, GET PROCESSING OPTIONS. */
function imageCard(image: Vector) {
  let files: Vector = {}
  return cardChannel(
    sessionOf('T=1', (command) => {
      const [, ins, p1, p2] = command
      const data = toHex(command.subarray(5, 5 + (command[4] ?? 0)))
      if (ins === 0xa4) {
        if (data === toHex(ascii.encode('1PAY.SYS.DDF01'))) {
          files = image.pseFiles
          return `${image.pseFci}9000`
        }
        const application = image.applications.find(({ aid }: Vector) => aid === data)
        if (!application) return '6A82'
        files = application.files
        return `${application.other.ApplicationDefinitionFile}9000`
      }
      if (ins === 0xb2) {
        const record = files[String(p2! >> 3)]?.[String(p1)]
        return record ? `${record}9000` : '6A83'
      }
      if (ins === 0xa8) return `${image.applications[0].other.GetProcessingOptions}9000`
      return '6D00'
    }),
  )
}

/** The SDA chain with the certificate's own issuer in the PAN's place. */
function signaturesHold(data: TransactionData, records: Uint8Array | undefined, capk: Vector): boolean {
  const caKey = { modulus: fromHex(capk.modulus), exponent: fromHex(capk.exponent) }
  const fields = recoverIssuerCertificate(caKey, data.need(TAG.ISSUER_CERTIFICATE))
  const issuerKey =
    fields &&
    verifyIssuerCertificate(fields, {
      remainder: data.card(TAG.ISSUER_REMAINDER),
      exponent: data.card(TAG.ISSUER_EXPONENT),
      pan: fields.subject,
      today: data.get(TAG.TRANSACTION_DATE),
      isRevoked: () => false,
    })
  if (typeof issuerKey !== 'object') return false
  const signed = recoverSignedStaticData(issuerKey, data.need(TAG.SIGNED_STATIC_DATA))
  const input = staticDataToAuthenticate(records, data.card(TAG.SDA_TAG_LIST), data.need(TAG.AIP))
  return signed !== undefined && input !== undefined && verifySignedStaticData(signed, input)
}

const cardImage: Handler = async (vector, file) => {
  const capk = file.document.capks[0]
  const { configuration } = configurationFor(capk, capk.rid, {})
  const card = imageCard(vector)
  const list = await buildCandidateList(card, {
    applications: configuration.applications,
    additionalCapabilities: configuration.terminal.additionalCapabilities,
  })
  if (isEnd(list)) return check('candidates', list)
  const selected = await selectApplication(card, list.candidates[0]!, fromHex('FFFFFFFFFF'))
  if (isEnd(selected) || selected.kind === 'notSelected') return check('selected', selected)
  const data = new TransactionData()
  setApplicationData(data, selected.candidate.application, selected.dfName, 0n)
  data.set(TAG.TRANSACTION_DATE, fromHex('100615'))
  data.set(TAG.TERMINAL_CAPABILITIES, configuration.terminal.capabilities)
  data.set(TAG.TERMINAL_COUNTRY, fromHex('0578'))
  data.set(TAG.TRANSACTION_CURRENCY, fromHex('0578'))
  for (const field of selected.fields) data.addFromCard(field.tag, field.value)
  const initiated = await initiateApplicationProcessing(card, data)
  if (initiated.kind !== 'initiated') return check('initiated', initiated)
  const read = await readApplicationData(card, data)
  if (isEnd(read)) return check('read', read)
  const oda = await offlineDataAuthentication(card, data, read.odaRecords, {
    ...configuration,
    defaultDdol: undefined,
  })
  if (isEnd(oda)) return check('oda', oda)
  // The mock's certificate names an issuer that its PAN does not begin with; everything else of the chain must hold.
  if (oda.failure === 'issuer identifier' && signaturesHold(data, read.odaRecords, capk))
    return skipped(
      'the book is on our side: Book 2, 5.3, step 8: an issuer identifier other than the PAN begins with fails',
    )
  return check(['SDA', undefined], [oda.method, oda.failure])
}

/** What the upstream decoder printed for a data object: `  5A (PAN): 374245001741007F`. */
const DECODED_TAG = /^\s+([0-9A-F]{2,8}) \((?!Byte|Bits?\b)/
const ISSUER_SCRIPT_TAGS = new Set(['71', '72', '86'])

/** Every data object that we find in the answers must stand in the upstream tree, in the same order. */
const decodedTranscript: Handler = (vector) => {
  if (!vector.expectedDecode) return skipped('no upstream decode to compare with')
  const theirs: string[] = vector.expectedDecode
    .map((line: string) => DECODED_TAG.exec(line)?.[1])
    .filter((tag: string | undefined) => tag !== undefined)
  const ours = vector.exchanges
    .flatMap(({ r }: Vector) => flatten((r ?? '').slice(0, -4)))
    .map(({ tag }: { tag: number }) => tagHex(tag).padStart(2, '0'))
    .filter((tag: string) => !ISSUER_SCRIPT_TAGS.has(tag))
  let at = 0
  const missing: string[] = []
  for (const tag of ours) {
    const found = theirs.indexOf(tag, at)
    if (found < 0) missing.push(tag)
    else at = found + 1
  }
  return check({ missing: [], some: true }, { missing, some: ours.length > 0 })
}

/** PAN and AFL of an anonymised real card against what its upstream test asserts. */
const realCard: Handler = (vector) => {
  const asserted = vector.upstreamAsserts.find(
    ({ subject, op }: Vector) => subject === 'card.getCardNumber()' && op === 'isEqualTo',
  )?.value
  const objects = vector.exchanges.flatMap(({ r }: Vector) => flatten(r.slice(0, -4)))
  const pans = new Set<string>()
  for (const { tag, value } of objects) {
    if (tag === TAG.PAN) pans.add(ascii.decode(panDigits(value) ?? new Uint8Array()))
    if (tag === TAG.TRACK2) pans.add(toHex(value).split('D')[0]!)
    if (tag === TAG.AFL && !parseAfl(value)) return check('an AFL that can be read', toHex(value))
  }
  if (asserted === undefined) return skipped('nothing asserted that a contact kernel reads')
  if (pans.size === 0 && !objects.some(({ tag }: { tag: number }) => tag === TAG.PAN || tag === TAG.TRACK2))
    return skipped('PAN outside EMV data objects (a purse or a raw track)')
  return check(true, pans.has(String(asserted)))
}

export const CONTACT_FLOWS: readonly Kind[] = [
  { kind: 'card-images/*', handler: cardImage },
  { kind: 'contact-flows/*', handler: contactFlow },
  { kind: 'transcripts/binaryfoo-decoded', handler: decodedTranscript },
  { kind: 'transcripts/devnied-real-cards', handler: realCard },
]
