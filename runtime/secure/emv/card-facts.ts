// What leaves the kernel: facts for screens and receipts, DE55 for the host (EMV Book 4 v4.4, 12.1 and annex A; PCI DSS 3.4.1).
import { ascii, concat, erase, toHex } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import type { CardFacts } from '../card-transaction.js'
import type { CryptogramType } from './commands.js'
import { panDigits, type TransactionData } from './transaction-data.js'

/** Issuer script results as schemes number them; EMV gives the object no tag (Book 4, annex A5). */
const SCRIPT_RESULTS = 0x9f5b

/** DE55's objects in order: the cryptogram, its inputs, and what the issuer needs to judge them. Never 57, 5A, 5F20, 5F24. */
const DE55 = [
  TAG.CRYPTOGRAM,
  TAG.CID,
  TAG.ISSUER_APPLICATION_DATA,
  TAG.UNPREDICTABLE_NUMBER,
  TAG.ATC,
  TAG.TVR,
  TAG.TRANSACTION_DATE,
  TAG.TRANSACTION_TYPE,
  TAG.AMOUNT,
  TAG.TRANSACTION_CURRENCY,
  TAG.AIP,
  TAG.TERMINAL_COUNTRY,
  TAG.AMOUNT_OTHER,
  TAG.TERMINAL_CAPABILITIES,
  TAG.CVM_RESULTS,
  TAG.TERMINAL_TYPE,
  TAG.IFD_SERIAL,
  TAG.DF_NAME,
  TAG.TERMINAL_VERSION,
  TAG.SEQUENCE_COUNTER,
  TAG.PAN_SEQUENCE,
  TAG.TSI,
] as const
/** What the advice or reversal after the second cryptogram says beside them. */
const FINAL = [TAG.RESPONSE_CODE] as const

/** Fourteen scripts' results: what the other objects leave of 255 bytes. */
const MAX_SCRIPT_RESULTS = 70

/** BER-TLV for DE55, at most 255 bytes of it from this terminal's objects. */
export function buildDe55(data: TransactionData, final?: { scriptResults: Uint8Array }): Uint8Array {
  const parts: Uint8Array[] = []
  for (const tag of final ? [...DE55, ...FINAL] : DE55) {
    const value = data.get(tag)
    if (value) parts.push(encodeTlv(tag, value))
  }
  if (final && final.scriptResults.length > 0)
    parts.push(encodeTlv(SCRIPT_RESULTS, final.scriptResults.subarray(0, MAX_SCRIPT_RESULTS)))
  return concat(...parts)
}

/** The facts once a cryptogram is there; undefined where the PAN is none. */
export function cardFacts(
  data: TransactionData,
  name: string,
  cvm: CardFacts['cvm'],
  cryptogramType: CryptogramType,
): CardFacts | undefined {
  const pan = data.card(TAG.PAN)
  const digits = pan && panDigits(pan)
  if (!digits || digits.length < 10) return undefined
  const part = (from: number, to?: number) => ascii.decode(digits.subarray(from, to))
  const hex = (tag: number) => toHex(data.need(tag))
  const sequence = data.card(TAG.PAN_SEQUENCE)
  const facts: CardFacts = {
    aid: hex(TAG.AID),
    label: name,
    maskedPan: `${part(0, 6)}${'*'.repeat(Math.max(0, digits.length - 10))}${part(digits.length - 4)}`,
    // Eight digits are a BIN since ISO/IEC 7812-1:2017, and with the last four all that may be shown of 16.
    bin: part(0, digits.length >= 16 ? 8 : 6),
    panLast4: part(digits.length - 4),
    panSequence: sequence?.length === 1 ? toHex(sequence) : undefined,
    entryMode: 'chip',
    cvm,
    tvr: hex(TAG.TVR),
    tsi: hex(TAG.TSI),
    atc: hex(TAG.ATC),
    cryptogram: hex(TAG.CRYPTOGRAM),
    cryptogramType,
  }
  erase(digits)
  return facts
}
