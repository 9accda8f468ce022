// The ESC/POS machine behind a pseudo-terminal: a driver opens it as a serial line, at a true baud rate.
import type { Clock } from '../../hal/base/clock.js'
import type { EscposMachine } from '../../hal/simulated/escpos-machine.js'
import { openPty, type PtyOptions } from './pty.js'

export interface PtyPrinter {
  /** The device file that the driver opens. */
  readonly path: string
  /** Pulls the device: its file is gone, and the printer without power. */
  unplug(): Promise<void>
  plug(): Promise<void>
  stop(): Promise<void>
}

/** Joins `machine` to a pty. @throws PosternError `PTY` when the device file does not appear */
export async function ptyPrinter(
  machine: EscposMachine,
  clock: Clock,
  options: Omit<PtyOptions, 'arrived'>,
): Promise<PtyPrinter> {
  const pty = await openPty(clock, { ...options, arrived: (bytes) => machine.receive(bytes) })
  machine.on((event) => {
    if (event.type === 'transmit') pty.say(event.bytes)
  })
  const unplug = async () => {
    await pty.unplug()
    machine.reset()
  }
  return { path: pty.path, plug: pty.plug, unplug, stop: unplug }
}
