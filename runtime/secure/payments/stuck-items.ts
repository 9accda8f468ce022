// What is owed to a host or refused by it: listed, shown on secure screens, and ended by a person with a reason.
import { formatMoney, moneyToJson } from '../../../hal/base/money.js'
import type { StuckPayments } from '../../api/payments.js'
import type { Screen } from '../../api/screens.js'
import { unsignedPayments } from './fiscal-marks.js'
import type { JournalStep } from './journal.js'
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { next, OWED_STATES } from './payment-states.js'
import { amountOf, localIso } from './payment-view.js'
import type { Rounds } from './rounds.js'
import { countSupervised, supervise } from './supervision.js'

const MAX_ITEMS = 100
const SCREEN_MS = 120_000
const DIFFERENCES = 'differences'

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'session' | 'merchant' | 'texts' | 'clock' | 'log' | 'ask' | 'vault' | 'onChanged'
>
type Item = StuckPayments['items'][number]

const isRefused = ({ state }: PaymentRecord) => state === 'ADVICE_REFUSED' || state === 'DECLINE_REFUSED'
const isEndable = (record: PaymentRecord) => record.state === 'REVERSAL_STUCK' || isRefused(record)

const isAdvised = ({ state }: PaymentRecord) => /^(ADVICE|DECLINE)_(PENDING|REFUSED)$/.test(state)
const kindOf = (record: PaymentRecord): Item['kind'] =>
  OWED_STATES.includes(record.state) ? 'reversal' : isAdvised(record) ? 'advice' : 'fiscal'

const itemOf = (record: PaymentRecord): Item => {
  const { reversal, advice } = record
  const marks = kindOf(record) === 'fiscal' ? [record.fiscal, record.void?.fiscal] : []
  const unsigned = marks.find((mark) => mark?.state === 'owed')
  const code =
    (unsigned?.state === 'owed' ? unsigned.lastFailure : undefined) ??
    reversal?.lastFailure ??
    advice?.answer ??
    advice?.lastFailure
  return {
    key: record.key,
    reference: record.reference,
    amount: moneyToJson(amountOf(record)),
    kind: kindOf(record),
    at: localIso(record.createdAtMs, record.utcOffsetMin),
    failures: unsigned?.failures ?? reversal?.failures ?? advice?.failures ?? 0,
    ...(code === undefined ? {} : { code }),
    endable: isEndable(record),
  }
}

export interface StuckItems {
  list(): StuckPayments
  /** Shows them until the person goes back; `onResolved` after each that was ended or is to be sent again. */
  review(signal: AbortSignal, onResolved: () => Promise<void>): Promise<void>
}

