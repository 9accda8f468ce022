// Read application data: the AFL, its records, mandatory and redundant objects, the offline authentication input (EMV Book 3 v4.4, 10.2-10.3).
import { concat } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import type { Tlv } from '../../../hal/base/tlv.js'
import { type CardEnd, cardError } from './card-end.js'
import { childrenOf, tryParseTlv } from './card-tlv.js'
import { readRecord, SW } from './commands.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** One entry of the AFL (Book 3, 10.2): records `first` to `last` of a file; the first `authenticated` are signed. */
export interface AflEntry {
  readonly sfi: number
  readonly first: number
  readonly last: number
  readonly authenticated: number
}

/** 252 bytes hold 63 entries. NOTE: no bound on records is in the book; this is ten times the largest card seen. */
const MAX_RECORDS = 256
/** Files whose records are one template 70 by rule; those above are proprietary and may hold anything (Book 3, 5.3.2.3, 7.1 and 10.2). */
const LAST_EMV_SFI = 10

/** Bytes of 57 (Book 3, annex A1). */
const MAX_TRACK2 = 19

/** Must be there once all records are read (Book 3, 7.2, table 28). */
const MANDATORY = [TAG.EXPIRATION_DATE, TAG.PAN, TAG.CDOL1, TAG.CDOL2] as const

/**
 * Reads the AFL; undefined where any entry breaks a rule (Book 3, 7.5 and 10.2).
 * NOTE: bits 1 to 3 of the first byte are reserved and 6.3.6 has nobody verify such bits. They are zero on every card there
 * is, and other kernels refuse anything else; so does this one.
 */
export function parseAfl(afl: Uint8Array): AflEntry[] | undefined {
  if (afl.length === 0 || afl.length % 4 !== 0) return undefined
  const entries: AflEntry[] = []
  let records = 0
  for (let at = 0; at < afl.length; at += 4) {
    const sfi = afl[at]! >> 3
    const [first, last, authenticated] = [afl[at + 1]!, afl[at + 2]!, afl[at + 3]!]
    if ((afl[at]! & 0x07) !== 0 || sfi < 1 || sfi > 30) return undefined
    if (first === 0 || last < first || authenticated > last - first + 1) return undefined
    records += last - first + 1
    entries.push({ sfi, first, last, authenticated })
  }
  return records > MAX_RECORDS ? undefined : entries
}

/** What the records gave beside the data store. */
export interface RecordsRead {
  readonly kind: 'read'
  /** The data objects in order, duplicates kept. */
  readonly objects: readonly Tlv[]
  /** Signed records joined (Book 3, 10.3); undefined where one of them was not in template 70: then authentication fails. */
  readonly odaRecords: Uint8Array | undefined
}

/** Reads every record of an AFL, in its order. */
export async function readRecords(card: CardChannel, afl: Uint8Array): Promise<RecordsRead | CardEnd> {
  const entries = parseAfl(afl)
  if (!entries) return cardError('AFL breaks a rule of Book 3, 10.2')
  const objects: Tlv[] = []
  const signed: Uint8Array[] = []
  let odaUsable = true
  for (const entry of entries) {
    for (let number = entry.first; number <= entry.last; number++) {
      const answer = await card.exchange(readRecord(entry.sfi, number))
      if (answer.kind === 'end') return answer
      if (answer.sw !== SW.OK) return cardError('READ RECORD was not answered with 9000')
      const record = readTemplate(answer.data, entry.sfi)
      if (!record) return cardError('a record is not one template 70')
      objects.push(...record.objects)
      if (number - entry.first >= entry.authenticated) continue
      if (record.signed) signed.push(record.signed)
      else odaUsable = false
    }
  }
  return { kind: 'read', objects, odaRecords: odaUsable ? concat(...signed) : undefined }
}

/** What a record holds, and its part of what is authenticated; undefined where it ends the transaction. */
function readTemplate(
  record: Uint8Array,
  sfi: number,
): { objects: readonly Tlv[]; signed: Uint8Array | undefined } | undefined {
  const list = tryParseTlv(record)
  const template = list?.[0]
  if (sfi <= LAST_EMV_SFI) {
    if (template?.tag !== TAG.RECORD || list?.length !== 1) return undefined
    // 10.3: tag and length are left out, everything else of the answer is in.
    const at = template.value.byteOffset - record.byteOffset
    return { objects: childrenOf(template), signed: record.subarray(at) }
  }
  // 10.3: the whole record, and authentication fails where it does not begin with the template.
  if (template?.tag === TAG.RECORD)
    return { objects: [...childrenOf(template), ...list!.slice(1)], signed: record }
  // 7.5: a template that does not parse ends the transaction; another record is none of ours.
  return record[0] === TAG.RECORD ? undefined : { objects: [], signed: undefined }
}

/** Reads the application's data into the store and checks that nothing is missing or said twice. */
export async function readApplicationData(
  card: CardChannel,
  data: TransactionData,
): Promise<RecordsRead | CardEnd> {
  const afl = data.card(TAG.AFL)
  if (!afl) return cardError('no AFL')
  const read = await readRecords(card, afl)
  if (read.kind === 'end') return read
  for (const object of read.objects) {
    if (!object.children && !data.addFromCard(object.tag, object.value))
      return cardError('a data object stands twice (Book 3, 10.2)')
  }
  const track2 = data.card(TAG.TRACK2)
  if (track2 && track2.length > MAX_TRACK2) return cardError('57 is longer than 19 bytes (Book 3, annex A1)')
  for (const tag of MANDATORY) {
    const value = data.card(tag)
    if (!value || value.length === 0) return cardError('a mandatory data object is missing (Book 3, 7.2)')
  }
  return read
}
