// GENERATE AC (EMV Book 3, 6.5.5 and 10.8): the card's own risk management, cryptograms, CDA and XDA, verification results.
import { ascii, concat } from '../../../../hal/base/bytes.js'
import { sha1 } from '../../../../hal/base/ciphers.js'
import { encodeTlv } from '../../../../hal/base/tlv.js'
import { CRYPTOGRAM_DOL } from '../application-data.js'
import {
  issuerApplicationData,
  issuerApproves,
  makeCryptogram,
  verifyIssuerAuthentication,
} from '../cryptogram-data.js'
import { type DolEntry, dolLength, dolValue } from '../dol.js'
import { ecSign } from '../ec-key.js'
import { APPROVAL_CODES } from '../scheme.js'
import { answer, type Command, type Response, SW, status } from './apdu.js'
import { signDynamicData } from './authenticate.js'
import { type CardContext, current } from './session.js'
import { logTransaction } from './transaction-log.js'

/** Cryptogram types, bits 8 and 7 of P1 and of the CID (Book 3, tables 12 and 15). */
const AAC = 0
const TC = 1
const ARQC = 2
/** Bits 5 and 4 of P1: the signature asked for (Book 3, table 12). */
const SIGNATURE_MASK = 0x18
const SIGNATURES: Readonly<Record<number, 'cda' | 'xda'>> = { 16: 'cda', 8: 'xda' }

/** Signed data format of XDA (Book 2, tables 37 and 38). */
const XDA_FORMAT = 0x15

type Found = NonNullable<ReturnType<typeof current>>

/** GENERATE AC, first or second of the transaction. */
export function generateAc(context: CardContext, command: Command): Response {
  const found = current(context)
  if (found === undefined) return status(SW.conditions)
  const asked = command.p1 >> 6
  if (asked > ARQC || (command.p1 & 0x27) !== 0 || command.p2 !== 0) return status(SW.wrongParameters)
  const { transaction, application } = found
  const signs = SIGNATURES[command.p1 & SIGNATURE_MASK] === application.profile.authentication
  if (transaction.stage === 'initiated') {
    if (command.data.length !== dolLength(application.cdol1)) return status(SW.wrongLength)
    return first(context, found, asked, command.data, signs)
  }
  if (transaction.stage === 'firstDone' && transaction.arqc !== undefined) {
    if (asked === ARQC) return status(SW.wrongParameters)
    if (command.data.length !== dolLength(application.cdol2)) return status(SW.wrongLength)
    return second(context, found, asked, command.data, signs)
  }
  return status(SW.conditions)
}

function amountOf(dol: readonly DolEntry[], data: Uint8Array): number {
  return Number(Buffer.from(dolValue(dol, data, 0x9f02) ?? new Uint8Array(6)).toString('hex'))
}

/** The card's own decision at the first cryptogram: never above what the terminal asks. */
function decideFirst({ application, state }: Found, asked: number, data: Uint8Array): number {
  const { risk } = application.profile
  if (asked === AAC || state.blocked || risk.first === 'decline') return AAC
  if (asked === ARQC || risk.first === 'online') return ARQC
  const offlineInRow = state.atc - state.lastOnlineAtc
  const over =
    amountOf(application.cdol1, data) > (risk.offlineLimitMinor ?? 0) ||
    offlineInRow > (limitOf(state.data['9F14']) ?? risk.lowerOffline ?? 255)
  return over ? ARQC : TC
}

const limitOf = (hex: string | undefined): number | undefined =>
  hex === undefined ? undefined : Number.parseInt(hex, 16)

