// How long to wait before trying again: exponential with full jitter, so that a thousand clients do not come at once.
import type { Random } from '../../hal/base/clock.js'

export interface BackOff {
  readonly firstMs: number
  readonly mostMs: number
}

/**
 * Milliseconds before try number `attempt` (from 0): anything between a tenth and the whole of the doubled first wait,
 * at most `mostMs`.
 */
export function backOffMs({ firstMs, mostMs }: BackOff, attempt: number, random: Random): number {
  const ceiling = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 30))
  const [high = 0, low = 0] = random(2)
  const fraction = (high * 256 + low) / 65_536
  return Math.round(ceiling * (0.1 + 0.9 * fraction))
}
