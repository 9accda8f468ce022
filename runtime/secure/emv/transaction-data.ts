// The transaction's data objects: what the card gave, what the terminal holds, and the results TVR, TSI (EMV Book 3 v4.4, 7).
import { concat, erase } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import { TAG } from '../../../hal/base/tags.js'
import { tagName } from '../../../hal/base/tlv.js'
import { directly, type SignatureJudge } from './signature-judge.js'
import { hasBit, TSI, type TsiBit, TVR, type TvrBit } from './verification-results.js'

/** Tags whose bytes identify the card or its holder: wiped by `erase`. */
const SENSITIVE = [TAG.TRACK2, TAG.PAN, TAG.CARDHOLDER_NAME, TAG.EXPIRATION_DATE, 0x9f0b, 0x9f1f, 0x9f20]

/**
 * Two stores under one look-up. Where both know a tag the terminal's wins: a card cannot replace our amount or
 * unpredictable number by sending that tag in a record.
 */
export class TransactionData {
  readonly #terminal = new Map<number, Uint8Array>()
  readonly #card = new Map<number, Uint8Array>()

  /** Every check of a certificate or signature goes through it. */
  readonly judge: SignatureJudge

  constructor(judge: SignatureJudge = directly) {
    this.judge = judge
    this.resetResults()
  }

  /** TVR and TSI to zero (Book 3, 10.1: at the start of each application). */
  resetResults(): void {
    this.#terminal.set(TAG.TVR, new Uint8Array(5))
    this.#terminal.set(TAG.TSI, new Uint8Array(2))
  }

  /** The value of a data object, terminal before card; undefined where nobody has it. */
  get(tag: number): Uint8Array | undefined {
    return this.#terminal.get(tag) ?? this.#card.get(tag)
  }

  /** What the card said, whatever the terminal holds. */
  card(tag: number): Uint8Array | undefined {
    return this.#card.get(tag)
  }

  /** A value that an earlier step has made sure of. @throws PosternError `EMV_DATA_MISSING`, a defect of the kernel */
  need(tag: number): Uint8Array {
    const value = this.get(tag)
    if (!value)
      throw new PosternError('EMV_DATA_MISSING', `no ${tagName(tag)} at this step`, { tag: tagName(tag) })
    return value
  }

  /** Sets a terminal or issuer data object. */
  set(tag: number, value: Uint8Array): void {
    this.#terminal.set(tag, value)
  }

  /** Sets what the card gave. False if it had given that tag before (Book 3, 10.2: redundant data end the transaction). */
  addFromCard(tag: number, value: Uint8Array): boolean {
    if (this.#card.has(tag)) return false
    this.#card.set(tag, value)
    return true
  }

  /** As `addFromCard` for objects that a later answer may state anew: 9F27, 9F36, 9F26, 9F10, 9F17… */
  updateFromCard(tag: number, value: Uint8Array): void {
    this.#card.set(tag, value)
  }

  /** Forgets the card's objects: another application is tried. */
  clearCard(): void {
    this.eraseCard()
    this.#card.clear()
  }

  /** Tags that the card gave, in order. */
  cardTags(): number[] {
    return [...this.#card.keys()]
  }

  raise(which: TvrBit): void {
    this.#or(TAG.TVR, TVR[which].byte, TVR[which].mask)
  }

  /** Takes a TVR bit back; only for the few that a later step may correct. */
  clear(which: TvrBit): void {
    const value = Uint8Array.from(this.need(TAG.TVR))
    value[TVR[which].byte - 1]! &= ~TVR[which].mask
    this.#terminal.set(TAG.TVR, value)
  }

  has(which: TvrBit): boolean {
    return hasBit(this.get(TAG.TVR), TVR[which])
  }

  performed(which: TsiBit): void {
    this.#or(TAG.TSI, TSI[which].byte, TSI[which].mask)
  }

  #or(tag: number, byte: number, mask: number): void {
    // A new array each time: whoever holds the old one (a trace, a hash input) keeps what it saw.
    const value = Uint8Array.from(this.need(tag))
    value[byte - 1]! |= mask
    this.#terminal.set(tag, value)
  }

  /** Overwrites PAN, track 2, name and dates. */
  eraseCard(): void {
    erase(...SENSITIVE.map((tag) => this.#card.get(tag)))
  }
}

/** A number as the books' binary formats have it, big endian. */
export function toUint(value: bigint | number, length: number): Uint8Array {
  const out = new Uint8Array(length)
  let rest = BigInt(value)
  for (let i = length - 1; i >= 0; i--) {
    out[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return out
}

/** Big endian bytes as a number; at most 6 bytes. */
export function fromUint(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0)
}

/** The PAN's digits as ASCII, padding F stripped; undefined where a nibble is no digit. The caller erases it. */
export function panDigits(pan: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(pan.length * 2)
  let length = 0
  let padded = false
  for (const byte of pan) {
    for (const nibble of [byte >> 4, byte & 0x0f]) {
      if (nibble === 0x0f) padded = true
      else if (nibble > 9 || padded) return undefined
      else out[length++] = 0x30 + nibble
    }
  }
  const digits = out.slice(0, length)
  erase(out)
  return digits
}

/** Card data for the data key: tag 57, or what it would hold, made of PAN, expiry and service code. */
export function track2Equivalent(data: TransactionData): Uint8Array {
  const given = data.card(TAG.TRACK2)
  if (given && given.length > 0) return Uint8Array.from(given)
  // NOTE: Book 3, annex A1 makes 57 optional. Without it the same fields are put together, discretionary data left out.
  const digits = panDigits(data.need(TAG.PAN)) ?? new Uint8Array()
  const nibbles = [...digits].map((digit) => digit - 0x30)
  erase(digits)
  nibbles.push(0x0d)
  // Of another length than the book's they would shift what follows: zeros stand for them.
  const twoOf = (tag: number, length: number) => {
    const value = data.card(tag)
    return value?.length === length ? value.subarray(0, 2) : new Uint8Array(2)
  }
  for (const byte of concat(twoOf(TAG.EXPIRATION_DATE, 3), twoOf(TAG.SERVICE_CODE, 2)))
    nibbles.push(byte >> 4, byte & 0x0f)
  // The service code is n3 in two bytes: its leading zero is no part of track 2.
  nibbles.splice(nibbles.length - 4, 1)
  if (nibbles.length % 2 !== 0) nibbles.push(0x0f)
  const out = new Uint8Array(nibbles.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = (nibbles[i * 2]! << 4) | nibbles[i * 2 + 1]!
  nibbles.fill(0)
  return out
}
