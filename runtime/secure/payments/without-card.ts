// What is asked of the host about an earlier payment, without its card: a linked refund, more of a pre-authorisation.
import { isPosternError } from '../../../hal/base/errors.js'
import type { AuthoriseAnswer, AuthorisedKind } from './acquirer-port.js'
import type { Lane } from './lane.js'
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { originalFacts, type Reversals } from './reversals.js'
import { saleRecord } from './sale-record.js'

type Needs = Pick<PaymentDependencies, 'journal' | 'acquirers' | 'clock' | 'log'>

const unending = () => new AbortController().signal

/**
 * From CREATED to COMPLETED, a final state or an owed reversal. The original's own acquirer is asked and no other.
 * Where no card has a last word, the durable answer of the host is final.
 * @throws PosternError `JOURNAL_FAILED`
 */
export async function askWithoutCard(
  deps: Needs,
  lane: Lane,
  reversals: Reversals,
  created: PaymentRecord,
  original: PaymentRecord,
  kind: Extract<AuthorisedKind, 'refund' | 'increment'>,
): Promise<PaymentRecord> {
  const record = saleRecord(deps, created, () => undefined)
  const acquirer = deps.acquirers.byId(original.acquirer)

  async function ask(): Promise<AuthoriseAnswer> {
    if (acquirer === undefined) return { kind: 'notSent', reason: 'NO_ACQUIRER' }
    if (!(await reversals.clear(acquirer, unending()))) return { kind: 'notSent', reason: 'REVERSAL_FIRST' }
    const { id, terminalId, merchantId } = acquirer
    const { card, cardToken } = original
    record.prepare({
      acquirer: id,
      terminalId,
      merchantId,
      ...(card === undefined ? {} : { card }),
      ...(cardToken === undefined ? {} : { cardToken }),
    })
    const facts = { ...originalFacts(record.current), kind }
    return acquirer.authorise(
      { facts, card: undefined, original: originalFacts(original) },
      (sentOver) => record.advance('sending', sentOver === undefined ? {} : { sentOver }),
      unending(),
    )
  }

  try {
    const answer = await lane.run(ask)
    if (answer.kind === 'unknown') record.takeBack('answerUnknown', answer.cause)
    else if (answer.kind === 'notSent') {
      if (record.current.state === 'SENT') record.takeBack('answerUnknown', 'lineLost')
      else record.end('needsNetwork', answer.reason)
    } else {
      const { responseCode: code, authorisationCode, retrievalReference, approved } = answer
      const response = {
        code,
        ...(authorisationCode === undefined ? {} : { authorisationCode }),
        ...(retrievalReference === undefined ? {} : { retrievalReference }),
      }
      if (approved) record.advance(['hostApproved', 'cardApproved', 'completed'], { response }, true)
      else record.advance('hostDeclined', { response, code: `RESPONSE_${code}` }, true)
    }
  } catch (error) {
    if (isPosternError(error, 'JOURNAL_FAILED')) throw error
    record.endAfterFault(error)
  }
  return record.current
}
