// The stripe beside the chip in one payment: how often the chip has failed, and what a swipe comes to by then.
import type { Log } from '../../../hal/base/log.js'
import type { MagneticStripeReader } from '../../../hal/magnetic-stripe-reader.js'
import type { CardRequest } from '../card-transaction.js'
import { type CardEnd, ends } from './card-end.js'
import type { StripeSlot } from './card-presence.js'
import type { EmvConfiguration } from './configuration.js'
import { transactionDateTime } from './dates.js'
import { afterChipEnd, isStripeWanted, NO_CHIP_FAILURE } from './stripe-acceptance.js'
import type { StripeConfiguration } from './stripe-configuration.js'
import { type AcceptedStripe, judgeSwipe } from './stripe-sale.js'

export interface PaymentStripe extends StripeSlot<AcceptedStripe> {
  /** True from when the person is asked to swipe. */
  wanted(): boolean
  /** The chip ended an attempt so; false where that is the end of the payment. */
  ended(end: CardEnd, cryptogramAsked: boolean): boolean
}

/** Undefined where there is no reader, or no stripe is to be read. */
export function paymentStripe(
  reader: MagneticStripeReader | undefined,
  { stripe: rules, terminal }: EmvConfiguration,
  { type, at }: Pick<CardRequest, 'type' | 'at'>,
  log: Log,
): PaymentStripe | undefined {
  return reader && rules && slotOf(reader, rules, terminal, { type, at }, log)
}

function slotOf(
  reader: MagneticStripeReader,
  rules: StripeConfiguration,
  { capabilities, pinBypass }: EmvConfiguration['terminal'],
  { type, at }: Pick<CardRequest, 'type' | 'at'>,
  log: Log,
): PaymentStripe {
  let chip = NO_CHIP_FAILURE
  const today = transactionDateTime(at).date
  const own: PaymentStripe = {
    reader,
    failedChipReads: rules.failedChipReads,
    wanted: () => isStripeWanted(chip, rules),
    ended(end, cryptogramAsked) {
      const failures = afterChipEnd(chip, end, cryptogramAsked, rules)
      if (failures) chip = failures
      return failures !== undefined
    },
    chipFailed() {
      own.ended(ends('mute', 'no answer to reset'), false)
      return own.wanted()
    },
    judge: (swipe) =>
      judgeSwipe(swipe, { type, today, capabilities, pinBypass, chip, rules }, (rule) =>
        log.info('stripe.unread', { rule }),
      ),
  }
  return own
}
