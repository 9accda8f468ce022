// How much may be approved without the bank: per payment, per card, per device and per shift. Counted from the journal.
import { type Static, Type } from 'typebox'
import type { Journal } from './journal.js'
import type { PaymentRecord } from './payment-record.js'
import { amountOf } from './payment-view.js'

const Minor = Type.String({ pattern: '^(0|[1-9][0-9]{0,11})$' })
const Count = Type.Integer({ minimum: 0, maximum: 100 })

/**
 * Limits beside the acquirer's floor for one payment. Sums in minor units. What is left out: a card 1 payment, a shift 5
 * and a device 10, each up to so many times the floor.
 */
export const OfflineLimits = Type.Object(
  {
    cardCount: Type.Optional(Count),
    cardMinor: Type.Optional(Minor),
    /** Of a round, reported to the bank or not. */
    shiftCount: Type.Optional(Count),
    shiftMinor: Type.Optional(Minor),
    /** Of the device, not reported yet. */
    deviceCount: Type.Optional(Count),
    deviceMinor: Type.Optional(Minor),
  },
  { additionalProperties: false },
)
export type OfflineLimits = Static<typeof OfflineLimits>

const SCOPES = ['card', 'shift', 'device'] as const
type Scope = (typeof SCOPES)[number]
const COUNTS: Readonly<Record<Scope, number>> = { card: 1, shift: 5, device: 10 }

/** What would be at risk. */
export interface Exposure {
  readonly count: number
  readonly minor: bigint
}

export type OfflineVerdict =
  /** Within all limits; `unsent` is what the bank has not heard of yet, this payment left out. */
  | { readonly allowed: true; readonly unsent: Exposure }
  | {
      readonly allowed: false
      readonly code:
        | 'OFFLINE_NOT_ALLOWED'
        | 'OFFLINE_AMOUNT'
        | 'OFFLINE_CARD'
        | 'OFFLINE_SHIFT'
        | 'OFFLINE_DEVICE'
    }

const UNSENT: readonly string[] = ['OFFLINE_APPROVED', 'ADVICE_PENDING', 'ADVICE_REFUSED']
const sum = (payments: readonly PaymentRecord[]): Exposure => ({
  count: payments.length,
  minor: payments.reduce((total, record) => total + amountOf(record).minor, 0n),
})

/** May this payment be approved without the bank? Asked before the card, without its token, and after. */
export function offlineVerdict(
  journal: Pick<Journal, 'openPayments' | 'paymentsOfRound'>,
  acquirer: {
    readonly capabilities: { readonly offlineFloorMinor?: bigint; readonly offlineLimits?: OfflineLimits }
  },
  payment: Pick<PaymentRecord, 'key' | 'round' | 'minor' | 'type' | 'cashbackMinor'>,
  cardToken?: string,
): OfflineVerdict {
  const floor = acquirer.capabilities.offlineFloorMinor
  if (floor === undefined || (payment.type ?? 'sale') !== 'sale' || payment.cashbackMinor !== undefined)
    return { allowed: false, code: 'OFFLINE_NOT_ALLOWED' }
  const minor = BigInt(payment.minor)
  if (minor > floor) return { allowed: false, code: 'OFFLINE_AMOUNT' }
  const others = (records: readonly PaymentRecord[]) =>
    records.filter(({ key, offline }) => key !== payment.key && offline === 'card')
  const unsent = others(journal.openPayments()).filter(({ state }) => UNSENT.includes(state))
  const ofShift = others(journal.paymentsOfRound(payment.round)).filter(({ state }) => state !== 'CANCELLED')
  const ofCard = [...ofShift, ...unsent.filter(({ round }) => round !== payment.round)].filter(
    (record) => record.cardToken === cardToken,
  )
  const used = { card: sum(ofCard), shift: sum(ofShift), device: sum(unsent) }
  const limits = acquirer.capabilities.offlineLimits
  for (const scope of SCOPES) {
    const most = limits?.[`${scope}Count`] ?? COUNTS[scope]
    const mostMinor = BigInt(limits?.[`${scope}Minor`] ?? floor * BigInt(COUNTS[scope]))
    if (used[scope].count + 1 > most || used[scope].minor + minor > mostMinor)
      return { allowed: false, code: `OFFLINE_${scope.toUpperCase() as Uppercase<Scope>}` }
  }
  return { allowed: true, unsent: used.device }
}
