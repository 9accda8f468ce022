// Battery levels with hysteresis: a pure step for power drivers.

export type PowerLevel = 'ok' | 'low' | 'critical'

/** `low` begins at or below this percentage, `critical` at or below the other; both end 2 % above. */
export const LOW_PERCENT = 15
export const CRITICAL_PERCENT = 5
const HYSTERESIS = 2

/** The level after a reading, given the level before it. */
export function nextPowerLevel(before: PowerLevel, percent: number): PowerLevel {
  const criticalUpTo = CRITICAL_PERCENT + (before === 'critical' ? HYSTERESIS : 0)
  if (percent <= CRITICAL_PERCENT || (before === 'critical' && percent < criticalUpTo)) return 'critical'
  const lowUpTo = LOW_PERCENT + (before === 'ok' ? 0 : HYSTERESIS)
  return percent <= LOW_PERCENT || (before !== 'ok' && percent < lowUpTo) ? 'low' : 'ok'
}
