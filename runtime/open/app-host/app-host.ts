// The app host: all apps of the terminal, which of them is in front, and freezing them while a PIN is entered.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { PosternError } from '../../../hal/base/errors.js'
import { RpcError } from '../../api/json-rpc.js'
import { type AppRunner, type AppState, runApp } from './app-runner.js'
import type { AppServices } from './app-services.js'
import type { Freezer } from './app-session.js'
import { readManifest } from './manifest.js'
import type { RestartRules } from './restart-policy.js'

export interface AppHostOptions {
  /** Folder names under `sources` and `built`. */
  readonly apps: readonly string[]
  /** Where each app's manifest and texts are, and where its compiled `main.js` is. */
  readonly sources: string
  readonly built: string
  readonly user: { readonly uid: number; readonly gid: number } | undefined
  readonly services: AppServices
  readonly rules?: RestartRules
  /** How long an app may take to serve one event; 5 s. */
  readonly eventTimeoutMs?: number
  readonly onState?: (app: string, state: AppState) => void
}

export interface AppHost {
  /** Stops every app process; resolves when each thread of theirs stands still. An app that cannot be stopped dies. */
  freeze(): Promise<void>
  thaw(): void
  /** Something that `AppContext` tells has changed. */
  contextChanged(): void
  states(): Readonly<Record<string, AppState>>
  /** Asks each app to stop, then ends it. */
  close(): Promise<void>
}

/** How often a freeze is tried again where processes appear under it. */
const FREEZE_ROUNDS = 3

/** Starts every app. One that cannot start (bad manifest, not built) is logged and stays `stopped`; the others run. */
export function startAppHost(options: AppHostOptions): AppHost {
  const { services } = options
  const { log } = services
  const runners: AppRunner[] = []
  const refused: Record<string, AppState> = {}
  let front: AppRunner | undefined

  let freezes = 0
  let release: (() => void) | undefined
  let thawed: Promise<void> | undefined
  const freezer: Freezer = {
    frozen: () => thawed !== undefined,
    thawed: () => thawed ?? Promise.resolve(),
    count: () => freezes,
  }

  for (const app of options.apps) {
    const folder = join(options.sources, app)
    const main = join(options.built, app, 'main.js')
    try {
      const manifest = readManifest(app, folder)
      if (!existsSync(main)) throw new PosternError('APP_MISSING', `apps/${app}: ${main} is not built`)
      const runner: AppRunner = runApp({
        manifest,
        main,
        folder,
        user: options.user,
        services,
        freezer,
        rules: options.rules,
        eventTimeoutMs: options.eventTimeoutMs,
        onForeground: () => {
          front = runner
        },
        onState: (state) => options.onState?.(app, state),
      })
      runners.push(runner)
    } catch (error) {
      log.error('app.refused', { app, error: (error as Error).message })
      refused[app] = 'stopped'
    }
  }

  const stopListening = [
    services.scanner.on((scan) => (front ?? runners[0])?.events()?.scanned(scan)),
    services.inbox.onReceived((app) =>
      runners
        .find((runner) => runner.manifest.id === app)
        ?.events()
        ?.messagesChanged(),
    ),
    services.payments.on((app) =>
      runners
        .find((runner) => runner.manifest.id === app)
        ?.events()
        ?.paymentsChanged(),
    ),
  ]

  const thaw = () => {
    if (thawed === undefined) return
    for (const runner of runners) runner.process()?.thaw()
    thawed = undefined
    release?.()
    log.info('apps.thawed')
  }

  return {
    freeze: async () => {
      freezes++
      thawed ??= new Promise((resolve) => {
        release = resolve
      })
      for (let round = 0; ; round++) {
        const living = runners.map((runner) => runner.process()).filter((process) => process !== undefined)
        const still = await Promise.all(living.map((process) => process.freeze()))
        // A thaw may have come meanwhile: a secure world that died does not wait for this answer.
        if (thawed === undefined) {
          for (const process of living) process.thaw()
          return
        }
        if (still.every(Boolean)) break
        if (round >= FREEZE_ROUNDS) throw new RpcError('FREEZE_FAILED', 'an app could not be stopped')
        await Promise.all(living.filter((_, index) => !still[index]).map((process) => process.terminate(0)))
      }
      log.info('apps.frozen', { count: runners.length })
    },
    thaw,
    contextChanged: () => {
      for (const runner of runners) runner.events()?.contextChanged()
    },
    states: () => ({
      ...refused,
      ...Object.fromEntries(runners.map((runner) => [runner.manifest.id, runner.state()])),
    }),
    close: async () => {
      for (const stop of stopListening) stop()
      thaw()
      await Promise.all(runners.map((runner) => runner.stop()))
    },
  }
}
