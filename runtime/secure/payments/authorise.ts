// From the card's first cryptogram to its second: ask the host, give the card its answer, believe neither alone.
import { erase, toHex } from '../../../hal/base/bytes.js'
import { isPosternError } from '../../../hal/base/errors.js'
import type {
  CardAuthorisation,
  CardTransaction,
  ChipFailure,
  FinalOutcome,
  StripeAuthorisation,
} from '../card-transaction.js'
import type { Acquirer, AuthoriseAnswer, AuthorisedKind } from './acquirer-port.js'
import { takesPart } from './card-questions.js'
import type { Lane } from './lane.js'
import { approveWithoutHost } from './offline-approval.js'
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { amountOf } from './payment-view.js'
import { settleReferral } from './referral.js'
import { originalFacts, type Reversals } from './reversals.js'
import type { SaleRecord } from './sale-record.js'

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'acquirers' | 'vault' | 'ask' | 'texts' | 'log' | 'isOnline' | 'session' | 'merchant' | 'clock'
>
type Answered = Extract<AuthoriseAnswer, { kind: 'answered' }>

/** What the host is asked for a payment that has its card. */
export const authorisedKind = ({ type = 'sale' }: Pick<PaymentRecord, 'type'>): AuthorisedKind =>
  type === 'completion' ? 'sale' : type

/** Typed cards are not every acquirer's affair. */
export const mayTake = ({ manual }: PaymentRecord, acquirers: readonly Acquirer[]): readonly Acquirer[] =>
  manual === true ? acquirers.filter(({ capabilities }) => capabilities.manualEntry) : acquirers

/** Whether the acquirer of a record wants to hear of declines. */
export const wantsDeclines = (
  { acquirers }: Pick<Needs, 'acquirers'>,
  { acquirer }: PaymentRecord,
): boolean => acquirers.byId(acquirer)?.capabilities.declineAdvices === true

/** DE39: call the bank (ISO 8583:1987, 01 and 02). */
const REFERRALS: readonly string[] = ['01', '02']

/** A signal that never fires: once the card was read, nothing but its own time-outs ends a payment. */
const unending = () => new AbortController().signal

/** Erases what may not outlive the request: card data and PIN block, though they are ciphertext. */
export function forget({ cardData, pinBlock }: CardAuthorisation): void {
  erase(cardData.bytes, pinBlock?.bytes)
}

/** Of a stripe that was read of a card with a chip. */
function fallbackOf(authorisation: CardAuthorisation | StripeAuthorisation): { fallback?: ChipFailure } {
  if (!('reason' in authorisation) || authorisation.reason === 'noChip') return {}
  return { fallback: authorisation.reason }
}

const responseOf = ({ responseCode, authorisationCode, retrievalReference }: Answered) => ({
  code: responseCode,
  ...(authorisationCode === undefined ? {} : { authorisationCode }),
  ...(retrievalReference === undefined ? {} : { retrievalReference }),
})

/**
 * Takes a sale from CREATED with a card that wants its host to CARD_FINAL, a final state, or an owed reversal.
 * @throws PosternError `JOURNAL_FAILED`
 */
