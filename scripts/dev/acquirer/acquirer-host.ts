// The development acquirer's mind: one request in, one answer and its way out. Checks MAC, PIN block, cryptogram for real.
import { ascii, concat, erase, toHex } from '../../../hal/base/bytes.js'
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import { type Log, maskPan } from '../../../hal/base/log.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import { type Message, unpack } from '../../../runtime/secure/payments/iso8583/codec.js'
import {
  NETWORK_CODES,
  netSettlement,
  POSTERN_DEV,
  readOriginalDataElements,
  SETTLEMENT_CODES,
} from '../../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import {
  decodeCardData,
  decodeSecurityControl,
  encodeSecurityControl,
} from '../../../runtime/secure/payments/iso8583/dialects/postern-dev-security.js'
import { packWithMac, splitMac } from '../../../runtime/secure/payments/iso8583/mac.js'
import type { IssuerDecision, IssuerHost } from '../issuer/issuer-host.js'
import type { HostKeys } from './host-keys.js'
import type { Entry, Ledger, LedgerTotals } from './ledger.js'
import { type Delivery, findRule, type Rule } from './rules.js'
import { verdict } from './verdict.js'

export interface AcquirerOptions {
  readonly keys: HostKeys
  readonly issuer: IssuerHost
  readonly ledger: Ledger
  readonly rules: readonly Rule[]
  /** Terminals that may send, with the merchant each belongs to. */
  readonly terminals: readonly { readonly terminalId: string; readonly merchantId: string }[]
  readonly clock: Clock
  readonly log: Log
}

export interface Answer {
  readonly bytes: Uint8Array
  readonly delivery: Delivery['kind']
}

export interface AcquirerHost {
  /**
   * Answers one message. Undefined for what no host answers: a message that is not one, of an unknown terminal, or whose
   * MAC does not hold. The line is then closed.
   */
  handle(bytes: Uint8Array): Promise<Answer | undefined>
}

type Fields = Record<string, string | Uint8Array>
interface Reply {
  readonly fields: Fields
  readonly delivery: Delivery['kind']
}

/** PAN of track 2 equivalent data: the digits before the separator D (EMV Book 3, annex A, tag 57). */
function panOfTrack2(track2: Uint8Array): string {
  const pan = toHex(track2).split('D', 1)[0]!
  if (!/^[0-9]{8,19}$/.test(pan)) throw new PosternError('CARD_DATA_INVALID', 'track 2 holds no card number')
  return pan
}

/** What the answer repeats of its request. */
function echo(message: Message, numbers: readonly number[]): Fields {
  const fields: Fields = {}
  for (const number of numbers) {
    const value = message.fields.get(String(number))
    if (value !== undefined) fields[number] = value
  }
  return fields
}

const text = (message: Message, number: number): string => {
  const value = message.fields.get(String(number))
  return typeof value === 'string' ? value : ''
}

const bytesOf = (message: Message, number: number): Uint8Array => {
  const value = message.fields.get(String(number))
  return value instanceof Uint8Array ? value : new Uint8Array(0)
}

const decimal = (digits: string): string => BigInt(digits).toString()

const ECHOED = [3, 4, 7, 11, 12, 13, 24, 41, 42, 49]

/** DE55 of an answer: tag 91 and the script templates (EMV Book 3, annex A). */
function issuerData(decision: IssuerDecision, rule: Rule | undefined): Uint8Array {
  const given = decision.issuerAuthenticationData
  const data = rule?.issuerAnswer === 'wrong' ? given?.map((byte) => byte ^ 0xff) : given
  const first =
    data === undefined || rule?.issuerAnswer === 'none' ? new Uint8Array(0) : encodeTlv(0x91, data)
  return concat(first, ...decision.scripts)
}

