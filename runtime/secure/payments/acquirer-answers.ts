// Answers of a host: whether one belongs to a request, and what it says.
import { equalBytes } from '../../../hal/base/bytes.js'
import { encodeTlv, parseTlv } from '../../../hal/base/tlv.js'
import type { Elements, HostMessage } from './iso8583/host-message.js'
import { decodeSecurityControl } from './iso8583/security-fields.js'
import type { BatchTotals } from './payment-record.js'

/** Elements that an answer repeats as they were, where it repeats them at all. */
const REPEATED: readonly (keyof Elements)[] = [
  'transmitted',
  'stan',
  'terminalId',
  'number',
  'originalStan',
  'originalTransmitted',
  'originalLocal',
  'management',
]

/**
 * Is this the answer to that request? By type, trace number, terminal, transmission and local time, batch, original and
 * amount; a partial approval (10) may be lower (ISO 8583:1987, 4.3.39).
 */
export function answers(request: HostMessage, answer: HostMessage): boolean {
  const [asked, said] = [request.elements, answer.elements]
  if (answer.type !== request.type || answer.role !== 'answer') return false
  for (const element of REPEATED) {
    if (said[element] !== undefined && said[element] !== asked[element]) return false
  }
  // Dialects of 1987 send no year.
  if (said.local !== undefined && said.local.slice(2) !== asked.local?.slice(2)) return false
  if (said.batch !== undefined && BigInt(said.batch) !== BigInt(asked.batch ?? '0')) return false
  if (asked.amountMinor === undefined || said.amountMinor === asked.amountMinor) return true
  if (said.amountMinor === undefined) return request.type === 'upload'
  return said.responseCode === '10' && BigInt(said.amountMinor) < BigInt(asked.amountMinor)
}

/** True if the answer's DE53 names the KSN of the request: it was made under the same key. */
export function namesKsn({ elements: { security } }: HostMessage, macKsn: Uint8Array): boolean {
  try {
    return security !== undefined && equalBytes(decodeSecurityControl(security).macKsn, macKsn)
  } catch {
    return false
  }
}

/** What an answer carries for the card: tag 91, and the templates 71 and 72 whole and in order. @throws PosternError `TLV_INVALID` */
export function issuerData({ elements: { emv } }: HostMessage): {
  issuerAuthenticationData: Uint8Array | undefined
  scripts: Uint8Array[]
} {
  const objects = emv === undefined ? [] : parseTlv(emv)
  return {
    issuerAuthenticationData: objects.find(({ tag }) => tag === 0x91)?.value.slice(),
    scripts: objects
      .filter(({ tag }) => tag === 0x71 || tag === 0x72)
      .map(({ tag, value: script }) => encodeTlv(tag, script)),
  }
}

/** The acquirer's own totals, where it sent them. */
export function hostTotals({ elements }: HostMessage): BatchTotals | undefined {
  const { sales, voids, salesMinor, voidsMinor, refunds, refundsMinor, refundVoids, refundVoidsMinor } =
    elements
  if (sales === undefined || voids === undefined || salesMinor === undefined || voidsMinor === undefined)
    return undefined
  return {
    sales: Number(sales),
    salesMinor,
    voids: Number(voids),
    voidsMinor,
    ...(refunds === undefined || refundsMinor === undefined
      ? {}
      : {
          refunds: Number(refunds),
          refundsMinor,
          refundVoids: Number(refundVoids ?? 0),
          refundVoidsMinor: refundVoidsMinor ?? '0',
        }),
  }
}