function first(
  context: CardContext,
  found: Found,
  asked: number,
  data: Uint8Array,
  signs: boolean,
): Response {
  const { transaction, state, application } = found
  const type = decideFirst(found, asked, data)
  transaction.cdol1Data = data
  transaction.firstCryptogramType = type
  const verification = verificationResults(context, found, undefined)
  transaction.stage = type === ARQC ? 'firstDone' : 'finalDone'
  if (type === ARQC) state.onlineNotCompleted = true
  else logTransaction(state, application.cdol1, data, type << 6)
  const cryptogram = cryptogramOf(found, application.cdol1, data, verification)
  if (type === ARQC) transaction.arqc = cryptogram
  const covers = concat(transaction.pdolData, data)
  const signature = signs
    ? { covers, ownCommand: covers, unpredictable: unpredictableOf(application.cdol1, data) }
    : undefined
  return respond(context, found, type, cryptogram, verification, signature)
}

function decideSecond({ application, state, transaction }: Found, asked: number, data: Uint8Array): number {
  const { risk } = application.profile
  if (asked === AAC || state.blocked) return AAC
  const code = ascii.decode(dolValue(application.cdol2, data, 0x8a) ?? new Uint8Array(2))
  const unable = code === 'Y3' || code === 'Z3'
  if (unable) {
    const upper = limitOf(state.data['9F23']) ?? risk.upperOffline ?? 255
    return risk.whenUnable === 'approve' && state.atc - state.lastOnlineAtc <= upper ? TC : AAC
  }
  if (!APPROVAL_CODES.includes(code)) return AAC
  const { issuerAuthentication } = transaction
  if (issuerAuthentication === 'failed') return AAC
  if (issuerAuthentication === 'passed' && !transaction.issuerApproved) return AAC
  return issuerAuthentication === 'notDone' && risk.issuerAuthenticationMandatory ? AAC : TC
}

function second(
  context: CardContext,
  found: Found,
  asked: number,
  data: Uint8Array,
  signs: boolean,
): Response {
  const { application, state, transaction } = found
  authenticateIssuerInline(found, data)
  const type = decideSecond(found, asked, data)
  const verification = verificationResults(context, found, type)
  transaction.stage = 'finalDone'
  state.onlineNotCompleted = false
  if (transaction.issuerAuthentication === 'passed') state.lastOnlineAtc = state.atc
  state.scriptFailed = false
  logTransaction(state, application.cdol2, data, type << 6)
  const cryptogram = cryptogramOf(found, application.cdol2, data, verification)
  const signature = signs
    ? {
        covers: concat(transaction.pdolData, transaction.cdol1Data, data),
        ownCommand: data,
        unpredictable: unpredictableOf(application.cdol2, data),
      }
    : undefined
  return respond(context, found, type, cryptogram, verification, signature)
}

/** Tag 91 within CDOL2 (Book 3, 10.9): all zeros where the issuer sent none. */
function authenticateIssuerInline({ application, state, transaction }: Found, data: Uint8Array): void {
  if (application.profile.issuerAuthentication !== 'inGenerateAc') return
  const given = dolValue(application.cdol2, data, 0x91)
  if (given === undefined || given.every((byte) => byte === 0)) return
  const right = verifyIssuerAuthentication({
    version: application.profile.cryptogramVersion,
    cardKey: application.keys.cryptogram,
    atc: state.atc,
    arqc: transaction.arqc!,
    data: given,
  })
  transaction.issuerAuthentication = right ? 'passed' : 'failed'
  transaction.issuerApproved = right && issuerApproves(application.profile.cryptogramVersion, given)
}

/**
 * Card verification results, 3 bytes: byte 1 second and first cryptogram's type, issuer authentication failed, offline PIN
 * done and failed, unable online; byte 2 last online not completed, tries exceeded, new card; byte 3 scripts, DDA done.
 */
