// A device that only answers when asked, looked after: set up when it answers, asked now and then, set up anew after a loss.
import type { Clock } from '../base/clock.js'

const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 5000

export interface KeptDevice {
  /** Sets the device up; it answers if this resolves. The signal fires when the device is lost again or closed. */
  attach(signal: AbortSignal): Promise<void>
  /** Asked every `everyMs` while the device is there; a rejection is a loss. */
  poll(signal: AbortSignal): Promise<void>
  readonly everyMs: number
  /** `reason` is told once until it changes or the device comes. */
  up(): void
  down(reason: string): void
}

/** What a driver says when one of its own transfers failed, so that the next look is at once. */
export interface Keeper {
  lost(reason: string): void
  /** Resolves after the first attempt, whatever came of it. */
  readonly settled: Promise<void>
}

/** Runs until `signal` fires. After a loss it tries again after 0.2 s, then ever more rarely, at last every 5 s. */
export function keepDevice(clock: Clock, signal: AbortSignal, device: KeptDevice): Keeper {
  let reported: AbortController | undefined
  let told: string | undefined
  const down = (reason: string) => {
    if (reason !== told) device.down(reason)
    told = reason
  }
  let settle: () => void = () => undefined
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })

  const run = async () => {
    let pauseMs = FIRST_PAUSE_MS
    while (!signal.aborted) {
      const mine = new AbortController()
      const until = AbortSignal.any([mine.signal, signal])
      try {
        await device.attach(until)
        reported = mine
        pauseMs = FIRST_PAUSE_MS
        told = undefined
        device.up()
        settle()
        while (!until.aborted) {
          await clock.sleep(device.everyMs, until)
          await device.poll(until)
        }
      } catch (error) {
        if (signal.aborted) break
        if (mine.signal.aborted) down(String(mine.signal.reason))
        else down(error instanceof Error ? error.message : String(error))
      } finally {
        reported = undefined
        mine.abort()
        settle()
      }
      await clock.sleep(pauseMs, signal).catch(() => undefined)
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
    }
  }
  void run()
  return { settled, lost: (reason) => reported?.abort(reason) }
}
