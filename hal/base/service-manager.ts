// What systemd is told of a service: that it is ready, that it lives, that it stops. sd_notify(3), by systemd's own tool, as
// Node has no datagram sockets of the unix family.
import { execFile } from 'node:child_process'

export interface ServiceManager {
  /** The service does its work now; from here on it also says that it lives, where the unit asks for it. */
  ready(): void
  /** It ends by itself: silence is no fault any more. */
  stopping(): void
}

/** A word that is not delivered is said again with the next; one that hangs must not pile up others. */
const BOUND_MS = 10_000

/**
 * Takes `NOTIFY_SOCKET` and `WATCHDOG_USEC` out of `env`, so that no child speaks for us. The sign of life comes from a timer
 * of the event loop at a third of the unit's `WatchdogSec`: a world that hangs in a loop or was stopped is silent and
 * started again. Without a service manager nothing is said.
 */
export function serviceManager(env: NodeJS.ProcessEnv): ServiceManager {
  const socket = env['NOTIFY_SOCKET']
  const watchdogMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1000
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  let saying = false
  const say = (...words: string[]) => {
    if (socket === undefined || saying) return
    saying = true
    const options = { env: { ...env, NOTIFY_SOCKET: socket }, timeout: BOUND_MS }
    execFile('systemd-notify', words, options, () => {
      saying = false
    })
  }
  let alive: NodeJS.Timeout | undefined
  return {
    ready() {
      say('--ready')
      if (watchdogMs > 0) alive = setInterval(() => say('WATCHDOG=1'), watchdogMs / 3).unref()
    },
    stopping() {
      clearInterval(alive)
      say('STOPPING=1')
    },
  }
}