/** `isBusy`: a close or another payment is under way, and what it counts may not change. */
export function createStuckItems(
  deps: Needs,
  rounds: Pick<Rounds, 'ensureOpen'>,
  isBusy: () => boolean,
): StuckItems {
  const { journal, session, texts, clock, log } = deps
  const t = (name: string, params: Record<string, string | number> = {}) =>
    texts.text(session.operator?.locale ?? deps.merchant.locale, name, params)
  const stuck = () =>
    journal
      .openPayments()
      .filter((record) => OWED_STATES.includes(record.state) || isAdvised(record))
      // A receipt without its signature is one thing more to see to, of a payment that is settled itself.
      .concat(unsignedPayments(journal).filter((record) => kindOf(record) === 'fiscal'))
      .slice(0, MAX_ITEMS)

  const message = (text: string, signal: AbortSignal) =>
    deps.ask({ kind: 'message', title: t('stuck.title'), text, timeoutMs: SCREEN_MS }, signal)

  function listScreen(records: readonly PaymentRecord[]): Screen {
    return {
      kind: 'list',
      title: t('stuck.title'),
      items: records.map((record, i) => ({
        id: `i${i}`,
        label: record.reference,
        detail: t(`stuck.${itemOf(record).kind}${isEndable(record) ? '.endable' : ''}`),
        right: formatMoney(amountOf(record)).slice(0, 20),
        ...(isEndable(record) ? { mark: 'attention' as const } : {}),
      })),
      empty: t('stuck.none'),
      timeoutMs: SCREEN_MS,
    }
  }

  /** The round that was compared last, where the acquirer counts otherwise. */
  const differing = () => {
    const rounds = [...journal.openRounds(), journal.lastRound()]
    return rounds.find((round) => round?.agreement === 'differs' && (round.differences ?? []).length > 0)
  }

  /** Line by line: our sums beside the host's, then each payment that it has otherwise. */
  function differencesScreen(lines: readonly string[]): Screen {
    const pieces = lines.flatMap((line) => line.match(/.{1,80}/gu) ?? [])
    return {
      kind: 'details',
      title: t('stuck.differences'),
      rows: pieces.slice(0, 20).map((value, i) => ({ label: i === 0 ? t('stuck.differs') : '', value })),
      items: [],
      timeoutMs: SCREEN_MS,
    }
  }

  function detailsScreen(record: PaymentRecord): Screen {
    const { failures, code, at, kind } = itemOf(record)
    const actions = isEndable(record) ? [...(isRefused(record) ? ['retry'] : []), 'end'] : []
    return {
      kind: 'details',
      title: t(`stuck.${kind}`).slice(0, 40),
      rows: [
        { label: t('stuck.reference'), value: record.reference },
        { label: t('stuck.amount'), value: formatMoney(amountOf(record)) },
        { label: t('stuck.at'), value: at.slice(0, 16).replace('T', ' ') },
        { label: t('stuck.tries'), value: String(failures) },
        ...(code === undefined ? [] : [{ label: t('stuck.code'), value: code.slice(0, 80) }]),
        ...(record.card === undefined ? [] : [{ label: t('stuck.card'), value: record.card.maskedPan }]),
      ],
      items: actions.map((id) => ({ id, label: t(`stuck.${id}`) })),
      timeoutMs: SCREEN_MS,
    }
  }

  /** The batch of an advice that is sent again: where the totals of its own may have left, the open one or a new one. */
  function inOpenBatch({ round }: PaymentRecord, step: JournalStep): Partial<PaymentRecord> {
    if (journal.round(round)?.state === 'OPEN' || session.operator === null) return {}
    const open = rounds.ensureOpen(session.operator, step)
    return { round: open.id, batch: open.batch }
  }

  /** With a reason and a supervisor's code: one durable step. False where nobody agreed. */
  async function resolve(key: string, how: 'end' | 'retry', signal: AbortSignal): Promise<boolean> {
    const typed = await deps.ask(
      {
        kind: 'form',
        title: t(`stuck.${how}`),
        fields: [{ id: 'reason', label: t('stuck.reason'), input: 'text', minLength: 3, maxLength: 40 }],
        timeoutMs: SCREEN_MS,
      },
      signal,
    )
    if (typed.type !== 'submitted') return false
    const reason = typed.values['reason']!
    const word = await supervise(deps, { action: 'override', reason }, signal)
    if (word.kind === 'refused') {
      if (word.code === 'CAP_REACHED') await message(t('payment.declined.CAP_REACHED'), signal)
      return false
    }
    const record = journal.payment(key)
    if (record === undefined || !isEndable(record)) return false // the host answered meanwhile
    if (isBusy()) return false // a close has counted it already
    const ended = how === 'end'
    journal.commit(ended ? 'payment.endedByOperator' : 'payment.adviceRetried', (step) => {
      step.putPayment({
        ...record,
        state: next(record.state, ended ? 'endedByOperator' : 'adviceRetried'),
        ...(ended ? {} : inOpenBatch(record, step)),
        resolution: {
          how: ended ? 'ended' : 'retried',
          operator: session.operator?.id ?? word.supervisor,
          supervisor: word.supervisor,
          reason,
          atMs: clock.nowMs(),
        },
        ...(ended && record.sealedCard ? { sealedCard: { ...record.sealedCard, sealed: '' } } : {}),
      })
      countSupervised(deps, step, 'override')
      step.queueChange(record.key, record.app)
    })
    if (ended && record.sealedCard) await deps.vault.destroy([record.sealedCard.keyId]).catch(() => undefined)
    log.warn('payment.resolved', { payment: key, how, supervisor: word.supervisor })
    deps.onChanged()
    return true
  }

  /** Above what is stuck, as it is the depot's first question. */
  function withDifferences(screen: Screen): Screen {
    if (screen.kind !== 'list') return screen
    const row = { id: DIFFERENCES, label: t('stuck.differences'), mark: 'attention' as const }
    return { ...screen, items: [row, ...screen.items] }
  }

  return {
    list: () => ({ items: stuck().map(itemOf) }),
    async review(signal, onResolved) {
      while (!signal.aborted) {
        const records = stuck()
        const round = differing()
        const list = listScreen(records)
        const chosen = await deps.ask(round === undefined ? list : withDifferences(list), signal)
        if (chosen.type !== 'selected') return
        if (chosen.id === DIFFERENCES) {
          await deps.ask(differencesScreen(round?.differences ?? []), signal)
          continue
        }
        const record = records[Number(chosen.id.slice(1))]
        if (record === undefined) return
        const action = await deps.ask(detailsScreen(record), signal)
        if (action.type !== 'selected' || (action.id !== 'end' && action.id !== 'retry')) continue
        if (await resolve(record.key, action.id, signal)) await onResolved()
      }
    },
  }
}
