// PIN entry: secure light on, apps frozen, bullets only; digits go into one buffer and nowhere else. ISO 9564-1, 6.
import { erase } from '../../../hal/base/bytes.js'
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import { formatMoney, type Money } from '../../../hal/base/money.js'
import type { Key } from '../../../hal/keypad.js'
import type { PinEntry } from '../card-transaction.js'
import type { KeyOutcome } from '../screens/presenter.js'
import type { ScreenService } from '../screens/screen-service.js'
import type { Texts } from '../texts.js'

/** What the cardholder is asked; as `CardPrompts.enterPin`, in their language. */
export interface PinPrompt {
  readonly amount: Money
  readonly online: boolean
  readonly triesLeft: number | undefined
  readonly wrong: boolean
  readonly bypassAllowed: boolean
  readonly language: string
}

export type EnterPin = (prompt: PinPrompt, signal: AbortSignal) => Promise<PinEntry>

export interface PinEntryDependencies {
  readonly screens: Pick<ScreenService, 'open'>
  readonly texts: Pick<Texts, 'text'>
  readonly clock: Clock
  readonly log: Log
  /** Resolves when no app process runs any more. */
  freezeApps(): Promise<void>
  thawApps(): Promise<void>
  /** Until the first digit, and between two keys; default 30 s. */
  readonly keyTimeoutMs?: number
  /** For the whole entry; default 90 s. */
  readonly totalTimeoutMs?: number
}

/** ISO 9564-1, 8.1: 4 to 12 digits. */
const MIN_DIGITS = 4
const MAX_DIGITS = 12
/** Freezing and the light must be done by then, else no PIN is asked for. */
const PREPARE_MS = 3000

/**
 * Makes the PIN prompt. It ends as `cancelled`, and asks for nothing, when the apps could not be frozen or the light
 * did not come on in 3 s: a PIN typed then would not be as safe as promised.
 */
export function createPinEntry(deps: PinEntryDependencies): EnterPin {
  const { screens, texts, clock, log } = deps
  const thaw = () => deps.thawApps().catch((error) => log.error('pin.thaw', { error: String(error) }))
  return async (prompt, signal) => {
    if (signal.aborted) return { kind: 'cancelled' }
    // An ArrayBuffer of its own lies outside the garbage-collected heap: erasing it leaves no moved copy behind.
    const digits = new Uint8Array(new ArrayBuffer(MAX_DIGITS))
    let count = 0
    let ready = false
    let notice = firstNotice(texts, prompt)
    let settle: (entry: PinEntry) => void = () => undefined
    const entered = new Promise<PinEntry>((resolve) => {
      settle = resolve
    })
    const text = (key: string, parameters?: Record<string, number>) =>
      texts.text(prompt.language, key, parameters)
    const say = (next: string | undefined): KeyOutcome => {
      notice = next
      return 'refused'
    }

    const press = (key: Key): KeyOutcome => {
      if (!ready) return 'silent'
      if (key.length === 1 && key >= '0' && key <= '9') {
        if (count === MAX_DIGITS) return 'refused'
        digits[count++] = key.charCodeAt(0)
        notice = undefined
        return 'taken'
      }
      switch (key) {
        case 'clear':
          erase(digits)
          count = 0
          return 'taken'
        case 'cancel':
          settle({ kind: 'cancelled' })
          return 'taken'
        case 'enter':
          if (count === 0 && prompt.bypassAllowed) settle({ kind: 'bypassed' })
          else if (count < MIN_DIGITS) return say(text('pin.tooShort', { count: MIN_DIGITS }))
          else settle({ kind: 'entered', digits: digits.subarray(0, count) })
          return 'taken'
        default:
          return 'refused'
      }
    }

    const timers = new AbortController()
    let keyTimer = new AbortController()
    const expire = (ms: number, timer: AbortSignal) =>
      clock.sleep(ms, timer).then(
        () => settle({ kind: 'timeout' }),
        () => undefined,
      )
    const rearm = () => {
      keyTimer.abort()
      keyTimer = new AbortController()
      void expire(deps.keyTimeoutMs ?? 30_000, AbortSignal.any([keyTimer.signal, timers.signal]))
    }
    const onAbort = () => settle({ kind: 'cancelled' })

    const surface = screens.open({
      level: 'pin',
      language: () => prompt.language,
      content: () => ({
        kind: 'secret',
        // Who reads "Enter PIN" types: it is not said before digits are taken.
        title: text(ready ? 'pin.title' : 'card.starting.title'),
        amount: formatMoney(prompt.amount),
        text: ready ? text(prompt.bypassAllowed ? 'pin.hintBypass' : 'pin.hint') : text('pin.preparing'),
        ...(notice === undefined ? {} : { notice }),
        entered: count,
        waiting: !ready,
      }),
      press(key) {
        const outcome = press(key)
        if (ready) rearm()
        surface.changed()
        return outcome
      },
    })
    let result: PinEntry = { kind: 'cancelled' }
    let frozen = false
    let freezing: Promise<void> = Promise.resolve()
    try {
      signal.addEventListener('abort', onAbort, { once: true })
      freezing = deps.freezeApps().then(() => {
        frozen = true
      })
      const safe = Promise.all([freezing, surface.lit()]).then(() => 'safe' as const)
      const late = clock.sleep(PREPARE_MS, timers.signal).then(
        () => Promise.reject(new PosternError('PIN_PREPARE_TIMEOUT', 'apps not frozen in time')),
        () => 'over' as const,
      )
      const prepared = await Promise.race([safe, late, entered])
      if (prepared !== 'safe') return result
      ready = true
      rearm()
      void expire(deps.totalTimeoutMs ?? 90_000, timers.signal)
      surface.changed()
      result = await entered
      return result
    } catch (error) {
      log.error('pin.notSafe', { fault: isPosternError(error) ? error.code : 'FAULT' })
      return result
    } finally {
      ready = false
      timers.abort()
      keyTimer.abort()
      signal.removeEventListener('abort', onAbort)
      if (result.kind !== 'entered') erase(digits)
      count = 0
      surface.close()
      await thaw()
      // A freeze that took effect only now must not outlive the entry.
      if (!frozen) freezing.then(thaw, () => undefined)
    }
  }
}

function firstNotice(texts: Pick<Texts, 'text'>, prompt: PinPrompt): string | undefined {
  const { language, wrong, triesLeft } = prompt
  if (triesLeft === 1) return texts.text(language, wrong ? 'pin.wrongLastTry' : 'pin.lastTry')
  if (!wrong) return undefined
  return triesLeft === undefined
    ? texts.text(language, 'pin.wrong')
    : texts.text(language, 'pin.wrongTriesLeft', { count: triesLeft })
}
