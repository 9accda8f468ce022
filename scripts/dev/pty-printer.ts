// The ESC/POS machine behind a pseudo-terminal: a driver opens it as a serial line, at a true baud rate.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import type { Clock } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import type { EscposMachine } from '../../hal/simulated/escpos-machine.js'
import { pacedWire } from '../../hal/simulated/paced-wire.js'

export interface PtyPrinter {
  /** The device file that the driver opens. */
  readonly path: string
  /** Pulls the device: its file is gone, and the printer without power. */
  unplug(): Promise<void>
  plug(): Promise<void>
  stop(): Promise<void>
}

/** What is missing for a pty here, in words. */
export function ptyMissing(): string | undefined {
  const found = (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(`${folder}/socat`))
  return found ? undefined : 'socat is missing: apt-get install socat'
}

const START_MS = 20_000

/**
 * Joins `machine` to a pty at `path`. socat owns the pty, its standard streams are the machine's end; both directions
 * are paced, as a pty has no speed of its own.
 * @throws PosternError `PTY` when the device file does not appear
 */
export async function ptyPrinter(
  machine: EscposMachine,
  clock: Clock,
  options: {
    readonly path: string
    readonly baudRate: number
    /** Owner of the device file, where it is not to be ours. */
    readonly uid?: number
    /** Listens in on what the driver sends. */
    readonly heard?: (bytes: Uint8Array) => void
  },
): Promise<PtyPrinter> {
  const { path, baudRate } = options
  let child: ChildProcess | undefined
  let forget: (() => void) | undefined

  async function plug(): Promise<void> {
    if (child !== undefined) return
    rmSync(path, { force: true })
    const socat = spawn(
      'socat',
      [
        `PTY,raw,echo=0,mode=600${options.uid === undefined ? '' : `,user=${options.uid}`},link=${path}`,
        'STDIO',
      ],
      {
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    )
    child = socat
    const wire = pacedWire(clock, baudRate, (bytes) => machine.receive(bytes))
    const back = pacedWire(clock, baudRate, (bytes) => void socat.stdin.write(bytes))
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
    const unsubscribe = machine.on((event) => {
      if (event.type === 'transmit') back.write(event.bytes).catch(() => undefined)
    })
    forget = () => {
      unsubscribe()
      wire.cut()
      back.cut()
    }
    const until = clock.monotonicMs() + START_MS
    while (!existsSync(path)) {
      if (clock.monotonicMs() > until) throw new PosternError('PTY', 'socat made no pty', { path })
      await clock.sleep(10)
    }
  }

  async function unplug(): Promise<void> {
    const socat = child
    if (socat === undefined) return
    child = undefined
    const exited = new Promise((resolve) => socat.once('exit', resolve))
    socat.kill('SIGKILL')
    await exited
    forget?.()
    machine.reset()
    rmSync(path, { force: true })
  }

  await plug()
  return { path, plug, unplug, stop: unplug }
}
