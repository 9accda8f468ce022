// Advices that are owed: approvals that the host has not heard of, told until it answers; a refusal is for a person.
import { erase, fromHex } from '../../../hal/base/bytes.js'
import { isPosternError } from '../../../hal/base/errors.js'
import { formatMoney } from '../../../hal/base/money.js'
import type { Acquirer, AdviceAnswer, AdviceRequest } from './acquirer-port.js'
import type { PaymentDependencies } from './payment-port.js'
import type { Advice, PaymentRecord } from './payment-record.js'
import { next, type PaymentInput } from './payment-states.js'
import { amountOf } from './payment-view.js'
import { originalFacts } from './reversals.js'
import type { SentOver } from './roads/road.js'

/** Failures in a row after which an operator is told. The advice is sent on all the same. */
const TELL_AFTER = 6
const FIRST_WAIT_MS = 5_000
const LONGEST_WAIT_MS = 5 * 60_000

export interface Advices {
  /** Tries each that is owed to an acquirer once, up to the first that fails; true when none is left. In the lane. */
  clear(acquirer: Acquirer, signal: AbortSignal): Promise<boolean>
  /** Tries whatever is due. */
  flushDue(signal: AbortSignal): Promise<void>
  /** Milliseconds until one is due, or undefined where none is owed. */
  dueInMs(): number | undefined
  /** True while one of a round is owed to that acquirer. */
  owes(acquirer: Acquirer, round: string): boolean
  hurry(): void
  /** Destroys the keys of card data that nobody needs any more: at the start, before any payment is live. */
  sweep(): Promise<void>
}

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'acquirers' | 'vault' | 'clock' | 'log' | 'texts' | 'onNotice' | 'onChanged'
>

