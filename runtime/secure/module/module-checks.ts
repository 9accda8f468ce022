// What the schemas can't say of a module's answers: that they agree with each other and hold no clear card data.
import { fromHex, toBcd, toHex } from '../../../hal/base/bytes.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import { scrubPans } from '../../../hal/base/log.js'
import type { Money } from '../../../hal/base/money.js'
import { TAG } from '../../../hal/base/tags.js'
import { findTlv, parseTlv, type Tlv } from '../../../hal/base/tlv.js'
import type { CardRequest } from '../card-transaction.js'
import type { ModuleFacts, ModuleFinal, ModuleStart } from './module-contract.js'

/**
 * Objects that never leave a module in clear: track 1 and 2 in each of their tags (56, 57, 9F1F, 9F20, 9F6B), PAN,
 * cardholder's name, expiry, PIN data (99). EMV Book 3, annex A; PCI PTS POI, card data in clear.
 */
const FORBIDDEN: ReadonlySet<number> = new Set([
  0x56, 0x57, 0x5a, 0x99, 0x5f20, 0x5f24, 0x9f0b, 0x9f1f, 0x9f20, 0x9f6b,
])

const refuse = (rule: string): never => {
  throw new PosternError('DEVICE_PROTOCOL', `the card module's answer is refused: ${rule}`, { rule })
}

/** @throws PosternError `DEVICE_PROTOCOL` naming the rule, never the value */
export function checkStart(
  outcome: ModuleStart,
  { type, amount }: Pick<CardRequest, 'type' | 'amount'>,
): void {
  switch (outcome.kind) {
    case 'online':
    case 'approvedOffline': {
      const { facts, de55, cardData, pinBlock } = outcome.authorisation
      const wanted = outcome.kind === 'online' ? 'ARQC' : 'TC'
      // A refund may have ended with the card before the host is asked.
      const refund = type === 'refund' && outcome.kind === 'online' && facts.cryptogramType === 'AAC'
      if (facts.cryptogramType !== wanted && !refund) refuse(`${outcome.kind} needs ${wanted}`)
      if ((cardData.bytes.length / 2) % 16 !== 0) refuse('card data are not whole AES blocks')
      if (pinBlock?.ksn === cardData.ksn) refuse('one key serial number twice')
      checkFacts(facts, outcome)
      checkDe55(de55, facts, amount)
      return
    }
    case 'stripe': {
      const { facts, de55, cardData, pinBlock } = outcome.authorisation
      if (facts.entryMode !== 'stripe') refuse('a stripe that is none')
      if (facts.cryptogramType !== 'none' || de55 !== '') refuse('a stripe with chip data')
      if ((cardData.bytes.length / 2) % 16 !== 0) refuse('card data are not whole AES blocks')
      if (pinBlock?.ksn === cardData.ksn) refuse('one key serial number twice')
      checkFacts(facts, outcome)
      return
    }
    case 'declinedOffline':
      if (scrubPans(outcome.reason) !== outcome.reason) refuse('a card number as reason')
      checkFacts(outcome.facts, outcome)
      checkDe55(outcome.de55, outcome.facts, amount)
      return
    case 'ended':
      if (outcome.facts !== undefined) checkFacts(outcome.facts, outcome)
  }
}

/** `first` are the facts of the start: the card can't have become another. @throws PosternError `DEVICE_PROTOCOL` */
export function checkFinal(
  outcome: ModuleFinal,
  amount: Money,
  first: Pick<ModuleFacts, 'aid' | 'maskedPan' | 'entryMode' | 'cryptogramType'>,
): void {
  const { facts } = outcome
  checkFacts(facts, outcome)
  if (facts.aid !== first.aid || facts.maskedPan !== first.maskedPan) refuse('another card than before')
  const stripe = facts.entryMode === 'stripe'
  if (stripe !== (first.entryMode === 'stripe')) refuse('another card than before')
  if (stripe && outcome.kind === 'approvedOffline') refuse('a stripe approves nothing')
  const ended = stripe || first.cryptogramType === 'AAC'
  if (outcome.kind.startsWith('approved') && !ended && facts.cryptogramType !== 'TC')
    refuse('approved needs TC')
  if (outcome.kind !== 'ended') checkDe55(outcome.de55, facts, amount)
}

function checkFacts(facts: ModuleFacts, outcome: unknown): void {
  const { maskedPan, bin, panLast4, label, aid } = facts
  if (!bin.startsWith(maskedPan.slice(0, 6)) || panLast4 !== maskedPan.slice(-4))
    refuse('BIN or last digits are not those of the masked PAN')
  // Eight digits beside the last four are allowed of a PAN of 16 and more (PCI DSS 3.4.1).
  if (bin.length > 6 && maskedPan.length < 16) refuse('too much of a short PAN')
  if (label !== aid && scrubPans(label) !== label) refuse('a card number as label')
  if (holdsPan(JSON.stringify(outcome), maskedPan)) refuse('the PAN in clear')
}

/** The digits that the masked PAN stands for, as text, as BCD in hex, or as ASCII in hex. */
function holdsPan(text: string, maskedPan: string): boolean {
  const hidden = maskedPan.length - 10
  const first = maskedPan.slice(0, 6)
  const last = maskedPan.slice(-4)
  const inAscii = (digits: string) => digits.replace(/[0-9]/g, '3$&')
  return new RegExp(
    `${first}[0-9]{${hidden}}${last}|${inAscii(first)}(3[0-9]){${hidden}}${inAscii(last)}`,
  ).test(text)
}

function checkDe55(hex: string, facts: ModuleFacts, amount: Money): void {
  let objects: readonly Tlv[]
  try {
    objects = parseTlv(fromHex(hex))
  } catch (error) {
    if (!isPosternError(error)) throw error
    return refuse('DE55 is no BER-TLV')
  }
  refuseForbidden(objects)
  const charged = findTlv(objects, TAG.AMOUNT)?.value
  if (charged !== undefined && toHex(charged) !== toHex(toBcd(amount.minor.toString(), 6)))
    refuse('another amount than was asked for')
  const cryptogram = findTlv(objects, TAG.CRYPTOGRAM)?.value
  if (cryptogram !== undefined && toHex(cryptogram) !== facts.cryptogram)
    refuse('facts and DE55 name two cryptograms')
}

function refuseForbidden(objects: readonly Tlv[]): void {
  for (const { tag, children } of objects) {
    if (FORBIDDEN.has(tag)) refuse(`DE55 with ${tag.toString(16).toUpperCase()}`)
    if (children !== undefined) refuseForbidden(children)
  }
}
