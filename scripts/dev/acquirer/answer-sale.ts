// 0200 at the development acquirer: card data and PIN opened, rules, the issuer's word, the ledger, the answer.
import { ascii, concat, erase, toHex } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import { maskPan } from '../../../hal/base/log.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import type { Message } from '../../../runtime/secure/payments/iso8583/codec.js'
import {
  decodeCardData,
  decodeSecurityControl,
} from '../../../runtime/secure/payments/iso8583/dialects/postern-dev-security.js'
import type { IssuerDecision } from '../issuer/issuer-host.js'
import { isStripe, refusedEntry } from './entry-mode.js'
import type { Entry } from './ledger.js'
import {
  type AcquirerOptions,
  bytesOf,
  decimal,
  ECHOED,
  echo,
  type Fields,
  type Reply,
  text,
} from './reply.js'
import { findRule, type Rule } from './rules.js'

/** PAN of track 2 equivalent data: the digits before the separator D (EMV Book 3, annex A, tag 57). */
function panOfTrack2(track2: Uint8Array): string {
  const pan = toHex(track2).split('D', 1)[0]!
  if (!/^[0-9]{8,19}$/.test(pan)) throw new PosternError('CARD_DATA_INVALID', 'track 2 holds no card number')
  return pan
}

/** DE55 of an answer: tag 91 and the script templates (EMV Book 3, annex A). */
function issuerData(decision: IssuerDecision, rule: Rule | undefined): Uint8Array {
  const given = decision.issuerAuthenticationData
  const data = rule?.issuerAnswer === 'wrong' ? given?.map((byte) => byte ^ 0xff) : given
  const first =
    data === undefined || rule?.issuerAnswer === 'none' ? new Uint8Array(0) : encodeTlv(0x91, data)
  return concat(first, ...decision.scripts)
}

/** Answers 0200. @throws PosternError of what could not be opened; nothing is booked then */
export function createSaleAnswer({
  keys,
  issuer,
  ledger,
  rules,
  clock,
  log,
}: AcquirerOptions): (message: Message) => Reply {
  function decideSale(message: Message): { entry: Entry; rule: Rule | undefined; de55: Uint8Array } {
    const amountMinor = decimal(text(message, 4))
    const identity = {
      terminalId: text(message, 41),
      stan: text(message, 11),
      transmitted: text(message, 7),
      amountMinor,
    }
    const booking = {
      ...identity,
      merchantId: text(message, 42).trimEnd(),
      currency: text(message, 49),
      batch: text(message, 60),
      receipt: text(message, 62),
      authorisationCode: null,
      reason: null,
      pinOk: null,
      cryptogramOk: null,
      receivedAtMs: clock.nowMs(),
      reversedAtMs: null,
    }
    const earlier = ledger.find(identity)
    if (earlier !== undefined) {
      // 94, duplicate transmission: it was answered before, or its reversal overtook it. No money moves.
      return { entry: { ...earlier, responseCode: '94' }, rule: undefined, de55: new Uint8Array(0) }
    }
    const control = decodeSecurityControl(bytesOf(message, 53))
    const cardData = decodeCardData(bytesOf(message, 48))
    for (const ksn of [cardData.ksn, ...(control.pinKsn === undefined ? [] : [control.pinKsn])]) {
      if (!ledger.useKsn(toHex(ksn)))
        throw new PosternError('KSN_REUSED', 'card data or PIN under a key that was used before', {
          ksn: toHex(ksn),
        })
    }
    const track2 = keys.decryptCardData(cardData)
    const pan = panOfTrack2(track2)
    const maskedPan = maskPan(pan)
    const rule = findRule(rules, { on: 'sale', amountMinor, pan, earlier: 0 })
    const entryMode = text(message, 22)
    const refused = refusedEntry({
      entryMode,
      hasChipData: bytesOf(message, 55).length > 0,
      hasFallbackReason: cardData.fallback !== undefined,
      track2: toHex(track2),
    })
    const decline = refused ?? rule?.decline
    if (decline !== undefined) {
      erase(track2)
      const entry = ledger.book({ ...booking, maskedPan, state: 'declined', responseCode: decline })
      return { entry, rule, de55: new Uint8Array(0) }
    }
    if (rule?.booked === false) {
      erase(track2)
      const entry: Entry = {
        ...booking,
        maskedPan,
        id: 0,
        state: 'declined',
        responseCode: '96',
        retrievalReference: '0'.repeat(12),
      }
      return { entry, rule, de55: new Uint8Array(0) }
    }
    const block = bytesOf(message, 52)
    let pin: Uint8Array | undefined
    try {
      if (block.length > 0) {
        if (control.pinKsn === undefined)
          throw new PosternError('PIN_BLOCK_INVALID', 'no KSN for the PIN block')
        pin = keys.decryptPin({ ksn: control.pinKsn, bytes: block }, ascii.encode(pan))
      }
      const decision = issuer.authorise({
        pan,
        panSequence: text(message, 23).slice(-2).padStart(2, '0'),
        track2,
        pin,
        de55: bytesOf(message, 55),
        stripe: isStripe(entryMode),
        amountMinor: BigInt(amountMinor),
        currencyNumeric: text(message, 49),
      })
      const approved = decision.responseCode === '00'
      const entry = ledger.book({
        ...booking,
        maskedPan,
        state: approved ? 'approved' : 'declined',
        responseCode: decision.responseCode,
        authorisationCode: approved ? String((clock.nowMs() % 899_999) + 100_000) : null,
        pinOk: decision.pinOk === undefined ? null : Number(decision.pinOk),
        cryptogramOk: decision.cryptogramOk === undefined ? null : Number(decision.cryptogramOk),
      })
      return { entry, rule, de55: issuerData(decision, rule) }
    } finally {
      erase(track2, pin)
    }
  }

  function sale(message: Message): Reply {
    const { entry, rule, de55 } = decideSale(message)
    const fields: Fields = {
      ...echo(message, ECHOED),
      37: entry.retrievalReference,
      39: entry.responseCode,
    }
    if (entry.responseCode === '00' && entry.authorisationCode !== null)
      fields['38'] = entry.authorisationCode
    if (de55.length > 0) fields['55'] = de55
    log.info('sale', {
      stan: entry.stan,
      amount: entry.amountMinor,
      card: entry.maskedPan,
      responseCode: entry.responseCode,
      rule: rule?.name ?? 'none',
      entryMode: text(message, 22),
      cryptogramOk: entry.cryptogramOk,
      pinOk: entry.pinOk,
    })
    return { fields, delivery: rule?.delivery ?? 'normal' }
  }

  return sale
}
