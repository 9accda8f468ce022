// Who works with the terminal: sign-in by number and code, a supervisor's word, and the lock-out of guessers.

import { erase } from '../../hal/base/bytes.js'
import type { Clock } from '../../hal/base/clock.js'
import type { Log } from '../../hal/base/log.js'
import type { Operator } from '../api/payments.js'
import { codeMatches } from './operator-codes.js'
import type { OperatorEntry, OperatorsDocument } from './operators-document.js'
import type { OperatorAttempts } from './payments/journal.js'
import type { Texts } from './texts.js'

/** What is asked for on the secure screen, and what went wrong with the last try. */
export interface OperatorQuestion {
  readonly purpose: 'signIn' | 'refund' | 'override'
  /** For a supervisor: what they agree to. */
  readonly reason: string | undefined
  readonly locale: string
  /** A sentence about the try before: wrong code, locked until. */
  readonly problem: string | undefined
}

/** Served by the secure screens: a number and a code, typed under "NOT FOR PIN". */
export interface OperatorPrompts {
  /** Undefined when given up. `code` is ASCII digits, 4 to 12, erased by the receiver. */
  askOperator(
    question: OperatorQuestion,
    signal: AbortSignal,
  ): Promise<{ readonly number: string; readonly code: Uint8Array } | undefined>
}

/** Wrong codes, kept where no restart forgets them. */
export interface AttemptStore {
  attempts(operator: string): OperatorAttempts
  /** Durable when it returns. */
  putAttempts(operator: string, attempts: OperatorAttempts): void
}

/** Why an operator who knows their code may still not begin, in words; undefined where they may. */
export type BeginRound = (operator: Operator) => string | undefined

export interface Session {
  readonly operator: Operator | null
  /** Null when given up, or when another call of this kind is under way. */
  signIn(signal: AbortSignal): Promise<Operator | null>
  signOut(): void
  /** The supervisor's id, or undefined. */
  authorise(action: 'refund' | 'override', reason: string, signal: AbortSignal): Promise<string | undefined>
}

export interface SessionDependencies {
  readonly operators: OperatorsDocument
  readonly prompts: OperatorPrompts
  readonly attempts: AttemptStore
  readonly beginRound: BeginRound
  readonly texts: Pick<Texts, 'text'>
  readonly locale: string
  readonly clock: Clock
  readonly log: Log
  readonly onChanged: (operator: Operator | null) => void
}

/** Wrong codes in a row before the lock-out. */
export const MAX_FAILURES = 5
/** How long an operator number is locked out. */
export const LOCK_OUT_MS = 15 * 60_000
/** A try is counted under this name too when the number is nobody's. */
const UNKNOWN = 'unknown'

type Verdict =
  | { readonly kind: 'right'; readonly operator: OperatorEntry }
  | { readonly kind: 'wrong'; readonly problem: string }

/** Makes the session: nobody is signed in. */
export function createSession(deps: SessionDependencies): Session {
  const { operators, prompts, attempts, texts, clock, log } = deps
  let operator: Operator | null = null
  let asking = false

  async function check(number: string, code: Uint8Array, locale: string): Promise<Verdict> {
    const known = operators.operators.find(({ id }) => id === number)
    const account = known?.id ?? UNKNOWN
    const before = attempts.attempts(account)
    let leftMs = before.lockedUntilMs - clock.nowMs()
    if (leftMs > LOCK_OUT_MS) {
      // The clock was set back: the lock-out begins anew, and is no longer than it says.
      leftMs = LOCK_OUT_MS
      attempts.putAttempts(account, { ...before, lockedUntilMs: clock.nowMs() + LOCK_OUT_MS })
    }
    if (leftMs > 0) {
      const minutes = Math.ceil(leftMs / 60_000)
      return { kind: 'wrong', problem: texts.text(locale, 'session.locked', { minutes }) }
    }
    const failures = before.lockedUntilMs > 0 ? 1 : before.failures + 1
    const lockedUntilMs = failures >= MAX_FAILURES ? clock.nowMs() + LOCK_OUT_MS : 0
    attempts.putAttempts(account, { failures, lockedUntilMs }) // before the check: a power cut is no free try
    if ((await codeMatches(known?.code, code)) && known !== undefined) {
      attempts.putAttempts(account, { failures: 0, lockedUntilMs: 0 })
      return { kind: 'right', operator: known }
    }
    log.warn('session.wrong', { operator: account, failures })
    return {
      kind: 'wrong',
      problem:
        lockedUntilMs > 0
          ? texts.text(locale, 'session.locked', { minutes: LOCK_OUT_MS / 60_000 })
          : texts.text(locale, 'session.wrong'),
    }
  }

  /** Asks until somebody suits, or gives up. `suits` answers with a problem in words. */
  async function ask(
    question: Omit<OperatorQuestion, 'problem' | 'locale'>,
    suits: (candidate: OperatorEntry) => string | undefined,
    signal: AbortSignal,
  ): Promise<OperatorEntry | undefined> {
    if (asking) return undefined
    asking = true
    try {
      const locale = operator?.locale ?? deps.locale
      let problem: string | undefined
      while (!signal.aborted) {
        const typed = await prompts.askOperator({ ...question, locale, problem }, signal)
        if (typed === undefined) return undefined
        const verdict = await check(typed.number, typed.code, locale).finally(() => erase(typed.code))
        if (verdict.kind === 'right') {
          problem = suits(verdict.operator)
          if (problem === undefined) return verdict.operator
        } else problem = verdict.problem
      }
      return undefined
    } finally {
      asking = false
    }
  }

  return {
    get operator() {
      return operator
    },
    async signIn(signal) {
      const entry = await ask({ purpose: 'signIn', reason: undefined }, deps.beginRound, signal)
      if (entry === undefined) return null
      const { id, name, role, locale } = entry
      operator = { id, name, role, locale }
      log.info('session.signedIn', { operator: id, role })
      deps.onChanged(operator)
      return operator
    },
    signOut() {
      if (operator === null) return
      log.info('session.signedOut', { operator: operator.id })
      operator = null
      deps.onChanged(null)
    },
    async authorise(action, reason, signal) {
      const entry = await ask(
        { purpose: action, reason },
        ({ role }) =>
          role === 'supervisor'
            ? undefined
            : texts.text(operator?.locale ?? deps.locale, 'session.notSupervisor'),
        signal,
      )
      if (entry !== undefined) log.info('session.authorised', { supervisor: entry.id, action })
      return entry?.id
    },
  }
}
