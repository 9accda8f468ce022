// How an attempt at money is told to the courier: the terminal's own sentence where it has one.
import type { PaymentView } from '../../runtime/api/payments.js'
import type { Attempt, Desk } from './payment.js'
import type { Ui } from './ui.js'

/** Why no money moved, or is not known to have: the terminal's own sentence where it has one. */
export async function tell(ui: Ui, desk: Desk, attempt: Attempt): Promise<void> {
  switch (attempt.kind) {
    case 'ended':
      return tellOutcome(ui, desk, attempt.view)
    case 'changed':
      return ui.message(ui.texts().t('parcel.changed'), 'warning')
    case 'refused':
      return ui.fault(attempt.error)
    case 'found':
      return
  }
}

/** The sentence follows the payment: "being taken back" becomes "taken back" under the courier's eyes. */
async function tellOutcome(ui: Ui, desk: Desk, ended: PaymentView): Promise<void> {
  const shown = await ui.showOpen(() => {
    const { outcome, message } = desk.latest(ended)
    const isWarning = outcome === 'reversing' || outcome === 'needsNetwork' || outcome === 'inProgress'
    const tone = outcome === 'cancelled' ? 'info' : isWarning ? 'warning' : 'error'
    return ui.messageScreen(message, tone)
  })
  // A parcel scanned meanwhile is the next one.
  if (shown.type === 'scanned') ui.scanned(shown.text)
}