export function createAcquirerHost(options: AcquirerOptions): AcquirerHost {
  const { keys, issuer, ledger, rules, terminals, clock, log } = options
  /** Reversals seen of one sale, for rules that count. */
  const seen = new Map<string, number>()

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
    const track2 = keys.decryptCardData(decodeCardData(bytesOf(message, 48)))
    const pan = panOfTrack2(track2)
    const maskedPan = maskPan(pan)
    const rule = findRule(rules, { on: 'sale', amountMinor, pan, earlier: 0 })
    if (rule?.decline !== undefined) {
      erase(track2)
      const entry = ledger.book({ ...booking, maskedPan, state: 'declined', responseCode: rule.decline })
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
        cryptogramOk: Number(decision.cryptogramOk),
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
      cryptogramOk: entry.cryptogramOk,
      pinOk: entry.pinOk,
    })
    return { fields, delivery: rule?.delivery ?? 'normal' }
  }

  function reversal(message: Message): Reply {
    const original = readOriginalDataElements(text(message, 90))
    const identity = {
      terminalId: text(message, 41),
      stan: original.stan,
      transmitted: original.transmitted,
      amountMinor: decimal(text(message, 4)),
    }
    const now = clock.nowMs()
    const reason = text(message, 39)
    const entry = ledger.find(identity)
    let code = '00'
    if (entry === undefined) {
      // 25, original not found. It may still be on its way, so it is remembered and refused should it come.
      code = '25'
      ledger.book({
        ...identity,
        merchantId: text(message, 42).trimEnd(),
        currency: text(message, 49),
        batch: text(message, 60),
        receipt: text(message, 62),
        maskedPan: '',
        state: 'reversedUnseen',
        responseCode: '25',
        authorisationCode: null,
        reason,
        pinOk: null,
        cryptogramOk: null,
        receivedAtMs: now,
        reversedAtMs: now,
      })
    } else if (entry.state === 'approved') ledger.reverse(entry.id, reason, now)
    // 21, no action: there was nothing to take back.
    else if (entry.state === 'declined') code = '21'
    else if (entry.state === 'reversedUnseen') code = '25'
    const key = `${identity.terminalId} ${identity.stan} ${identity.transmitted}`
    const earlier = seen.get(key) ?? 0
    seen.set(key, earlier + 1)
    const rule = findRule(rules, { on: 'reversal', amountMinor: identity.amountMinor, earlier })
    log.info('reversal', {
      mti: message.mti,
      stan: identity.stan,
      reason,
      responseCode: code,
      rule: rule?.name ?? 'none',
    })
    return {
      fields: {
        ...echo(message, [...ECHOED, 90]),
        37: entry?.retrievalReference ?? '0'.repeat(12),
        39: code,
      },
      delivery: rule?.delivery ?? 'normal',
    }
  }

  function totals(message: Message): Reply {
    const claimed: LedgerTotals = {
      sales: Number(text(message, 76)),
      salesMinor: decimal(text(message, 88)),
      voids: Number(text(message, 77)),
      voidsMinor: decimal(text(message, 89)),
    }
    const own = ledger.totals(text(message, 41), text(message, 50), text(message, 60))
    const { agrees, lines } = verdict(claimed, own)
    const net = BigInt(claimed.salesMinor) - BigInt(claimed.voidsMinor)
    const netAgrees = text(message, 97) === netSettlement(net)
    log.info('totals', { batch: text(message, 60), agrees, lines: lines.join('; ') })
    const fields = echo(message, [7, 11, 12, 13, 24, 41, 42, 50, 60])
    if (agrees && netAgrees)
      return { fields: { ...fields, 39: '00', 66: SETTLEMENT_CODES.inBalance }, delivery: 'normal' }
    return {
      fields: {
        ...fields,
        39: '95',
        66: SETTLEMENT_CODES.outOfBalance,
        76: String(own.sales),
        77: String(own.voids),
        88: own.salesMinor,
        89: own.voidsMinor,
        97: netSettlement(BigInt(own.salesMinor) - BigInt(own.voidsMinor)),
      },
      delivery: 'normal',
    }
  }

  const HANDLERS: Readonly<Record<string, { answer: string; handle: (message: Message) => Reply }>> = {
    '0200': { answer: '0210', handle: sale },
    '0400': { answer: '0410', handle: reversal },
    '0401': { answer: '0410', handle: reversal },
    '0500': { answer: '0510', handle: totals },
    '0800': {
      answer: '0810',
      handle: (message) => {
        const known = Object.values<string>(NETWORK_CODES).includes(text(message, 70))
        // 12, invalid transaction: a network management code that this host does not serve.
        return {
          fields: { ...echo(message, [7, 11, 24, 41, 42, 70]), 39: known ? '00' : '12' },
          delivery: 'normal',
        }
      },
    },
  }

  /** Whether the message is one that this host may act on; logs why not. */
  function accept(message: Message, bytes: Uint8Array, macKsn: Uint8Array): boolean {
    const refuse = (why: string) => {
      log.warn('refused', { why, mti: message.mti, stan: text(message, 11) })
      return false
    }
    const { covered, mac } = splitMac(bytes)
    if (!keys.verifyRequest(macKsn, covered, mac)) return refuse('MAC')
    const terminalId = text(message, 41)
    const merchantId = text(message, 42).trimEnd()
    if (!terminals.some((one) => one.terminalId === terminalId && one.merchantId === merchantId))
      return refuse('terminal')
    if (!ledger.useKsn(toHex(macKsn))) return refuse('KSN used before')
    return true
  }

  return {
    async handle(bytes) {
      try {
        const message = unpack(POSTERN_DEV, bytes)
        const row = HANDLERS[message.mti]
        if (row === undefined) throw new PosternError('ISO8583_INVALID', 'not a request', { path: 'mti' })
        const { macKsn } = decodeSecurityControl(bytesOf(message, 53))
        if (!accept(message, bytes, macKsn)) return undefined
        const { fields, delivery } = row.handle(message)
        const answer = {
          mti: row.answer,
          fields: new Map(Object.entries({ ...fields, 53: encodeSecurityControl({ macKsn }) })),
        }
        const packed = await packWithMac(POSTERN_DEV, answer, async (covered) =>
          keys.macResponse(macKsn, covered),
        )
        if (delivery === 'badMac') packed[packed.length - 1]! ^= 1
        return { bytes: delivery === 'unreadable' ? packed.slice(0, 9) : packed, delivery }
      } catch (error) {
        if (!isPosternError(error)) throw error
        log.warn('refused', { why: error.code, ...error.details })
        return undefined
      }
    },
  }
}
