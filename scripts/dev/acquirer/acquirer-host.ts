// The development acquirer's mind: one request in, one answer and its way out. Nothing is believed before its MAC.
import { toHex } from '../../../hal/base/bytes.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import { type Message, unpack } from '../../../runtime/secure/payments/iso8583/codec.js'
import { NETWORK_CODES, POSTERN_DEV } from '../../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import {
  decodeSecurityControl,
  encodeSecurityControl,
} from '../../../runtime/secure/payments/iso8583/dialects/postern-dev-security.js'
import { packWithMac, splitMac } from '../../../runtime/secure/payments/iso8583/mac.js'
import { createReversalAnswer } from './answer-reversal.js'
import { createSaleAnswer } from './answer-sale.js'
import { createTotalsAnswer } from './answer-totals.js'
import { type AcquirerOptions, bytesOf, echo, type Reply, text } from './reply.js'
import type { Delivery } from './rules.js'

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

export function createAcquirerHost(options: AcquirerOptions): AcquirerHost {
  const { keys, ledger, terminals, log } = options
  const sale = createSaleAnswer(options)
  const reversal = createReversalAnswer(options)
  const totals = createTotalsAnswer(options)

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
