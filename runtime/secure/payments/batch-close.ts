// Closing a batch with one acquirer: totals (0500), on 95 every payment (0320), then the totals again (96). Each message
// is journalled before it is sent, so that a close that was cut off goes on where it stood.
import { formatMoney } from '../../../hal/base/money.js'
import type { RoundClose } from '../../api/payments.js'
import type { Acquirer, TotalsAnswer } from './acquirer-port.js'
import type { Advices } from './advices.js'
import type { PaymentDependencies } from './payment-port.js'
import type { BatchClosing, BatchUpload, PaymentRecord, RoundRecord } from './payment-record.js'
import { BOOKED_STATES } from './payment-states.js'
import { amountOf } from './payment-view.js'
import { originalFacts, type Reversals } from './reversals.js'
import { batchTotals, differencesInWords } from './totals.js'

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'acquirers' | 'merchant' | 'session' | 'texts' | 'clock' | 'log'
>
export type Comparison = Pick<RoundClose, 'agreement' | 'differences'>

/** Differences that are kept and shown. */
const MAX_LINES = 40
const NOT_COMPARED: Comparison = { agreement: 'notCompared', differences: [] }

/** What was sent to an acquirer: a release with one acquirer wrote it without its name. */
const closingOf = ({ closing, closings }: RoundRecord, acquirer: string): BatchClosing | undefined =>
  closings === undefined ? closing : closings[acquirer]

/** Money that counts in the totals. */
const isBooked = ({ state, type = 'sale' }: PaymentRecord) =>
  BOOKED_STATES.includes(state) && type !== 'preauth' && type !== 'increment'

export interface BatchClose {
  /** Compares a round's part with one acquirer; again with the same numbers until it has answered. In the lane. */
  compare(round: string, acquirer: string, prefix: string, signal: AbortSignal): Promise<Comparison>
}

export function createBatchClose(deps: Needs, reversals: Reversals, advices: Advices): BatchClose {
  const { journal, acquirers, texts, clock, log } = deps
  const locale = () => deps.session.operator?.locale ?? deps.merchant.locale

  function put(id: string, acquirer: string, step: string, change: Partial<BatchClosing>): BatchClosing {
    return journal.commit(step, (entry) => {
      const before = journal.round(id)!
      const known = closingOf(before, acquirer)
      const closing: BatchClosing = {
        ...(known ?? {
          stan: entry.reserve('stan'),
          atMs: clock.nowMs(),
          totals: batchTotals(paymentsOf(id, acquirer)),
          attempts: 0,
        }),
        ...change,
      }
      const closings = { ...before.closings, [acquirer]: closing }
      const first = Object.keys(closings)[0] === acquirer
      entry.putRound({ ...before, closings, ...(first ? { closing } : {}) })
      return closing
    })
  }
  const paymentsOf = (id: string, acquirer: string) =>
    journal.paymentsOfRound(id).filter((payment) => payment.acquirer === acquirer)
  const nextStan = (step: string) =>
    journal.commit(step, (entry) => ({ stan: entry.reserve('stan'), atMs: clock.nowMs() }))

  /** Every payment of the batch, one message each; undefined where the host did not answer all of them. */
  async function upload(
    id: string,
    acquirer: Acquirer,
    closing: BatchClosing,
    signal: AbortSignal,
  ): Promise<BatchClosing | undefined> {
    const payments = paymentsOf(id, acquirer.id).filter(isBooked)
    let now = closing
    while ((now.upload?.done ?? 0) < payments.length) {
      const before: BatchUpload = now.upload ?? { done: 0, refused: [] }
      const record = payments[before.done]!
      const repeat = before.sending !== undefined
      const sending = before.sending ?? nextStan('round.uploadNumber')
      put(id, acquirer.id, 'round.upload', { upload: { ...before, sending } })
      const answer = await acquirer.upload(
        {
          ...sending,
          repeat,
          original: originalFacts(record),
          minor: amountOf(record).minor,
          responseCode: record.advice?.responseCode ?? record.response?.code ?? '00',
          number: before.done + 1,
          count: payments.length,
        },
        signal,
      )
      if (answer.kind === 'notSent' || answer.kind === 'failed') {
        log.warn('round.uploadFailed', { round: id, acquirer: acquirer.id, reason: answer.reason })
        return undefined
      }
      const refused =
        answer.kind === 'refused'
          ? [...before.refused, { key: record.key, code: answer.responseCode }]
          : before.refused
      now = put(id, acquirer.id, 'round.uploaded', { upload: { done: before.done + 1, refused } })
    }
    return now.upload === undefined
      ? put(id, acquirer.id, 'round.uploaded', { upload: { done: 0, refused: [] } })
      : now
  }

  /** Line by line: each payment that the host has otherwise than the journal. */
  function linesInWords({ upload: uploaded }: BatchClosing): string[] {
    return (uploaded?.refused ?? []).slice(0, MAX_LINES).map(({ key, code }) => {
      const record = journal.payment(key)
      return texts.text(locale(), 'round.line', {
        reference: record?.reference ?? key,
        amount: record === undefined ? '-' : formatMoney(amountOf(record), true),
        code,
      })
    })
  }

  return {
    async compare(id, acquirerId, prefix, signal) {
      const acquirer = acquirers.byId(acquirerId)
      if (acquirer === undefined || reversals.owes(acquirer) || advices.owes(acquirer, id))
        return NOT_COMPARED
      const round = journal.round(id)!
      const known = closingOf(round, acquirerId)
      if (known?.agreement !== undefined)
        return { agreement: known.agreement, differences: [...(known.differences ?? [])] }
      const { batch, currency, utcOffsetMin } = round
      const ask = (
        closing: BatchClosing,
        of: { stan: number; atMs: number },
        phase: 'first' | 'afterUpload',
      ) =>
        acquirer.compareTotals(
          { batch, currency, utcOffsetMin, totals: closing.totals, stan: of.stan, atMs: of.atMs, phase },
          signal,
        )
      const attempts = (known?.attempts ?? 0) + 1
      let closing = put(id, acquirerId, 'round.compare', { attempts })
      let answer: TotalsAnswer | undefined
      if (closing.upload === undefined) {
        answer = await ask(closing, closing, 'first')
        if (answer.kind === 'differs' && answer.uploadWanted)
          closing = put(id, acquirerId, 'round.uploadWanted', { upload: { done: 0, refused: [] } })
      }
      if (closing.upload !== undefined) {
        const uploaded = await upload(id, acquirer, closing, signal)
        if (uploaded === undefined) return NOT_COMPARED
        const after = uploaded.after ?? nextStan('round.afterNumber')
        closing = put(id, acquirerId, 'round.compareAgain', { after })
        answer = await ask(closing, after, 'afterUpload')
      }
      if (answer === undefined || answer.kind === 'notSent' || answer.kind === 'failed') {
        log.warn('round.notCompared', { round: id, acquirer: acquirerId, reason: answer?.reason ?? '-' })
        return NOT_COMPARED
      }
      const words =
        answer.kind === 'agrees'
          ? []
          : differencesInWords(closing.totals, answer.host, currency, texts, locale())
      const comparison = {
        agreement: answer.kind,
        differences: [...words, ...linesInWords(closing)].map((line) => prefix + line),
      }
      put(id, acquirerId, 'round.answered', comparison)
      return comparison
    },
  }
}
