// A card's number typed on the secure screen: number, expiry, security code; at most the last four digits are on the glass.
import { ascii, erase } from '../../../hal/base/bytes.js'
import type { Clock } from '../../../hal/base/clock.js'
import { formatMoney, type Money } from '../../../hal/base/money.js'
import type { Key } from '../../../hal/keypad.js'
import type { Texts } from '../texts.js'
import { luhn } from './card-number.js'
import type { KeyOutcome } from './presenter.js'
import type { ScreenService } from './screen-service.js'

/** What was typed, ASCII digits; owned and erased by the receiver. */
export interface TypedCard {
  /** 12 to 19 digits, right by Luhn (ISO/IEC 7812-1, annex B). */
  readonly pan: Uint8Array
  /** YYMM, month 01 to 12. */
  readonly expiry: Uint8Array
  /** Three or four digits; absent where it was not asked for. Never stored. */
  readonly cvv2: Uint8Array | undefined
}

export type CardEntry =
  | { readonly kind: 'typed'; readonly card: TypedCard }
  | { readonly kind: 'cancelled' | 'timeout' }

export interface CardEntryDependencies {
  readonly screens: Pick<ScreenService, 'open'>
  readonly texts: Texts
  readonly clock: Clock
  /** Without a key for so long it is given up; default 60 s. */
  readonly keyTimeoutMs?: number
}

export type EnterCard = (
  wanted: { readonly amount: Money; readonly locale: string; readonly cvv2: boolean },
  signal: AbortSignal,
) => Promise<CardEntry>

const STEPS = ['pan', 'expiry', 'cvv2'] as const
type Step = (typeof STEPS)[number]
const DIGITS: Readonly<Record<Step, { readonly least: number; readonly most: number }>> = {
  pan: { least: 12, most: 19 },
  expiry: { least: 4, most: 4 },
  cvv2: { least: 3, most: 4 },
}
/** Digits of the number that stay to be read while it is typed. */
const SHOWN = 4

/** Makes the prompt. */
export function createCardEntry({
  screens,
  texts,
  clock,
  keyTimeoutMs = 60_000,
}: CardEntryDependencies): EnterCard {
  return async (wanted, signal) => {
    const language = texts.choose([wanted.locale])
    const typed: Record<Step, Uint8Array> = {
      pan: new Uint8Array(DIGITS.pan.most),
      expiry: new Uint8Array(DIGITS.expiry.most),
      cvv2: new Uint8Array(DIGITS.cvv2.most),
    }
    const counts: Record<Step, number> = { pan: 0, expiry: 0, cvv2: 0 }
    const steps = STEPS.filter((step) => step !== 'cvv2' || wanted.cvv2)
    let at = 0
    let notice: string | undefined
    let settle: (how: 'typed' | 'cancelled' | 'timeout') => void = () => undefined
    const answered = new Promise<'typed' | 'cancelled' | 'timeout'>((resolve) => {
      settle = resolve
    })
    const entered = (step: Step) => typed[step].subarray(0, counts[step])
    const clear = (step: Step) => {
      erase(typed[step])
      counts[step] = 0
    }

    /** What is wrong with what was typed, as a text's key. */
    function fault(step: Step): string | undefined {
      if (counts[step] < DIGITS[step].least) return `cardEntry.${step}.tooShort`
      if (step === 'pan' && !luhn(entered('pan'))) return 'cardEntry.pan.wrong'
      const month = Number(ascii.decode(entered('expiry').subarray(0, 2)))
      return step === 'expiry' && (month < 1 || month > 12) ? 'cardEntry.expiry.wrong' : undefined
    }

    function press(key: Key): KeyOutcome {
      const step = steps[at]!
      if (/^[0-9]{1,2}$/.test(key)) {
        if (counts[step] + key.length > DIGITS[step].most) return 'refused'
        for (const digit of key) typed[step][counts[step]++] = digit.charCodeAt(0)
        notice = undefined
        return 'taken'
      }
      if (key === 'clear' && counts[step] > 0) {
        typed[step][--counts[step]] = 0
        return 'taken'
      }
      if (key === 'cancel') {
        clear(step)
        notice = undefined
        if (at === 0) settle('cancelled')
        else at--
        return 'taken'
      }
      if (key !== 'enter') return 'refused'
      const wrong = fault(step)
      if (wrong !== undefined) {
        notice = texts.text(language, wrong)
        return 'refused'
      }
      if (at === steps.length - 1) settle('typed')
      else at++
      return 'taken'
    }

    /** The last digits of the number, `MM/YY`, and bullets for the rest and for the security code. */
    function shown(step: Step): string {
      const digits = entered(step)
      if (step === 'cvv2') return '•'.repeat(digits.length)
      if (step === 'expiry')
        return `${ascii.decode(digits.subarray(0, 2))}${digits.length > 2 ? `/${ascii.decode(digits.subarray(2))}` : ''}`
      const hidden = Math.max(0, digits.length - SHOWN)
      return `${'•'.repeat(hidden)}${ascii.decode(digits.subarray(hidden))}`.replace(/(.{4})(?=.)/g, '$1 ')
    }

    let timer = new AbortController()
    const rearm = () => {
      timer.abort()
      timer = new AbortController()
      clock.sleep(keyTimeoutMs, timer.signal).then(
        () => settle('timeout'),
        () => undefined,
      )
    }
    const onAbort = () => settle('cancelled')
    const surface = screens.open({
      language: () => language,
      content: () => {
        const step = steps[at]!
        return {
          kind: 'secret',
          title: texts.text(language, 'cardEntry.title'),
          amount: formatMoney(wanted.amount),
          text: texts.text(language, `cardEntry.${step}`),
          ...(notice === undefined ? {} : { notice }),
          entered: counts[step],
          typed: shown(step),
          notForPin: true,
        }
      },
      press(key) {
        const outcome = press(key)
        rearm()
        surface.changed()
        return outcome
      },
    })
    rearm()
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    let how: 'typed' | 'cancelled' | 'timeout' = 'cancelled'
    try {
      how = await answered
      if (how !== 'typed') return { kind: how }
      const expiry = entered('expiry')
      return {
        kind: 'typed',
        card: {
          pan: entered('pan').slice(),
          expiry: Uint8Array.of(expiry[2]!, expiry[3]!, expiry[0]!, expiry[1]!),
          cvv2: wanted.cvv2 ? entered('cvv2').slice() : undefined,
        },
      }
    } finally {
      timer.abort()
      signal.removeEventListener('abort', onAbort)
      for (const step of STEPS) clear(step)
      surface.close()
    }
  }
}
