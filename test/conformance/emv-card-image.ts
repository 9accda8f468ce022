// Handler of card-images/: a card's file system as a virtual card, and whole transactions of the kernel with it.
import { ascii, fromHex, toHex } from '../../hal/base/bytes.js'
import { TAG } from '../../hal/base/tags.js'
import { buildCandidateList } from '../../runtime/secure/emv/application-selection.js'
import { isEnd } from '../../runtime/secure/emv/card-end.js'
import { recoverIssuerCertificate, verifyIssuerCertificate } from '../../runtime/secure/emv/certificates.js'
import type { EmvConfiguration } from '../../runtime/secure/emv/configuration.js'
import { chooseOdaMethod } from '../../runtime/secure/emv/offline-data-authentication.js'
import { readRecords } from '../../runtime/secure/emv/read-application-data.js'
import {
  recoverSignedStaticData,
  staticDataToAuthenticate,
  verifySignedStaticData,
} from '../../runtime/secure/emv/static-data-authentication.js'
import { transactToFirstCryptogram } from '../../runtime/secure/emv/transaction.js'
import { TransactionData } from '../../runtime/secure/emv/transaction-data.js'
import { cardChannel } from '../../runtime/secure/emv/transport.js'
import { hasBit, TSI, TVR } from '../../runtime/secure/emv/verification-results.js'
import { applicationRow, caKeyOf, flatten, plainServices, plainTerminal, sessionOf } from './emv-cards.js'
import { check, type Handler, type Kind, type Vector } from './vectors.js'

const PSE = toHex(ascii.encode('1PAY.SYS.DDF01'))
const NOT_FOUND = '6A82'

/** The image as a card: its files, counters and PIN; a cryptogram is whatever is asked for, over nothing. */
function virtualCard(image: Vector) {
  let application: Vector
  let files: Vector = {}
  let pinTries = 3
  const select = (name: string): string => {
    if (name === PSE) {
      files = image.pseFiles
      return `${image.pseFci}9000`
    }
    const found = image.applications.find(({ aid }: Vector) => aid === name)
    if (!found) return NOT_FOUND
    application = found
    files = found.files
    return `${found.other.ApplicationDefinitionFile}9000`
  }
  const getData = (tag: string): string => {
    const { ATC, LastOnlineATC } = application.other
    const value = new Map([
      ['9F36', ATC],
      ['9F13', LastOnlineATC],
      ['9F17', pinTries.toString(16).padStart(2, '0')],
    ]).get(tag)
    return value === undefined
      ? '6A88'
      : `${tag}${(value.length / 2).toString(16).padStart(2, '0')}${value}9000`
  }
  const verify = (block: string): string => {
    const pin: string = application.pin
    if (block === `2${pin.length}${pin}`.padEnd(16, 'F')) return '9000'
    pinTries--
    return `63C${pinTries}`
  }
  return sessionOf('T=1', (command) => {
    const [, ins, p1, p2, lc = 0] = command
    const data = toHex(command.subarray(5, 5 + lc))
    switch (ins) {
      case 0xa4:
        return select(data)
      case 0xb2: {
        const record = files[String(p2! >> 3)]?.[String(p1)]
        return record ? `${record}9000` : '6A83'
      }
      case 0xa8:
        return `${application.other.GetProcessingOptions}9000`
      case 0xca:
        return getData(toHex(command.subarray(2, 4)))
      case 0x20:
        return verify(data)
      case 0xae: {
        const cid = toHex(Uint8Array.of(p1! & 0xc0))
        return `800B${cid}${application.other.ATC}00000000000000009000`
      }
      default:
        return '6D00'
    }
  })
}

/** Everything of the SDA chain but one check: with the certificate's own issuer in the PAN's place (Book 2, 5.3, step 8). */
async function signaturesHold(
  image: Vector,
  aid: string,
  caKeys: EmvConfiguration['caKeys'],
  today: Uint8Array,
) {
  const card = cardChannel(virtualCard(image))
  await card.exchange(fromHex(`00A40400${(aid.length / 2).toString(16).padStart(2, '0')}${aid}00`))
  const options = fromHex(
    image.applications.find((one: Vector) => one.aid === aid).other.GetProcessingOptions,
  )
  const read = await readRecords(card, options.subarray(4))
  if (isEnd(read)) return false
  const value = (tag: number) => read.objects.find((item) => item.tag === tag)?.value
  const caKey = caKeys.find((key) => key.index === value(TAG.CA_KEY_INDEX)?.[0])
  const fields =
    caKey &&
    'modulus' in caKey &&
    recoverIssuerCertificate(caKey, value(TAG.ISSUER_CERTIFICATE) ?? new Uint8Array())
  const issuerKey =
    fields &&
    verifyIssuerCertificate(fields, {
      remainder: value(TAG.ISSUER_REMAINDER),
      exponent: value(TAG.ISSUER_EXPONENT),
      pan: fields.subject,
      today,
      isRevoked: () => false,
    })
  if (!fields || typeof issuerKey !== 'object') return false
  const signed = recoverSignedStaticData(issuerKey, value(TAG.SIGNED_STATIC_DATA) ?? new Uint8Array())
  const input = staticDataToAuthenticate(read.odaRecords, value(TAG.SDA_TAG_LIST), options.subarray(2, 4))
  if (!signed || !input || !verifySignedStaticData(signed, input)) return false
  // FF pads the identifier to eight digits.
  const issuer = toHex(fields.subject).replace(/F+$/, '')
  return toHex(value(TAG.PAN) ?? new Uint8Array()).startsWith(issuer)
    ? 'all'
    : 'all but the issuer identifier'
}

