// One supervised process: started, watched, restarted with back-off, killed. Plays systemd's part in development.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { lineSplitter } from '../../../runtime/api/json-rpc.js'

export interface ProcessSpec {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** Standard error and what is not the ready line of standard output. */
  readonly logPath: string
  readonly env?: Readonly<Record<string, string>>
  /** Restarted when it dies by itself; otherwise its death is final. */
  readonly restart: boolean
  /** An IPC channel, for the process that plays the hardware. */
  readonly ipc?: boolean
}

export type ProcessState = 'stopped' | 'starting' | 'running' | 'waiting'

/** What the process says on its ready line, a JSON object with `"ready": true`. */
export type ReadyLine = Readonly<Record<string, unknown>>

export interface Supervised {
  readonly name: string
  state(): ProcessState
  pid(): number | undefined
  /** Starts it and resolves with its ready line. Rejects when it dies first or says nothing in 30 s. */
  start(): Promise<ReadyLine>
  /** SIGTERM, and SIGKILL after 3 s. It is not restarted. */
  stop(): Promise<void>
  /** SIGKILL at once, as a power cut does. It is not restarted. */
  cut(): Promise<void>
  /** The messages of its IPC channel. */
  onMessage(listener: (message: unknown) => void): void
  send(message: object): void
}

const READY_WITHIN_MS = 60_000
const STOP_WITHIN_MS = 3000

/** Makes a supervised process; nothing runs until `start`. `onState` hears every change. */
export function supervise(spec: ProcessSpec, onState: (state: ProcessState) => void = () => {}): Supervised {
  let child: ChildProcess | undefined
  let log: WriteStream | undefined
  let state: ProcessState = 'stopped'
  let wanted = false
  let failures = 0
  let retry: NodeJS.Timeout | undefined
  let exited: Promise<void> = Promise.resolve()
  const listeners: ((message: unknown) => void)[] = []

  const become = (next: ProcessState) => {
    state = next
    onState(next)
  }

  function launch(): Promise<ReadyLine> {
    become('starting')
    const startedAt = performance.now()
    log ??= createWriteStream(spec.logPath, { flags: 'a', mode: 0o600 })
    const running = spawn(spec.command, spec.args, {
      stdio: ['ignore', 'pipe', 'pipe', ...(spec.ipc ? (['ipc'] as const) : [])],
      env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'development', ...spec.env },
    })
    child = running
    for (const listener of listeners) running.on('message', listener)
    running.stderr!.pipe(log, { end: false })

    return new Promise<ReadyLine>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(new Error(`${spec.name} was not ready in ${READY_WITHIN_MS / 1000} s; see ${spec.logPath}`)),
        READY_WITHIN_MS,
      )
      const onLine = (line: string) => {
        if (line.startsWith('{"ready":true')) {
          clearTimeout(timer)
          become('running')
          resolve(JSON.parse(line) as ReadyLine)
        } else {
          log?.write(`${line}\n`)
          if (line.startsWith('{"ready":false')) {
            clearTimeout(timer)
            const { reason } = JSON.parse(line) as { reason?: string }
            reject(new Error(`${spec.name} can't start: ${reason ?? 'no reason given'}; see ${spec.logPath}`))
          }
        }
      }
      running.stdout!.on(
        'data',
        lineSplitter(64 * 1024, onLine, () => {}),
      )
      exited = new Promise((ended) => {
        running.once('error', (error) => {
          clearTimeout(timer)
          reject(error)
          ended()
        })
        running.once('close', (code, signal) => {
          clearTimeout(timer)
          child = undefined
          reject(new Error(`${spec.name} ended (${signal ?? code}) before it was ready; see ${spec.logPath}`))
          ended()
          if (!wanted || !spec.restart) return become('stopped')
          failures = performance.now() - startedAt > 10_000 ? 0 : failures + 1
          become('waiting')
          retry = setTimeout(() => launch().catch(() => {}), Math.min(5000, 100 * 2 ** failures))
        })
      })
    })
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    wanted = false
    clearTimeout(retry)
    const running = child
    if (running === undefined) return become('stopped')
    running.kill(signal)
    const hard = setTimeout(() => running.kill('SIGKILL'), STOP_WITHIN_MS)
    await exited
    clearTimeout(hard)
  }

  return {
    name: spec.name,
    state: () => state,
    pid: () => child?.pid,
    start() {
      wanted = true
      failures = 0
      return launch()
    },
    async stop() {
      await end('SIGTERM')
      log?.end()
      log = undefined
    },
    cut: () => end('SIGKILL'),
    onMessage(listener) {
      listeners.push(listener)
      child?.on('message', listener)
    },
    send(message) {
      if (child?.connected) child.send(message)
    },
  }
}
