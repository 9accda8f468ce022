// What every answer of the development acquirer shares: what it works with, what it repeats, and its way out.
import type { Clock } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import type {
  Elements,
  HostMessage,
  TextElements,
} from '../../../runtime/secure/payments/iso8583/host-message.js'
import type { IssuerHost } from '../issuer/issuer-host.js'
import type { HostKeys, KeyBlockOrder } from './host-keys.js'
import type { Booking, EntryKind, Ledger, PaymentIdentity } from './ledger.js'
import type { Delivery, Rule } from './rules.js'

export interface AcquirerOptions {
  readonly keys: HostKeys
  readonly issuer: IssuerHost
  readonly ledger: Ledger
  readonly rules: readonly Rule[]
  /** Terminals that may send, with the merchant each belongs to. */
  readonly terminals: readonly { readonly terminalId: string; readonly merchantId: string }[]
  /** Makes a TR-31 block with a new initial key for who asks for one; undefined, or absent: none is given. */
  readonly newKeyBlock?: (order: KeyBlockOrder) => string | undefined
  /** Whoever has not signed on since the start is refused (A1). */
  readonly signOnFirst?: boolean
  readonly clock: Clock
  readonly log: Log
}

/** The elements of an answer but those of its security, and how it leaves. */
export interface Reply {
  readonly elements: Elements
  readonly delivery: Delivery['kind']
}

/** Elements that answers repeat, by what they answer. */
const HEAD = ['transmitted', 'local', 'stan', 'nii', 'terminalId', 'merchantId'] as const
export const ECHOED = {
  money: [...HEAD, 'processing', 'amountMinor', 'currency'],
  reversal: [
    ...HEAD,
    'processing',
    'amountMinor',
    'currency',
    'originalType',
    'originalStan',
    'originalTransmitted',
    'originalLocal',
  ],
  upload: [...HEAD, 'batch', 'number'],
  totals: [...HEAD, 'currency', 'batch'],
  network: [...HEAD, 'management'],
} as const satisfies Record<string, readonly (keyof Elements)[]>

/** What the answer repeats of its request. */
export function echo({ elements }: HostMessage, names: readonly (keyof Elements)[]): Elements {
  const kept: Elements = {}
  for (const name of names) {
    if (elements[name] !== undefined) Object.assign(kept, { [name]: elements[name] })
  }
  // On the wire it is a field of fixed length.
  return kept.merchantId === undefined ? kept : { ...kept, merchantId: kept.merchantId.padEnd(15, ' ') }
}

/** An element that the message must have. @throws PosternError `ISO8583_INVALID` */
export function need({ elements }: HostMessage, name: keyof TextElements): string {
  const value = elements[name]
  if (value === undefined)
    throw new PosternError('ISO8583_INVALID', `${name} is missing or has no meaning here`, { path: name })
  return value
}

/** Month to second of a local time; dialects of 1987 send no year. */
export const withoutYear = (local: string | undefined): string => (local ?? '').slice(-10)

export const identityOf = (message: HostMessage): PaymentIdentity => ({
  terminalId: need(message, 'terminalId'),
  stan: need(message, 'stan'),
  transmitted: need(message, 'transmitted'),
  local: withoutYear(message.elements.local),
  amountMinor: need(message, 'amountMinor'),
})

/** The payment that a message is about, by what its dialect says of it. */
export const originalOf = (message: HostMessage): Omit<PaymentIdentity, 'amountMinor'> => ({
  terminalId: need(message, 'terminalId'),
  stan: need(message, 'originalStan'),
  ...(message.elements.originalTransmitted === undefined
    ? { local: withoutYear(message.elements.originalLocal) }
    : { transmitted: message.elements.originalTransmitted }),
})

/** A booking with what the message says; the rest is for the caller to change. */
export function bookingOf(message: HostMessage, kind: EntryKind, atMs: number): Booking {
  return {
    ...identityOf(message),
    transmitted: need(message, 'transmitted'),
    local: withoutYear(message.elements.local),
    kind,
    approvedMinor: '0',
    merchantId: need(message, 'merchantId').trimEnd(),
    currency: need(message, 'currency'),
    batch: need(message, 'batch').padStart(6, '0'),
    receipt: need(message, 'receipt'),
    maskedPan: '',
    state: 'declined',
    responseCode: '00',
    authorisationCode: null,
    reason: null,
    original: null,
    via: 'request',
    pinOk: null,
    cryptogramOk: null,
    receivedAtMs: atMs,
    reversedAtMs: null,
  }
}

/** What kind of payment a message asks for, or reverses. */
export function kindOf(type: string | undefined, processing: string | undefined, linked: boolean): EntryKind {
  switch (type) {
    case 'authorisation':
      return linked ? 'increment' : 'preauth'
    case 'financialAdvice':
      return linked ? 'completion' : 'offlineSale'
    case 'authorisationAdvice':
      return 'offlineDecline'
    default:
      return processing === 'refund' ? 'refund' : 'sale'
  }
}

/** An approval code: six digits. */
export const approvalCode = (clock: Clock): string => String((clock.nowMs() % 899_999) + 100_000)
