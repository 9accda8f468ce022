// What the kernel asks of the past for its risk management: this card's last amount (EMV Book 3 v4.4, 10.6.1), the exception file (Book 4, 6.3.5).
import type { CardHistory } from '../card-transaction.js'
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { STANDING_STATES } from './payment-states.js'
import { amountOf } from './payment-view.js'

/** Serves the history of the round that `payment` is taken in: its batch is what the terminal has stored. */
export function cardHistory(
  { journal, exceptionFile }: Pick<PaymentDependencies, 'journal' | 'exceptionFile'>,
  payment: Pick<PaymentRecord, 'round'>,
): CardHistory {
  return {
    async lastAmount(cardToken) {
      const last = journal
        .paymentsOfCard(payment.round, cardToken)
        .find(({ state }) => STANDING_STATES.includes(state))
      return last && amountOf(last)
    },
    onExceptionFile: async (cardToken) => exceptionFile?.(cardToken) ?? false,
  }
}