/** The day before the card's last: no image tells when it was made. */
function dayWithin(image: Vector): Date {
  const dates = image.applications.flatMap(({ files }: Vector) =>
    Object.values(files)
      .flatMap((file) => Object.values(file as Vector))
      .flatMap((record) => flatten(record as string))
      .filter(({ tag }: Vector) => tag === TAG.EXPIRATION_DATE)
      .map(({ value }: Vector) => toHex(value)),
  )
  const [yy, mm] = (dates.sort()[0] ?? '991231').match(/../g)!.map(Number)
  return new Date(2000 + yy! - 1, mm! - 1, 15)
}

const cardImage: Handler = async (image, file) => {
  const caKeys = file.document.capks.map(caKeyOf)
  const configuration: EmvConfiguration = {
    // SDA, DDA, CDA; offline PIN in clear.
    terminal: plainTerminal({ capabilities: fromHex('E0A8C8') }),
    applications: image.applications.map(({ aid }: Vector) => applicationRow({ aid, asi: 0 })),
    caKeys,
    revoked: new Set(),
  }
  const at = dayWithin(image)
  const listed = Object.values(Object.values(image.pseFiles as Vector)[0] as Vector)
    .flatMap((record) => flatten(record as string))
    .filter(({ tag }) => tag === TAG.ADF_NAME)
    .map(({ value }) => toHex(value))
  const list = await buildCandidateList(cardChannel(virtualCard(image)), {
    applications: configuration.applications,
    additionalCapabilities: configuration.terminal.additionalCapabilities,
  })
  const names = isEnd(list) ? list : list.candidates.map(({ aid }) => toHex(aid)).sort()
  const verdict = check([...listed].sort(), names)
  if (verdict.kind !== 'passed') return verdict
  for (const [index, application] of image.applications.entries()) {
    const data = new TransactionData()
    const first = await transactToFirstCryptogram(
      cardChannel(virtualCard(image)),
      data,
      configuration,
      { type: 0x00, amount: { minor: 1000n, currency: 'EUR' }, sequence: 1, at },
      plainServices({ pin: application.pin, chooseApplication: async () => indexOf(list, application.aid) }),
    )
    if (isEnd(first)) return check(`application ${index} runs`, first)
    const aip = data.need(TAG.AIP)
    const method = chooseOdaMethod(aip, configuration.terminal.capabilities)
    const chain =
      method === 'SDA'
        ? await signaturesHold(image, application.aid, caKeys, data.need(TAG.TRANSACTION_DATE))
        : undefined
    if (method === 'SDA' && chain === false) return check('a chain of signatures that holds', chain)
    // Book 2, 5.3, step 8: an issuer identifier that the PAN does not begin with fails, however well the rest holds.
    const failure = chain === 'all but the issuer identifier' ? 'issuer identifier' : undefined
    const got = {
      aid: toHex(data.need(TAG.DF_NAME)),
      oda: [first.oda.method, first.oda.failure],
      sdaFailed: hasBit(data.get(TAG.TVR), TVR.sdaFailed),
      odaPerformed: hasBit(data.get(TAG.TSI), TSI.odaPerformed),
      expired: hasBit(data.get(TAG.TVR), TVR.expired),
      cvmResults: toHex(data.need(TAG.CVM_RESULTS)),
      atc: toHex(data.need(TAG.ATC)),
    }
    const judged = check(
      {
        aid: application.aid,
        oda: [method, failure],
        sdaFailed: failure !== undefined,
        odaPerformed: method === 'SDA',
        expired: false,
        cvmResults: expectedCvm(data),
        atc: application.other.ATC,
      },
      got,
    )
    if (judged.kind !== 'passed') return judged
  }
  return verdict
}

function indexOf(list: Awaited<ReturnType<typeof buildCandidateList>>, aid: string): number {
  return isEnd(list) ? -1 : list.candidates.findIndex((candidate) => toHex(candidate.aid) === aid)
}

/**
 * 9F34 by the card's list (Book 4, 6.3.4.5): of the rules whose condition holds at an attended terminal without cash, the
 * first whose method this terminal has; the PIN is right, and a signature's result is unknown.
 */
function expectedCvm(data: TransactionData): string | undefined {
  const RESULTS: Readonly<Record<number, string>> = { 1: '02', 2: '00', 30: '00', 31: '02' }
  const list = data.card(TAG.CVM_LIST) ?? new Uint8Array()
  for (let at = 8; at < list.length; at += 2) {
    const [code, condition] = [list[at]!, list[at + 1]!]
    const result = RESULTS[code & 0x3f]
    const online = (code & 0x3f) === 0x02
    if (condition !== 0x00 && condition !== 0x03) continue
    if (result !== undefined && !online) return toHex(Uint8Array.of(code, condition)) + result
  }
  return '3F0001'
}

export const CARD_IMAGES: readonly Kind[] = [{ kind: 'card-images/*', handler: cardImage }]