export function createAdvices(deps: Needs): Advices {
  const { journal, vault, clock, log } = deps
  const tried = new Map<string, number>()
  const isOwed = ({ state }: PaymentRecord) => state === 'ADVICE_PENDING' || state === 'DECLINE_PENDING'
  const owed = () => journal.openPayments().filter(isOwed)

  const mineOf = ({ id, terminalId }: Acquirer) =>
    owed().filter((one) => one.acquirer === id && one.terminalId === terminalId)

  function dueOf({ key, advice }: PaymentRecord): number {
    const last = tried.get(key)
    const failures = advice?.failures ?? 0
    if (failures === 0 || last === undefined) return 0
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS)
    return Math.max(0, last + waitMs - clock.monotonicMs())
  }

  const words = (record: PaymentRecord, text: string) =>
    deps.texts.text(record.locale, text, {
      reference: record.reference,
      amount: formatMoney(amountOf(record)),
    })

  function failed(key: string, why: string): void {
    const record = journal.payment(key)!
    const failures = record.advice!.failures + 1
    journal.commit('advice.failed', (step) =>
      step.putPayment({ ...record, advice: { ...record.advice!, failures, lastFailure: why } }),
    )
    log.warn('advice.failed', { payment: key, failures, why })
    if (failures === TELL_AFTER)
      deps.onNotice(words(record, record.state === 'DECLINE_PENDING' ? 'decline.stuck' : 'advice.stuck'))
  }

  function answered(key: string, input: PaymentInput, answer: string, retrievalReference?: string): void {
    const before = journal.payment(key)!
    const advice: Advice = { ...before.advice!, failures: 0, answer, answeredAtMs: clock.nowMs() }
    const over = input === 'adviceAcknowledged'
    const { response, sealedCard } = before
    journal.commit(`advice.${over ? 'acknowledged' : 'refused'}`, (step) => {
      step.putPayment({
        ...before,
        advice,
        state: next(before.state, input),
        ...(retrievalReference === undefined
          ? {}
          : { response: { code: advice.responseCode, ...response, retrievalReference } }),
        ...(over && sealedCard !== undefined ? { sealedCard: { ...sealedCard, sealed: '' } } : {}),
      })
      step.queueChange(before.key, before.app)
    })
    tried.delete(key)
    log.info(`payment.${input}`, { payment: key, answer })
    deps.onChanged()
    if (!over)
      deps.onNotice(words(before, before.state === 'DECLINE_PENDING' ? 'decline.refused' : 'advice.refused'))
  }

  function requestOf(record: PaymentRecord): AdviceRequest {
    const { advice, sealedCard, original, key } = record
    if (record.state === 'DECLINE_PENDING') return declineOf(record)
    const kind = record.type === 'completion' ? 'completion' : 'offlineSale'
    const first = original === undefined ? undefined : journal.payment(original)
    return {
      facts: { ...originalFacts(record), kind },
      responseCode: advice!.responseCode,
      card:
        sealedCard === undefined
          ? undefined
          : { de55: fromHex(record.de55 ?? ''), cardData: vault.open(key, sealedCard) },
      ...(first === undefined ? {} : { original: originalFacts(first) }),
      repeat: advice!.attempts > 0,
    }
  }

  /** NOTE: card data of a decline are not kept, so that the host knows its card by DE23 and the cryptogram in DE55. */
  function declineOf(record: PaymentRecord): AdviceRequest {
    const { advice, de55 } = record
    const { responseCode, own, attempts } = advice!
    const { retrievalReference: _, authorisationCode: __, ...facts } = originalFacts(record)
    return {
      facts: {
        ...facts,
        retrievalReference: undefined,
        authorisationCode: undefined,
        kind: 'offlineDecline',
        ...(own === undefined ? {} : { stan: own.stan, preparedAtMs: own.atMs }),
      },
      responseCode,
      card: undefined,
      de55: fromHex(de55 ?? ''),
      repeat: attempts > 0,
    }
  }

  async function attempt(record: PaymentRecord, signal: AbortSignal): Promise<AdviceAnswer['kind']> {
    const { key } = record
    tried.set(key, clock.monotonicMs())
    const acquirer = deps.acquirers.byId(record.acquirer)
    if (acquirer === undefined) {
      failed(key, 'ACQUIRER_GONE')
      return 'failed'
    }
    let request: AdviceRequest
    try {
      request = requestOf(record)
    } catch (error) {
      failed(key, isPosternError(error) ? error.code : 'FAULT')
      return 'failed'
    }
    const sending = (sentOver?: SentOver) =>
      journal.commit('advice.send', (step) => {
        const now = journal.payment(key)!
        step.putPayment({
          ...now,
          advice: { ...now.advice!, attempts: now.advice!.attempts + 1 },
          ...(sentOver === undefined ? {} : { sentOver }),
        })
      })
    const answer = await acquirer
      .advise(request, (over) => void sending(over), signal)
      .finally(() => erase(request.card?.cardData.bytes))
    switch (answer.kind) {
      case 'acknowledged':
        answered(key, 'adviceAcknowledged', answer.responseCode, answer.retrievalReference)
        if (record.sealedCard !== undefined) await destroy([record.sealedCard.keyId])
        break
      case 'refused':
        answered(key, 'adviceRefused', answer.responseCode)
        break
      case 'notSent':
      case 'failed':
        if (!signal.aborted) failed(key, answer.reason)
    }
    return answer.kind
  }

  async function destroy(ids: readonly string[]): Promise<void> {
    await vault.destroy(ids).catch((error: unknown) => {
      // The host has answered all the same; what is left is destroyed at the next start.
      log.error('vault.failed', { fault: isPosternError(error) ? error.code : 'FAULT' })
    })
  }

  return {
    async clear(acquirer, signal) {
      for (const record of mineOf(acquirer)) {
        if (signal.aborted) return false
        const how = await attempt(record, signal)
        if ((how === 'notSent' || how === 'failed') && record.state === 'ADVICE_PENDING') return false
      }
      // A decline that is still to be told keeps no money back.
      return mineOf(acquirer).every(({ state }) => state === 'DECLINE_PENDING')
    },
    async flushDue(signal) {
      const shut = new Set<string>()
      for (const record of owed()) {
        if (signal.aborted) return
        if (shut.has(record.acquirer) || dueOf(record) > 0) continue
        if ((await attempt(record, signal)) === 'notSent') shut.add(record.acquirer)
      }
    },
    dueInMs() {
      const all = owed()
      return all.length === 0 ? undefined : Math.min(...all.map(dueOf))
    },
    owes: (acquirer, round) =>
      mineOf(acquirer).some((record) => record.round === round && record.state === 'ADVICE_PENDING'),
    hurry: () => tried.clear(),
    sweep: () => {
      const kept = journal.openPayments().map(({ sealedCard }) => sealedCard?.keyId)
      return destroy(vault.ids().filter((id) => !kept.includes(id)))
    },
  }
}
