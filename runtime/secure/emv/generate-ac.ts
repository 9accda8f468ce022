// GENERATE AC: CDOL data, TC hash, both answer formats, and the check of its signature, CDA or XDA
// (EMV Book 3 v4.4, 6.5.5, 9 and 10.8; Book 2, 6.6 and 12.5).
import { concat } from '../../../hal/base/bytes.js'
import { sha1 } from '../../../hal/base/ciphers.js'
import { TAG } from '../../../hal/base/tags.js'
import type { Tlv } from '../../../hal/base/tlv.js'
import { type CardEnd, cardError } from './card-end.js'
import { childrenOf, tryParseTlv } from './card-tlv.js'
import { type CryptogramType, generateAc, SW } from './commands.js'
import { dolHas, tryBuildDolData } from './dol.js'
import { recoverSignedDynamicData, verifyCombined } from './dynamic-data-authentication.js'
import type { EcKey } from './ec-sdsa.js'
import { verifyXdaSignature, xdaHasFailed } from './extended-data-authentication.js'
import type { SignatureRequest } from './signature-request.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** What the card answered. */
export interface GeneratedCryptogram {
  readonly kind: 'cryptogram'
  readonly type: CryptogramType
  /** CID bit 4: an advice is asked for. */
  readonly adviceRequired: boolean
  /** CID bits 1-3 (Book 3, table 15): 1 service not allowed, 2 PIN try limit, 3 issuer authentication failed. */
  readonly reason: number
  /** True where CDA was asked for and the signature does not hold. */
  readonly cdaFailed: boolean
  /** True where XDA was selected and CA key, key recovery or this answer's signature failed, unless at an earlier command. */
  readonly xdaFailed: boolean
  /** The CDOL's data of this command, for the hash of the next (Book 2, 6.6.2). */
  readonly dolData: Uint8Array
}

export interface CryptogramRequest extends SignatureRequest {
  readonly type: CryptogramType
  /** CDOL1 for the first, CDOL2 for the second. */
  readonly cdol: typeof TAG.CDOL1 | typeof TAG.CDOL2
  readonly defaultTdol: Uint8Array | undefined
}

const CID_TYPE_MASK = 0xc0
const TYPES: Readonly<Record<number, CryptogramType>> = { 0: 'AAC', 64: 'TC', 128: 'ARQC' }
/** A card may answer what was asked or something more cautious (Book 3, 9.3). */
const RANK: Readonly<Record<CryptogramType, number>> = { AAC: 0, ARQC: 1, TC: 2 }

/** Asks for a cryptogram and stores 9F27, 9F36, 9F26, 9F10; a signature that fails sets the TVR. */
export async function generateCryptogram(
  card: CardChannel,
  data: TransactionData,
  request: CryptogramRequest,
): Promise<GeneratedCryptogram | CardEnd> {
  const { xda } = request
  // 6.6: CDA is never asked for with an AAC.
  const cda = request.type === 'AAC' ? undefined : request.cda
  const dolData = cdolData(data, request)
  if (!dolData) return cardError('CDOL is malformed or asks for more than an APDU carries')
  const answer = await card.exchange(generateAc(request.type, xda ? 'XDA' : cda ? 'CDA' : 'none', dolData))
  if (answer.kind === 'end') return answer
  if (answer.sw !== SW.OK) return cardError('GENERATE AC was not answered with 9000')
  const list = tryParseTlv(answer.data)
  if (list?.length !== 1) return cardError('GENERATE AC answered no single template')
  const template = list[0]!
  const fields = readAnswer(template)
  if (typeof fields === 'string') return cardError(fields)
  const cid = fields.get(TAG.CID)![0]!
  const second = request.cdol === TAG.CDOL2
  const type = cryptogramType(cid, request.type, second)
  if (!type) return cardError('GENERATE AC: the card answered a cryptogram that it may not')
  const failedBefore = second && xdaHasFailed(data)
  for (const [tag, value] of fields) data.updateFromCard(tag, value)
  data.performed('cardRiskManagementPerformed')
  // Book 4, 6.3.2.2.2: only now may the TVR show that the card's key could not be had.
  if (xda && !second && !xda.key && !data.has('caEccKeyMissing')) data.raise('eccKeyRecoveryFailed')
  if (xda) data.performed('odaPerformed')
  if (!cda || type === 'AAC') {
    // Without CDA the cryptogram must stand in clear (table 21; with XDA, Book 2, table 39).
    if (fields.get(TAG.CRYPTOGRAM)?.length !== 8) return cardError('GENERATE AC: no cryptogram')
  }
  const signed = { template, fields, cid, dolData, second }
  if (type !== 'AAC') {
    if (cda) checkCda(data, cda, signed)
    if (xda?.key) checkXda(data, { ...xda, key: xda.key }, signed)
  }
  return {
    kind: 'cryptogram',
    type,
    adviceRequired: (cid & 0x08) !== 0,
    reason: cid & 0x07,
    cdaFailed: cda !== undefined && type !== 'AAC' && data.has('cdaFailed'),
    xdaFailed: xda !== undefined && !failedBefore && xdaHasFailed(data),
    dolData,
  }
}

/**
 * The cryptogram that a CID tells (Book 3, 9.3): more than was asked for, or no known type, is the card's mistake, which
 * ends the transaction at the first GENERATE AC and counts as an AAC at the second.
 */
function cryptogramType(cid: number, asked: CryptogramType, second: boolean): CryptogramType | undefined {
  const type = TYPES[cid & CID_TYPE_MASK]
  const allowed = type !== undefined && RANK[type] <= RANK[asked] && !(second && type === 'ARQC')
  return allowed ? type : second ? 'AAC' : undefined
}

