// What GPIO drivers share: a port by its backend's name, kept open, its lines set up again when they come back.
import { type Clock, systemClock } from '../../base/clock.js'
import { loadFileCalls } from '../device-file.js'
import { characterDevicePort } from './character-device-port.js'
import type { GpioPort, OpenGpio } from './gpio-port.js'
import { loadOnoff, onoffPort } from './onoff-port.js'

/** The kernel's lines. */
export const openGpio: OpenGpio = async (backend) =>
  backend === 'onoff' ? onoffPort(await loadOnoff(), systemClock) : characterDevicePort(await loadFileCalls())

const CHECK_MS = 500
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 2000

export interface GpioUse {
  /** Takes the lines. What it throws is why the device is not there. Returns what to do before they are given back. */
  up(port: GpioPort, lost: (error: unknown) => void): () => void
  /** For the first failure of a row and when the reason changes. */
  down(reason: string): void
}

/** Runs until `signal` fires; resolves when the lines are given back. A chip that goes is seen within 0.5 s. */
export async function keepGpioOpen(
  open: () => Promise<GpioPort>,
  clock: Clock,
  signal: AbortSignal,
  use: GpioUse,
): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS
  let told: string | undefined
  while (!signal.aborted) {
    let port: GpioPort | undefined
    let down: (() => void) | undefined
    const lost = new AbortController()
    try {
      port = await open()
      down = use.up(port, (error) => lost.abort(error))
      pauseMs = FIRST_PAUSE_MS
      told = undefined
      const either = AbortSignal.any([signal, lost.signal])
      while (!either.aborted) {
        port.check()
        await clock.sleep(CHECK_MS, either).catch(() => undefined)
      }
      if (lost.signal.aborted) throw lost.signal.reason
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== told) use.down(reason)
      told = reason
    }
    try {
      down?.()
    } catch {
      // Lines that are gone can't be put back.
    }
    port?.close()
    await clock.sleep(pauseMs, signal).catch(() => undefined)
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
  }
}
