// One app as a process: started with nothing but its folder, a clean environment and fd 3; stopped, frozen, thawed.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../../hal/base/clock.js'
import { type Log, scrubPans } from '../../../hal/base/log.js'
import { lineSplitter } from '../../api/json-rpc.js'
import { processTree, signalTree, standsStill } from './process-tree.js'

const SETPRIV = '/usr/bin/setpriv'
const HEAP_MB = 96
const FREEZE_TIMEOUT_MS = 1000
/** Lines of output that are logged a run; an app logs through `log.write`. */
const MOST_LINES = 200

export interface AppProcessOptions {
  readonly app: string
  /** Its main module, and the folder it works in. */
  readonly main: string
  readonly folder: string
  readonly user: { readonly uid: number; readonly gid: number } | undefined
  readonly clock: Clock
  readonly log: Log
}

export interface AppProcess {
  readonly pid: number
  /** The host's end of fd 3. */
  readonly stream: Duplex
  /** How it ended, in words; resolves once. */
  readonly ended: Promise<string>
  /** Stops all its processes; resolves true when each thread stands still, false where that failed within 1 s. */
  freeze(): Promise<boolean>
  thaw(): void
  /** SIGTERM, then SIGKILL to the whole tree after `graceMs`; SIGKILL at once where that is 0. Resolves when it has ended. */
  terminate(graceMs: number): Promise<void>
}

/**
 * The command line. Where util-linux's setpriv is there (everywhere on Debian) the app can gain no privileges, loses
 * every capability, and dies with its host.
 */
function commandLine(main: string, user: AppProcessOptions['user']): [string, string[]] {
  const node = ['--max-old-space-size', String(HEAP_MB)]
  const flags = [`${node[0]}=${node[1]}`, main]
  if (!existsSync(SETPRIV)) return [process.execPath, flags]
  const root = process.getuid?.() === 0
  const drop = user
    ? [
        `--reuid=${user.uid}`,
        `--regid=${user.gid}`,
        '--clear-groups',
        '--inh-caps=-all',
        '--bounding-set=-all',
      ]
    : root
      ? ['--inh-caps=-all', '--bounding-set=-all']
      : []
  return [SETPRIV, ['--no-new-privs', '--pdeathsig=KILL', ...drop, process.execPath, ...flags]]
}

/** Starts the app. @throws the system's error where the program cannot be started at all */
export function startAppProcess(options: AppProcessOptions): AppProcess {
  const { app, main, folder, user, clock, log } = options
  const [command, args] = commandLine(main, user)
  const child: ChildProcess = spawn(command, args, {
    cwd: folder,
    // No PATH, no HOME, nothing of ours: only what Node needs to tell time and text.
    env: { LANG: 'C.UTF-8', NODE_ENV: 'production', ...(process.env['TZ'] ? { TZ: process.env['TZ'] } : {}) },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    ...(user && command !== SETPRIV ? { uid: user.uid, gid: user.gid } : {}),
  })
  const stream = child.stdio[3] as Duplex
  stream.on('error', () => undefined)

  let lines = 0
  for (const [name, output] of [
    ['out', child.stdout],
    ['err', child.stderr],
  ] as const) {
    const say = (text: string) => {
      if (++lines <= MOST_LINES) log.info('app.output', { app, name, text: scrubPans(text.slice(0, 500)) })
    }
    output?.on(
      'data',
      lineSplitter(4096, say, () => say('(a line over 4 KiB; the rest is not shown)')),
    )
  }

  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`did not start: ${error.message}`))
    child.once('exit', (code, signal) => resolve(signal ? `killed by ${signal}` : `exit code ${code}`))
  })
  let over = false
  void ended.then(() => {
    over = true
    stream.destroy()
  })
  const pid = child.pid ?? 0

  return {
    pid,
    stream,
    ended,
    freeze: async () => {
      const untilMs = clock.monotonicMs() + FREEZE_TIMEOUT_MS
      while (!over && pid > 0) {
        // Each round looks anew: a process may have forked just before it was stopped.
        const tree = processTree(pid)
        signalTree(pid, 'SIGSTOP')
        if (tree.every(standsStill) && processTree(pid).every(standsStill)) return true
        if (clock.monotonicMs() > untilMs) return false
        await clock.sleep(1)
      }
      return true
    },
    thaw: () => {
      if (!over && pid > 0) signalTree(pid, 'SIGCONT')
    },
    terminate: async (graceMs) => {
      if (over || pid === 0) return
      const enough = new AbortController()
      if (graceMs === 0) signalTree(pid, 'SIGKILL')
      else {
        signalTree(pid, 'SIGTERM')
        signalTree(pid, 'SIGCONT')
      }
      const timeUp = clock.sleep(graceMs, enough.signal).then(
        () => {
          if (over) return
          log.warn('app.killed', { app })
          signalTree(pid, 'SIGKILL')
        },
        () => undefined,
      )
      await ended
      enough.abort()
      await timeUp
    },
  }
}
