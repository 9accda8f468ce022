// A port that is kept open: opened again with a growing pause whenever it can't be opened or goes away.
import type { Clock } from '../base/clock.js'
import { isPosternError } from '../base/errors.js'
import type { BytePort, OpenBytePort } from '../byte-port.js'

const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 5000

export interface KeptPortEvents {
  up(port: BytePort): void
  /** The open port went, or an attempt failed; called for the first failure of a row and when the reason changes. */
  down(reason: string): void
}

/** Runs until `signal` fires; resolves when the port is closed and its lock is free. */
export async function keepPortOpen(
  open: OpenBytePort,
  clock: Clock,
  signal: AbortSignal,
  events: KeptPortEvents,
): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS
  let told: string | undefined
  const tell = (reason: string) => {
    if (reason !== told) events.down(reason)
    told = reason
  }
  while (!signal.aborted) {
    let port: BytePort | undefined
    try {
      port = await open()
      if (!signal.aborted) {
        pauseMs = FIRST_PAUSE_MS
        told = undefined
        const lost = untilLost(port, signal)
        events.up(port)
        tell(await lost)
      }
    } catch (error) {
      // A stale lock is a busy port until the kernel or the other program lets go: the same patience serves.
      tell(
        isPosternError(error, 'DEVICE_BUSY')
          ? `the port is in use: ${error.message}`
          : (error as Error).message,
      )
    }
    await port?.close().catch(() => undefined)
    await clock.sleep(pauseMs, signal).catch(() => undefined)
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
  }
}

function untilLost(port: BytePort, signal: AbortSignal): Promise<string> {
  const over = new AbortController()
  return new Promise<string>((resolve) => {
    signal.addEventListener('abort', () => resolve('closed'), { once: true, signal: over.signal })
    port.onLost(resolve)
  }).finally(() => over.abort())
}
