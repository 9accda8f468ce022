// Counters of all devices of one process in one small durable file.
import { readDurable, writeDurable } from './base/durable-file.js'
import type { Log } from './base/log.js'
import type { Statistics } from './device.js'
import type { StatisticsStore } from './statistics.js'

/** More devices than a board may have are not kept. */
const MAX_DEVICES = 64

/**
 * A store in the file `path`. A damaged file starts the counters anew, and a disk that is full stops no device: both are
 * logged.
 */
export function fileStatistics(path: string, log: Log): StatisticsStore {
  const all = new Map<string, Statistics>(Object.entries(read(path, log)).slice(0, MAX_DEVICES))
  return {
    load: (deviceId) => all.get(deviceId),
    save(deviceId, statistics) {
      if (!all.has(deviceId) && all.size >= MAX_DEVICES) return
      all.set(deviceId, statistics)
      try {
        writeDurable(path, new Uint8Array(Buffer.from(JSON.stringify(Object.fromEntries(all)))))
      } catch (error) {
        log.warn('statistics.not-saved', { error: String(error) })
      }
    },
  }
}

function read(path: string, log: Log): Record<string, Statistics> {
  try {
    const kept = readDurable(path)
    if (kept === undefined) return {}
    const json: unknown = JSON.parse(Buffer.from(kept.content).toString('utf8'))
    return typeof json === 'object' && json !== null ? (json as Record<string, Statistics>) : {}
  } catch (error) {
    log.warn('statistics.unreadable', { error: String(error) })
    return {}
  }
}