function verificationResults(context: CardContext, found: Found, secondType: number | undefined): Uint8Array {
  const { transaction, state } = found
  const bit = (is: boolean, value: number) => (is ? value : 0)
  return Uint8Array.of(
    ((secondType ?? 2) << 6) |
      (transaction.firstCryptogramType << 4) |
      bit(transaction.issuerAuthentication === 'failed', 0x08) |
      bit(transaction.offlinePin !== 'notTried', 0x04) |
      bit(transaction.offlinePin === 'failed', 0x02),
    bit(state.onlineNotCompleted && secondType === undefined, 0x80) |
      bit(context.state.pinTries === 0, 0x40) |
      bit(state.lastOnlineAtc === 0, 0x10),
    (Math.min(transaction.scriptCommands, 15) << 4) |
      bit(state.scriptFailed, 0x08) |
      bit(transaction.dynamicAuthenticationDone, 0x02),
  )
}

function cryptogramOf(
  { application, state }: Found,
  dol: readonly DolEntry[],
  data: Uint8Array,
  verification: Uint8Array,
): Uint8Array {
  const cryptogram = makeCryptogram({
    version: application.profile.cryptogramVersion,
    cardKey: application.keys.cryptogram,
    terminalData: concat(
      ...CRYPTOGRAM_DOL.map(({ tag, length }) => dolValue(dol, data, tag) ?? new Uint8Array(length)),
    ),
    aip: application.aip,
    atc: state.atc,
    issuerApplicationData: issuerApplicationData(application.profile.cryptogramVersion, verification),
  })
  if (application.profile.faults?.includes('cryptogram')) cryptogram[0]! ^= 0x01
  return cryptogram
}

/** What a signature covers: with CDA everything so far, with XDA the first command with the PDOL's data or the second alone. */
interface Signature {
  readonly covers: Uint8Array
  readonly ownCommand: Uint8Array
  readonly unpredictable: Uint8Array
}

/** Format 1, format 2, or with a signature format 2: with CDA the cryptogram inside it (Book 2, 6.6.1), with XDA beside it (12.5.2). */
function respond(
  context: CardContext,
  { application, state }: Found,
  type: number,
  cryptogram: Uint8Array,
  verification: Uint8Array,
  signature: Signature | undefined,
): Response {
  const information = Uint8Array.of(type << 6)
  const atc = Uint8Array.of(state.atc >> 8, state.atc & 0xff)
  const own = issuerApplicationData(application.profile.cryptogramVersion, verification)
  const { eccKey } = application
  if (signature && eccKey) {
    const open = concat(
      encodeTlv(0x9f27, information),
      encodeTlv(0x9f36, atc),
      encodeTlv(0x9f26, cryptogram),
      encodeTlv(0x9f10, own),
    )
    const signed = ecSign(eccKey, concat(Uint8Array.of(XDA_FORMAT), signature.ownCommand, open))
    if (application.profile.faults?.includes('dynamicSignature')) signed[signed.length - 1]! ^= 0x01
    return answer(encodeTlv(0x77, concat(open, encodeTlv(0x9f4b, concat(Uint8Array.of(XDA_FORMAT), signed)))))
  }
  if (signature === undefined || type === AAC) {
    return answer(
      application.profile.responseFormat === 1
        ? encodeTlv(0x80, concat(information, atc, cryptogram, own))
        : encodeTlv(
            0x77,
            concat(
              encodeTlv(0x9f27, information),
              encodeTlv(0x9f36, atc),
              encodeTlv(0x9f26, cryptogram),
              encodeTlv(0x9f10, own),
            ),
          ),
    )
  }
  const open = concat(encodeTlv(0x9f27, information), encodeTlv(0x9f36, atc))
  const tail = encodeTlv(0x9f10, own)
  const number = context.random(8)
  const dynamicData = concat(
    Uint8Array.of(number.length),
    number,
    information,
    cryptogram,
    sha1(signature.covers, open, tail),
  )
  const signed = signDynamicData(application, dynamicData, signature.unpredictable)
  return answer(encodeTlv(0x77, concat(open, encodeTlv(0x9f4b, signed), tail)))
}

const unpredictableOf = (dol: readonly DolEntry[], data: Uint8Array): Uint8Array =>
  dolValue(dol, data, 0x9f37) ?? new Uint8Array(4)
