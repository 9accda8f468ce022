// Approving without the host: limits, the operator's word on the risk, the card's TC, and what the advice will need.
import { toHex } from '../../../hal/base/bytes.js'
import { isPosternError } from '../../../hal/base/errors.js'
import { formatMoney, money } from '../../../hal/base/money.js'
import type { CardAuthorisation, CardTransaction, FinalOutcome } from '../card-transaction.js'
import type { Acquirer } from './acquirer-port.js'
import { type Exposure, type OfflineVerdict, offlineVerdict } from './offline-limits.js'
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord, SealedCard } from './payment-record.js'
import { amountOf } from './payment-view.js'
import type { SaleRecord } from './sale-record.js'

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'acquirers' | 'vault' | 'ask' | 'texts' | 'log' | 'isOnline'
>

const QUESTION_MS = 60_000
const unending = () => new AbortController().signal

type Choice =
  | { readonly allowed: true; readonly acquirer: Acquirer; readonly unsent: Exposure }
  | Extract<OfflineVerdict, { allowed: false }>

/** The first acquirer under whose limits the payment may be approved without it; else why the first one refuses. */
export function chooseOffline(
  deps: Pick<Needs, 'journal' | 'acquirers' | 'vault'>,
  record: PaymentRecord,
  card?: Pick<CardAuthorisation, 'facts' | 'cardToken'>,
): Choice {
  const facts = card === undefined ? {} : { aid: card.facts.aid, bin: card.facts.bin }
  let refused: Choice = { allowed: false, code: 'OFFLINE_NOT_ALLOWED' }
  if (deps.vault.room() === 0) return { allowed: false, code: 'OFFLINE_DEVICE' }
  for (const acquirer of deps.acquirers.route({ kind: 'offlineSale', amount: amountOf(record), ...facts })) {
    const verdict = offlineVerdict(deps.journal, acquirer, record, card?.cardToken)
    if (verdict.allowed) return { allowed: true, acquirer, unsent: verdict.unsent }
    if (refused.code === 'OFFLINE_NOT_ALLOWED') refused = verdict
  }
  return refused
}

/** Shows the operator what is at risk; true where they take it. */
async function riskTaken({ ask, texts }: Needs, record: PaymentRecord, unsent: Exposure): Promise<boolean> {
  const { locale, currency } = record
  const answer = await ask(
    {
      kind: 'confirm',
      title: texts.text(locale, 'offline.title'),
      text: texts.text(locale, 'offline.risk', {
        count: unsent.count,
        sum: formatMoney(money(unsent.minor, currency), true),
      }),
      amount: { minor: record.minor, currency },
      yes: texts.text(locale, 'offline.yes'),
      no: texts.text(locale, 'offline.no'),
      timeoutMs: QUESTION_MS,
    },
    unending(),
  )
  return answer.type === 'confirmed'
}

/**
 * From a card that has no host to OFFLINE_APPROVED, or to an end in which nothing was taken. With `toCard` the card
 * still has its last word to say; without it, it has given its TC at the first cryptogram.
 * @throws PosternError `JOURNAL_FAILED`
 */
export async function approveWithoutHost(
  deps: Needs,
  record: SaleRecord,
  authorisation: CardAuthorisation,
  reason: string,
  card: CardTransaction | undefined,
  signatureRequired = false,
): Promise<void> {
  const { vault, log } = deps
  const payment = record.current.key
  const fault = (event: string, error: unknown): string => {
    const code = isPosternError(error) ? error.code : 'FAULT'
    log.error(event, { payment, fault: code })
    return code
  }
  /** So that the card ends in good order; what it says changes nothing. */
  const letGo = async () => {
    const answer = { kind: 'unableToGoOnline', decline: true } as const
    await card?.hostAnswer(answer, unending()).catch((error: unknown) => fault('payment.cardFault', error))
  }
  const { facts, cardToken } = authorisation
  const choice = chooseOffline(deps, record.current, authorisation)
  if (!choice.allowed) {
    const code = choice.code === 'OFFLINE_NOT_ALLOWED' && card !== undefined ? reason : choice.code
    if (card === undefined) record.advance('cardDeclined', { card: facts, code }, true)
    else record.end('needsNetwork', code, { card: facts })
    return letGo()
  }
  const { id, terminalId, merchantId } = choice.acquirer
  // With a network the bank hears of it at once: nothing to ask anybody.
  if ((card !== undefined || !deps.isOnline()) && !(await riskTaken(deps, record.current, choice.unsent))) {
    record.end('cancelled', 'OFFLINE_DECLINED', { card: facts })
    return letGo()
  }
  let sealedCard: SealedCard
  try {
    sealedCard = await vault.seal(payment, authorisation.cardData)
  } catch (error) {
    record.end('needsNetwork', fault('vault.failed', error), { card: facts })
    return letGo()
  }
  const forgetSeal = () =>
    vault.destroy([sealedCard.keyId]).catch((error: unknown) => void fault('vault.failed', error))
  const common = { cardToken, sealedCard, offline: 'card', acquirer: id, terminalId, merchantId } as const
  if (card === undefined) {
    const de55 = toHex(authorisation.de55)
    return record.approveOffline('offlineApproved', 'Y1', { ...common, card: facts, de55, signatureRequired })
  }
  let final: FinalOutcome
  try {
    final = await card.hostAnswer({ kind: 'unableToGoOnline' }, unending())
  } catch (error) {
    record.end('cardUnusable', fault('payment.cardFault', error), { card: facts })
    return forgetSeal()
  }
  if (final.kind === 'approvedOffline')
    return record.approveOffline('offlineApproved', 'Y3', {
      ...common,
      card: final.facts,
      de55: toHex(final.de55),
      signatureRequired: final.signatureRequired,
    })
  if (final.kind === 'ended')
    record.end(final.reason === 'removed' ? 'cardRemoved' : 'cardUnusable', 'CARD_ERROR', {
      card: final.facts,
    })
  else {
    const change = { card: final.facts, code: 'CARD_AAC', de55: toHex(final.de55) }
    if (final.kind === 'declined' && final.adviceRequired && choice.acquirer.capabilities.declineAdvices)
      record.declineAdvised(['cardDeclined'], 'Z3', { ...change, acquirer: id, terminalId, merchantId })
    else record.advance('cardDeclined', change, true)
  }
  await forgetSeal()
}
