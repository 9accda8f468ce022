// The bank wants to be called: with its code and a supervisor's word the payment stands, and the host is advised of it.
import { toHex } from '../../../hal/base/bytes.js'
import { isPosternError } from '../../../hal/base/errors.js'
import type { CardAuthorisation, CardTransaction, FinalOutcome, HostAnswer } from '../card-transaction.js'
import { voiceCode } from './card-questions.js'
import type { PaymentDependencies } from './payment-port.js'
import type { SealedCard } from './payment-record.js'
import type { SaleRecord } from './sale-record.js'
import { countSupervised } from './supervision.js'

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'session' | 'merchant' | 'vault' | 'ask' | 'texts' | 'clock' | 'log'
>
type Answered = Extract<HostAnswer, { kind: 'answered' }>

const unending = () => new AbortController().signal

/**
 * From REFERRED to OFFLINE_APPROVED or DECLINED. The card waits, and is told what the telephone said (Book 4, 6.3.6).
 * @throws PosternError `JOURNAL_FAILED`
 */
export async function settleReferral(
  deps: Needs,
  record: SaleRecord,
  authorisation: CardAuthorisation,
  card: CardTransaction,
  referred: Answered,
): Promise<void> {
  const { vault, log } = deps
  const payment = record.current.key
  const { responseCode, issuerAuthenticationData, scripts } = referred
  const toCard = (approved: boolean) =>
    card.hostAnswer(
      { kind: 'answered', responseCode, approved, issuerAuthenticationData, scripts },
      unending(),
    )
  const fault = (event: string) => (error: unknown) =>
    void log.error(event, { payment, fault: isPosternError(error) ? error.code : 'FAULT' })
  const refuse = async () => {
    record.advance('voiceRefused', { code: `RESPONSE_${responseCode}` }, true)
    await toCard(false).catch(fault('payment.cardFault'))
  }

  const voice = await voiceCode(deps, record.current)
  if (voice === undefined) return refuse()
  let sealedCard: SealedCard
  try {
    sealedCard = await vault.seal(payment, authorisation.cardData)
  } catch (error) {
    fault('vault.failed')(error)
    return refuse()
  }
  let final: FinalOutcome | undefined
  try {
    final = await toCard(true)
  } catch (error) {
    fault('payment.cardFault')(error)
  }
  if (final?.kind === 'approved') {
    const { facts, de55, signatureRequired } = final
    const { code, supervisor } = voice
    const { cardToken } = authorisation
    return record.approveOffline(
      'voiceApproved',
      '00',
      {
        card: facts,
        de55: toHex(de55),
        signatureRequired,
        cardToken,
        sealedCard,
        supervisor,
        offline: 'voice',
        response: { ...record.current.response, code: '00', authorisationCode: code },
      },
      (step) => countSupervised(deps, step, 'override'),
    )
  }
  record.advance('voiceRefused', { code: final === undefined ? 'CARD_ERROR' : 'CARD_AAC' }, true)
  await vault.destroy([sealedCard.keyId]).catch(fault('vault.failed'))
}
