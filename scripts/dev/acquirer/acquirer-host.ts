// The development acquirer's mind: one request in, one answer and its way out. Nothing is believed before its MAC.
import { toHex } from '../../../hal/base/bytes.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import { unpack } from '../../../runtime/secure/payments/iso8583/codec.js'
import {
  fromFields,
  type HostDialect,
  type HostMessage,
  type MessageType,
  toFields,
} from '../../../runtime/secure/payments/iso8583/host-message.js'
import { packWithMac, splitMac } from '../../../runtime/secure/payments/iso8583/mac.js'
import {
  decodeSecurityControl,
  encodeSecurityControl,
} from '../../../runtime/secure/payments/iso8583/security-fields.js'
import { createAdviceAnswer } from './answer-advice.js'
import { createNetworkAnswer } from './answer-network.js'
import { createRequestAnswer } from './answer-request.js'
import { createReversalAnswer } from './answer-reversal.js'
import { createTotalsAnswer, createUploadAnswer } from './answer-totals.js'
import { type AcquirerOptions, need, type Reply } from './reply.js'
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

export function createAcquirerHost(options: AcquirerOptions, dialect: HostDialect): AcquirerHost {
  const { keys, ledger, terminals, log } = options
  const request = createRequestAnswer(options)
  const advice = createAdviceAnswer(options)
  const totals = createTotalsAnswer(options)
  const network = createNetworkAnswer(options)

  const HANDLERS: Readonly<Record<MessageType, (message: HostMessage, macKsn: Uint8Array) => Reply>> = {
    authorisation: request,
    financial: request,
    authorisationAdvice: advice,
    financialAdvice: advice,
    upload: createUploadAnswer(options),
    reversal: createReversalAnswer(options),
    totals,
    totalsAdvice: totals,
    network: network.answer,
  }

  /** Whether the message is one that this host may act on; logs why not. */
  function accept(message: HostMessage, bytes: Uint8Array, macKsn: Uint8Array): boolean {
    const refuse = (why: string) => {
      log.warn('refused', { why, type: message.type, stan: message.elements.stan ?? '' })
      return false
    }
    const { covered, mac } = splitMac(dialect.wire, bytes)
    if (!keys.verifyRequest(macKsn, covered, mac)) return refuse('MAC')
    const terminalId = need(message, 'terminalId')
    const merchantId = need(message, 'merchantId').trimEnd()
    if (!terminals.some((one) => one.terminalId === terminalId && one.merchantId === merchantId))
      return refuse('terminal')
    if (!ledger.useKsn(toHex(macKsn))) return refuse('KSN used before')
    return true
  }

  return {
    async handle(bytes) {
      try {
        const message = fromFields(dialect, unpack(dialect.wire, bytes))
        if (message.role === 'answer')
          throw new PosternError('ISO8583_INVALID', 'not a request', { path: 'mti' })
        const { macKsn } = decodeSecurityControl(message.elements.security ?? new Uint8Array(0))
        if (!accept(message, bytes, macKsn)) return undefined
        const { elements, delivery } = network.refusal(message) ?? HANDLERS[message.type](message, macKsn)
        const answer: HostMessage = {
          type: message.type,
          role: 'answer',
          elements: { ...elements, security: encodeSecurityControl({ macKsn }) },
        }
        const packed = await packWithMac(dialect.wire, toFields(dialect, answer), async (covered) => {
          const mac = keys.macResponse(macKsn, covered)
          if (delivery === 'badMac') mac[mac.length - 1]! ^= 1
          return mac
        })
        return { bytes: delivery === 'unreadable' ? packed.slice(0, 9) : packed, delivery }
      } catch (error) {
        if (!isPosternError(error)) throw error
        log.warn('refused', { why: error.code, ...error.details })
        return undefined
      }
    },
  }
}
