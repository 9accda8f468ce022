// Says on the screen that an app is laid up, what happens next, and lets the courier try at once.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../../hal/base/package-root.js'
import type { Screen } from '../../api/screens.js'
import type { AppServices } from './app-services.js'
import { SYSTEM } from './manifest.js'

const FOLDER = join(packageRoot, 'runtime/open/app-host/texts')
/** The top row names the terminal's own software, not the app that is away. */
const OWNER = { app: SYSTEM, name: 'Postern' } as const
const RETRY = 'retry'

type Texts = Readonly<Record<'title' | 'text' | 'retry', string>>

function textsIn(locale: string): Texts {
  const language = /^zh\b/.test(locale) ? 'zh' : 'en'
  return JSON.parse(readFileSync(join(FOLDER, `${language}.json`), 'utf8')) as Texts
}

/** The screen about one app, in a language. */
export function troubleScreen(name: string, minutes: number, locale: string): Screen {
  const texts = textsIn(locale)
  return {
    kind: 'message',
    title: texts.title,
    text: texts.text.replace('{app}', name).replace('{minutes}', String(minutes)),
    tone: 'error',
    softKeys: [{ id: RETRY, label: texts.retry }],
  }
}

/** Shows it until `over` fires; calls `onRetry` when the courier asks for it, by soft key or enter. */
export async function showTrouble(
  services: Pick<AppServices, 'bridge' | 'locale' | 'log'>,
  { name, minutes }: { readonly name: string; readonly minutes: number },
  over: AbortSignal,
  onRetry: () => void,
): Promise<void> {
  const { bridge, locale, log } = services
  try {
    await bridge.whenConnected(60_000, over)
    const screen = troubleScreen(name, minutes, locale())
    const result = await bridge.secure['screens.show']({ owner: OWNER, id: 'app-trouble', screen }, over)
    if (result.type === 'softKey' || result.type === 'confirmed') onRetry()
  } catch (error) {
    if (!over.aborted) log.warn('app.trouble-not-shown', { error: (error as Error).message })
  }
}
