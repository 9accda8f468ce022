// Who is there? An operator's number and code, on secure screens that say NOT FOR PIN.
import { erase } from '../../../hal/base/bytes.js'
import type { Clock } from '../../../hal/base/clock.js'
import type { Key } from '../../../hal/keypad.js'
import type { Texts } from '../texts.js'
import type { KeyOutcome } from './presenter.js'
import type { ScreenService } from './screen-service.js'

/** What is asked, and what went wrong with the try before. */
export interface OperatorQuestion {
  readonly purpose: 'signIn' | 'refund' | 'override'
  /** For a supervisor: what they agree to. */
  readonly reason: string | undefined
  readonly locale: string
  /** A sentence about the try before: wrong code, locked until. */
  readonly problem: string | undefined
}

export interface OperatorAnswer {
  readonly number: string
  /** ASCII digits, 4 to 12, erased by the receiver. */
  readonly code: Uint8Array
}

export interface OperatorPromptsDependencies {
  readonly screens: Pick<ScreenService, 'open'>
  readonly texts: Texts
  readonly clock: Clock
  /** Without a key for so long, the question is given up; default 60 s. */
  readonly keyTimeoutMs?: number
}

/** An operator's id in `runtime/api` has up to ten digits. */
const MAX_NUMBER = 10
const MIN_CODE = 4
const MAX_CODE = 12

/** Makes the prompt of sign-in and of a supervisor's word. */
export function createOperatorPrompts(deps: OperatorPromptsDependencies): {
  /** Undefined when given up: cancel at the number, time-out, abort. */
  askOperator(question: OperatorQuestion, signal: AbortSignal): Promise<OperatorAnswer | undefined>
} {
  /** After a wrong code the number stands: only the code is typed again. */
  let lastNumber = ''
  return {
    async askOperator(question, signal) {
      const { screens, texts, clock } = deps
      const language = texts.choose([question.locale])
      const code = new Uint8Array(new ArrayBuffer(MAX_CODE))
      let count = 0
      let number = question.problem === undefined ? '' : lastNumber
      let step: 'number' | 'code' = number === '' ? 'number' : 'code'
      let notice = question.problem
      let settle: (answer: OperatorAnswer | undefined) => void = () => undefined
      const answered = new Promise<OperatorAnswer | undefined>((resolve) => {
        settle = resolve
      })

      const pressNumber = (key: Key): KeyOutcome => {
        if (/^[0-9]{1,2}$/.test(key)) {
          if (number.length + key.length > MAX_NUMBER) return 'refused'
          number += key
          notice = undefined
          return 'taken'
        }
        if (key === 'clear' && number !== '') {
          number = number.slice(0, -1)
          return 'taken'
        }
        if (key === 'cancel') {
          settle(undefined)
          return 'taken'
        }
        if (key !== 'enter' || number === '') return 'refused'
        step = 'code'
        return 'taken'
      }
      const pressCode = (key: Key): KeyOutcome => {
        if (/^[0-9]$/.test(key)) {
          if (count === MAX_CODE) return 'refused'
          code[count++] = key.charCodeAt(0)
          notice = undefined
          return 'taken'
        }
        if (key === 'clear' || key === 'cancel') {
          erase(code)
          count = 0
          notice = undefined
          if (key === 'cancel') step = 'number'
          return 'taken'
        }
        if (key !== 'enter') return 'refused'
        if (count < MIN_CODE) {
          notice = texts.text(language, 'operator.tooShort', { count: MIN_CODE })
          return 'refused'
        }
        settle({ number, code: code.subarray(0, count) })
        return 'taken'
      }

      let timer = new AbortController()
      const rearm = () => {
        timer.abort()
        timer = new AbortController()
        clock.sleep(deps.keyTimeoutMs ?? 60_000, timer.signal).then(
          () => settle(undefined),
          () => undefined,
        )
      }
      const onAbort = () => settle(undefined)
      const surface = screens.open({
        language: () => language,
        content: () => ({
          kind: 'secret',
          title: texts.text(language, `operator.${question.purpose}.title`),
          text: [
            ...(question.reason === undefined ? [] : [question.reason]),
            texts.text(language, `operator.${step}`, { number }),
          ].join('\n'),
          ...(notice === undefined ? {} : { notice }),
          entered: step === 'code' ? count : number.length,
          ...(step === 'number' ? { typed: number } : {}),
          notForPin: true,
        }),
        press(key) {
          const outcome = step === 'number' ? pressNumber(key) : pressCode(key)
          rearm()
          surface.changed()
          return outcome
        },
      })
      rearm()
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
      let answer: OperatorAnswer | undefined
      try {
        answer = await answered
        lastNumber = answer?.number ?? ''
        return answer
      } finally {
        timer.abort()
        signal.removeEventListener('abort', onAbort)
        if (answer === undefined) erase(code)
        surface.close()
      }
    },
  }
}
