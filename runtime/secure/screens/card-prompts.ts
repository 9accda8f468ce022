// The cardholder's prompts of one payment, on the secure screens, in the language that the card prefers.
import type { Clock } from '../../../hal/base/clock.js'
import { formatMoney, type Money } from '../../../hal/base/money.js'
import type { CardPrompts } from '../card-transaction.js'
import type { EnterPin } from '../pin/pin-entry.js'
import type { Texts } from '../texts.js'
import type { OpenLayer } from './presenter.js'
import type { SystemScreen } from './scene.js'
import type { ScreenService } from './screen-service.js'

/** Prompts that give the display back when the payment is over; `close` is idempotent. */
export interface ClosableCardPrompts extends CardPrompts {
  close(): void
}

export interface CardPromptsDependencies {
  readonly screens: Pick<ScreenService, 'open' | 'ask'>
  readonly texts: Texts
  readonly clock: Clock
  readonly enterPin: EnterPin
  /** Shown at "Insert card" and while the card is read. */
  readonly amount: Money
  /** Until the card says another. */
  readonly locale: string
  /** How long "Insert card" waits; default 60 s. */
  readonly presentTimeoutMs?: number
}

type Card = Extract<SystemScreen, { kind: 'card' }>

/** "Turn the card round" stays so long where nobody presses a key. */
const UNREADABLE_MS = 4000
const REMOVE_MS = 60_000
const CHOICE_MS = 60_000

/** Makes the prompts of one payment; they take the display at once and keep it until `close`. */
export function createCardPrompts(deps: CardPromptsDependencies): ClosableCardPrompts {
  const { screens, texts, clock } = deps
  let language = texts.choose([deps.locale])
  let amount = deps.amount
  let layer: OpenLayer | undefined
  let ended: ((how: 'cancelled' | 'acknowledged') => void) | undefined
  let view: { picture: Card['picture']; key: string; tone: Card['tone']; cancellable: boolean } = {
    picture: 'reading',
    key: 'starting',
    tone: 'info',
    cancellable: false,
  }
  const closing = new AbortController()

  const show = (next: typeof view) => {
    if (closing.signal.aborted) return
    view = next
    layer ??= screens.open({
      language: () => language,
      content: (): Card => ({
        kind: 'card',
        title: texts.text(language, `card.${view.key}.title`),
        text: texts.text(language, `card.${view.key}.text`),
        picture: view.picture,
        amount: formatMoney(amount),
        tone: view.tone,
        cancellable: view.cancellable,
      }),
      press(key) {
        if (!view.cancellable || ended === undefined) return 'refused'
        if (key === 'cancel') ended('cancelled')
        else if (key === 'enter' && view.picture === 'unreadable') ended('acknowledged')
        else return 'refused'
        return 'taken'
      },
    })
    layer.changed()
  }

  /** Waits for a key of the picture on show, or for time or the caller to end it. */
  const until = async (
    ms: number,
    signal: AbortSignal,
  ): Promise<'cancelled' | 'acknowledged' | 'timeout'> => {
    const over = new AbortController()
    const keyed = new Promise<'cancelled' | 'acknowledged'>((resolve) => {
      ended = resolve
    })
    try {
      return await Promise.race([
        keyed,
        clock.sleep(ms, AbortSignal.any([signal, over.signal, closing.signal])).then(
          () => 'timeout' as const,
          () => 'cancelled' as const,
        ),
      ])
    } finally {
      ended = undefined
      over.abort()
    }
  }

  /** Stays until the card comes (abort): then the next prompt follows at once; else nothing does. */
  const present = async (due: Money, next: typeof view, signal: AbortSignal) => {
    amount = due
    show(next)
    const how = await until(deps.presentTimeoutMs ?? 60_000, signal)
    if (!signal.aborted) hide()
    return how === 'timeout' ? 'timeout' : 'cancelled'
  }

  return {
    presentCard: (due, signal) =>
      present(due, { picture: 'insert', key: 'insert', tone: 'info', cancellable: true }, signal),
    useStripe: (due, again, signal) =>
      present(
        due,
        {
          picture: 'insert',
          key: again ? 'swipeAgain' : 'swipe',
          tone: again ? 'error' : 'info',
          cancellable: true,
        },
        signal,
      ),
    useChip: (due, signal) =>
      present(due, { picture: 'insert', key: 'useChip', tone: 'warning', cancellable: true }, signal),
    async cardUnreadable(signal) {
      show({ picture: 'unreadable', key: 'unreadable', tone: 'error', cancellable: true })
      return await until(UNREADABLE_MS, signal)
    },
    async chooseApplication(labels, signal) {
      const result = await screens.ask(
        {
          kind: 'list',
          title: texts.text(language, 'card.choose.title'),
          items: labels.slice(0, 200).map((label, i) => ({ id: `a${i}`, label: label.slice(0, 60) })),
          timeoutMs: CHOICE_MS,
        },
        language,
        signal,
      )
      return result.type === 'selected' ? Number(result.id.slice(1)) : undefined
    },
    async confirmApplication(label, signal) {
      const result = await screens.ask(
        {
          kind: 'confirm',
          title: texts.text(language, 'card.confirm.title'),
          text: texts.text(language, 'card.confirm.text', { label }),
          yes: texts.text(language, 'keys.yes'),
          no: texts.text(language, 'keys.no'),
          timeoutMs: CHOICE_MS,
        },
        language,
        signal,
      )
      return result.type === 'confirmed'
    },
    enterPin: (prompt, signal) => {
      amount = prompt.amount
      return deps.enterPin({ ...prompt, language }, signal)
    },
    preferLanguages(languages) {
      const known = languages.find((code) => texts.languages.includes(code.toLowerCase()))
      if (known !== undefined) language = texts.choose([known])
      layer?.changed()
    },
    busy(what) {
      const picture = what === 'reading' ? 'reading' : 'online'
      show({ picture, key: what, tone: 'info', cancellable: false })
    },
    removeCard(due, approved) {
      amount = due
      show({
        picture: 'remove',
        key: approved ? 'removeApproved' : 'removeDeclined',
        tone: approved ? 'success' : 'error',
        cancellable: false,
      })
      clock.sleep(REMOVE_MS, closing.signal).then(close, () => undefined)
    },
    close,
  }

  function hide(): void {
    layer?.close()
    layer = undefined
  }
  function close(): void {
    closing.abort()
    hide()
  }
}
