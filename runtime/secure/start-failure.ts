// A start that failed: why, in the log and on whatever display there is, before the next attempt.
import type { Clock } from '../../hal/base/clock.js'
import { isPosternError } from '../../hal/base/errors.js'
import type { Log } from '../../hal/base/log.js'
import type { Board } from '../../hal/board.js'
import type { KeyPress, Keypad } from '../../hal/keypad.js'
import { noIndicators } from './board-services.js'
import { openDocuments } from './documents.js'
import { MerchantDocument, readMerchantDocument } from './payments/merchant-document.js'
import { createScreenService } from './screens/screen-service.js'
import { loadTexts } from './texts.js'

/** So long it can be read; whoever started us then starts us anew. A board does not change by itself. */
const HOLD_MS = 10_000
const HOLD_BOARD_MS = 60_000
/** Between two steps of a text that is longer than the display. */
const STEP_MS = 1500
const MAX_REASON = 600

/** What may be shown of an error: ours say what to do; others only where to look. */
export function reasonOf(error: unknown): string {
  return isPosternError(error) ? error.message.slice(0, MAX_REASON) : 'see the log of the secure world'
}

/** Shows why until it was read or `signal` fires. Without a display it only waits. */
export async function showStartFailure(
  board: Board,
  dataDir: string,
  error: unknown,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  log.error('secure.start-failed', { error, code: isPosternError(error) ? error.code : 'OTHER' })
  const holdMs = isPosternError(error, 'BOARD_UNUSABLE') ? HOLD_BOARD_MS : HOLD_MS
  const display = board.device('display')
  if (display === undefined) return clock.sleep(holdMs, signal).catch(() => undefined)
  const over = new AbortController()
  const end = AbortSignal.any([over.signal, signal])
  const texts = loadTexts()
  const language = languageOf(dataDir)
  const screens = createScreenService({
    display,
    keypad: board.device('keypad') ?? scrollingKeypad(clock, end),
    indicators: board.device('indicators') ?? noIndicators,
    clock,
    log,
    texts,
    language,
  })
  const screen = {
    kind: 'message',
    title: texts.text(language, 'failure.title'),
    text: texts.text(language, 'failure.text', { reason: reasonOf(error) }),
    tone: 'error',
  } as const
  const asked = screens.ask(screen, language, end)
  // Whoever has read it may press a key and have the next attempt at once.
  await Promise.race([asked, clock.sleep(holdMs, end)]).catch(() => undefined)
  over.abort()
  await screens.close()
}

/** The merchant's, where so much can be read. */
function languageOf(dataDir: string): string {
  try {
    return readMerchantDocument(openDocuments(dataDir).read('merchant', MerchantDocument)).locale
  } catch {
    return 'en'
  }
}

/** Where there are no keys, a long text goes down and up again by itself. */
function scrollingKeypad(clock: Clock, signal: AbortSignal): Pick<Keypad, 'on'> {
  return {
    on(listener) {
      const mine = new AbortController()
      const press = (key: KeyPress['key']) => listener({ type: 'key', key, repeat: true })
      const scroll = async () => {
        for (let step = 0; !mine.signal.aborted; step++) {
          await clock.sleep(STEP_MS, AbortSignal.any([mine.signal, signal]))
          press(step % 40 < 20 ? 'down' : 'up')
        }
      }
      scroll().catch(() => undefined)
      return () => mine.abort()
    },
  }
}
