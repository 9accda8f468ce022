// What the fleet should know of the battery: each change of its state or of its source, through the outbox.

import type { Log } from '../../../hal/base/log.js'
import type { Power } from '../../../hal/power.js'
import type { Outbox } from '../link/outbox.js'

export interface PowerReport {
  readonly state: 'ok' | 'low' | 'critical'
  readonly source: 'battery' | 'external'
  /** 0 to 100. */
  readonly percent: number
}

/** Reports to `evt/power` now and on every change but that of the percentage alone. Returns the unsubscriber. */
export function reportPower(power: Power | undefined, outbox: Pick<Outbox, 'put'>, log: Log): () => void {
  if (power === undefined) return () => undefined
  let told = ''
  const tell = () => {
    const { presence, state } = power.status()
    if (presence !== 'ready') return
    const { source, percent } = power.reading()
    if (told === `${state}/${source}`) return
    told = `${state}/${source}`
    if (state !== 'ok') log.warn('power.low', { state, percent })
    const report: PowerReport = { state, source, percent: Math.round(percent) }
    try {
      outbox.put('evt/power', report)
    } catch (error) {
      log.warn('power.not-reported', { error: (error as Error).message })
    }
  }
  tell()
  return power.on(tell)
}
