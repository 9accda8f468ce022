// A pseudo-terminal with a device at its other end: socat owns it, both directions are paced, its cable can be pulled.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import type { Clock } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { type PacedWire, pacedWire } from '../../hal/simulated/paced-wire.js'

export interface Pty {
  /** The device file that the driver opens. */
  readonly path: string
  /** What the device says; dropped while the cable is out. */
  say(bytes: Uint8Array): void
  /** Pulls the cable: the device file is gone. */
  unplug(): Promise<void>
  plug(): Promise<void>
}

export interface PtyOptions {
  readonly path: string
  readonly baudRate: number
  /** Owner of the device file, where it is not to be ours. */
  readonly uid?: number
  /** What the driver sent has arrived at the device. */
  readonly arrived: (bytes: Uint8Array) => void
  /** Listens in on what the driver sends, before the wire slows it down. */
  readonly heard?: (bytes: Uint8Array) => void
}

/** What is missing for a pty here, in words. */
export function ptyMissing(): string | undefined {
  const found = (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(`${folder}/socat`))
  return found ? undefined : 'socat is missing: apt-get install socat'
}

const START_MS = 20_000

/** Makes the pty and plugs it in. @throws PosternError `PTY` when the device file does not appear */
export async function openPty(clock: Clock, options: PtyOptions): Promise<Pty> {
  const { path, baudRate } = options
  let plugged:
    | { readonly socat: ChildProcess; readonly wire: PacedWire; readonly back: PacedWire }
    | undefined

  async function plug(): Promise<void> {
    if (plugged !== undefined) return
    rmSync(path, { force: true })
    const owner = options.uid === undefined ? '' : `,user=${options.uid}`
    const socat = spawn('socat', [`PTY,raw,echo=0,mode=600${owner},link=${path}`, 'STDIO'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const wire = pacedWire(clock, baudRate, options.arrived)
    const back = pacedWire(clock, baudRate, (bytes) => void socat.stdin.write(bytes))
    plugged = { socat, wire, back }
    socat.stdin.on('error', () => undefined)
    socat.stdout.on('data', (bytes: Buffer) => {
      options.heard?.(new Uint8Array(bytes))
      // What does not fit the wire yet stays in the kernel, as with a UART.
      socat.stdout.pause()
      wire.write(new Uint8Array(bytes)).then(
        () => socat.stdout.resume(),
        () => undefined,
      )
    })
    const until = clock.monotonicMs() + START_MS
    while (!existsSync(path)) {
      if (clock.monotonicMs() > until) throw new PosternError('PTY', 'socat made no pty', { path })
      await clock.sleep(10)
    }
  }

  async function unplug(): Promise<void> {
    const gone = plugged
    if (gone === undefined) return
    plugged = undefined
    const exited = new Promise((resolve) => gone.socat.once('exit', resolve))
    gone.socat.kill('SIGKILL')
    await exited
    gone.wire.cut()
    gone.back.cut()
    rmSync(path, { force: true })
  }

  await plug()
  return {
    path,
    plug,
    unplug,
    say: (bytes) => void plugged?.back.write(bytes).catch(() => undefined),
  }
}
