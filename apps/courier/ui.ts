// Showing screens one after another, while scans and changes come in between.
import { randomUUID } from 'node:crypto'
import type { Host } from '../../runtime/api/client.js'
import type { Screen, ScreenResult } from '../../runtime/api/screens.js'
import type { Texts } from './texts.js'

/** A screen's result, or what came in while it stood. */
export type Shown =
  | ScreenResult
  | { readonly type: 'scanned'; readonly text: string }
  | { readonly type: 'changed' }

export interface Ui {
  texts(): Texts
  show(screen: Screen): Promise<ScreenResult>
  /** Ends early when something is scanned, or when `again` fires: the caller looks anew. */
  showOpen(screen: Screen): Promise<Shown>
  message(text: string, tone?: 'info' | 'success' | 'warning' | 'error', title?: string): Promise<void>
  confirm(text: string, amount?: { minor: string; currency: string }): Promise<boolean>
  /** A progress screen while `work` goes on. */
  busy<T>(text: string, work: Promise<T>): Promise<T>
  scanned(text: string): void
  changed(): void
}

/** `texts` is asked at each screen, as the language follows the operator. */
export function createUi(host: Pick<Host, 'screens.show'>, texts: () => Texts): Ui {
  let interrupt: ((shown: Shown) => void) | undefined
  let pendingScan: string | undefined

  const show = async (screen: Screen, signal?: AbortSignal): Promise<ScreenResult> =>
    host['screens.show']({ id: randomUUID(), screen }, signal)

  return {
    texts,
    show,
    async showOpen(screen) {
      if (pendingScan !== undefined) {
        const text = pendingScan
        pendingScan = undefined
        return { type: 'scanned', text }
      }
      const controller = new AbortController()
      const interrupted = new Promise<Shown>((resolve) => {
        interrupt = resolve
      })
      const result = show(screen, controller.signal)
      const shown = await Promise.race([result, interrupted])
      interrupt = undefined
      if (shown.type === 'scanned' || shown.type === 'changed') {
        controller.abort()
        await result.catch(() => undefined)
      }
      return shown
    },
    async message(text, tone = 'info', title = texts().t('app.title')) {
      await show({ kind: 'message', title, text, tone, timeoutMs: 60_000 })
    },
    async confirm(text, amount) {
      const { t } = texts()
      const screen: Screen = { kind: 'confirm', title: t('app.title'), text, yes: t('yes'), no: t('no') }
      return (await show(amount === undefined ? screen : { ...screen, amount })).type === 'confirmed'
    },
    async busy(text, work) {
      const controller = new AbortController()
      const shown = show({ kind: 'progress', title: texts().t('app.title'), text }, controller.signal).catch(
        () => undefined,
      )
      try {
        return await work
      } finally {
        controller.abort()
        await shown
      }
    },
    scanned(text) {
      // A scan between two screens waits for the next one that takes scans.
      if (interrupt === undefined) pendingScan = text
      else interrupt({ type: 'scanned', text })
    },
    changed() {
      interrupt?.({ type: 'changed' })
    },
  }
}