/** The data of the CDOL, with the TC hash value where it is asked for (Book 3, 9.2.2). */
function cdolData(data: TransactionData, request: CryptogramRequest): Uint8Array | undefined {
  const cdol = data.need(request.cdol)
  const lookUp = (tag: number) => data.get(tag)
  if (dolHas(cdol, TAG.TC_HASH)) {
    const own = data.card(TAG.TDOL)
    if (!own) data.raise('defaultTdolUsed')
    const hashed = tryBuildDolData(own ?? request.defaultTdol ?? new Uint8Array(), lookUp)
    if (!hashed) return undefined
    data.set(TAG.TC_HASH, sha1(hashed))
  }
  return tryBuildDolData(cdol, lookUp)
}

/** Data objects of either format; a text says what is wrong. */
function readAnswer(template: Tlv): Map<number, Uint8Array> | string {
  const fields = new Map<number, Uint8Array>()
  if (template.tag === TAG.RESPONSE_FORMAT_1) {
    const { value } = template
    if (value.length < 11 || value.length > 43) return 'GENERATE AC, format 1: length'
    fields.set(TAG.CID, value.subarray(0, 1))
    fields.set(TAG.ATC, value.subarray(1, 3))
    fields.set(TAG.CRYPTOGRAM, value.subarray(3, 11))
    if (value.length > 11) fields.set(TAG.ISSUER_APPLICATION_DATA, value.subarray(11))
    return fields
  }
  if (template.tag !== TAG.RESPONSE_FORMAT_2) return 'GENERATE AC answered neither format'
  for (const item of childrenOf(template)) {
    if (item.children) continue
    if (fields.has(item.tag)) return 'GENERATE AC, format 2: a data object stands twice'
    fields.set(item.tag, item.value)
  }
  if (fields.get(TAG.CID)?.length !== 1) return 'GENERATE AC, format 2: no cryptogram information data'
  if (fields.get(TAG.ATC)?.length !== 2) return 'GENERATE AC, format 2: no ATC'
  const iad = fields.get(TAG.ISSUER_APPLICATION_DATA)
  if (iad && iad.length > 32) return 'GENERATE AC, format 2: issuer application data too long'
  return fields
}

/** An answer, and the command's data, as their signatures cover them. */
interface SignedAnswer {
  readonly template: Tlv
  readonly fields: ReadonlyMap<number, Uint8Array>
  readonly cid: number
  readonly dolData: Uint8Array
  readonly second: boolean
}

/** Book 2, 6.6.2. Facts and reports need a cryptogram even where it failed: the one in clear, if any, is all there is. */
function checkCda(
  data: TransactionData,
  cda: NonNullable<SignatureRequest['cda']>,
  answer: SignedAnswer,
): void {
  data.performed('odaPerformed')
  if (cdaHolds(data, cda, answer)) return
  data.raise('cdaFailed')
  if (answer.fields.get(TAG.CRYPTOGRAM)?.length !== 8) data.updateFromCard(TAG.CRYPTOGRAM, new Uint8Array(8))
}

function cdaHolds(
  data: TransactionData,
  cda: NonNullable<SignatureRequest['cda']>,
  { template, fields, cid, dolData }: SignedAnswer,
): boolean {
  const signature = fields.get(TAG.SIGNED_DYNAMIC_DATA)
  if (template.tag !== TAG.RESPONSE_FORMAT_2 || !signature) return false
  const combined = data.judge('combined data', () => {
    const signed = recoverSignedDynamicData(cda.key, signature)
    if (!signed) return undefined
    const result = verifyCombined(signed, {
      unpredictableNumber: data.need(TAG.UNPREDICTABLE_NUMBER),
      dolData: [...cda.earlierDolData, dolData],
      responseObjects: objectsWithout(template, TAG.SIGNED_DYNAMIC_DATA),
      cid,
    })
    if (typeof result === 'string') return undefined
    return { cryptogram: result.cryptogram, iccDynamicNumber: signed.iccDynamicNumber }
  })
  if (!combined) return false
  data.updateFromCard(TAG.CRYPTOGRAM, combined.cryptogram)
  data.updateFromCard(TAG.ICC_DYNAMIC_NUMBER, combined.iccDynamicNumber)
  return true
}

/** Book 2, 12.5.3; the second signature covers the second command alone (table 37). */
function checkXda(
  data: TransactionData,
  xda: { readonly key: EcKey; readonly earlierDolData: readonly Uint8Array[] },
  { template, fields, dolData, second }: SignedAnswer,
): void {
  const signature = fields.get(TAG.SIGNED_DYNAMIC_DATA)
  const holds =
    template.tag === TAG.RESPONSE_FORMAT_2 &&
    signature !== undefined &&
    data.judge('XDA signature', () =>
      verifyXdaSignature(
        xda.key,
        signature,
        second ? [dolData] : [...xda.earlierDolData, dolData],
        objectsWithout(template, TAG.SIGNED_DYNAMIC_DATA),
      ),
    )
  if (!holds) data.raise('xdaFailed')
}

/** The template's bytes as received, without one object: its tag and length may be coded as the card liked. */
function objectsWithout(template: Tlv, tag: number): Uint8Array {
  const { value } = template
  const parts: Uint8Array[] = []
  let at = 0
  for (const item of childrenOf(template)) {
    const end = item.value.byteOffset - value.byteOffset + item.value.length
    if (item.tag !== tag) parts.push(value.subarray(at, end))
    at = end
  }
  return concat(...parts)
}