export async function authorise(
  deps: Needs,
  lane: Lane,
  reversals: Reversals,
  record: SaleRecord,
  card: CardTransaction,
  authorisation: CardAuthorisation | StripeAuthorisation,
): Promise<void> {
  const { acquirers, log } = deps
  const fallback = fallbackOf(authorisation)
  const kind = authorisedKind(record.current)

  const note = (event: string, error: unknown): string => {
    const code = isPosternError(error) ? error.code : 'FAULT'
    log.error(event, { payment: record.current.key, fault: code })
    return code
  }

  function sendTo(acquirer: Acquirer): Promise<AuthoriseAnswer> {
    const { facts, de55, cardData, pinBlock, cardToken } = authorisation
    return lane.run(async () => {
      if (!(await reversals.clear(acquirer, unending()))) return { kind: 'notSent', reason: 'REVERSAL_FIRST' }
      record.prepare({
        card: facts,
        cardToken,
        de55: toHex(de55),
        ...fallback,
        acquirer: acquirer.id,
        terminalId: acquirer.terminalId,
        merchantId: acquirer.merchantId,
      })
      return acquirer.authorise(
        {
          facts: { ...originalFacts(record.current), kind },
          card: { de55, cardData: { ...cardData, ...fallback }, pinBlock },
          partialAllowed: record.current.partialAllowed === true && acquirer.capabilities.partial,
        },
        (sentOver) => record.advance('sending', sentOver === undefined ? {} : { sentOver }),
        unending(),
      )
    })
  }

  /** One acquirer after the other, but only while nothing has left: what is SENT is never sent elsewhere. */
  async function send(): Promise<AuthoriseAnswer> {
    const { aid, bin } = authorisation.facts
    let answer: AuthoriseAnswer = { kind: 'notSent', reason: 'NO_ACQUIRER' }
    const able = acquirers.route({ kind, amount: amountOf(record.current), aid, bin })
    for (const acquirer of mayTake(record.current, able)) {
      answer = await sendTo(acquirer)
      if (answer.kind !== 'notSent' || record.current.state === 'SENT') return answer
      log.warn('payment.notSent', {
        payment: record.current.key,
        acquirer: acquirer.id,
        reason: answer.reason,
      })
    }
    return answer
  }

  /** Asks, and holds the answer against what the journal knows: once SENT, "not sent" is no longer possible. */
  async function askHost(): Promise<AuthoriseAnswer> {
    if (!deps.isOnline()) return { kind: 'notSent', reason: 'NO_NETWORK' }
    let answer: AuthoriseAnswer
    try {
      answer = await send()
    } catch (error) {
      if (isPosternError(error, 'JOURNAL_FAILED')) throw error
      answer = { kind: 'notSent', reason: note('payment.hostFault', error) }
    }
    return answer.kind === 'notSent' && record.current.state === 'SENT'
      ? { kind: 'unknown', cause: 'lineLost' }
      : answer
  }

  const toCard = ({ responseCode, approved, issuerAuthenticationData, scripts }: Answered) =>
    card.hostAnswer(
      { kind: 'answered', responseCode, approved, issuerAuthenticationData, scripts },
      unending(),
    )
  /** So that the card can end in good order; what it says changes nothing. */
  const endCard = (saying: Promise<FinalOutcome>) =>
    saying.catch((error: unknown) => note('payment.cardFault', error))
  const endCardWithoutHost = () =>
    endCard(card.hostAnswer({ kind: 'unableToGoOnline', decline: true }, unending()))

  async function finishApproved(answer: Answered): Promise<void> {
    const asked = BigInt(record.current.minor)
    const part = answer.approvedMinor ?? asked
    const less = part < asked ? { approvedMinor: part.toString() } : {}
    record.advance('hostApproved', { response: responseOf(answer), ...less })
    if (part !== asked) {
      const wanted = part < asked && part > 0n && record.current.partialAllowed === true
      if (!wanted || !(await takesPart(deps, record.current, part))) {
        record.takeBack('cardNotFinal', 'partialRefused')
        await endCardWithoutHost()
        return
      }
    }
    let final: FinalOutcome
    try {
      final = await toCard(answer)
    } catch (error) {
      note('payment.cardFault', error)
      return record.takeBack('cardNotFinal', 'cardFailed')
    }
    const { facts } = final
    switch (final.kind) {
      case 'approved': {
        const { signatureRequired, de55 } = final
        return record.advance('cardApproved', { card: facts, signatureRequired, de55: toHex(de55) })
      }
      case 'declined':
      case 'approvedOffline': // a card that speaks for itself after the host has spoken
        return record.takeBack('cardNotFinal', 'cardDeclined', { card: facts })
      case 'ended':
        return record.takeBack('cardNotFinal', final.reason === 'removed' ? 'cardRemoved' : 'cardFailed', {
          card: facts,
        })
    }
  }

  const answer = await askHost().catch((error: unknown) => {
    forget(authorisation)
    throw error
  })
  if (answer.kind === 'notSent' && authorisation.facts.entryMode === 'chip')
    return approveWithoutHost(deps, record, authorisation, answer.reason, card).finally(() =>
      forget(authorisation),
    )
  if (answer.kind === 'answered' && !answer.approved && REFERRALS.includes(answer.responseCode)) {
    const waits = kind === 'sale' && authorisation.facts.entryMode === 'chip'
    if (waits && record.current.cashbackMinor === undefined) {
      record.advance('hostReferred', { response: responseOf(answer) })
      return settleReferral(deps, record, authorisation, card, answer).finally(() => forget(authorisation))
    }
  }
  forget(authorisation)
  switch (answer.kind) {
    case 'notSent':
      record.end('needsNetwork', answer.reason)
      await endCardWithoutHost()
      return
    case 'unknown':
      record.takeBack('answerUnknown', answer.cause)
      await endCardWithoutHost()
      return
    case 'answered': {
      if (answer.approved) return finishApproved(answer)
      const code = `RESPONSE_${answer.responseCode}`
      record.advance('hostDeclined', { response: responseOf(answer), code }, true)
      const last = await endCard(toCard(answer))
      // NOTE: of an approval that the card declines the reversal is the advice.
      if (typeof last === 'object' && last.kind === 'declined' && last.adviceRequired)
        if (wantsDeclines(deps, record.current))
          record.declineAdvised([], answer.responseCode, { card: last.facts, de55: toHex(last.de55) })
    }
  }
}
