// The bridge's view of payments, rounds and operators: the secure world's methods, made of service and session.
import type { Served } from '../../api/contract.js'
import type { SecureMethods } from '../../bridge/contract.js'
import type { Session } from '../session.js'
import type { PaymentService } from './payment-port.js'

type PaymentMethods = Pick<
  Served<typeof SecureMethods>,
  | 'payments.collect'
  | 'payments.status'
  | 'payments.cancel'
  | 'payments.void'
  | 'payments.receipt'
  | 'payments.unacknowledged'
  | 'payments.acknowledge'
  | 'payments.refund'
  | 'payments.preauthorise'
  | 'payments.increment'
  | 'payments.complete'
  | 'payments.stuck'
  | 'payments.review'
  | 'round.totals'
  | 'round.close'
  | 'session.signIn'
  | 'session.signOut'
  | 'session.authorise'
>

/** Serves them all. A typed fault crosses the bridge with its code. */
export function servePayments(service: PaymentService, session: Session): PaymentMethods {
  return {
    'payments.collect': ({ owner, request }, signal) => service.collect(request, owner, signal),
    'payments.status': ({ owner, key }) => service.status(key, owner.app),
    'payments.cancel': ({ owner, key }) => service.cancel(key, owner.app),
    'payments.void': ({ owner, request }, signal) => service.voidPayment(request, owner, signal),
    'payments.receipt': ({ owner, key }) => service.receipt(key, owner.app),
    'payments.unacknowledged': () => service.unacknowledged(),
    'payments.acknowledge': ({ sequence }) => {
      service.acknowledge(sequence)
      return null
    },
    'payments.refund': ({ owner, request }, signal) => service.refund(request, owner, signal),
    'payments.preauthorise': ({ owner, request }, signal) => service.preauthorise(request, owner, signal),
    'payments.increment': ({ owner, request }, signal) => service.increment(request, owner, signal),
    'payments.complete': ({ owner, request }, signal) => service.complete(request, owner, signal),
    'payments.stuck': () => service.stuck(),
    'payments.review': async (_, signal) => {
      await service.review(signal)
      return null
    },
    'round.totals': () => service.totals(),
    'round.close': (_, signal) => service.closeRound(signal),
    'session.signIn': (_, signal) => session.signIn(signal),
    'session.signOut': () => {
      session.signOut()
      return null
    },
    'session.authorise': async ({ action, reason }, signal) => {
      const supervisor = await session.authorise(action, reason, signal)
      return supervisor === undefined ? { granted: false } : { granted: true, supervisor }
    },
  }
}
