// Questions that come up once the card is read: charged the same just now, less approved, the bank wants to be called.
import { formatMoney, money } from '../../../hal/base/money.js'
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord } from './payment-record.js'
import { STANDING_STATES } from './payment-states.js'
import { amountOf } from './payment-view.js'
import { supervise } from './supervision.js'

type Needs = Pick<PaymentDependencies, 'journal' | 'session' | 'merchant' | 'ask' | 'texts' | 'clock' | 'log'>

/** An identical payment within this time is asked about. */
const DUPLICATE_MS = 10 * 60_000
const LOOK_BACK = 200
const QUESTION_MS = 60_000
/** A voice code has so long: somebody is on the telephone. */
const CALL_MS = 10 * 60_000

const unending = () => new AbortController().signal

function confirm(
  { ask, texts }: Needs,
  { locale, currency }: PaymentRecord,
  about: string,
  amountMinor: string,
  params: Record<string, string | number> = {},
): Promise<boolean> {
  return ask(
    {
      kind: 'confirm',
      title: texts.text(locale, `${about}.title`),
      text: texts.text(locale, `${about}.text`, params),
      amount: { minor: amountMinor, currency },
      yes: texts.text(locale, `${about}.yes`),
      no: texts.text(locale, `${about}.no`),
      timeoutMs: QUESTION_MS,
    },
    unending(),
  ).then(({ type }) => type === 'confirmed')
}

/** True where the same card paid the same a moment ago, and the person does not want it twice. */
export async function isUnwantedDuplicate(
  needs: Needs,
  record: PaymentRecord,
  cardToken: string,
): Promise<boolean> {
  const sinceMs = needs.clock.nowMs() - DUPLICATE_MS
  const twin = needs.journal
    .list(LOOK_BACK)
    .find(
      (other) =>
        other.key !== record.key &&
        other.cardToken === cardToken &&
        (other.type ?? 'sale') === (record.type ?? 'sale') &&
        other.minor === record.minor &&
        other.currency === record.currency &&
        other.createdAtMs >= sinceMs &&
        STANDING_STATES.includes(other.state),
    )
  if (twin === undefined) return false
  const minutes = Math.max(1, Math.round((needs.clock.nowMs() - twin.createdAtMs) / 60_000))
  return !(await confirm(needs, record, 'duplicate', record.minor, { minutes, reference: twin.reference }))
}

/** True where the person takes the part that the host approved. */
export function takesPart(needs: Needs, record: PaymentRecord, approvedMinor: bigint): Promise<boolean> {
  const { minor, currency } = record
  const rest = money(BigInt(minor) - approvedMinor, currency)
  return confirm(needs, record, 'partial', approvedMinor.toString(), { rest: formatMoney(rest, true) })
}

/** The code that the bank gave by telephone, and the supervisor who agrees; undefined where nobody called. */
export async function voiceCode(
  needs: Needs,
  record: PaymentRecord,
): Promise<{ readonly code: string; readonly supervisor: string } | undefined> {
  const { ask, texts } = needs
  const { locale } = record
  const amount = formatMoney(amountOf(record))
  const typed = await ask(
    {
      kind: 'form',
      title: texts.text(locale, 'voice.title', { amount }).slice(0, 40),
      fields: [
        { id: 'code', label: texts.text(locale, 'voice.code'), input: 'text', minLength: 2, maxLength: 6 },
      ],
      timeoutMs: CALL_MS,
    },
    unending(),
  )
  const code = typed.type === 'submitted' ? (typed.values['code'] ?? '').toUpperCase() : ''
  if (!/^[A-Z0-9]{2,6}$/.test(code)) return undefined
  const reason = texts.text(locale, 'voice.reason', { code })
  const word = await supervise(needs, { action: 'override', reason }, unending())
  return word.kind === 'granted' ? { code, supervisor: word.supervisor } : undefined
}
