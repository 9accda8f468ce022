// Showing screens one after another, while scans and changes come in between; and faults in words.
import { randomUUID } from 'node:crypto'
import type { Host } from '../../runtime/api/client.js'
import { RpcError } from '../../runtime/api/json-rpc.js'
import type { Screen, ScreenResult } from '../../runtime/api/screens.js'
import { clip, type MoneyJson, type Texts } from './texts.js'

/** A screen's result, or what came in while it stood. */
export type Shown =
  | ScreenResult
  | { readonly type: 'scanned'; readonly text: string }
  | { readonly type: 'changed' }

/**
 * Makes a screen from what is known now; undefined where it has to end. `plain`: without free texts, as the terminal
 * refuses a screen that seems to ask for a PIN, which a recipient's name or the depot's note can do.
 */
export type MakeScreen = (plain: boolean) => Screen | undefined

type Tone = 'info' | 'success' | 'warning' | 'error'

export interface Ui {
  texts(): Texts
  show(screen: Screen): Promise<ScreenResult>
  /** Drawn anew in place on every change, keeping the selection; ends early when something is scanned. */
  showOpen(make: MakeScreen): Promise<Shown>
  messageScreen(text: string, tone?: Tone, title?: string): Screen
  message(text: string, tone?: Tone, title?: string): Promise<void>
  confirm(text: string, amount?: MoneyJson): Promise<boolean>
  /** A progress screen while `work` goes on. */
  busy<T>(text: string, work: Promise<T>): Promise<T>
  /** Says what went wrong and what to do. Rethrows what is no refusal of the host. */
  fault(error: unknown): Promise<void>
  scanned(text: string): void
  changed(): void
}

const isForbidden = (error: unknown) => error instanceof RpcError && error.code === 'PROMPT_FORBIDDEN'

/** `texts` is asked at each screen, as the language follows the operator. */
export function createUi(host: Pick<Host, 'screens.show' | 'screens.update'>, texts: () => Texts): Ui {
  let open: { scanned(): void; changed(): void } | undefined
  /** A scan between two screens waits for the next one that takes scans. */
  let pendingScan: string | undefined

  const takeScan = (): Shown => {
    const text = pendingScan ?? ''
    pendingScan = undefined
    return { type: 'scanned', text }
  }

  const ui: Ui = {
    texts,
    show: (screen) => host['screens.show']({ id: randomUUID(), screen }),
    async showOpen(make) {
      if (pendingScan !== undefined) return takeScan()
      let plain = false
      const first = make(plain)
      if (first === undefined) return { type: 'changed' }
      const id = randomUUID()
      const controller = new AbortController()
      const show = (screen: Screen) => host['screens.show']({ id, screen }, controller.signal)
      const result = show(first).catch((error: unknown) => {
        plain = true
        const screen = make(plain)
        if (!isForbidden(error) || screen === undefined) throw error
        return show(screen)
      })
      let endEarly: (how: 'scanned' | 'changed') => void = () => undefined
      const early = new Promise<'scanned' | 'changed'>((resolve) => {
        endEarly = resolve
      })
      const update = async () => {
        const screen = make(plain)
        if (screen === undefined) return endEarly('changed')
        await host['screens.update']({ id, screen }).catch((error: unknown) => {
          // NOT_SHOWN: it has just ended by itself, and its result is on its way.
          if (isForbidden(error)) endEarly('changed')
        })
      }
      let updating = false
      let dirty = false
      open = {
        scanned: () => endEarly('scanned'),
        changed: () => {
          dirty = true
          if (updating) return
          updating = true
          void (async () => {
            while (dirty) {
              dirty = false
              await update()
            }
            updating = false
          })()
        },
      }
      try {
        const shown = await Promise.race([result, early])
        if (shown === 'scanned') return takeScan()
        return shown === 'changed' ? { type: 'changed' } : shown
      } finally {
        open = undefined
        controller.abort()
        await result.catch(() => undefined)
      }
    },
    messageScreen: (text, tone = 'info', title = texts().t('app.title')) => ({
      kind: 'message',
      title: clip(title, 40),
      text: clip(text, 500),
      tone,
      timeoutMs: 60_000,
    }),
    async message(text, tone, title) {
      await ui.show(ui.messageScreen(text, tone, title))
    },
    async confirm(text, amount) {
      const { t } = texts()
      const words = { title: t('app.title'), text: clip(text, 300), yes: t('yes'), no: t('no') }
      const shown = await ui.show({ kind: 'confirm', ...words, ...(amount === undefined ? {} : { amount }) })
      return shown.type === 'confirmed'
    },
    async busy(text, work) {
      const controller = new AbortController()
      const screen: Screen = { kind: 'progress', title: texts().t('app.title'), text: clip(text, 200) }
      const shown = host['screens.show']({ id: randomUUID(), screen }, controller.signal).catch(
        () => undefined,
      )
      try {
        return await work
      } finally {
        controller.abort()
        await shown
      }
    },
    async fault(error) {
      if (!(error instanceof RpcError)) throw error
      if (error.code === 'DISCONNECTED') throw error
      const { t, has } = texts()
      const key = `fault.${error.code}`
      await ui.message(has(key) ? t(key) : t('fault.other', { code: clip(error.code, 40) }), 'error')
    },
    scanned(text) {
      pendingScan = text
      open?.scanned()
    },
    changed: () => open?.changed(),
  }
  return ui
}
