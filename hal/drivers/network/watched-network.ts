// A network state that is read by a tool, and read again whenever another tool says that something has changed.
import { execFile, spawn } from 'node:child_process'
import type { Clock } from '../../base/clock.js'
import { PosternError } from '../../base/errors.js'
import type { Log } from '../../base/log.js'
import type { NetworkState } from '../../network-state.js'

/** Changes come in flocks (link, address, route): the state is read once they have passed. */
const SETTLE_MS = 100
/** Read again after this, whatever was heard: a watcher may have died without a word. */
const AT_LEAST_EVERY_MS = 30_000
const TOOL_MS = 5000
const MAX_OUTPUT = 1024 * 1024
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 5000

/** What a source says. */
export interface NetworkFact {
  readonly online: boolean
  /** For the log: which way out, or why there is none. */
  readonly detail: string
}

export interface NetworkSource {
  /** The command that prints something with every change and never ends. What it prints is not read. */
  readonly watch: readonly [command: string, ...args: string[]]
  /** @throws where it can't be known */
  read(run: RunTool): Promise<NetworkFact>
  /** What to believe where it can't be known. */
  fallback(): boolean
}

/** Runs a tool to its end, within 5 s; resolves with what it printed. @throws PosternError `NETWORK_UNREADABLE` */
export type RunTool = (command: string, ...args: string[]) => Promise<string>

export interface WatchedNetwork extends NetworkState {
  close(): Promise<void>
}

/** Resolves when the state was read once. */
export async function openWatchedNetwork(
  source: NetworkSource,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<WatchedNetwork> {
  const listeners = new Set<(online: boolean) => void>()
  const closing = new AbortController()
  const { signal } = closing
  let online = source.fallback()
  let detail: string | undefined
  let heard: () => void = () => undefined

  const run: RunTool = (command, ...args) =>
    new Promise((resolve, reject) => {
      const options = { timeout: TOOL_MS, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT, signal } as const
      execFile(command, args, options, (error, stdout) => {
        if (error === null) return resolve(stdout)
        const why = error.code === 'ENOENT' ? 'is not installed' : `failed: ${error.message.split('\n')[0]}`
        reject(new PosternError('NETWORK_UNREADABLE', `${command} ${why}`, {}, error))
      })
    })
  const read = async () => {
    let fact: NetworkFact
    try {
      fact = await source.read(run)
    } catch (error) {
      fact = { online: source.fallback(), detail: error instanceof Error ? error.message : String(error) }
    }
    if (signal.aborted || (fact.online === online && fact.detail === detail)) return
    const changed = fact.online !== online
    online = fact.online
    detail = fact.detail
    log.info('network.changed', { online, detail })
    if (!changed) return
    for (const listener of [...listeners]) {
      try {
        listener(online)
      } catch (error) {
        log.error('network.listener-failed', { error: String(error) })
      }
    }
  }
  /** Resolves when something was heard, at the latest after half a minute. */
  const change = async () => {
    const stop = new AbortController()
    const either = AbortSignal.any([signal, stop.signal])
    const told = new Promise<void>((resolve) => {
      heard = resolve
    })
    await Promise.race([told, clock.sleep(AT_LEAST_EVERY_MS, either).catch(() => undefined)])
    stop.abort()
    await clock.sleep(SETTLE_MS, signal).catch(() => undefined)
  }
  const follow = async () => {
    for (;;) {
      const next = change()
      await read()
      await next
      if (signal.aborted) return
    }
  }
  const watch = async () => {
    let pauseMs = FIRST_PAUSE_MS
    while (!signal.aborted) {
      const [command, ...args] = source.watch
      const reason = await new Promise<string>((resolve) => {
        const child = spawn(command, args, {
          stdio: ['ignore', 'pipe', 'ignore'],
          signal,
          killSignal: 'SIGKILL',
        })
        child.on('error', (error) => resolve(error.message))
        child.on('exit', (code) => resolve(`ended with ${code}`))
        child.stdout.on('data', () => {
          pauseMs = FIRST_PAUSE_MS
          heard()
        })
      })
      if (signal.aborted) return
      log.warn('network.watcher-ended', { command, reason })
      heard()
      await clock.sleep(pauseMs, signal).catch(() => undefined)
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
    }
  }
  await read()
  const running = Promise.all([watch(), follow()])
  return {
    online: () => online,
    on(listener) {
      const own = (next: boolean) => listener(next)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
    async close() {
      closing.abort()
      heard()
      listeners.clear()
      await running
    },
  }
}
