// A supervisor's word, and how often it may be given: caps per operator and shift, counted in the round itself.
import type { JournalStep } from './journal.js'
import type { PaymentDependencies } from './payment-port.js'
import type { RoundRecord, Supervised } from './payment-record.js'

type Needs = Pick<PaymentDependencies, 'journal' | 'merchant' | 'session' | 'log'>
export type SupervisedAction = 'refund' | 'override'

const OVERRIDES = 20
const REFUNDS = 20
const REFUNDS_MINOR = 100_000n
const UNLINKED_REFUND_MINOR = 10_000n
const TYPED_CARD_MINOR = 50_000n

const NONE: Supervised = { overrides: 0, refunds: 0, refundsMinor: '0' }

/** The most that one refund may be which names no payment, in minor units. */
export const unlinkedRefundMinor = ({ merchant }: Pick<Needs, 'merchant'>): bigint =>
  BigInt(merchant.supervision?.unlinkedRefundMinor ?? UNLINKED_REFUND_MINOR)

/** The most that one payment by typed card may be, in minor units. */
export const typedCardMinor = ({ merchant }: Pick<Needs, 'merchant'>): bigint =>
  BigInt(merchant.supervision?.typedCardMinor ?? TYPED_CARD_MINOR)

const shift = ({ journal }: Pick<Needs, 'journal'>): RoundRecord | undefined =>
  journal.openRounds().find(({ state }) => state !== 'CLOSED')

function capReached(deps: Needs, action: SupervisedAction, minor: bigint): boolean {
  const { overrides, refunds, refundsMinor } = shift(deps)?.supervised ?? NONE
  const caps = deps.merchant.supervision
  return action === 'override'
    ? overrides >= (caps?.overrides ?? OVERRIDES)
    : refunds >= (caps?.refunds ?? REFUNDS) ||
        BigInt(refundsMinor) + minor > BigInt(caps?.refundsMinor ?? REFUNDS_MINOR)
}

export type Word =
  | { readonly kind: 'granted'; readonly supervisor: string }
  | { readonly kind: 'refused'; readonly code: 'NOT_AUTHORISED' | 'CAP_REACHED' }

/** Asks for a supervisor's code on a secure screen, unless the shift's caps are reached. */
export async function supervise(
  deps: Needs,
  { action, reason, minor = 0n }: { action: SupervisedAction; reason: string; minor?: bigint },
  signal: AbortSignal,
): Promise<Word> {
  if (capReached(deps, action, minor)) {
    deps.log.warn('supervision.cap', { action })
    return { kind: 'refused', code: 'CAP_REACHED' }
  }
  const supervisor = await deps.session.authorise(action, reason.slice(0, 60), signal)
  return supervisor === undefined
    ? { kind: 'refused', code: 'NOT_AUTHORISED' }
    : { kind: 'granted', supervisor }
}

/** Counts what a supervisor agreed to, in the step that does it. Without an open shift there is none to count it for. */
export function countSupervised(
  deps: Pick<Needs, 'journal'>,
  step: JournalStep,
  action: SupervisedAction,
  minor = 0n,
): void {
  const round = shift(deps)
  if (round === undefined) return
  const before = round.supervised ?? NONE
  const supervised: Supervised =
    action === 'override'
      ? { ...before, overrides: before.overrides + 1 }
      : {
          ...before,
          refunds: before.refunds + 1,
          refundsMinor: (BigInt(before.refundsMinor) + minor).toString(),
        }
  step.putRound({ ...round, supervised })
}
